// What is shown of the running deployments. All of it stands in the address.
import {Button, Checkbox, Collapse, Group, MultiSelect, NativeSelect, TextInput} from "@mantine/core";
import {memo, useState} from "react";
import {Icon} from "../../frame/icon";
import {type Row} from "../../live/deployments";
import {type Choice, filters, groups, healths, namesOf} from "./order";
import classes from "./now.module.css";

interface ChooseProps {
  rows: ReadonlyMap<string, Row>;
  choice: Choice;
  change: (changes: Record<string, string | undefined>) => void;
}

export function Choose({rows, choice, change}: ChooseProps) {
  const set = filters(choice);
  const [opened, setOpened] = useState(set > (choice.text === "" ? 0 : 1)); // a link that was sent shows what it filters by
  return (
    <div className={classes.choose} role="search" aria-label="Which deployments">
      <Group gap="xs">
        <TextInput
          aria-label="Words to look for"
          placeholder="Service, version, person …"
          leftSection={<Icon name="search" />}
          value={choice.text}
          onChange={(event) => change({q: event.currentTarget.value})}
          className={classes.text}
          data-search
        />
        <NativeSelect
          aria-label="Group by"
          value={choice.group}
          onChange={(event) => change({group: event.currentTarget.value === "none" ? undefined : event.currentTarget.value})}
          data={groups.map((value) => ({value, label: value === "none" ? "No groups" : `By ${value}`}))}
        />
        <Button variant="default" aria-expanded={opened} onClick={() => setOpened(!opened)}>
          Filters{set > 0 && ` (${set})`}
        </Button>
        {set > 0 && (
          <Button variant="subtle" onClick={() => change({q: undefined, service: undefined, environment: undefined, team: undefined, health: undefined, human: undefined})}>
            Show all
          </Button>
        )}
      </Group>
      <Collapse expanded={opened}>{opened && <Filters rows={rows} choice={choice} change={change} />}</Collapse>
    </div>
  );
}

// Private

function Filters({rows, choice, change}: ChooseProps) {
  return (
    <Group gap="xs" pt="xs" align="flex-end">
      <Names label="Services" name="service" names={useKept(namesOf(rows.values(), "service", choice.services))} chosen={choice.services} change={change} />
      <Names label="Environments" name="environment" names={useKept(namesOf(rows.values(), "environment", choice.environments))} chosen={choice.environments} change={change} />
      <Names label="Teams" name="team" names={useKept(namesOf(rows.values(), "team", choice.teams))} chosen={choice.teams} change={change} />
      <Names label="Health" name="health" names={healths} chosen={choice.healths} change={change} />
      <Checkbox label="Waits for a human" checked={choice.human} onChange={(event) => change({human: event.currentTarget.checked ? "yes" : undefined})} mb={8} />
    </Group>
  );
}

// The names as they were, if they are the same: rows change many times a second, and what there is to choose from seldom.
function useKept(names: readonly string[]): readonly string[] {
  const [kept, keep] = useState(names);
  if (kept.length === names.length && kept.every((name, i) => name === names[i])) {
    return kept;
  }
  keep(names);
  return names;
}

interface NamesProps {
  label: string;
  name: string; // in the address
  names: readonly string[];
  chosen: readonly string[];
  change: ChooseProps["change"];
}

// Thousands of names take their time: they are drawn when they are others.
const Names = memo(function Names({label, name, names, chosen, change}: NamesProps) {
  return <MultiSelect label={label} data={[...names]} value={[...chosen]} onChange={(some) => change({[name]: some.join(",")})} searchable clearable limit={100} className={classes.names} placeholder={chosen.length === 0 ? "all" : undefined} clearButtonProps={{"aria-label": `All ${label.toLowerCase()}`}} />;
});
