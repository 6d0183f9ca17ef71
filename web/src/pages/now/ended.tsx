// What ended lately: whoever looks after the fact wants to know how it went.
import {Text, Title} from "@mantine/core";
import {answer, api} from "../../ask/api";
import {ahead, useAsk} from "../../ask/ask";
import {State} from "../../ask/state";
import {StateBadge} from "../../figures/badge";
import {Rows} from "../../figures/rows";
import {Link} from "../../frame/router";
import {Time} from "../../frame/time";
import {whyOf} from "../../live/why";
import {to} from "../../places";
import {type Choice} from "./order";

const ends = ["STATE_BLOCKED", "STATE_SUCCEEDED", "STATE_ROLLED_BACK", "STATE_ROLLBACK_FAILED", "STATE_CANCELLED", "STATE_SUPERSEDED", "STATE_UNDECIDED"] as const;

export function Ended({choice}: {choice: Choice}) {
  const {key, ask} = question(choice);
  const ended = useAsk(key, ask, {every: 60_000});
  return (
    <section aria-labelledby="ended">
      <Title order={2} id="ended" mt="lg" mb="xs">
        Ended lately
      </Title>
      <State of={ended} what="deployments that have ended" empty={({deployments}) => deployments.length === 0}>
        {({deployments}) => (
          <div className="card">
            <Rows
              label="Deployments that ended lately"
              rows={deployments}
              id={(row) => row.id}
              columns={[
                {
                  name: "Deployment",
                  cell: (row) => (
                    <>
                      <Link href={to.deployment(row.id)}>
                        {row.service} {row.version}
                      </Link>{" "}
                      <span className="quiet">in {row.environment}</span>
                    </>
                  ),
                },
                {name: "How it ended", cell: (row) => <StateBadge state={row.state} />, whole: true},
                {name: "When", cell: (row) => <Time at={row.endTime} />, whole: true},
                {
                  name: "Why",
                  cell: (row) => (
                    <Text size="sm" lineClamp={2} title={whyOf(row)}>
                      {whyOf(row)}
                    </Text>
                  ),
                },
              ]}
            />
          </div>
        )}
      </State>
    </section>
  );
}

/** Asks for what ended lately before it is drawn. */
export function endedAhead(choice: Choice): void {
  const {key, ask} = question(choice);
  ahead(key, ask);
}

// Private

function question({services, environments, teams}: Choice) {
  const query = {states: [...ends], services: [...services], environments: [...environments], teams: [...teams], pageSize: 10};
  return {key: `deployments/ended/${JSON.stringify(query)}`, ask: (signal: AbortSignal) => answer(api.GET("/v1/deployments", {params: {query}, signal}))};
}
