import {Button, Group, Skeleton, Stack, Tabs, Text, Title} from "@mantine/core";
import {useEffect, useId, useMemo, useRef} from "react";
import {late} from "../../ask/late";
import {usePermission} from "../../ask/permission";
import {State} from "../../ask/state";
import {useQuery, Link} from "../../frame/router";
import {Time} from "../../frame/time";
import {to} from "../../places";
import {Approve} from "./approve";
import {type Known, type Place, type Problem, useSchema, useVersions} from "./asks";
import {Backtest, useBacktest} from "./backtest";
import {type Schema} from "./complete";
import {Weakens} from "./diff";
import {templateOf, useDraft} from "./draft";
import {type EditorHandle, type EditorProps} from "./editor";
import {mended, useLint} from "./lint";
import classes from "./policy.module.css";
import {Problems} from "./problems";
import {Queries} from "./queries";
import {Save} from "./save";
import {Versions} from "./versions";

const Editor = late<EditorProps>(() => import("./editor"), () => <Skeleton height={400} />);

/** One policy: its text to work on, what is said of it, and its versions. */
export function One({service, environment}: Place) {
  const place = useMemo(() => ({service, environment}), [service, environment]);
  const versions = useVersions(place);
  const schema = useSchema();
  const settled = schema.data !== undefined || schema.error !== undefined; // without it the editor only completes nothing
  return (
    <Stack gap="md">
      <div>
        <Text size="sm">
          <Link href="/policies">Policies</Link>
        </Text>
        <Title order={1} className="wrap">
          Policy of {service} in {environment}
        </Title>
      </div>
      <State of={{...versions, data: settled ? versions.data : undefined}} what={`the policy of ${service} in ${environment}`}>
        {(known) => <Work key={`${service}/${environment}`} place={place} known={known} schema={schema.data} />}
      </State>
    </Stack>
  );
}

// Private

const tabs = {text: "What it does", queries: "Queries now", backtest: "Past deployments", versions: "Versions"} as const;

function Work({place, known, schema}: {place: Place; known: Known; schema: Schema | undefined}) {
  const [query, change] = useQuery();
  const {sources, targets} = connections(schema);
  const draft = useDraft(place, known.newest, templateOf(place, sources, targets));
  const linted = useLint(draft.text);
  const writes = usePermission("policy.write", place.service, place.environment);
  const reads = usePermission("deployment.read", place.service, place.environment);
  const backtest = useBacktest(place);
  const editor = useRef<EditorHandle>(null);
  const hint = useId();
  useUnsaved(draft.dirty);
  const tab = Object.keys(tabs).find((name) => name === query.get("tab")) ?? "text";
  const current = linted.text === draft.text ? linted.answer : undefined;
  const fatal = current?.problems.some((problem) => problem.fatal) ?? false;
  const savable = !writes.allowed ? writes : fatal ? no("The text has mistakes: correct them first.") : !draft.dirty && known.newest !== undefined ? no("Nothing was changed.") : writes;
  const problems = useMemo(() => current?.problems ?? [], [current]);
  const show = (problem: Problem) => editor.current?.show(problem);
  return (
    <>
      <Head place={place} known={known} />
      {draft.dirty && draft.of !== (known.newest?.version ?? "") && <Overtaken of={draft.of} newest={known.newest?.version ?? ""} restart={draft.restart} />}
      <div className={classes.columns}>
        <Stack gap="xs">
          <Editor label={`The policy of ${place.service} in ${place.environment}, YAML`} hint={hint} text={draft.text} change={draft.set} problems={problems} schema={schema} readOnly={!writes.allowed} handle={editor} />
          <Text id={hint} size="sm" className="quiet">
            {writes.allowed ? "Ctrl-space shows what may be written. Tab indents; Escape, then Tab, leaves the editor. What you type is kept in this tab until you save it." : writes.whyNot}
          </Text>
          <Group gap="xs">
            <Save place={place} draft={draft} may={savable} tried={backtest.run?.text === draft.text && backtest.run.summary !== undefined} tryIt={() => change({tab: "backtest"})} saved={(version) => change({tab: "versions", from: undefined, to: undefined, saved: version.version})} />
            {draft.dirty && (
              <Button variant="default" onClick={draft.restart}>
                Throw my changes away
              </Button>
            )}
          </Group>
        </Stack>
        <Tabs value={tab} onChange={(value) => change({tab: value === "text" ? undefined : (value ?? undefined)})} keepMounted={false} className="card">
          <Tabs.List mb="sm">
            {Object.entries(tabs).map(([name, title]) => (
              <Tabs.Tab key={name} value={name}>
                {title}
              </Tabs.Tab>
            ))}
          </Tabs.List>
          <Tabs.Panel value="text">
            <Problems linted={linted} show={show} use={writes.allowed ? (problem) => draft.set(mended(draft.text, problem)) : undefined} />
          </Tabs.Panel>
          <Tabs.Panel value="queries">
            <Queries place={place} text={draft.text} may={writes} />
          </Tabs.Panel>
          <Tabs.Panel value="backtest">
            <Backtest text={draft.text} of={backtest} may={reads} />
          </Tabs.Panel>
          <Tabs.Panel value="versions">{known.versions.length === 0 ? <Text className="quiet">Nothing was saved yet.</Text> : <Versions place={place} known={known} draft={draft} />}</Tabs.Panel>
        </Tabs>
      </div>
    </>
  );
}

function no(whyNot: string) {
  return {allowed: false, whyNot};
}

// The names of the connections that may be used, as the schema lists them.
function connections(schema: Schema | undefined): {sources: string[]; targets: string[]} {
  const names = (one: Schema | undefined) => (one?.enum ?? []).filter((name) => typeof name === "string");
  return {sources: names(schema?.properties?.["checks"]?.items?.properties?.["source"]), targets: names(schema?.properties?.["target"])};
}

function Head({place, known: {versions, inForce}}: {place: Place; known: Known}) {
  const force = versions.find((version) => version.version === inForce);
  const waiting = versions.find((version) => version.pendingApproval);
  return (
    <Stack gap="xs">
      <Text className="wrap">
        {versions.length === 0 && "There is no policy yet: this is the least that guards. Deployments need one that is saved."}
        {force !== undefined && (
          <>
            Version {force.version} is in force, since <Time at={force.createTime} both />, by {force.author}
            {force.reason === "" ? "" : `: ${force.reason}`}. <Link href={to.service(place.service)}>Deployments of {place.service}</Link>
          </>
        )}
      </Text>
      {waiting !== undefined && (
        <div className={classes.weaker}>
          <Text fw={600}>
            Version {waiting.version} by {waiting.author} waits for a second person.
          </Text>
          <Weakens all={waiting.weakens} />
          <Group mt="xs" gap="xs">
            <Approve place={place} version={waiting} />
            <Link href={`${to.policy(place.service, place.environment)}?tab=versions${inForce === undefined ? "" : `&from=${inForce}&to=${waiting.version}`}`}>What it changes</Link>
          </Group>
        </div>
      )}
    </Stack>
  );
}

function Overtaken({of, newest, restart}: {of: string; newest: string; restart: () => void}) {
  return (
    <Group className={classes.weaker} gap="sm" role="status">
      <Text size="sm" style={{flex: "1 1 16rem"}}>
        Version {newest} was saved since you began from {of === "" ? "none" : `version ${of}`}. Look under Versions at what it changed; yours cannot be saved over it.
      </Text>
      <Button size="xs" variant="default" onClick={restart}>
        Throw mine away, begin from version {newest}
      </Button>
    </Group>
  );
}

// The browser asks before it forgets what was not saved, where this tab could not keep it.
function useUnsaved(dirty: boolean): void {
  useEffect(() => {
    if (!dirty) {
      return;
    }
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [dirty]);
}
