// What ended lately: whoever looks after the fact wants to know how it went.
import {Table, Text, Title} from "@mantine/core";
import {answer, api} from "../../ask/api";
import {useAsk} from "../../ask/ask";
import {State} from "../../ask/state";
import {StateBadge} from "../../figures/badge";
import {Link} from "../../frame/router";
import {Time} from "../../frame/time";
import {to} from "../../places";
import {type Choice} from "./order";

const ends = ["STATE_BLOCKED", "STATE_SUCCEEDED", "STATE_ROLLED_BACK", "STATE_ROLLBACK_FAILED", "STATE_CANCELLED", "STATE_SUPERSEDED", "STATE_UNDECIDED"] as const;

export function Ended({choice}: {choice: Choice}) {
  const query = {states: [...ends], services: [...choice.services], environments: [...choice.environments], teams: [...choice.teams], pageSize: 10};
  const ended = useAsk(`deployments/ended/${JSON.stringify(query)}`, (signal) => answer(api.GET("/v1/deployments", {params: {query}, signal})), {every: 60_000});
  return (
    <section aria-labelledby="ended">
      <Title order={2} id="ended" mt="lg" mb="xs">
        Ended lately
      </Title>
      <State of={ended} what="deployments that have ended" empty={({deployments}) => deployments.length === 0}>
        {({deployments}) => (
          <Table.ScrollContainer minWidth={300} scrollAreaProps={{viewportProps: {tabIndex: 0, role: "region", "aria-label": "Deployments that ended lately"}}} className="card">
            <Table verticalSpacing="xs">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Deployment</Table.Th>
                  <Table.Th>How it ended</Table.Th>
                  <Table.Th>When</Table.Th>
                  <Table.Th>Why</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {deployments.map((row) => (
                  <Table.Tr key={row.id}>
                    <Table.Td>
                      <Link href={to.deployment(row.id)}>
                        {row.service} {row.version}
                      </Link>{" "}
                      <span className="quiet">in {row.environment}</span>
                    </Table.Td>
                    <Table.Td>
                      <StateBadge state={row.state} />
                    </Table.Td>
                    <Table.Td>
                      <Time at={row.endTime} />
                    </Table.Td>
                    <Table.Td>
                      <Text size="sm" lineClamp={2} title={row.reason}>
                        {row.reason}
                      </Text>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </State>
    </section>
  );
}
