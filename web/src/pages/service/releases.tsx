// The releases of a service: which are good, which are on hold, and where a rollback would go.
import {Group, Stack, Text, TextInput, Title} from "@mantine/core";
import {useState} from "react";
import {all, answer, api, type Schemas} from "../../ask/api";
import {changed, useAsk} from "../../ask/ask";
import {useMore} from "../../ask/more";
import {Doing} from "../../ask/doing";
import {usePermission} from "../../ask/permission";
import {Empty, State} from "../../ask/state";
import {Badge} from "../../figures/badge";
import {MoreRows, Rows} from "../../figures/rows";
import {Link} from "../../frame/router";
import {Time} from "../../frame/time";
import {Lift, PutHold, PutOther} from "../../line/holds";
import {to} from "../../places";

type Row = Schemas["adg.v1.ReleaseRecord"];
type Hold = Schemas["adg.v1.ReleaseHold"];

interface ReleasesProps {
  service: string;
  environment: string | undefined;
  environments: readonly string[];
}

export function Releases({service, environment, environments}: ReleasesProps) {
  const only = {services: [service], environments: environment === undefined ? [] : [environment]};
  const key = `${service}/${environment ?? ""}`;
  const releases = useMore(
    `releases/${key}`,
    async (pageToken, signal) => {
      const page = await answer(api.GET("/v1/releases", {params: {query: {...only, pageSize: 100, pageToken}}, signal}));
      return {rows: page.releases, next: page.nextPageToken};
    },
    {every: 15_000},
  );
  const holds = useAsk(`holds/${key}`, (signal) => all((pageToken) => api.GET("/v1/holds", {params: {query: {...only, pageSize: 1000, pageToken}}, signal}), (page) => page.holds), {every: 15_000});
  return (
    <Stack gap="md">
      <div>
        <Title order={2} size="h4" mb="xs">
          On hold
        </Title>
        <State of={holds} what="holds" empty={(rows) => rows.length === 0} none={<Empty>No release is on hold.</Empty>}>
          {(rows) => <Holds rows={rows} names={named(releases.data)} />}
        </State>
      </div>
      <div>
        <Group justify="space-between" mb="xs">
          <Title order={2} size="h4">
            Releases
          </Title>
          <Group gap="xs">
            {environments.length > 0 && <PutOther service={service} environments={environments} />}
            {environments.length > 0 && <MarkOther service={service} environments={environments} />}
          </Group>
        </Group>
        <State of={releases} what="releases" empty={(rows) => rows.length === 0} none={<Empty>No release is known yet.</Empty>}>
          {(rows) => (
            <>
              <Table rows={rows} />
              <MoreRows of={releases} shown={rows.length} what="releases" />
            </>
          )}
        </State>
      </div>
    </Stack>
  );
}

// Private

function named(rows: readonly Row[] | undefined): ReadonlyMap<string, string> {
  return new Map((rows ?? []).map((row) => [row.release?.identity ?? "", row.release?.version ?? ""]));
}

function Holds({rows, names}: {rows: readonly Hold[]; names: ReadonlyMap<string, string>}) {
  const name = (hold: Hold) => names.get(hold.identity) ?? hold.identity;
  return (
    <Rows
      label="Holds"
      rows={rows}
      id={(hold) => `${hold.environment}/${hold.identity}`}
      columns={[
        {name: "Release", cell: name},
        {name: "Environment", cell: (hold) => hold.environment},
        {name: "Since", cell: (hold) => <Time at={hold.sinceTime} />},
        {name: "Until", cell: (hold) => <Time at={hold.untilTime} never="somebody lifts it" />},
        {name: "Why", cell: (hold) => (hold.suspended === "" ? hold.reason : `${hold.reason}; suspended at its target: ${hold.suspended}`)},
        {name: "By", cell: (hold) => (hold.deployment === "" ? hold.actor : <Link href={to.deployment(hold.deployment)}>{hold.actor}</Link>)},
        {name: "Do", cell: (hold) => <Lift hold={hold} name={name(hold)} />},
      ]}
    />
  );
}

function Table({rows}: {rows: readonly Row[]}) {
  return (
    <Rows
      label="Releases"
      rows={rows}
      id={(row) => `${row.environment}/${row.release?.identity}`}
      columns={[
        {
          name: "Version",
          cell: ({release}) => (
            <>
              {release?.version}
              {release?.artifact !== "" && (
                <Text size="xs" className="quiet wrap">
                  {release?.artifact}
                </Text>
              )}
            </>
          ),
        },
        {name: "Environment", cell: (row) => row.environment},
        {name: "Known as", cell: (row) => <Standing row={row} />},
        {name: "Since", cell: (row) => <Time at={row.sinceTime} />},
        {name: "Why", cell: (row) => (row.deployment === "" ? row.why : <Link href={to.deployment(row.deployment)}>{row.why}</Link>)},
        {name: "Do", cell: (row) => <Do row={row} />},
      ]}
    />
  );
}

function Standing({row}: {row: Row}) {
  return (
    <Group gap={6}>
      {row.standing === "STANDING_GOOD" && <Badge tone="good">Good</Badge>}
      {row.standing === "STANDING_ROLLED_BACK" && (
        <Badge tone="bad" icon="back">
          Rolled back
        </Badge>
      )}
      {row.standing === "STANDING_UNKNOWN" && <Badge tone="unknown">Unknown</Badge>}
      {row.lastGood && (
        <Badge tone="info" icon="target">
          A rollback goes here
        </Badge>
      )}
      {row.hold !== undefined && (
        <Badge tone="warn" icon="hold">
          On hold
        </Badge>
      )}
    </Group>
  );
}

function Do({row}: {row: Row}) {
  const {release, environment} = row;
  if (release === undefined) {
    return undefined;
  }
  return (
    <Group gap={6}>
      {row.standing !== "STANDING_GOOD" && <Mark release={release} environment={environment} />}
      {row.hold === undefined && <PutHold service={release.service} environment={environment} identity={release.identity ?? release.version} name={release.version} />}
    </Group>
  );
}

function Mark({release, environment}: {release: Schemas["adg.v1.Release"]; environment: string}) {
  const by = usePermission("release.mark", release.service, environment);
  return (
    <Doing
      name="Mark good"
      about={`${release.version} in ${environment}`}
      by={by}
      sure={release.service}
      does={`The next rollback of ${release.service} in ${environment} goes to ${release.version}, because you say that it is good: ADG did not verify it. Nothing is deployed now.`}
      run={(reason, idempotencyKey) => answer(api.POST("/v1/releases:mark-good", {body: {environment, release: unset(release), reason, idempotencyKey}}))}
      after={told}
    />
  );
}

/** Marks a release that ADG has not seen, such as what was live before it came. */
function MarkOther({service, environments}: {service: string; environments: readonly string[]}) {
  const [form, setForm] = useState({environment: environments[0] ?? "", version: "", artifact: "", config: ""});
  const by = usePermission("release.mark", service, form.environment);
  return (
    <Doing
      name="Mark another as good"
      by={by}
      input={form}
      sure={service}
      ready={form.version.trim() !== ""}
      does={`The next rollback of ${service} there goes to that release, because you say that it is good: ADG did not verify it. Nothing is deployed now.`}
      run={(reason, idempotencyKey) => answer(api.POST("/v1/releases:mark-good", {body: {environment: form.environment, release: {service, version: form.version.trim(), artifact: form.artifact.trim(), config: form.config.trim()}, reason, idempotencyKey}}))}
      after={told}
    >
      {(field) => (
        <>
          <TextInput label="Environment" value={form.environment} onChange={(event) => setForm({...form, environment: event.currentTarget.value})} error={field("environment")} />
          <TextInput label="Version" value={form.version} onChange={(event) => setForm({...form, version: event.currentTarget.value})} error={field("release.version")} />
          <TextInput label="Artifact" description="What is run, such as an image's digest; empty: the version names it" value={form.artifact} onChange={(event) => setForm({...form, artifact: event.currentTarget.value})} error={field("release.artifact")} />
          <TextInput label="Config revision" description="Empty: none" value={form.config} onChange={(event) => setForm({...form, config: event.currentTarget.value})} error={field("release.config")} />
        </>
      )}
    </Doing>
  );
}

// The identity is the server's to say.
function unset({service, version, artifact, config, commit, schema}: Schemas["adg.v1.Release"]): Schemas["adg.v1.Release"] {
  return {service, version, artifact, config, commit, schema};
}

function told(): void {
  changed("releases/", "service/", "services/");
}
