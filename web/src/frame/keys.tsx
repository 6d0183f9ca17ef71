// The keyboard: whoever draws something that can be done says which key does it, and '?' lists what holds here.
import {Kbd, Table, Text} from "@mantine/core";
import {useEffect, useRef, useSyncExternalStore} from "react";
import {Dialog} from "./dialog";

export interface Key {
  keys: string; // "j", "?", "mod+k", or two after each other: "g n"
  does: string; // for the list
  run: () => void;
}

/** Has keys do something while the component is shown. What was said last counts. */
export function useKeys(keys: readonly Key[]): void {
  const mine = useRef<readonly Key[]>(keys);
  useEffect(() => {
    mine.current = keys;
  });
  useEffect(() => {
    const group = () => mine.current;
    groups = [...groups, group];
    tellAll();
    return () => {
      groups = groups.filter((one) => one !== group);
      tellAll();
    };
  }, []);
}

/** The list of the keys that do something here. */
export function KeyList({opened, close}: {opened: boolean; close: () => void}) {
  const shown = useSyncExternalStore(
    (tell) => {
      listening.add(tell);
      return () => listening.delete(tell);
    },
    () => groups,
  );
  const all = opened ? shown.flatMap((group) => group()) : [];
  return (
    <Dialog title="Keys" opened={opened} close={close}>
      <Table>
        <Table.Tbody>
          {all.map((key) => (
            <Table.Tr key={key.keys + key.does}>
              <Table.Td w={130}>
                {key.keys.split(" ").map((part) => (
                  <Kbd key={part} mr={4}>
                    {part.replace("mod", "ctrl")}
                  </Kbd>
                ))}
              </Table.Td>
              <Table.Td>{key.does}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Text size="sm" mt="sm" className="quiet">
        Two keys are pressed one after the other. While you type, and in front of a dialog, they are letters.
      </Text>
    </Dialog>
  );
}

// Private

let groups: readonly (() => readonly Key[])[] = [];
const listening = new Set<() => void>();
const patience = 1500; // between the two keys of a pair, in ms
let first: {key: string; at: number} | undefined;

function tellAll(): void {
  listening.forEach((tell) => tell());
}

function pressed(event: KeyboardEvent): void {
  const mod = event.ctrlKey || event.metaKey;
  if (event.defaultPrevented || event.altKey || event.isComposing) {
    return;
  }
  if ((event.key === "Enter" || event.key === " ") && event.target !== document.body) {
    return; // it presses what has the focus
  }
  const name = (mod ? "mod+" : "") + (event.key.length === 1 ? event.key.toLowerCase() : event.key);
  if (!mod && (typing(event.target) || document.querySelector("[role=dialog]") !== null)) {
    return;
  }
  const pair = first !== undefined && event.timeStamp - first.at < patience ? `${first.key} ${name}` : undefined;
  first = undefined;
  const all = groups.flatMap((group) => group()).reverse();
  const found = all.find((key) => key.keys === pair) ?? all.find((key) => key.keys === name);
  if (found !== undefined) {
    event.preventDefault();
    found.run();
  } else if (all.some((key) => key.keys.startsWith(`${name} `))) {
    first = {key: name, at: event.timeStamp};
  }
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) && !/^(checkbox|radio|button)$/.test((target as HTMLInputElement).type)));
}

window.addEventListener("keydown", pressed);
