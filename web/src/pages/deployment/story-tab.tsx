// The timeline: what was decided, done and told, by whom, and from what.
import {Button, Chip, Group, Text} from "@mantine/core";
import {useState} from "react";
import {State} from "../../ask/state";
import {all, api} from "../../ask/api";
import {type Asked, useAsk} from "../../ask/ask";
import {Dialog} from "../../frame/dialog";
import {Icon, type IconName} from "../../frame/icon";
import {useQuery} from "../../frame/router";
import {Time} from "../../frame/time";
import {EvidenceOf} from "./evidence";
import {type Entry, type Kind, storyOf} from "./story";
import {type Decision, type Deployment, hasEnded} from "./watched";
import classes from "./deployment.module.css";

export function Story({deployment, decisions}: {deployment: Deployment; decisions: Asked<readonly Decision[]>}) {
  const {id} = deployment;
  const [query, setQuery] = useQuery();
  const every = hasEnded(deployment) ? undefined : 10_000;
  const effects = useAsk(`deployment/${id}/effects`, (signal) => all((pageToken) => api.GET("/v1/deployments/{deployment}/effects", {params: {path: {deployment: id}, query: {pageSize: 1000, pageToken}}, signal}), (page) => page.effects), {every});
  const facts = useAsk(`deployment/${id}/facts`, (signal) => all((pageToken) => api.GET("/v1/deployments/{deployment}/facts", {params: {path: {deployment: id}, query: {pageSize: 1000, pageToken}}, signal}), (page) => page.facts), {every});
  const chosen = (query.get("kinds") ?? "decided,done,told").split(",");
  const seq = query.get("evidence") ?? undefined;
  return (
    <State of={decisions} what="decisions">
      {(list) => {
        const story = storyOf(deployment, list, effects.data ?? [], facts.data ?? []).filter((entry) => chosen.includes(entry.kind));
        return (
          <>
            <Chip.Group multiple value={chosen} onChange={(kinds) => setQuery({kinds: kinds.length === 3 ? undefined : kinds.join(",") || "none"})}>
              <Group gap="xs" mb="md" role="group" aria-label="What is shown">
                {(Object.keys(kindWord) as Kind[]).map((kind) => (
                  <Chip key={kind} value={kind} variant="outline">
                    {kindWord[kind]}
                  </Chip>
                ))}
              </Group>
            </Chip.Group>
            {story.length === 0 && <Text className="quiet">Nothing of that kind has happened.</Text>}
            <Entries story={story} evidence={(one) => setQuery({evidence: one})} />
            <Dialog title={`What it was decided from`} opened={seq !== undefined} close={() => setQuery({evidence: undefined})} size="xl">
              {seq !== undefined && <EvidenceOf id={id} seq={seq} />}
            </Dialog>
          </>
        );
      }}
    </State>
  );
}

// Private

const kindWord: Record<Kind, string> = {decided: "Decisions", done: "What was done", told: "What people were told"};
const kindIcon: Record<Kind, IconName> = {decided: "shield", done: "gear", told: "human"};
const page = 200; // entries that are drawn at once

function Entries({story, evidence}: {story: readonly Entry[]; evidence: (seq: string) => void}) {
  const [shown, setShown] = useState(page);
  return (
    <>
      {story.length > shown && (
        <Button size="xs" variant="default" mb="sm" onClick={() => setShown(shown + page)}>
          Show older ones: {story.length - shown} more
        </Button>
      )}
      <ol className={classes.story}>
        {story.slice(-shown).map((entry) => (
          <li key={entry.key} data-kind={entry.kind} data-bad={entry.bad === true || entry.urgent === true || undefined}>
            <Icon name={entry.bad === true || entry.urgent === true ? "warn" : kindIcon[entry.kind]} />
            <div className={classes.entry}>
              <Group gap="xs">
                <Time at={entry.at} both />
                <b className="wrap">{entry.what}</b>
                <span className="quiet wrap">{entry.who}</span>
                {entry.seq !== undefined && (
                  <Button size="compact-xs" variant="default" onClick={() => evidence(entry.seq!)} aria-label={`From what: ${entry.what}`}>
                    From what?
                  </Button>
                )}
              </Group>
              {entry.why.map((text) => (
                <Text key={text} size="sm" className="wrap">
                  {text}
                </Text>
              ))}
              {entry.log !== undefined && (
                <details>
                  <summary>What was written meanwhile</summary>
                  {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it is scrolled by keyboard, too */}
                  <pre className={classes.log} tabIndex={0}>{entry.log}</pre>
                </details>
              )}
            </div>
          </li>
        ))}
      </ol>
    </>
  );
}
