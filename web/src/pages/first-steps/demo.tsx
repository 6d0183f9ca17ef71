import {Group, NativeSelect, Stack, Text, Title} from "@mantine/core";
import {useState} from "react";
import {type Schemas, answer, api} from "../../ask/api";
import {useAct} from "../../ask/act";
import {changed} from "../../ask/ask";
import {Permitted, usePermission} from "../../ask/permission";
import {Failed} from "../../ask/state";
import {go} from "../../frame/router";

type Fault = Schemas["adg.v1.DemoFault"];

const faults: readonly {value: Fault; label: string}[] = [
  {value: "DEMO_FAULT_ERRORS", label: "ten times as many errors"},
  {value: "DEMO_FAULT_LATENCY", label: "twice the latency"},
  {value: "DEMO_FAULT_CRASH", label: "a crash now and then"},
  {value: "DEMO_FAULT_SILENT", label: "requests that are never answered"},
  {value: "DEMO_FAULT_LEAK", label: "memory that is never given back"},
  {value: "DEMO_FAULT_LOG", label: "lost payments, which only its log tells of"},
  {value: "DEMO_FAULT_NONE", label: "nothing: both releases are good"},
];

/** The demo: what ADG does, seen in a minute, without anything of one's own. */
export function Demo() {
  const [fault, setFault] = useState<Fault>("DEMO_FAULT_ERRORS");
  const may = usePermission("setting.write");
  const demo = useAct(
    (chosen: Fault, idempotencyKey) => answer(api.POST("/v1/system/demo:start", {body: {fault: chosen, idempotencyKey, reason: "to see what ADG does"}})),
    () => {
      changed("setup", "services", "deployments/");
      go("/");
    },
  );
  return (
    <section className="card" aria-labelledby="demo">
      <Stack gap="sm">
        <Title order={2} id="demo">
          See it first
        </Title>
        <Text>
          A shop runs inside this server. The demo deploys a good release of it, step by step, and then a bad one, which is caught and rolled back: a minute each, guarded like all others. The page Now
          shows it.
        </Text>
        <Group align="flex-end">
          <NativeSelect label="What is wrong with the bad release" value={fault} onChange={(event) => setFault(event.currentTarget.value as Fault)} data={[...faults]} style={{flex: "0 1 18rem"}} />
          <Permitted by={may} loading={demo.busy} onClick={() => void demo.run(fault)}>
            Start the demo
          </Permitted>
        </Group>
        {demo.error !== undefined && <Failed error={demo.error} />}
      </Stack>
    </section>
  );
}
