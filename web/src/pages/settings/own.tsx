// What a person sets for himself: his password.
import {Button, PasswordInput, Stack, Text} from "@mantine/core";
import {type FormEvent, useState} from "react";
import {answer, api} from "../../ask/api";
import {useAct} from "../../ask/act";
import {changed} from "../../ask/ask";
import {useMe} from "../../ask/permission";
import {Failed} from "../../ask/state";
import {count} from "../../figures/words";

const blank = {current: "", wanted: "", again: ""};

export function Own() {
  const {data} = useMe();
  const [form, setForm] = useState(blank);
  const [ended, setEnded] = useState<number>();
  const act = useAct(
    ({current, wanted}: typeof blank, idempotencyKey) => answer(api.POST("/v1/me:change-password", {body: {current, wanted, idempotencyKey}})),
    (answered) => {
      setForm(blank);
      setEnded(answered.endedSessions);
      changed("sessions/");
    },
  );
  const differs = form.again !== "" && form.again !== form.wanted;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (form.wanted !== "" && form.wanted === form.again) {
      setEnded(undefined);
      void act.run(form);
    }
  };
  return (
    <form onSubmit={submit} style={{maxWidth: 420}}>
      <Stack gap="sm">
        <Text size="sm" className="wrap">
          You are {data?.identity?.person || data?.identity?.subject || "…"}. Whoever logs in with a provider has his password there, not here.
        </Text>
        <PasswordInput label="Current password" autoComplete="current-password" value={form.current} onChange={(event) => setForm({...form, current: event.currentTarget.value})} error={act.field("current")} />
        <PasswordInput label="New password" description="At least 12 characters" autoComplete="new-password" value={form.wanted} onChange={(event) => setForm({...form, wanted: event.currentTarget.value})} error={act.field("wanted")} />
        <PasswordInput label="New password again" autoComplete="new-password" value={form.again} onChange={(event) => setForm({...form, again: event.currentTarget.value})} error={differs ? "It is another one than above." : undefined} />
        {act.error !== undefined && <Failed error={act.error} />}
        <Text size="sm" role="status">
          {ended !== undefined && `The password was changed; ${count(ended, "other session")} of yours ended.`}
        </Text>
        <Button type="submit" loading={act.busy} style={{alignSelf: "flex-start"}}>
          Change the password
        </Button>
      </Stack>
    </form>
  );
}
