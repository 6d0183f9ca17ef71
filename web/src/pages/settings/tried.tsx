import {Stack, Text} from "@mantine/core";
import {type Schemas} from "../../ask/api";
import {Badge} from "../../figures/badge";
import {digits, seconds, span} from "../../figures/words";

/** What came of trying a connection out. */
export function Tried({trial}: {trial: Schemas["adg.v1.TestConnectionResponse"]}) {
  const took = seconds(trial.took);
  const series = trial.measurement?.values ?? [];
  return (
    <Stack gap="xs" role="status">
      <div>
        <Badge tone={trial.ok ? "good" : "bad"}>{trial.ok ? "It works" : "It does not work"}</Badge>
      </div>
      <Text size="sm" className="wrap">
        {trial.text.replace(/\.?$/, ".")}
        {took !== undefined && ` It took ${span(took)}.`}
      </Text>
      {trial.wayOut !== "" && (
        <Text size="sm" className="wrap">
          {trial.wayOut}
        </Text>
      )}
      {series.slice(0, 20).map((one, i) => (
        <Text key={i} size="sm" className="wrap">
          {Object.entries(one.labels ?? {}).map(([name, value]) => `${name}=${value}`).join(", ") || "value"}: {one.samples.length === 0 ? "no values" : digits(one.samples.at(-1)!.value)}
        </Text>
      ))}
      {(trial.observed?.releases ?? []).map((placed, i) => (
        <Text key={i} size="sm" className="wrap">
          {placed.release?.version}: {digits(placed.share)} %
        </Text>
      ))}
    </Stack>
  );
}
