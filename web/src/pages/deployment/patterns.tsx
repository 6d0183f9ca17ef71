// What a check of logs found: patterns that are new, more frequent or gone, with the counts of both releases.
import {ScrollArea, Table} from "@mantine/core";
import {type Schemas} from "../../ask/api";
import {Badge, type Tone} from "../../figures/badge";
import {Example} from "../../figures/example";
import {count, whole} from "../../figures/words";
import {Time} from "../../frame/time";

type Finding = Schemas["adg.v1.LogFinding"];

interface PatternsProps {
  check: string;
  version: string; // of the release that was judged
  found: readonly Finding[];
}

/** The table of the patterns that differ; nothing where none does. */
export function Patterns({check, version, found}: PatternsProps) {
  const differ = found.filter(({change}) => change !== "LOG_CHANGE_UNSPECIFIED");
  if (differ.length === 0) {
    return null;
  }
  return (
    <ScrollArea type="auto" mt="xs" viewportProps={{tabIndex: 0, role: "region", "aria-label": `Log patterns of ${version} by ${check}`}}>
      <Table striped miw={640}>
        <Table.Caption className="quiet">A moment is a stretch of time of one replica; a pattern counts once in it, however often it is logged.</Table.Caption>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Log pattern</Table.Th>
            <Table.Th>What changed</Table.Th>
            <Table.Th>{version}</Table.Th>
            <Table.Th>Baseline</Table.Th>
            <Table.Th>First seen</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {differ.map((one) => (
            <Table.Tr key={`${one.level} ${one.text}`}>
              <Table.Td className="wrap">
                <code>{one.text}</code>
                <Example of={one} />
              </Table.Td>
              <Table.Td>
                <Badge {...told(one)} />
              </Table.Td>
              <Table.Td>{counted(one.lines, one.moments, one.allMoments)}</Table.Td>
              <Table.Td>{counted(one.baselineLines, one.baselineMoments, one.baselineAllMoments)}</Table.Td>
              <Table.Td>
                <Time at={one.firstTime} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </ScrollArea>
  );
}

/** How a pattern changed, and what that means: only what decides is bad. */
export function told({change, decides}: Pick<Finding, "change" | "decides">): {tone: Tone; children: string} {
  if (change === "LOG_CHANGE_GONE") {
    return {tone: "info", children: "gone"};
  }
  const how = change === "LOG_CHANGE_NEW" ? "new" : "more frequent";
  return decides ? {tone: "bad", children: `${how}, worse by it`} : {tone: "warn", children: how};
}

// Private

function counted(lines: number, moments: number, all: number): string {
  return `${count(lines, "line")}, ${whole(moments)} of ${count(all, "moment")}`;
}
