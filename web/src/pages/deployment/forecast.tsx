// What was expected of a deployment before its first step, and what made it differ from the usual.
import {Anchor, Group, List, Stack, Table, Text, Title} from "@mantine/core";
import {type Schemas} from "../../ask/api";
import {Empty} from "../../ask/state";
import {count, digits, percent} from "../../figures/words";
import {Link} from "../../frame/router";
import {Time} from "../../frame/time";
import {type Deployment} from "./watched";
import {sentence} from "./words";
import classes from "./deployment.module.css";

export function Forecast({deployment}: {deployment: Deployment}) {
  const {prediction, steered, status} = deployment;
  if (prediction === undefined) {
    return (
      <Empty>
        <Text>Nobody predicted how this deployment would go: there was no model yet that had learned from enough outcomes.</Text>
        <Anchor component={Link} href="/predictions" underline="always">
          See what is known of predictions
        </Anchor>
      </Empty>
    );
  }
  return (
    <section className="card" aria-labelledby="forecast">
      <Title order={2} id="forecast" mb="xs">
        {percent(prediction.success)} likely to succeed
      </Title>
      <Stack gap="sm">
        <Text className="wrap">
          With 90 % confidence it is {percent(prediction.low)} to {percent(prediction.high)}. Without looking at this deployment one would say {percent(prediction.base)}{prediction.outcomes === "0" ? "" : `, as ${count(Number(prediction.outcomes), "outcome")} so far came out`}. Said <Time at={prediction.time} both />, before the first step.
        </Text>
        {status?.success !== undefined && <Text>By what is known now: {percent(status.success)}.</Text>}
        {prediction.standing !== "" && <Text className="wrap">{sentence(prediction.standing)}</Text>}
        <Contributions all={prediction.contributions} />
        {steered.length > 0 && (
          <div>
            <Title order={3}>What the risk changed in the policy</Title>
            <List className="wrap">
              {steered.map((text) => (
                <List.Item key={text}>{sentence(text)}</List.Item>
              ))}
            </List>
          </div>
        )}
        {prediction.missing.length > 0 && (
          <Text size="sm" className="quiet wrap">
            Nothing was known of: {prediction.missing.join(", ")}.
          </Text>
        )}
        <Group gap="md">
          <Anchor component={Link} href={`/predictions?model=${encodeURIComponent(prediction.model)}`} underline="always">
            How good the predictions of this model are
          </Anchor>
        </Group>
      </Stack>
    </section>
  );
}

/** How wide a bar of contributions is, in percent of its half: the largest fills it. */
export function bar(points: number, all: readonly Schemas["adg.v1.Contribution"][]): {width: number; side: "left" | "right"} {
  const most = Math.max(...all.map((one) => Math.abs(one.points)), Number.MIN_VALUE);
  return {width: (50 * Math.abs(points)) / most, side: points < 0 ? "left" : "right"};
}

// Private

function Contributions({all}: {all: readonly Schemas["adg.v1.Contribution"][]}) {
  if (all.length === 0) {
    return <Text>Nothing about it makes it differ from the usual.</Text>;
  }
  return (
    <Table aria-label="What makes it differ from the usual" className={classes.contributions}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>What</Table.Th>
          <Table.Th>Points</Table.Th>
          <Table.Th aria-hidden="true" w="35%">
            riskier | safer
          </Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {all.map((one) => {
          const {width, side} = bar(one.points, all);
          return (
            <Table.Tr key={one.feature}>
              <Table.Td className="wrap">{one.text || one.feature}</Table.Td>
              <Table.Td style={{whiteSpace: "nowrap"}}>
                {one.points > 0 ? "+" : one.points < 0 ? "−" : ""}
                {digits(Math.abs(one.points))} pp
              </Table.Td>
              <Table.Td aria-hidden="true">
                <div className={classes.bar}>
                  <div data-side={side} style={{width: `${width}%`, [side === "left" ? "right" : "left"]: "50%"}} />
                </div>
              </Table.Td>
            </Table.Tr>
          );
        })}
      </Table.Tbody>
    </Table>
  );
}
