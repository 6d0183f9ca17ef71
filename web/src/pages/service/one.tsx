// One service: where it is and how it is there, what was deployed, which releases may be, and how it has been going.
import {Anchor, Group, NativeSelect, SimpleGrid, Stack, Tabs, Text, TextInput, Title} from "@mantine/core";
import {useState} from "react";
import {answer, api} from "../../ask/api";
import {changed, useAsk} from "../../ask/ask";
import {Doing} from "../../ask/doing";
import {usePermission} from "../../ask/permission";
import {State} from "../../ask/state";
import {Link, useQuery} from "../../frame/router";
import {Freezes} from "../../line/freezes";
import {to} from "../../places";
import {Baselines} from "./baselines";
import {Figures} from "./figures";
import {History} from "./history";
import {Matters, Newest} from "./parts";
import {Releases} from "./releases";
import {type Service, type There, matters, trusts} from "./view";
import classes from "./service.module.css";

export function One({name}: {name: string}) {
  const service = useAsk(`service/${name}`, (signal) => answer(api.GET("/v1/services/{service}", {params: {path: {service: name}}, signal})), {every: 5000});
  return (
    <>
      <Text size="sm">
        <Link href="/services">Services</Link>
      </Text>
      <Title order={1} mb="xs" className="wrap">
        {name}
      </Title>
      <State of={service} what={`the service ${name}`}>
        {(data) => (
          <Stack gap="md">
            <About service={data} />
            <SimpleGrid cols={{base: 1, md: Math.min(2, Math.max(1, data.environments.length))}} spacing="sm">
              {data.environments.map((there) => (
                <Environment key={there.environment} service={name} there={there} />
              ))}
            </SimpleGrid>
            <Parts service={data} />
          </Stack>
        )}
      </State>
    </>
  );
}

// Private

const parts = [
  {value: "history", label: "History"},
  {value: "releases", label: "Releases and holds"},
  {value: "figures", label: "Figures"},
  {value: "baselines", label: "Baselines"},
  {value: "freezes", label: "Freezes"},
] as const;

function Parts({service}: {service: Service}) {
  const [query, change] = useQuery();
  const part = parts.find(({value}) => value === query.get("part"))?.value ?? "history";
  const environments = service.environments.map((there) => there.environment);
  const environment = environments.find((one) => one === query.get("environment"));
  return (
    <Tabs value={part} onChange={(value) => change({part: value === "history" ? undefined : (value ?? undefined)})} keepMounted={false}>
      <Tabs.List>
        {parts.map(({value, label}) => (
          <Tabs.Tab key={value} value={value}>
            {label}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      {environments.length > 1 && part !== "freezes" && (
        <NativeSelect mt="sm" w={220} size="xs" label="Environment" value={environment ?? ""} data={[{value: "", label: "All"}, ...environments]} onChange={(event) => change({environment: event.currentTarget.value})} />
      )}
      <Tabs.Panel value="history" pt="md">
        <History service={service.name} environment={environment} />
      </Tabs.Panel>
      <Tabs.Panel value="releases" pt="md">
        <Releases service={service.name} environment={environment} environments={environments} />
      </Tabs.Panel>
      <Tabs.Panel value="figures" pt="md">
        <Figures service={service.name} environment={environment} />
      </Tabs.Panel>
      <Tabs.Panel value="baselines" pt="md">
        <Baselines service={service.name} environment={environment} />
      </Tabs.Panel>
      <Tabs.Panel value="freezes" pt="md">
        <Freezes service={service.name} />
      </Tabs.Panel>
    </Tabs>
  );
}

function About({service}: {service: Service}) {
  return (
    <Group gap="sm">
      <Text size="sm">{service.team === "" ? "No team is named." : `Team ${service.team}.`}</Text>
      {service.description !== "" && <Text size="sm">{service.description}</Text>}
      {/^https?:\/\//.test(service.repository) ? (
        <Anchor size="sm" href={service.repository} rel="noreferrer" className="wrap">
          {service.repository}
        </Anchor>
      ) : (
        service.repository !== "" && <Text size="sm">{service.repository}</Text>
      )}
      <Describe service={service} />
    </Group>
  );
}

function Describe({service}: {service: Service}) {
  const by = usePermission("policy.write", service.name, service.environments[0]?.environment ?? "");
  const [form, setForm] = useState({team: "", description: "", repository: ""});
  return (
    <Doing
      name="Describe"
      about="the service"
      by={by}
      why="welcome"
      input={form}
      opened={() => setForm({team: service.team, description: service.description, repository: service.repository})}
      does="It is shown with the service and its deployments; lists can be filtered by the team."
      run={(reason, idempotencyKey) => answer(api.PATCH("/v1/services/{service}", {params: {path: {service: service.name}}, body: {...form, etag: service.etag, reason, idempotencyKey}}))}
      after={() => changed("service/", "services/")}
    >
      {(field) => (
        <>
          <TextInput label="Team" value={form.team} onChange={(event) => setForm({...form, team: event.currentTarget.value})} error={field("team")} />
          <TextInput label="What it is" value={form.description} onChange={(event) => setForm({...form, description: event.currentTarget.value})} error={field("description")} />
          <TextInput label="Address of its source code" value={form.repository} onChange={(event) => setForm({...form, repository: event.currentTarget.value})} error={field("repository")} />
        </>
      )}
    </Doing>
  );
}

function Environment({service, there}: {service: string; there: There}) {
  const noPolicy = there.policyVersion === "0";
  return (
    <section className="card" aria-label={there.environment}>
      <Group justify="space-between" gap="xs" mb="xs">
        <Title order={2} size="h4">
          {there.environment}
        </Title>
        <Matters there={there} />
      </Group>
      <Newest there={there} />
      {matters(there).map(({word, text}) => (
        <Text key={word} size="sm" mt={4} className="wrap">
          {text}.
        </Text>
      ))}
      <dl className={classes.facts} style={{marginTop: "0.5rem"}}>
        <dt>Live</dt>
        <dd>{there.live?.version ?? "Nothing is known."}</dd>
        <dt>A rollback goes to</dt>
        <dd>{there.lastGood?.version ?? "Nowhere: no release is known to be good. Mark one as good below."}</dd>
        <dt>Policy</dt>
        <dd>
          <Link href={to.policy(service, there.environment)}>{noPolicy ? "none yet" : `version ${there.policyVersion}`}</Link>
        </dd>
        {!noPolicy && (
          <>
            <dt>ADG</dt>
            <dd>{trusts[there.trust]}</dd>
          </>
        )}
      </dl>
    </section>
  );
}
