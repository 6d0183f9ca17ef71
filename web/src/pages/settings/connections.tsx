// What ADG is connected to: where figures come from, where releases are made live, and who is told.
import {Group, Stack, Text, TextInput} from "@mantine/core";
import {useState} from "react";
import {answer, api, type Schemas} from "../../ask/api";
import {changed} from "../../ask/ask";
import {Doing} from "../../ask/doing";
import {useMore} from "../../ask/more";
import {usePermission} from "../../ask/permission";
import {Empty, State} from "../../ask/state";
import {Badge} from "../../figures/badge";
import {MoreRows, Rows} from "../../figures/rows";
import {seconds, span} from "../../figures/words";
import {ChoiceFilter} from "../../frame/filter";
import {useQuery} from "../../frame/router";
import {Time} from "../../frame/time";
import {ConnectionButton, seams} from "./connection-form";
import {Tried} from "./tried";

type Connection = Schemas["adg.v1.Connection"];

export function Connections() {
  const [query, change] = useQuery();
  const seam = seams.find(({name}) => name === query.get("seam"))?.seam;
  const connections = useMore(
    `connections/${seam ?? ""}`,
    async (pageToken, signal) => {
      const page = await answer(api.GET("/v1/connections", {params: {query: {seam, pageSize: 100, pageToken}}, signal}));
      return {rows: page.connections, next: page.nextPageToken};
    },
    {every: 15_000},
  );
  return (
    <Stack gap="sm">
      <Group justify="space-between" align="flex-end">
        <ChoiceFilter label="For what" name="seam" query={query} change={change} choices={[{value: "", label: "All"}, ...seams.map(({name, many}) => ({value: name, label: many}))]} />
        <ConnectionButton before={undefined} />
      </Group>
      <State of={connections} what="connections" empty={(rows) => rows.length === 0} none={<Empty>Nothing is connected yet. ADG needs a source that says how a release is doing, and a target that makes it live.</Empty>}>
        {(rows) => (
          <>
            <Rows
              label="Connections"
              rows={rows}
              id={(connection) => `${connection.seam}/${connection.name}`}
              columns={[
                {name: "Name", cell: (connection) => connection.name},
                {name: "Is", cell: (connection) => `${seams.find(({seam: one}) => one === connection.seam)?.one ?? "connection"}: ${connection.type}`},
                {name: "Answers", cell: (connection) => <Answers connection={connection} />},
                {name: "For", cell: (connection) => `${patterns(connection.services)} in ${patterns(connection.environments)}`},
                {name: "Used by", cell: (connection) => (connection.health === undefined ? undefined : `${connection.health.usedBy === 1 ? "1 policy" : `${connection.health.usedBy} policies`}`)},
                {name: "Changed", cell: (connection) => <Time at={connection.updateTime} />},
                {name: "Do", cell: (connection) => <Do connection={connection} />},
              ]}
            />
            <MoreRows of={connections} shown={rows.length} what="connections" />
          </>
        )}
      </State>
    </Stack>
  );
}

// Private

function patterns(names: readonly string[] | undefined): string {
  return names === undefined || names.length === 0 ? "none" : names.map((name) => (name === "*" ? "all" : name)).join(", ");
}

function Answers({connection: {health}}: {connection: Connection}) {
  if (health?.successTime === undefined && health?.failureTime === undefined) {
    return <Badge tone="unknown">Was not asked yet</Badge>;
  }
  const well = health.failureTime === undefined || (health.successTime !== undefined && Date.parse(health.successTime) > Date.parse(health.failureTime));
  const took = seconds(health.latency);
  return (
    <>
      <Badge tone={well ? "good" : "bad"}>{well ? "Answers" : "Fails"}</Badge>{" "}
      <Text span size="sm" className="quiet">
        <Time at={well ? health.successTime : health.failureTime} />
        {took !== undefined && well && `, in ${span(took)}`}
      </Text>
      {!well && (
        <Text size="sm" className="wrap">
          {health.error}
        </Text>
      )}
    </>
  );
}

const tests: Record<Schemas["adg.v1.Seam"], string> = {
  SEAM_UNSPECIFIED: "It is tried out.",
  SEAM_SOURCE: "It is asked whether it answers, or the query that you write, for numbers or for lines of a log. Nothing is changed there.",
  SEAM_TARGET: "It is asked which releases are live. Nothing is deployed.",
  SEAM_NOTIFIER: "A test message is sent: whoever reads there sees it.",
};

function Do({connection}: {connection: Connection}) {
  const by = usePermission("connection.write");
  const [asked, setAsked] = useState("");
  return (
    <Group gap={6}>
      <Doing
        name="Test"
        about={connection.name}
        by={by}
        why="none"
        input={asked}
        does={tests[connection.seam]}
        run={(_, idempotencyKey) => answer(api.POST("/v1/connections/{name}:test", {params: {path: {name: connection.name}}, body: {query: asked.trim(), idempotencyKey}}))}
        after={() => changed("connections/")}
        keep={(trial) => <Tried trial={trial} />}
      >
        {(field) => connection.seam === "SEAM_SOURCE" && <TextInput label="Query" description="Empty: only whether it answers" value={asked} onChange={(event) => setAsked(event.currentTarget.value)} error={field("query")} />}
      </Doing>
      <ConnectionButton before={connection} />
      <Doing
        name="Drop"
        about={connection.name}
        by={by}
        why="welcome"
        color="red"
        sure={connection.name}
        does={(connection.health?.usedBy ?? 0) > 0 ? `Its credentials are forgotten. Policies name it (${connection.health?.usedBy ?? 0}): drop it there first, or what they guard cannot be judged.` : "Its credentials are forgotten. No policy names it."}
        run={(reason, idempotencyKey) => answer(api.DELETE("/v1/connections/{name}", {params: {path: {name: connection.name}, query: {etag: connection.etag, reason, idempotencyKey}}}))}
        after={() => changed("connections/")}
      />
    </Group>
  );
}
