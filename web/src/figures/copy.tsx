import {Button, Group, TextInput} from "@mantine/core";
import {useRef, useState} from "react";

/** A text that is to be taken elsewhere as it is. Where the browser lets nobody copy (it does over TLS and on this machine
 * alone) the text is marked, so that ctrl C takes it. */
export function Copied({label, text}: {label: string; text: string}) {
  const field = useRef<HTMLInputElement>(null);
  const [said, setSaid] = useState("");
  const copy = async () => {
    field.current?.select();
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied.");
    } catch {
      setSaid("It is marked: copy it with ctrl C.");
    }
  };
  return (
    <Group gap="xs" align="flex-end" wrap="nowrap">
      <TextInput ref={field} label={label} value={text} readOnly style={{flex: 1}} styles={{input: {fontFamily: "var(--mantine-font-family-monospace)"}}} description={<span role="status">{said}</span>} inputWrapperOrder={["label", "input", "description"]} onFocus={(event) => event.currentTarget.select()} />
      <Button variant="default" onClick={() => void copy()} mb={said === "" ? 0 : 22}>
        Copy
      </Button>
    </Group>
  );
}
