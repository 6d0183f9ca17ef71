import {Group, Stack, Text, TextInput, Title} from "@mantine/core";
import {useState} from "react";
import {useAct} from "../../ask/act";
import {type Schemas, answer, api} from "../../ask/api";
import {type Permission, Permitted} from "../../ask/permission";
import {Failed} from "../../ask/state";
import {Badge, VerdictBadge} from "../../figures/badge";
import {Sparkline} from "../../figures/sparkline";
import {count, digits, seconds, span} from "../../figures/words";
import {Time} from "../../frame/time";
import {type Answered, answered, tally} from "./answers";
import {type Place} from "./asks";
import classes from "./policy.module.css";

interface QueriesProps {
  place: Place;
  text: string;
  may: Permission;
}

/** Asks every query of the text once, now, and shows what the sources answer. */
export function Queries({place, text, may}: QueriesProps) {
  const [version, setVersion] = useState("");
  const [tested, setTested] = useState<{text: string; at: number; came: Schemas["adg.v1.TestPolicyResponse"]}>();
  const test = useAct(
    ({text: sent, version: of}: {text: string; version: string}) =>
      answer(api.POST("/v1/policies/{service}/{environment}:test", {params: {path: {...place}}, body: {text: sent, ...(of === "" ? {} : {release: {service: place.service, version: of}})}})),
    (came, {text: sent}) => setTested({text: sent, at: Date.now(), came}),
  );
  return (
    <Stack gap="sm">
      <Text size="sm">Every query of this text is asked once, now, as it would be during a deployment. Nothing is stored or changed.</Text>
      <Group align="end" gap="sm">
        <TextInput label="Release" description="What $version stands for" placeholder="the one that is live" value={version} onChange={(event) => setVersion(event.currentTarget.value)} maxLength={128} error={test.field("release.version")} />
        <Permitted by={may} loading={test.busy} onClick={() => void test.run({text, version: version.trim()})}>
          Ask every query
        </Permitted>
      </Group>
      {test.error !== undefined && <Failed error={test.error} />}
      {tested !== undefined && <Tested tested={tested} newer={tested.text !== text} />}
    </Stack>
  );
}

// Private

function Tested({tested: {at, came}, newer}: {tested: {at: number; came: Schemas["adg.v1.TestPolicyResponse"]}; newer: boolean}) {
  const wrong = came.problems.filter((problem) => problem.fatal);
  if (wrong.length > 0) {
    return <Text role="alert">The text has {count(wrong.length, "mistake")}, so nothing was asked. Correct it first.</Text>;
  }
  const {text, silent} = tally(came.checks);
  return (
    <Stack gap={0}>
      {newer && <Text className={classes.notice}>The text was changed since: these are the answers to what it was.</Text>}
      <Group gap="xs" mb="xs" role="status">
        <Badge tone={silent.length === 0 ? "good" : "warn"}>{silent.length === 0 ? "Answered" : "Not all answered"}</Badge>
        <Text size="sm" className="wrap">
          {text} Asked <Time at={at} />.
        </Text>
      </Group>
      {came.checks.map((check) => (
        <Check key={check.check} check={check} />
      ))}
      {came.rollback !== undefined && <WayBack plan={came.rollback} />}
    </Stack>
  );
}

function Check({check: {check, judgement, measurements}}: {check: Schemas["adg.v1.CheckTest"]}) {
  return (
    <section className={classes.check} aria-label={`Check ${check}`}>
      <Group gap="xs" mb={4}>
        <Title order={2} size="h4">
          {check}
        </Title>
        {judgement !== undefined && <VerdictBadge verdict={judgement.verdict} />}
      </Group>
      {judgement !== undefined && (
        <Text size="sm" mb="xs" className="wrap">
          {judgement.text}
        </Text>
      )}
      <Stack gap="sm">
        {measurements.flatMap((m, i) => answered(m).map((one, k) => <Answer key={`${i} ${k}`} one={one} took={m.took} />))}
      </Stack>
    </section>
  );
}

function Answer({one, took}: {one: Answered; took: string | undefined}) {
  return (
    <div>
      <Text size="sm" className="quiet">
        {one.what}
        {took === undefined ? "" : `, answered within ${span(seconds(took) ?? 0)}`}
      </Text>
      {one.sent !== "" && <code className={classes.query}>{one.sent}</code>}
      {one.problem !== "" && (
        <Group gap="xs" mt={4}>
          <Badge tone={one.series.length === 0 ? "bad" : "warn"}>{one.series.length === 0 ? "No values" : "Warning"}</Badge>
          <Text size="sm" className="wrap" style={{flex: 1}}>
            {one.problem}
          </Text>
        </Group>
      )}
      {one.series.map((series) => (
        <Group key={series.labels} gap="sm" mt={4}>
          {series.values.length > 1 && <Sparkline values={series.values} />}
          <Text size="sm" fw={600}>
            {Number.isFinite(series.last) ? digits(series.last) : "a histogram"}
          </Text>
          {series.growth !== undefined && (
            <Text size="sm">
              ({series.growth >= 0 ? "+" : ""}
              {digits(series.growth)} in the window)
            </Text>
          )}
          <Text size="sm" className="quiet wrap" style={{flex: "1 1 12rem"}}>
            {series.labels}
          </Text>
        </Group>
      ))}
      {one.more > 0 && <Text size="sm">and {count(one.more, "more series", "more series")}</Text>}
    </div>
  );
}

function WayBack({plan}: {plan: Schemas["adg.v1.RollbackPlan"]}) {
  return (
    <section className={classes.check} aria-label="The way back">
      <Group gap="xs" mb={4}>
        <Title order={2} size="h4">
          The way back
        </Title>
        <Badge tone={!plan.possible ? "bad" : plan.obstacles.length > 0 ? "warn" : "good"}>{plan.possible ? (plan.automatic ? "ADG may go it alone" : "A person decides") : "There is none now"}</Badge>
      </Group>
      {plan.obstacles.map((obstacle) => (
        <Text key={obstacle} size="sm" className="wrap">
          {obstacle}
        </Text>
      ))}
      {plan.steps.length > 0 && (
        <ol className={classes.list}>
          {plan.steps.map((step) => (
            <li key={step} className="wrap">
              <Text size="sm" span>
                {step}
              </Text>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
