// What is shown of the running deployments. All of it stands in the address.
import {Button, Checkbox, Collapse, Group, MultiSelect, NativeSelect, TextInput} from "@mantine/core";
import {useState} from "react";
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
      <Collapse expanded={opened}>
        <Group gap="xs" pt="xs" align="flex-end">
          <Names label="Services" names={namesOf(rows.values(), "service", choice.services)} chosen={choice.services} choose={(names) => change({service: names.join(",")})} />
          <Names label="Environments" names={namesOf(rows.values(), "environment", choice.environments)} chosen={choice.environments} choose={(names) => change({environment: names.join(",")})} />
          <Names label="Teams" names={namesOf(rows.values(), "team", choice.teams)} chosen={choice.teams} choose={(names) => change({team: names.join(",")})} />
          <Names label="Health" names={healths} chosen={choice.healths} choose={(names) => change({health: names.join(",")})} />
          <Checkbox label="Waits for a human" checked={choice.human} onChange={(event) => change({human: event.currentTarget.checked ? "yes" : undefined})} mb={8} />
        </Group>
      </Collapse>
    </div>
  );
}

// Private

function Names({label, names, chosen, choose}: {label: string; names: readonly string[]; chosen: readonly string[]; choose: (names: string[]) => void}) {
  return <MultiSelect label={label} data={[...names]} value={[...chosen]} onChange={choose} searchable clearable limit={100} className={classes.names} placeholder={chosen.length === 0 ? "all" : undefined} clearButtonProps={{"aria-label": `All ${label.toLowerCase()}`}} />;
}
