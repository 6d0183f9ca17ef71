// How a deployment stands, in the words that one needs first, and the buttons.
import {Anchor, Group, Stack, Text, Title} from "@mantine/core";
import {useEffect} from "react";
import {HealthBadge, StateBadge} from "../../figures/badge";
import {percent} from "../../figures/words";
import {Icon} from "../../frame/icon";
import {Link} from "../../frame/router";
import {Time} from "../../frame/time";
import {to} from "../../places";
import {Deeds} from "./deeds";
import {type Deployment, hasEnded} from "./watched";
import {leftTo, sentence, share, wouldFail} from "./words";
import classes from "./deployment.module.css";

export function Head({deployment}: {deployment: Deployment}) {
  const {release, lastGood, environment, status} = deployment;
  const service = release?.service ?? "";
  const ended = hasEnded(deployment);
  const title = `${service} ${release?.version ?? ""} in ${environment} – ADG`;
  useEffect(() => {
    document.title = title; // whoever has several open finds it again
  }, [title]);
  return (
    <section className="card" aria-labelledby="deployment">
      <Group gap="xs" mb={4}>
        <Title order={1} id="deployment" className="wrap">
          {service}{" "}
          <span className={classes.versions}>
            {lastGood === undefined ? "" : `${lastGood.version} → `}
            {release?.version}
          </span>
        </Title>
        {status !== undefined && <StateBadge state={status.state} />}
        {status !== undefined && <HealthBadge health={status.health} score={status.score} />}
      </Group>
      <Group gap="0 1rem" mb="sm" className="quiet">
        <span>
          <Anchor component={Link} href={to.service(service)} underline="always">
            {service}
          </Anchor>{" "}
          in {environment}
        </span>
        {status !== undefined && !ended && <span>{share(status.share)} of the traffic</span>}
        {status?.success !== undefined && !ended && <span>{percent(Math.round(status.success * 100) / 100)} likely to succeed</span>}
        <span>
          {ended ? "ended" : "so since"} <Time at={status?.sinceTime} both />
        </span>
        <span className="wrap">asked for by {deployment.actor || "somebody"}{deployment.author === "" || deployment.author === deployment.actor ? "" : `, written by ${deployment.author}`}</span>
      </Group>
      <Needed deployment={deployment} />
      <Stack gap={4} mb="md">
        {status?.reasons.map((reason) => (
          <Text key={reason} className="wrap" fw={500}>
            {sentence(reason)}
          </Text>
        ))}
        {!ended && status?.outlook !== undefined && status.outlook.text !== "" && (
          <Text className="wrap" data-part="outlook">
            <b>Next:</b> {sentence(status.outlook.text)} {status.outlook.nextTime !== undefined && <span className="quiet">(<Time at={status.outlook.nextTime} />)</span>}
          </Text>
        )}
      </Stack>
      <Deeds deployment={deployment} />
    </section>
  );
}

// Private

// Why a human is wanted, before anything else is read.
function Needed({deployment}: {deployment: Deployment}) {
  const {status} = deployment;
  if (status === undefined) {
    return null;
  }
  const wanted = leftTo(deployment);
  const ended = hasEnded(deployment);
  if (status.paging) {
    wanted.push("A human was called, and the reason still stands.");
  }
  if (!ended && status.outlook?.waitsFor === "approval") {
    wanted.push("It waits for somebody who approves or rejects it.");
  }
  if (!ended && status.outlook?.waitsFor === "promote") {
    wanted.push("It waits for somebody who promotes it.");
  }
  if (!ended && status.outlook?.waitsFor === "resume") {
    wanted.push(status.heldBy === "" ? "It waits for somebody who resumes it." : `It is held by ${status.heldBy}, and waits for somebody who resumes it.`);
  }
  if (!ended) {
    wanted.push(...wouldFail(deployment));
  }
  if (status.suggested && !ended) {
    wanted.push("ADG would roll it back, and may not: the policy leaves that to a human.");
  }
  if (wanted.length === 0) {
    return null;
  }
  return (
    <div role="alert" className={classes.needed}>
      <Icon name="human" />
      <div>
        {wanted.map((text) => (
          <Text key={text} fw={600} className="wrap">
            {text}
          </Text>
        ))}
      </div>
    </div>
  );
}
