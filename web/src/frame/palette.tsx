// The palette: everything that one can go to or do, by a few letters of its name.
import {Text, TextInput, UnstyledButton} from "@mantine/core";
import {type KeyboardEvent, useId, useState, useSyncExternalStore} from "react";
import {all, api} from "../ask/api";
import {useAsk} from "../ask/ask";
import {useAnywhere} from "../ask/permission";
import {useLive} from "../live/deployments";
import {places, to} from "../places";
import {Dialog} from "./dialog";
import {Icon, type IconName} from "./icon";
import {go} from "./router";
import classes from "./palette.module.css";

export interface Action {
  name: string;
  kind: string; // Page, Deployment, Service, Action
  icon: IconName;
  run: () => void;
}

/** Adds what can be done on a page to the palette; call it in an effect: what it gives back takes it out again. */
export function offer(actions: readonly Action[]): () => void {
  offered = [...offered, actions];
  listening.forEach((tell) => tell());
  return () => {
    offered = offered.filter((one) => one !== actions);
    listening.forEach((tell) => tell());
  };
}

export function Palette({opened, close}: {opened: boolean; close: () => void}) {
  return (
    <Dialog title="Go to or do" bare opened={opened} close={close} size="lg" yOffset="10vh">
      {opened && <Choose close={close} />}
    </Dialog>
  );
}

/** What fits the letters, the best first. All of the words have to be in it. */
export function found(actions: readonly Action[], text: string): Action[] {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== "");
  return actions
    .map((action) => ({action, name: `${action.name} ${action.kind}`.toLowerCase()}))
    .filter(({name}) => words.every((word) => name.includes(word)))
    .map(({action, name}) => ({action, rank: words.reduce((sum, word) => sum + (name.startsWith(word) ? 0 : name.includes(` ${word}`) ? 1 : 2), 0)}))
    .sort((a, b) => a.rank - b.rank)
    .slice(0, most)
    .map(({action}) => action);
}

// Private

const most = 50; // shown; nobody reads more
let offered: readonly (readonly Action[])[] = [];
const listening = new Set<() => void>();

function useOffered(): readonly (readonly Action[])[] {
  return useSyncExternalStore(
    (tell) => {
      listening.add(tell);
      return () => listening.delete(tell);
    },
    () => offered,
  );
}

function useActions(): Action[] {
  const {rows} = useLive();
  const mayRead = useAnywhere("deployment.read");
  const services = useAsk(mayRead ? "services/palette" : undefined, (signal) =>
    all((pageToken) => api.GET("/v1/services", {params: {query: {pageSize: 1000, pageToken}}, signal}), (page) => page.services));
  return [
    ...useOffered().flat(),
    ...places.filter((place) => place.menu !== undefined).map((place): Action => ({name: place.title, kind: "Page", icon: place.icon, run: () => go(place.menu!)})),
    ...[...rows.values()].map((row): Action => ({name: `${row.service} ${row.version} in ${row.environment}`, kind: "Deployment", icon: "rocket", run: () => go(to.deployment(row.id))})),
    ...(services.data ?? []).map((service): Action => ({name: service.name, kind: "Service", icon: "box", run: () => go(to.service(service.name))})),
  ];
}

function Choose({close}: {close: () => void}) {
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const id = useId();
  const shown = found(useActions(), text);
  const at = Math.min(chosen, shown.length - 1);
  const run = (action: Action | undefined) => {
    if (action !== undefined) {
      close();
      action.run();
    }
  };
  const move = (event: KeyboardEvent) => {
    const by = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (by !== undefined && shown.length > 0) {
      event.preventDefault();
      const next = (at + by + shown.length) % shown.length;
      setChosen(next);
      document.getElementById(`${id}-${next}`)?.scrollIntoView({block: "nearest"});
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(shown[at]);
    }
  };
  return (
    <>
      <TextInput
        data-autofocus
        aria-label="Go to or do"
        placeholder="A page, a deployment, a service, an action"
        leftSection={<Icon name="search" />}
        value={text}
        role="combobox"
        aria-expanded
        aria-controls={id}
        aria-activedescendant={at >= 0 ? `${id}-${at}` : undefined}
        autoComplete="off"
        onChange={(event) => {
          setText(event.currentTarget.value);
          setChosen(0);
        }}
        onKeyDown={move}
      />
      <div id={id} role="listbox" aria-label="What fits" className={classes.list}>
        {shown.map((action, i) => (
          <UnstyledButton key={`${action.kind} ${action.name} ${i}`} id={`${id}-${i}`} role="option" aria-selected={i === at} tabIndex={-1} className={classes.option} onMouseMove={() => setChosen(i)} onClick={() => run(action)}>
            <Icon name={action.icon} />
            <span className={classes.name}>{action.name}</span>
            <Text span size="sm" className="quiet">
              {action.kind}
            </Text>
          </UnstyledButton>
        ))}
      </div>
      {shown.length === 0 && (
        <Text p="sm" role="status" className="quiet">
          Nothing fits “{text}”.
        </Text>
      )}
    </>
  );
}
