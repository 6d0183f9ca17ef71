// The stop switch: where ADG must not act.
import {Group, Stack, Text, TextInput} from "@mantine/core";
import {useState} from "react";
import {all, answer, api, type Schemas} from "../../ask/api";
import {changed, useAsk} from "../../ask/ask";
import {Doing} from "../../ask/doing";
import {usePermission} from "../../ask/permission";
import {useSomewhere} from "../../ask/somewhere";
import {State} from "../../ask/state";
import {Badge} from "../../figures/badge";
import {Rows} from "../../figures/rows";
import {Time} from "../../frame/time";
import {scopeWords} from "../../line/scope";

type Stop = Schemas["adg.v1.Stop"];

export function Stops() {
  const stops = useAsk("stops/", (signal) => all((pageToken) => api.GET("/v1/stops", {params: {query: {pageToken}}, signal}), (page) => page.stops), {every: 10_000});
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Text size="sm" style={{flex: 1, minWidth: 240}}>
          Where the line is stopped ADG begins, promotes and rolls back nothing. It goes on looking and recording, and tells what it would have done.
        </Text>
        <StopLine />
      </Group>
      <State
        of={stops}
        what="stops"
        empty={(rows) => rows.length === 0}
        none={
          <div className="card">
            <Badge tone="good">ADG acts everywhere</Badge>
          </div>
        }
      >
        {(rows) => (
          <Rows
            label="Stops"
            rows={rows}
            id={(stop) => `${stop.scope?.service}/${stop.scope?.environment}`}
            columns={[
              {
                name: "Stopped",
                cell: (stop) => (
                  <Badge tone="bad" icon="stop">
                    {scopeWords(stop.scope?.service, stop.scope?.environment)}
                  </Badge>
                ),
              },
              {name: "Since", cell: (stop) => <Time at={stop.time} />},
              {name: "By", cell: (stop) => stop.actor},
              {name: "Why", cell: (stop) => stop.reason},
              {name: "Do", cell: (stop) => <Resume stop={stop} />},
            ]}
          />
        )}
      </State>
    </Stack>
  );
}

// Private

function Resume({stop}: {stop: Stop}) {
  const {service = "", environment = ""} = stop.scope ?? {};
  const by = usePermission("stop.write", service, environment);
  return (
    <Doing
      name="Resume"
      about={scopeWords(service, environment)}
      by={by}
      does={`ADG acts again for ${scopeWords(service, environment)}, at once: deployments that waited go on, and what is unhealthy may be rolled back. Other stops stay.`}
      run={(reason, idempotencyKey) => answer(api.POST("/v1/stops:resume", {body: {scope: {service, environment}, etag: stop.etag, reason, idempotencyKey}}))}
      after={told}
    />
  );
}

function StopLine() {
  const by = useSomewhere("stop.write");
  const [scope, setScope] = useState({service: "", environment: ""});
  const where = {service: scope.service.trim(), environment: scope.environment.trim()};
  return (
    <Doing
      name="Stop the line"
      by={by}
      color="red"
      input={where}
      opened={() => setScope({service: "", environment: ""})}
      sure={where.service === "" && where.environment === "" ? "everything" : undefined}
      does={`ADG does nothing for ${scopeWords(where.service, where.environment)} until the line is resumed: it begins, promotes and rolls back nothing, even where a release turns bad. It goes on looking, recording and telling.`}
      run={(reason, idempotencyKey) => answer(api.POST("/v1/stops", {body: {scope: where, reason, idempotencyKey}}))}
      after={told}
    >
      {(field) => (
        <Group grow align="flex-start">
          <TextInput label="Service" description="Empty: all" value={scope.service} onChange={(event) => setScope({...scope, service: event.currentTarget.value})} error={field("scope.service")} />
          <TextInput label="Environment" description="Empty: all" value={scope.environment} onChange={(event) => setScope({...scope, environment: event.currentTarget.value})} error={field("scope.environment")} />
        </Group>
      )}
    </Doing>
  );
}

function told(): void {
  changed("stops/", "service/", "services/");
}
