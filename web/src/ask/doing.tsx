// Buttons that do something which others notice: first they say what exactly will happen, and ask why.
import {Button, Group, Stack, Text, TextInput, Textarea, VisuallyHidden} from "@mantine/core";
import {type FormEvent, type ReactNode, useState} from "react";
import {Dialog} from "../frame/dialog";
import {useAct} from "./act";
import {type Permission, Permitted} from "./permission";
import {Failed} from "./state";

interface DoingProps<O> {
  name: string; // a verb: "Lift"; it stands on both buttons
  about?: string; // to what, where the button stands in a row of others: "the hold on v3"
  does: ReactNode; // what exactly will happen
  by: Permission;
  color?: string; // red: it takes something away
  why?: "needed" | "welcome" | "none"; // whether a reason is asked for
  sure?: string; // what has to be typed before something dangerous
  ready?: boolean; // whether the form is filled in
  input?: unknown; // what else is sent along: with the same, a second try does nothing twice
  run: (reason: string, idempotencyKey: string) => Promise<O>;
  after?: (output: O) => void;
  opened?: () => void; // somebody begins
  keep?: (output: O) => ReactNode; // shown in place of the form when it is done, such as a secret
  width?: string; // of the dialog
  children?: (field: (name: string) => string | undefined) => ReactNode; // the form; field is what the server says about one
}

/** A button, and the dialog behind it. */
export function Doing<O>(props: DoingProps<O>) {
  const {name, about, by, opened, width} = props;
  const [open, setOpen] = useState(false);
  const title = about === undefined ? name : `${name} ${about}`;
  return (
    <>
      <Permitted
        size="xs"
        variant="default"
        color={props.color}
        by={by}
        onClick={() => {
          opened?.();
          setOpen(true);
        }}
      >
        {name}
        {about !== undefined && <VisuallyHidden>&nbsp;{about}</VisuallyHidden>}
      </Permitted>
      <Dialog title={title} opened={open} close={() => setOpen(false)} size={width ?? "md"}>
        {open && <Form {...props} close={() => setOpen(false)} />}
      </Dialog>
    </>
  );
}

// Private

function Form<O>({name, does, why = "needed", sure, ready = true, input, run, after, keep, children, color, close}: DoingProps<O> & {close: () => void}) {
  const [reason, setReason] = useState("");
  const [typed, setTyped] = useState("");
  const [output, setOutput] = useState<O>();
  const act = useAct((_: unknown, key) => run(reason.trim(), key));
  const complete = ready && (sure === undefined || typed === sure) && (why !== "needed" || reason.trim() !== "");
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!complete || act.busy) {
      return;
    }
    const done = await act.run({reason, input});
    if (done === undefined) {
      return;
    }
    after?.(done);
    if (keep === undefined) {
      close();
    } else {
      setOutput(done);
    }
  };
  if (keep !== undefined && output !== undefined) {
    return <>{keep(output)}</>;
  }
  return (
    <form onSubmit={(event) => void submit(event)} noValidate>
      <Stack gap="sm">
        <Text size="sm" component="div" className="wrap">
          {does}
        </Text>
        {children?.(act.field)}
        {why !== "none" && (
          <Textarea label="Why" description={why === "needed" ? "It stands on record, and whoever is concerned reads it." : "It stands on record. You may leave it empty."} required={why === "needed"} withAsterisk={false} rows={3} maxLength={2000} value={reason} onChange={(event) => setReason(event.currentTarget.value)} error={act.field("reason")} />
        )}
        {sure !== undefined && <TextInput label={`Type ${sure} to confirm`} value={typed} autoComplete="off" onChange={(event) => setTyped(event.currentTarget.value)} />}
        {act.error !== undefined && <Failed error={act.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Leave it
          </Button>
          <Button type="submit" color={color} loading={act.busy} data-disabled={complete ? undefined : true} aria-disabled={!complete}>
            {name}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
