// Holds: releases that automation must not deploy again.
import {Group, NativeSelect, TextInput} from "@mantine/core";
import {useState} from "react";
import {answer, api, type Schemas} from "../ask/api";
import {changed} from "../ask/ask";
import {Doing} from "../ask/doing";
import {usePermission} from "../ask/permission";
import {wallTime} from "../frame/wall";
import {zone} from "../frame/zone";

type Hold = Schemas["adg.v1.ReleaseHold"];

/** Lifts a hold. */
export function Lift({hold, name}: {hold: Hold; name: string}) {
  const by = usePermission("hold.write", hold.service, hold.environment);
  return (
    <Doing
      name="Lift"
      about={`the hold on ${name} in ${hold.environment}`}
      by={by}
      does={`${hold.service} ${name} may be deployed to ${hold.environment} again, by people and by pipelines.${hold.suspended === "" ? "" : ` What its target suspended then (${hold.suspended}) is resumed.`} It was put on hold by ${hold.actor}: ${hold.reason}`}
      run={(reason, idempotencyKey) => answer(api.POST("/v1/holds:lift", {body: {service: hold.service, environment: hold.environment, identity: hold.identity, etag: hold.etag, reason, idempotencyKey}}))}
      after={told}
    />
  );
}

/** Puts a release on hold. */
export function PutHold({service, environment, identity, name}: {service: string; environment: string; identity: string; name: string}) {
  const by = usePermission("hold.write", service, environment);
  const chosen = zone.use();
  const [until, setUntil] = useState("");
  return (
    <Doing
      name="Hold"
      about={`${name} in ${environment}`}
      by={by}
      input={until}
      opened={() => setUntil("")}
      does={`No pipeline deploys ${service} ${name} to ${environment} until the hold is lifted or ends. What is live stays live; other releases may be deployed.`}
      run={(reason, idempotencyKey) => answer(api.POST("/v1/holds", {body: {service, environment, identity, untilTime: wallTime(until, chosen), reason, idempotencyKey}}))}
      after={told}
    >
      {(field) => <TextInput type="datetime-local" label="Until" description="Empty: until somebody lifts it" value={until} onChange={(event) => setUntil(event.currentTarget.value)} error={field("until_time")} />}
    </Doing>
  );
}

/** Puts a release on hold that is not in the list, such as one that was built and never deployed. */
export function PutOther({service, environments}: {service: string; environments: readonly string[]}) {
  const [form, setForm] = useState({environment: environments[0] ?? "", identity: "", until: ""});
  const by = usePermission("hold.write", service, form.environment);
  const chosen = zone.use();
  return (
    <Doing
      name="Hold another release"
      by={by}
      input={form}
      ready={form.identity.trim() !== "" && form.environment !== ""}
      does={`No pipeline deploys that release of ${service} until the hold is lifted or ends.`}
      run={(reason, idempotencyKey) => answer(api.POST("/v1/holds", {body: {service, environment: form.environment, identity: form.identity.trim(), untilTime: wallTime(form.until, chosen), reason, idempotencyKey}}))}
      after={told}
    >
      {(field) => (
        <>
          <TextInput label="Release" description="Its artifact (image digest, chart, path) or, where it has none, its version" value={form.identity} onChange={(event) => setForm({...form, identity: event.currentTarget.value})} error={field("identity")} />
          <Group grow align="flex-start">
            <NativeSelect label="Environment" value={form.environment} data={[...environments]} onChange={(event) => setForm({...form, environment: event.currentTarget.value})} error={field("environment")} />
            <TextInput type="datetime-local" label="Until" value={form.until} onChange={(event) => setForm({...form, until: event.currentTarget.value})} error={field("until_time")} />
          </Group>
        </>
      )}
    </Doing>
  );
}

// Private

function told(): void {
  changed("releases/", "holds/", "service/", "services/");
}
