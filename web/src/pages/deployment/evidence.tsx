// Everything that one decision was made from: what was asked, what was answered, and what it was judged to be.
import {ScrollArea, Stack, Table, Text, Title} from "@mantine/core";
import {type ReactNode} from "react";
import {State} from "../../ask/state";
import {api, type Schemas} from "../../ask/api";
import {HealthBadge, VerdictBadge} from "../../figures/badge";
import {count, digits, distinct, seconds, span} from "../../figures/words";
import {Time} from "../../frame/time";
import {placed} from "./story";
import {usePart} from "./watched";
import {sentence} from "./words";

type Evidence = Schemas["adg.v1.Evidence"];

export function EvidenceOf({id, seq}: {id: string; seq: string}) {
  const asked = usePart(id, `evidence/${seq}`, (signal) => api.GET("/v1/deployments/{deployment}/decisions/{seq}", {params: {path: {deployment: id, seq}}, signal}));
  return (
    <State of={asked} what="the evidence">
      {(evidence) => <Shown evidence={evidence} />}
    </State>
  );
}

/** What a measurement says last, in words. */
export function answered(m: Schemas["adg.v1.Measurement"]): string {
  if (m.error !== "") {
    return sentence(m.error);
  }
  const last = (all: readonly Schemas["adg.v1.Series"][]) => all.reduce((sum, s) => sum + (s.samples.at(-1)?.value ?? 0), 0);
  if (m.total.length > 0) {
    return `the counters stand at ${digits(last(m.bad))} bad of ${digits(last(m.total))}`;
  }
  if (m.slow.length > 0) {
    return `${m.slow.length} buckets of a histogram`;
  }
  if (m.log !== undefined) {
    return `${count(m.log.lines, "line")} of ${count(m.log.replicas.length, "replica")}, ${count(m.log.patterns.length, "pattern")} of the levels that count`;
  }
  const values = m.values.flatMap((s) => s.samples.slice(-1).map((one) => digits(one.value)));
  return values.length === 0 ? "nothing" : `${values.slice(0, 8).join(", ")}${values.length > 8 ? " …" : ""}`;
}

// Private

function Shown({evidence}: {evidence: Evidence}) {
  const {decision, assessment, gates, fleet, observed, newer, compacted} = evidence;
  return (
    <Stack gap="md">
      <div>
        <Text>
          Decided <Time at={decision?.time} both />.
        </Text>
        {distinct(decision?.reasons ?? []).map((reason) => (
          <Text key={reason} className="wrap">
            {sentence(reason)}
          </Text>
        ))}
      </div>
      {assessment !== undefined && (
        <Part title="Health">
          <HealthBadge health={assessment.health} score={assessment.score} />
          {assessment.judgements.map((j) => (
            <Text key={j.check} size="sm" className="wrap">
              <b>{j.check}</b> <VerdictBadge verdict={j.verdict} /> {sentence(j.text)}
            </Text>
          ))}
        </Part>
      )}
      {gates.length > 0 && (
        <Part title="Gates">
          {gates.map((gate) => (
            <Text key={gate.name} size="sm" className="wrap">
              <b>{gate.name}</b>: {gateWord[gate.state]}. {sentence(gate.text)}
            </Text>
          ))}
        </Part>
      )}
      {observed !== undefined && (
        <Part title="What the target reported">
          <Text size="sm" className="wrap">
            {sentence([placed(observed.releases), observed.done ? "it has done what was wanted" : observed.failed ? "it has given up" : "it is under way", observed.text].filter((text) => text !== "").join("; "))}
          </Text>
        </Part>
      )}
      {(fleet !== undefined || newer !== "") && <Others fleet={fleet} newer={newer} />}
      <Measurements evidence={evidence} />
      {compacted && <Text size="sm">The measurements were forgotten since; what they were judged to be is kept.</Text>}
    </Stack>
  );
}

function Part({title, children}: {title: string; children: ReactNode}) {
  return (
    <section>
      <Title order={3} mb={4}>
        {title}
      </Title>
      {children}
    </section>
  );
}

function Others({fleet, newer}: {fleet: Evidence["fleet"]; newer: string}) {
  const told = [
    newer === "" ? "" : `A newer deployment of the service was there: ${newer}.`,
    fleet === undefined || fleet.stopped === "" ? "" : `The line was stopped: ${fleet.stopped}.`,
    fleet === undefined || fleet.rolling === "" ? "" : `Another deployment of the service was being rolled back: ${fleet.rolling}.`,
    fleet === undefined ? "" : `There had been ${fleet.rollbacks} automatic rollbacks in the hour before, over all services; ${fleet.turnedBad} services had turned bad within five minutes.`,
  ].filter((text) => text !== "");
  return (
    <Part title="Everything else">
      {told.map((text) => (
        <Text key={text} size="sm" className="wrap">
          {text}
        </Text>
      ))}
    </Part>
  );
}

function Measurements({evidence: {measurements}}: {evidence: Evidence}) {
  if (measurements.length === 0) {
    return null;
  }
  return (
    <Part title="What was measured">
      <ScrollArea type="auto" viewportProps={{tabIndex: 0, role: "region", "aria-label": "What was measured"}}>
        <Table striped miw={560}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Check</Table.Th>
              <Table.Th>Of</Table.Th>
              <Table.Th>Asked</Table.Th>
              <Table.Th>Answered</Table.Th>
              <Table.Th>Within</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {measurements.map((m, i) => (
              <Table.Tr key={i}>
                <Table.Td>{m.check}</Table.Td>
                <Table.Td>{m.arm === "ARM_BASELINE" ? "baseline" : "new release"}</Table.Td>
                <Table.Td>
                  {m.sent.map((query) => (
                    <code key={query} className="wrap" style={{display: "block"}}>
                      {query}
                    </code>
                  ))}
                </Table.Td>
                <Table.Td className="wrap">
                  {answered(m)}
                  {m.warnings.map((text) => (
                    <Text key={text} size="sm">
                      {sentence(text)}
                    </Text>
                  ))}
                </Table.Td>
                <Table.Td>{span(seconds(m.took) ?? 0)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </ScrollArea>
    </Part>
  );
}

const gateWord: Record<Schemas["adg.v1.GateState"], string> = {GATE_STATE_UNKNOWN: "not known", GATE_STATE_OPEN: "open", GATE_STATE_SHUT: "shut", GATE_STATE_REFUSED: "refused"};
