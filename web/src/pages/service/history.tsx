// What was deployed, the newest first.
import {Text} from "@mantine/core";
import {answer, api, type Schemas} from "../../ask/api";
import {useMore} from "../../ask/more";
import {Empty, State} from "../../ask/state";
import {HealthBadge, StateBadge} from "../../figures/badge";
import {MoreRows, Rows} from "../../figures/rows";
import {span} from "../../figures/words";
import {Link} from "../../frame/router";
import {Time} from "../../frame/time";
import {whyOf} from "../../live/why";
import {to} from "../../places";

type Row = Schemas["adg.v1.DeploymentSummary"];

export function History({service, environment}: {service: string; environment: string | undefined}) {
  const deployments = useMore(
    `deployments/ended/${service}/${environment ?? ""}`,
    async (pageToken, signal) => {
      const query = {services: [service], environments: environment === undefined ? [] : [environment], pageSize: 50, pageToken};
      const page = await answer(api.GET("/v1/deployments", {params: {query}, signal}));
      return {rows: page.deployments, next: page.nextPageToken};
    },
    {every: 10_000},
  );
  return (
    <State of={deployments} what="deployments" empty={(rows) => rows.length === 0} none={<Empty>Nothing was deployed yet.</Empty>}>
      {(rows) => (
        <>
          <Rows
            label={`Deployments of ${service}`}
            rows={rows}
            id={(row) => row.id}
            columns={[
              {name: "Version", cell: (row) => <Link href={to.deployment(row.id)}>{row.fromVersion === "" ? row.version : `${row.fromVersion} → ${row.version}`}</Link>},
              {name: "Environment", cell: (row) => row.environment},
              {name: "State", cell: (row) => <StateBadge state={row.state} />},
              {name: "Health", cell: (row) => <HealthBadge health={row.health} score={row.score} />},
              {name: "Asked for", cell: (row) => <Time at={row.createTime} />},
              {name: "Took", cell: took},
              {name: "By", cell: (row) => row.actor, whole: true},
              {name: "Why", cell: whyOf},
            ]}
          />
          <MoreRows of={deployments} shown={rows.length} what="deployments" />
        </>
      )}
    </State>
  );
}

// Private

function took(row: Row) {
  if (row.endTime === undefined || row.createTime === undefined) {
    return (
      <Text span size="sm" className="quiet">
        runs
      </Text>
    );
  }
  return span((Date.parse(row.endTime) - Date.parse(row.createTime)) / 1000);
}
