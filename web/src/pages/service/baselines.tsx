// What the checks said before the newest deployment: that is what "normal" is.
import {Text} from "@mantine/core";
import {all, api} from "../../ask/api";
import {useAsk} from "../../ask/ask";
import {Empty, State} from "../../ask/state";
import {Rows} from "../../figures/rows";
import {Sparkline} from "../../figures/sparkline";
import {Link} from "../../frame/router";
import {Time} from "../../frame/time";
import {to} from "../../places";
import {normal} from "./view";

export function Baselines({service, environment}: {service: string; environment: string | undefined}) {
  const baselines = useAsk(`service/${service}/baselines/${environment ?? ""}`, (signal) => all((pageToken) => api.GET("/v1/services/{service}/baselines", {params: {path: {service}, query: {environment, pageSize: 1000, pageToken}}, signal}), (page) => page.baselines), {every: 60_000});
  return (
    <State of={baselines} what="baselines" empty={(rows) => rows.length === 0} none={<Empty>No deployment has noted yet what is normal. Each does when it begins.</Empty>}>
      {(rows) => (
        <>
          <Text size="sm" className="quiet" mb="xs">
            What each check said before the newest deployment began. It was noted then and does not change; rollbacks are verified against it.
          </Text>
          <Rows
            label="Baselines"
            rows={rows}
            id={(row) => `${row.environment}/${row.deployment}/${row.baseline?.check}`}
            columns={[
              {name: "Check", cell: (row) => row.baseline?.check},
              {name: "Environment", cell: (row) => row.environment},
              {name: "Normal", cell: normal},
              {name: "Course", cell: (row) => ((row.baseline?.values.length ?? 0) > 1 ? <Sparkline values={row.baseline!.values} unit={row.unit} /> : undefined)},
              {name: "Replicas", cell: (row) => (Object.keys(row.baseline?.replicas ?? {}).length === 0 ? undefined : Object.keys(row.baseline!.replicas).length), end: true},
              {name: "Until", cell: (row) => <Time at={row.baseline?.toTime} />},
              {name: "Noted by", cell: (row) => <Link href={to.deployment(row.deployment)}>{row.deployment}</Link>},
            ]}
          />
        </>
      )}
    </State>
  );
}
