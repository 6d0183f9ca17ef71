// How a service has been going: DORA's four figures and ours, each with what it counts.
import {SegmentedControl, SimpleGrid, Stack, Text} from "@mantine/core";
import {answer, api, type Schemas} from "../../ask/api";
import {useAsk} from "../../ask/ask";
import {Empty, State} from "../../ask/state";
import {Chart} from "../../figures/chart";
import {seconds} from "../../figures/words";
import {serverNow} from "../../frame/clock";
import {useQuery} from "../../frame/router";
import {figures, rangeOf, ranges} from "./view";
import classes from "./service.module.css";

type Answer = Schemas["adg.v1.ServiceFigures"];

export function Figures({service, environment}: {service: string; environment: string | undefined}) {
  const [query, change] = useQuery();
  const {days, bucket} = rangeOf(query.get("days"));
  const asked = useAsk(
    `service/${service}/figures/${environment ?? ""}/${days}`,
    (signal) => {
      const fromTime = new Date(today() - (days - 1) * 86_400_000).toISOString();
      return answer(api.GET("/v1/services/{service}/figures", {params: {path: {service}, query: {environment, fromTime, bucket: `${bucket}s`}}, signal}));
    },
    {every: 60_000},
  );
  return (
    <Stack gap="md">
      <SegmentedControl aria-label="Of how long" style={{alignSelf: "flex-start"}} size="xs" value={String(days)} data={ranges.map((range) => ({value: String(range.days), label: range.label}))} onChange={(value) => change({days: value})} />
      <State of={asked} what="figures" empty={(data) => (data.total?.deployments ?? 0) === 0} none={<Empty>No deployment ended in this time, so there is nothing to count.</Empty>}>
        {(data) => (
          <>
            <Tiles data={data} />
            <Course data={data} />
          </>
        )}
      </State>
    </Stack>
  );
}

// Private

// Stretches begin with a day of UTC, as the server's do.
function today(): number {
  return Math.floor(serverNow() / 86_400_000) * 86_400_000;
}

function Tiles({data}: {data: Answer}) {
  const definitions = new Map(data.definitions.map(({figure, text}) => [figure, text]));
  return (
    <SimpleGrid cols={{base: 1, xs: 2, md: 3, lg: 4}} spacing="sm">
      {figures(data.total!).map(({field, name, value}) => (
        <section key={field} className="card" aria-label={name}>
          <Text size="sm" fw={650}>
            {name}
          </Text>
          <p className={classes.value}>{value}</p>
          <Text size="sm" className="quiet">
            {definitions.get(field)}
          </Text>
        </section>
      ))}
    </SimpleGrid>
  );
}

function Course({data}: {data: Answer}) {
  const times = data.course.map((one) => Date.parse(one.fromTime ?? ""));
  const of = (value: (set: Schemas["adg.v1.FigureSet"]) => number | undefined) => data.course.map(({figures: set}) => (set === undefined ? null : (value(set) ?? null)));
  return (
    <>
      <Chart title="Deployments that ended" times={times} zoom="service-figures" lines={[{name: "Succeeded", values: of((set) => set.succeeded), tone: "good"}, {name: "Rolled back", values: of((set) => set.rolledBack), tone: "bad", dashed: true}]} />
      <Chart title="Change failure rate" unit="ratio" times={times} zoom="service-figures" lines={[{name: "Change failure rate", values: of((set) => set.changeFailureRate), tone: "bad"}]} />
      <Chart title="Time to detect and to restore" unit="s" times={times} zoom="service-figures" lines={[{name: "To detect", values: of((set) => seconds(set.detectMedian)), tone: "info"}, {name: "To restore", values: of((set) => seconds(set.restoreMedian)), tone: "warn", dashed: true}]} />
    </>
  );
}
