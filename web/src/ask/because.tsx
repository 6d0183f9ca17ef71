// Asks for the reason of something before it is done, and says what exactly it will do.
import {Button, Group, Stack, TextInput} from "@mantine/core";
import {type FormEvent, type ReactNode, useState} from "react";
import {Dialog} from "../frame/dialog";
import {type Act} from "./act";
import {Failed} from "./state";

interface BecauseProps<O> {
  title: string;
  opened: boolean;
  close: () => void;
  act: Act<{reason: string}, O>;
  label: string; // of the button that does it
  color?: string;
  size?: string;
  optional?: boolean; // the reason may be left out
  after?: (output: O) => void; // it went well
  extra?: ReactNode; // shown instead of the plain error
  children: ReactNode; // what will happen
}

/** A dialog in front of what is on record with a reason. It closes when that is done. */
export function Because<O>({title, opened, close, act, label, color, size = "lg", optional = false, after, extra, children}: BecauseProps<O>) {
  const [reason, setReason] = useState("");
  const missing = !optional && reason.trim() === "";
  const leave = () => {
    act.clear();
    close();
  };
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const output = missing ? undefined : await act.run({reason: reason.trim()});
    if (output !== undefined) {
      setReason("");
      leave();
      after?.(output);
    }
  };
  return (
    <Dialog title={title} opened={opened} close={leave} size={size}>
      <form onSubmit={(event) => void submit(event)}>
        <Stack gap="sm">
          {children}
          <TextInput label="Reason" description="Is kept on record with your name." required={!optional} maxLength={1000} data-autofocus value={reason} onChange={(event) => setReason(event.currentTarget.value)} error={act.field("reason")} />
          {extra ?? (act.error !== undefined && <Failed error={act.error} />)}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={leave}>
              Cancel
            </Button>
            <Button type="submit" color={color} loading={act.busy} disabled={missing}>
              {label}
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
