// Filters: what is chosen stands in the address, so that a list can be sent to somebody.
import {Box, Button, NativeSelect, TextInput} from "@mantine/core";
import {type ReactNode, useEffect, useState} from "react";
import {toWall, wallTime} from "./wall";
import {zone} from "./zone";

interface FilterProps {
  label: string;
  name: string; // in the address
  query: URLSearchParams;
  change: (changes: Record<string, string | undefined>) => void;
}

/** Filters, which fill a phone's screen: there they are behind a button that says how many are set. */
export function Folded({names, query, children}: {names: readonly string[]; query: URLSearchParams; children: ReactNode}) {
  const [opened, setOpened] = useState(false);
  const set = names.filter((name) => (query.get(name) ?? "") !== "").length;
  return (
    <div>
      <Button size="xs" variant="default" hiddenFrom="sm" aria-expanded={opened} onClick={() => setOpened(!opened)}>
        Filters{set > 0 && ` (${set})`}
      </Button>
      <Box visibleFrom={opened ? undefined : "sm"} mt={{base: opened ? "xs" : 0, sm: 0}}>
        {children}
      </Box>
    </div>
  );
}

/** Letters to filter by. They count when nobody types for a moment. */
export function TextFilter({label, name, query, change, placeholder}: FilterProps & {placeholder?: string}) {
  const chosen = query.get(name) ?? "";
  const [text, setText] = useState(chosen);
  const [before, setBefore] = useState(chosen);
  if (chosen !== before) {
    setBefore(chosen); // somebody went back, or followed a link
    setText(chosen);
  }
  useEffect(() => {
    if (text === chosen) {
      return;
    }
    const due = setTimeout(() => change({[name]: text.trim()}), 350);
    return () => clearTimeout(due);
  }, [text, chosen, change, name]);
  return <TextInput size="xs" label={label} placeholder={placeholder} value={text} onChange={(event) => setText(event.currentTarget.value)} onKeyDown={(event) => event.key === "Enter" && change({[name]: text.trim()})} />;
}

export function ChoiceFilter({label, name, query, change, choices}: FilterProps & {choices: readonly {value: string; label: string}[]}) {
  return <NativeSelect size="xs" label={label} value={query.get(name) ?? ""} data={[...choices]} onChange={(event) => change({[name]: event.currentTarget.value})} />;
}

/** A time to filter by, in the zone that the person chose. In the address it is in UTC. */
export function TimeFilter({label, name, query, change}: FilterProps) {
  const chosen = zone.use();
  const at = Date.parse(query.get(name) ?? "");
  return <TextInput size="xs" type="datetime-local" label={label} value={Number.isNaN(at) ? "" : toWall(at, chosen)} onChange={(event) => change({[name]: wallTime(event.currentTarget.value, chosen)})} />;
}

/** What the API is told of a time in the address. */
export function timeOf(query: URLSearchParams, name: string): string | undefined {
  const at = Date.parse(query.get(name) ?? "");
  return Number.isNaN(at) ? undefined : new Date(at).toISOString();
}
