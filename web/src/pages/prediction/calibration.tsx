import {Button, Group, ScrollArea, Table, Text} from "@mantine/core";
import {useId, useState} from "react";
import {type Schemas} from "../../ask/api";
import {count, percent} from "../../figures/words";
import classes from "./prediction.module.css";

type Step = Schemas["adg.v1.CalibrationStep"];

/** Predicted and observed shares of failures: on the line, what was said came true. */
export function Calibration({steps}: {steps: readonly Step[]}) {
  const [table, setTable] = useState(false);
  const id = useId();
  return (
    <figure className={classes.figure} aria-labelledby={`${id}-title`} aria-describedby={`${id}-summary`}>
      <Group justify="space-between" gap="xs" mb={4}>
        <figcaption id={`${id}-title`}>
          <Text fw={600} span>
            Did it fail as often as was said?
          </Text>
        </figcaption>
        <Button size="compact-xs" variant="default" aria-pressed={table} onClick={() => setTable(!table)}>
          {table ? "Chart" : "Table"}
        </Button>
      </Group>
      {table ? <Values steps={steps} /> : <Plot steps={steps} />}
      <Text id={`${id}-summary`} size="sm" className="quiet wrap">
        {spoken(steps)}
      </Text>
    </figure>
  );
}

/** The plot as sentences: where it is furthest off. */
export function spoken(steps: readonly Step[]): string {
  const known = steps.filter((step) => Number(step.rows) > 0);
  if (known.length === 0) {
    return "No outcome of a prediction is known yet.";
  }
  const rows = known.reduce((sum, step) => sum + Number(step.rows), 0);
  const off = [...known].sort((a, b) => Number(b.rows) * Math.abs(b.predicted - b.observed) - Number(a.rows) * Math.abs(a.predicted - a.observed))[0]!;
  const how = off.observed > off.predicted ? "more often than was said" : "less often than was said";
  const exact = Math.abs(off.observed - off.predicted) < 0.005;
  return `${count(rows, "prediction")}. ${exact ? "What was said came true." : `Furthest off: where ${percent(off.predicted)} were said to fail, ${percent(off.observed)} of ${count(Number(off.rows), "deployment")} did, ${how}.`}`;
}

// Private

const size = 320;
const left = 44;
const bottom = 34;
const air = 10;
const x = (share: number) => left + share * (size - left - air);
const y = (share: number) => size - bottom - share * (size - bottom - air);

function Plot({steps}: {steps: readonly Step[]}) {
  const known = steps.filter((step) => Number(step.rows) > 0);
  const most = Math.max(1, ...known.map((step) => Number(step.rows)));
  return (
    <svg viewBox={`0 0 ${size} ${size}`} className={classes.plot} aria-hidden="true">
      {[0, 0.25, 0.5, 0.75, 1].map((share) => (
        <g key={share}>
          <line x1={x(share)} x2={x(share)} y1={y(0)} y2={y(1)} className={classes.grid} />
          <line x1={x(0)} x2={x(1)} y1={y(share)} y2={y(share)} className={classes.grid} />
          <text x={x(share)} y={y(0) + 14} textAnchor="middle">
            {100 * share}
          </text>
          <text x={left - 6} y={y(share) + 4} textAnchor="end">
            {100 * share}
          </text>
        </g>
      ))}
      <line x1={x(0)} y1={y(0)} x2={x(1)} y2={y(1)} className={classes.right} />
      <polyline points={known.map((step) => `${x(step.predicted)},${y(step.observed)}`).join(" ")} className={classes.line} />
      {known.map((step) => (
        <circle key={step.from} cx={x(step.predicted)} cy={y(step.observed)} r={3 + 7 * Math.sqrt(Number(step.rows) / most)} className={classes.dot}>
          <title>{`${percent(step.predicted)} said, ${percent(step.observed)} of ${step.rows} failed`}</title>
        </circle>
      ))}
      <text x={x(0.5)} y={size - 4} textAnchor="middle">
        said to fail (%)
      </text>
      <text x={12} y={y(0.5)} textAnchor="middle" transform={`rotate(-90 12 ${y(0.5)})`}>
        failed (%)
      </text>
    </svg>
  );
}

function Values({steps}: {steps: readonly Step[]}) {
  return (
    <ScrollArea type="auto" viewportProps={{tabIndex: 0, role: "region", "aria-label": "Predicted and observed failures as a table"}}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Said to fail</Table.Th>
            <Table.Th>Failed</Table.Th>
            <Table.Th>Predictions</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {steps.map((step) => (
            <Table.Tr key={step.from}>
              <Table.Td>
                {percent(step.from)} to {percent(step.to)}
                {Number(step.rows) > 0 ? `, ${percent(step.predicted)} on average` : ""}
              </Table.Td>
              <Table.Td>{Number(step.rows) > 0 ? percent(step.observed) : "–"}</Table.Td>
              <Table.Td>{step.rows}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </ScrollArea>
  );
}
