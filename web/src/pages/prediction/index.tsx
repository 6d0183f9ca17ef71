import {Group, NativeSelect, Stack, Tabs, Text, Title} from "@mantine/core";
import {type ReactNode} from "react";
import {State} from "../../ask/state";
import {Badge} from "../../figures/badge";
import {Chart} from "../../figures/chart";
import {count} from "../../figures/words";
import {useQuery} from "../../frame/router";
import {Time} from "../../frame/time";
import {type Chosen, type Figures, type Model, bucket, useFigures, useModels, useNames} from "./asks";
import {Calibration} from "./calibration";
import {compared, courseOf, measures} from "./figures";
import {Learned} from "./learned";
import {ModelList, Train} from "./models";
import classes from "./prediction.module.css";
import {Judgements} from "./wrong";

const tabs = {figures: "How good they were", wrong: "Deployments", learned: "What was learned", models: "Models"} as const;

export default function Page() {
  const [query, change] = useQuery();
  const models = useModels();
  const chosen: Chosen = {service: query.get("service") ?? "", environment: query.get("environment") ?? "", model: query.get("model") ?? "", days: Math.max(0, Math.floor(Number(query.get("days")) || 0))};
  const tab = Object.keys(tabs).find((name) => name === query.get("tab")) ?? "figures";
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Title order={1}>Predictions</Title>
        <Train />
      </Group>
      <Text className="quiet">Before its first step ADG says how likely a deployment is to fail, from what became of earlier ones. Here is whether that can be believed.</Text>
      {models.data !== undefined && <InUse model={models.data.active} />}
      <Tabs value={tab} onChange={(value) => change({tab: value === "figures" ? undefined : (value ?? undefined)})} keepMounted={false}>
        <Tabs.List mb="md">
          {Object.entries(tabs).map(([name, title]) => (
            <Tabs.Tab key={name} value={name}>
              {title}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="figures">
          <Choice chosen={chosen} models={models.data?.all ?? []} />
          <HowGood chosen={chosen} />
        </Tabs.Panel>
        <Tabs.Panel value="wrong">
          <Choice chosen={chosen} models={models.data?.all ?? []} />
          <Judgements chosen={chosen} />
        </Tabs.Panel>
        <Tabs.Panel value="learned">
          <State of={models} what="models">
            {({active}) => <Learned model={active} />}
          </State>
        </Tabs.Panel>
        <Tabs.Panel value="models">
          <State of={models} what="models">
            {({all}) => <ModelList all={all} />}
          </State>
        </Tabs.Panel>
      </Tabs>
    </Stack>
  );
}

// Private

function InUse({model}: {model: Model | undefined}) {
  return model === undefined ? (
    <Text>No model is in use yet: what begins is judged by public experience, where its change is known.</Text>
  ) : (
    <Group gap="xs">
      <Badge tone={model.better ? "good" : "unknown"}>{model.better ? "Better than the base rate" : "Not better than the base rate"}</Badge>
      <Text className="wrap">
        The model in use was trained <Time at={model.createTime} /> on {count(Number(model.outcomes), "outcome")}, {count(Number(model.failed), "failure")} among them{model.pinned ? "; it is pinned" : ""}.
      </Text>
    </Group>
  );
}

function Choice({chosen, models}: {chosen: Chosen; models: readonly Model[]}) {
  const [, change] = useQuery();
  const names = useNames().data;
  const list = (all: readonly string[] | undefined, now: string, every: string) => [{value: "", label: every}, ...[...new Set([...(all ?? []), ...(now === "" ? [] : [now])])].map((name) => ({value: name, label: name}))];
  const select = (label: string, name: string, value: string, data: {value: string; label: string}[]): ReactNode => (
    <NativeSelect label={label} value={value} data={data} onChange={(event) => change({[name]: event.currentTarget.value, most: undefined})} />
  );
  return (
    <Group gap="sm" mb="md" align="end">
      {select("Service", "service", chosen.service, list(names?.services, chosen.service, "all services"))}
      {select("Environment", "environment", chosen.environment, list(names?.environments, chosen.environment, "all environments"))}
      {select("Model", "model", chosen.model, list(models.map(({id}) => id), chosen.model, "all models"))}
      {select("Time", "days", chosen.days === 0 ? "" : String(chosen.days), [
        {value: "", label: "all the time"},
        {value: "30", label: "the last 30 days"},
        {value: "90", label: "the last 90 days"},
        {value: "365", label: "the last year"},
      ])}
    </Group>
  );
}

function HowGood({chosen}: {chosen: Chosen}) {
  const figures = useFigures(chosen);
  return (
    <State of={figures} what="figures of predictions">
      {(data) => (
        <Stack gap="md">
          <Group gap="xs" role="status">
            <Badge tone={data.better ? "good" : "unknown"}>{data.better ? "Believe them" : "Do not lean on them yet"}</Badge>
            <Text className="wrap">The predictions are {data.standing}.</Text>
          </Group>
          {Number(data.score?.rows ?? 0) > 0 && (
            <div className={classes.columns}>
              <div className="card">
                <Calibration steps={data.calibration} />
              </div>
              <div className="card">
                <Course figures={data} days={chosen.days} />
              </div>
            </div>
          )}
        </Stack>
      )}
    </State>
  );
}

function Course({figures, days}: {figures: Figures; days: number}) {
  const [query, change] = useQuery();
  const name = Object.keys(measures).find((one) => one === query.get("by")) ?? "loss";
  const measure = measures[name]!;
  const {times, score, base} = courseOf(figures, measure);
  return (
    <Stack gap="xs">
      <NativeSelect label="Measured by" value={name} onChange={(event) => change({by: event.currentTarget.value})} data={Object.entries(measures).map(([value, one]) => ({value, label: one.name}))} />
      <Text size="sm">{measure.says}</Text>
      <Chart
        title={`${measure.name}, ${bucket(days) === "86400s" ? "per day" : "per week"}`}
        unit={measure.unit}
        times={times}
        lines={[
          {name: "Predictions", values: score, tone: "info"},
          {name: "Base rate", values: base, tone: "unknown", dashed: true},
        ]}
        zoom="predictions"
        summary={compared(figures, measure)}
      />
    </Stack>
  );
}
