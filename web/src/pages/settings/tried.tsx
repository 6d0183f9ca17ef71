import {ScrollArea, Stack, Table, Text} from "@mantine/core";
import {type Schemas} from "../../ask/api";
import {Badge} from "../../figures/badge";
import {Example} from "../../figures/example";
import {digits, seconds, span, whole} from "../../figures/words";

/** What came of trying a connection out. */
export function Tried({trial}: {trial: Schemas["adg.v1.TestConnectionResponse"]}) {
  const took = seconds(trial.took);
  const patterns = trial.measurement?.log?.patterns ?? [];
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
      {patterns.length > 0 && (
        <ScrollArea type="auto" viewportProps={{tabIndex: 0, role: "region", "aria-label": "Log patterns"}}>
          <Table striped>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Log pattern</Table.Th>
                <Table.Th>Lines</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {patterns.map((one) => (
                <Table.Tr key={`${one.level} ${one.text}`}>
                  <Table.Td className="wrap">
                    <code>{one.text}</code>
                    <Example of={one} />
                  </Table.Td>
                  <Table.Td>{whole(one.lines)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </ScrollArea>
      )}
      {(trial.observed?.releases ?? []).map((placed, i) => (
        <Text key={i} size="sm" className="wrap">
          {placed.release?.version}: {digits(placed.share)} %
        </Text>
      ))}
    </Stack>
  );
}
