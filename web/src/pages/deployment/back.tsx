// The way back: what a rollback would do, why it could not work, and while there is one how far it has got.
import {List, Stack, Text, Title} from "@mantine/core";
import {State} from "../../ask/state";
import {api, type Schemas} from "../../ask/api";
import {Badge, type Tone} from "../../figures/badge";
import {seconds, span} from "../../figures/words";
import {useNow} from "../../frame/clock";
import {Icon, type IconName} from "../../frame/icon";
import {Time} from "../../frame/time";
import {type Decision, type Deployment, hasEnded, usePart} from "./watched";
import {sentence, share, whyBack} from "./words";
import classes from "./deployment.module.css";

/** The protocol of a rollback, live: each step, and what was verified. Nothing where none was begun. */
export function Protocol({deployment, decisions}: {deployment: Deployment; decisions: readonly Decision[]}) {
  const {status, lastGood} = deployment;
  if (status === undefined || status.rollbackSteps.length === 0) {
    return null;
  }
  return (
    <section className="card" aria-labelledby="protocol" style={{marginTop: "0.75rem"}} data-part="protocol">
      <Title order={2} id="protocol" mb="xs">
        Rollback to {lastGood?.version ?? "the last good release"}
      </Title>
      <Why decisions={decisions} />
      <ol className={classes.protocol}>
        {status.rollbackSteps.map((step) => (
          <Step key={step.name} step={step} />
        ))}
      </ol>
      {status.rollbackStage > 0 && <Text size="sm">It goes back gradually from {share(status.rollbackFrom)}: stage {status.rollbackStage}.</Text>}
      {status.fallback && <Text fw={600}>The policy&apos;s fallback target has taken over: the first one did not do it.</Text>}
      {status.suspended !== "" && (
        <Text className="wrap" fw={600}>
          Kept from undoing it until somebody lifts the hold: {status.suspended}.
        </Text>
      )}
    </section>
  );
}

/** The plan of a rollback. */
export function WayBack({deployment}: {deployment: Deployment}) {
  const {id, status} = deployment;
  const ended = hasEnded(deployment);
  const plan = usePart(id, "plan", (signal) => api.GET("/v1/deployments/{deployment}/rollback-plan", {params: {path: {deployment: id}}, signal}), ended ? undefined : 30_000);
  return (
    <State of={plan} what="the way back">
      {(found) => (
        <section className="card" aria-labelledby="plan">
          <Title order={2} id="plan" mb="xs">
            {ended ? "There is nothing left to roll back" : found.possible ? `A rollback would bring ${found.to?.version ?? "the last good release"} back` : "There is no way back"}
          </Title>
          <Stack gap="sm">
            {!ended && (
              <div>
                <Badge tone={found.possible ? (found.automatic ? "good" : "warn") : "bad"} icon={found.automatic ? "good" : "human"}>
                  {found.possible ? (found.automatic ? "ADG may do it alone" : "A human has to decide") : "Not possible"}
                </Badge>
              </div>
            )}
            {found.steps.length > 0 && (
              <List type="ordered" className="wrap">
                {found.steps.map((step) => (
                  <List.Item key={step}>{sentence(step)}</List.Item>
                ))}
              </List>
            )}
            <Obstacles ended={ended} plan={found} status={status} />
            <Rehearsed deployment={deployment} />
          </Stack>
        </section>
      )}
    </State>
  );
}

// Private

function Why({decisions}: {decisions: readonly Decision[]}) {
  const why = whyBack(decisions);
  if (why === undefined) {
    return null;
  }
  return (
    <div data-part="why">
      {why.reasons.map((reason, i) => (
        <Text key={reason} className="wrap" mb="xs">
          {i === 0 && <b>Why, by {why.by}: </b>}
          {reason}
        </Text>
      ))}
    </div>
  );
}

const stepLook: Record<Schemas["adg.v1.StepState"], {word: string; tone: Tone; icon: IconName}> = {
  STEP_STATE_UNSPECIFIED: {word: "not known", tone: "unknown", icon: "unknown"},
  STEP_STATE_PENDING: {word: "to come", tone: "unknown", icon: "wait"},
  STEP_STATE_RUNNING: {word: "under way", tone: "info", icon: "back"},
  STEP_STATE_DONE: {word: "done", tone: "good", icon: "good"},
  STEP_STATE_FAILED: {word: "failed", tone: "bad", icon: "bad"},
};

function Step({step}: {step: Schemas["adg.v1.RollbackStep"]}) {
  const now = useNow();
  const {word, tone, icon} = stepLook[step.state];
  const begin = step.beginTime === undefined ? undefined : Date.parse(step.beginTime);
  const end = step.endTime === undefined ? now : Date.parse(step.endTime);
  return (
    <li data-state={step.state}>
      <Badge tone={tone} icon={icon}>
        {word}
      </Badge>
      <div className="wrap">
        <b>{step.name}</b> {begin !== undefined && <span className="quiet">(<Time at={begin} plain />, {span(Math.max(0, (end - begin) / 1000))})</span>}
        {step.text !== "" && <Text size="sm">{sentence(step.text)}</Text>}
      </div>
    </li>
  );
}

function Obstacles({ended, plan, status}: {ended: boolean; plan: Schemas["adg.v1.RollbackPlan"]; status: Deployment["status"]}) {
  const found = status?.obstacles ?? [];
  // The plan says the same of those that were found at the target.
  const others = plan.obstacles.filter((text) => !found.some((one) => text.includes(one.text)));
  if (others.length + found.length === 0) {
    return ended ? null : <Text>Nothing is known to be in its way.</Text>;
  }
  return (
    <div>
      {!ended && (
        <Title order={3} mb={4}>
          What is in its way
        </Title>
      )}
      <List className="wrap">
        {others.map((text) => (
          <List.Item key={text}>{sentence(text)}</List.Item>
        ))}
        {found.map((one) => (
          <List.Item key={one.name + one.text}>
            <b>{one.final ? "A rollback would fail" : "A rollback might fail"}</b> ({one.name}): {sentence(one.text)}
          </List.Item>
        ))}
      </List>
    </div>
  );
}

function Rehearsed({deployment: {status, policy}}: {deployment: Deployment}) {
  const rollback = policy?.rollback;
  return (
    <div className="quiet">
      <Text size="sm" className="wrap">
        <Icon name="search" size={14} /> {status?.rehearsedTime === undefined ? "The way back was not rehearsed at the target." : "The way back was rehearsed at the target "}
        {status?.rehearsedTime !== undefined && <Time at={status.rehearsedTime} both />}
        {status !== undefined && status.doubt !== "" && `; it could not be done in full: ${status.doubt}`}.
      </Text>
      {rollback !== undefined && (
        <Text size="sm" className="wrap">
          It is done when the release has been good for {span(seconds(rollback.verifyFor) ?? 0)}, within {span(seconds(rollback.verifyMax) ?? 0)}. The target is tried {rollback.attempts} times, each for {span(seconds(rollback.timeout) ?? 0)} at most.
        </Text>
      )}
    </div>
  );
}
