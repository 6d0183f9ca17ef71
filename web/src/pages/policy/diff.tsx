import {ScrollArea, Stack, Table, Text, Title, VisuallyHidden} from "@mantine/core";
import {type Schemas} from "../../ask/api";
import {Badge} from "../../figures/badge";
import {linesOf} from "./lines";
import classes from "./policy.module.css";

/** How two versions differ: what guards less first, then field by field, then line by line. */
export function Difference({of}: {of: Schemas["adg.v1.DiffPolicyResponse"]}) {
  if (of.unified === "" && of.changes.length === 0) {
    return <Text>They are the same.</Text>;
  }
  return (
    <Stack gap="md">
      <Weakens all={of.weakens} />
      {of.changes.length > 0 && <Changes all={of.changes} />}
      {of.changes.length === 0 && of.weakens.length === 0 && <Text>They mean the same; only the text differs.</Text>}
      <Lines unified={of.unified} />
    </Stack>
  );
}

/** In what a version guards less than the one before. */
export function Weakens({all}: {all: readonly string[]}) {
  if (all.length === 0) {
    return null;
  }
  return (
    <div className={classes.weaker}>
      <Text fw={600}>It guards less than what is in force now:</Text>
      <ul className={classes.list}>
        {all.map((one) => (
          <li key={one} className="wrap">
            {one}
          </li>
        ))}
      </ul>
    </div>
  );
}

// Private

function Changes({all}: {all: readonly Schemas["adg.v1.PolicyChange"][]}) {
  return (
    <ScrollArea type="auto" viewportProps={{tabIndex: 0, role: "region", "aria-label": "What differs in meaning"}}>
      <Title order={3} size="h4">
        What differs in meaning
      </Title>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Field</Table.Th>
            <Table.Th>Before</Table.Th>
            <Table.Th>After</Table.Th>
            <Table.Th>
              <VisuallyHidden>Whether it guards less</VisuallyHidden>
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {all.map((change) => (
            <Table.Tr key={change.path}>
              <Table.Td className={classes.code}>{change.path}</Table.Td>
              <Table.Td className={classes.code}>{change.before === "" ? "–" : change.before}</Table.Td>
              <Table.Td className={classes.code}>{change.after === "" ? "–" : change.after}</Table.Td>
              <Table.Td>{change.weakens && <Badge tone="warn">guards less</Badge>}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </ScrollArea>
  );
}

const signs = {same: " ", added: "+", gone: "−", gap: "⋯"} as const;
const said = {same: "", added: "added: ", gone: "taken out: ", gap: ""} as const;

function Lines({unified}: {unified: string}) {
  return (
    <div>
      <Title order={3} size="h4" mb={4}>
        Line by line
      </Title>
      <ScrollArea.Autosize mah={384} type="auto" className={classes.lines} viewportProps={{tabIndex: 0, role: "region", "aria-label": "The difference, line by line"}}>
        {linesOf(unified).map((line, i) => (
          <div key={i} data-kind={line.kind}>
            <span aria-hidden="true" className={classes.number}>
              {line.after ?? line.before ?? ""}
            </span>
            <span aria-hidden="true">{signs[line.kind]} </span>
            <VisuallyHidden>{said[line.kind]}</VisuallyHidden>
            {line.text}
          </div>
        ))}
      </ScrollArea.Autosize>
    </div>
  );
}
