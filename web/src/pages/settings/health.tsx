// How ADG itself is doing.
import {Group, Stack, Text, Title} from "@mantine/core";
import {answer, api} from "../../ask/api";
import {useAsk} from "../../ask/ask";
import {Empty, State} from "../../ask/state";
import {Badge} from "../../figures/badge";
import {Rows} from "../../figures/rows";
import {seconds, span} from "../../figures/words";
import {Time} from "../../frame/time";

export function Health() {
  const health = useAsk("system/health", (signal) => answer(api.GET("/v1/system/health", {signal})), {every: 5000});
  const version = useAsk("system/version", (signal) => answer(api.GET("/v1/system/version", {signal})));
  return (
    <State of={health} what="the health of ADG">
      {(data) => (
        <Stack gap="md">
          <Group gap="sm">
            <Badge tone={data.ok ? "good" : "bad"}>{data.ok ? "All parts are well" : "Something is wrong"}</Badge>
            <Text size="sm" className="quiet">
              ADG {version.data?.version}, {version.data?.go}; its clock: <Time at={data.time} both />
            </Text>
          </Group>
          <Rows
            label="Parts"
            rows={data.parts}
            id={(part) => part.name}
            columns={[
              {name: "Part", cell: (part) => part.name},
              {name: "Is", cell: (part) => <Badge tone={part.ok ? "good" : "bad"}>{part.ok ? "Well" : "Not well"}</Badge>},
              {name: "How", cell: (part) => part.text},
              {name: "Since", cell: (part) => (part.sinceTime === undefined ? undefined : <Time at={part.sinceTime} />)},
              {name: "What to do", cell: (part) => part.wayOut || undefined},
            ]}
          />
          <Title order={3} size="h5">
            Replicas
          </Title>
          {data.replicas.length === 0 ? (
            <Empty>This server is alone: it does not share its store.</Empty>
          ) : (
            <Rows
              label="Replicas"
              rows={data.replicas}
              id={(replica) => replica.name}
              columns={[
                {name: "Name", cell: (replica) => replica.name},
                {name: "Seen", cell: (replica) => <Time at={replica.seenTime} />},
                {name: "Started", cell: (replica) => <Time at={replica.startTime} />},
                {name: "Version", cell: (replica) => replica.version},
                {name: "Deployments", cell: (replica) => replica.deployments, end: true},
                {name: "Late by", cell: (replica) => (seconds(replica.lateness) === undefined ? undefined : span(seconds(replica.lateness)!))},
              ]}
            />
          )}
        </Stack>
      )}
    </State>
  );
}
