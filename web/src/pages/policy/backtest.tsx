import {Button, Group, NativeSelect, Progress, Stack, Text} from "@mantine/core";
import {useEffect, useRef, useState} from "react";
import {work} from "../../api/client";
import {server} from "../../ask/api";
import {type Permission, Permitted} from "../../ask/permission";
import {Empty, Failed} from "../../ask/state";
import {Badge, stateWord} from "../../figures/badge";
import {count, digits, distinct} from "../../figures/words";
import {Link, useQuery} from "../../frame/router";
import {Time} from "../../frame/time";
import {to} from "../../places";
import {type Place} from "./asks";
import {type Case, type Summary, read, said, worstFirst} from "./past";
import classes from "./policy.module.css";

export interface Run {
  text: string; // that was tried
  done: number;
  all: number;
  cases: readonly Case[];
  summary: Summary | undefined; // not there before the end
  error: unknown;
  ended: boolean;
}

export interface Backtesting {
  run: Run | undefined; // the last one
  begin: (text: string, limit: number, days: number) => void;
  stop: () => void;
}

/** Backtests of a policy: one at a time, told as they go on. It ends when the page is left. */
export function useBacktest(place: Place): Backtesting {
  const [run, setRun] = useState<Run>();
  const busy = useRef<AbortController>(undefined);
  useEffect(() => () => busy.current?.abort(), []);
  const begin = (text: string, limit: number, days: number) => {
    busy.current?.abort();
    const mine = new AbortController();
    busy.current = mine;
    const change = (more: (was: Run) => Partial<Run>) => {
      if (busy.current === mine) {
        setRun((was) => was && {...was, ...more(was)});
      }
    };
    setRun({text, done: 0, all: 0, cases: [], summary: undefined, error: undefined, ended: false});
    void told(place, {text, limit, days}, mine.signal, change);
  };
  const stop = () => {
    busy.current?.abort();
    busy.current = undefined;
    setRun((was) => was && {...was, ended: true});
  };
  return {run, begin, stop};
}

interface BacktestProps {
  text: string;
  of: Backtesting;
  may: Permission;
}

/** What the text would have done with past deployments. */
export function Backtest({text, of: {run, begin, stop}, may}: BacktestProps) {
  const [query, change] = useQuery();
  const limit = query.get("limit") ?? "100";
  const days = query.get("days") ?? "";
  const busy = run?.ended === false;
  return (
    <Stack gap="sm">
      <Text size="sm">What this text would have done with the deployments that are on record. Nothing is deployed, and nothing is stored.</Text>
      <Group align="end" gap="sm">
        <NativeSelect label="Deployments" value={limit} onChange={(event) => change({limit: event.currentTarget.value})} data={["20", "100", "500", "1000"].map((n) => ({value: n, label: `the last ${n}`}))} />
        <NativeSelect label="Begun" value={days} onChange={(event) => change({days: event.currentTarget.value})} data={[{value: "", label: "at any time"}, {value: "7", label: "in the last week"}, {value: "30", label: "in the last 30 days"}, {value: "90", label: "in the last 90 days"}]} />
        {busy ? (
          <Button variant="default" onClick={stop}>
            Stop
          </Button>
        ) : (
          <Permitted by={may} onClick={() => begin(text, Number(limit), Number(days))}>
            Try it on the past
          </Permitted>
        )}
      </Group>
      {run !== undefined && <Came run={run} newer={run.text !== text} />}
    </Stack>
  );
}

// Private

async function told(place: Place, {text, limit, days}: {text: string; limit: number; days: number}, signal: AbortSignal, change: (more: (was: Run) => Partial<Run>) => void): Promise<void> {
  const path = `/v1/policies/${encodeURIComponent(place.service)}/${encodeURIComponent(place.environment)}:backtest` as const;
  const since = days > 0 ? {fromTime: new Date(Date.now() - days * 86_400_000).toISOString()} : {};
  try {
    for await (const {done, all, case: one, summary} of work(server, path, {text, limit, ...since}, signal)) {
      change((was) => ({done, all, cases: one === undefined ? was.cases : [...was.cases, one], summary: summary ?? was.summary}));
    }
    change(() => ({ended: true}));
  } catch (error) {
    if (!signal.aborted) {
      change(() => ({error, ended: true}));
    }
  }
}

function Came({run, newer}: {run: Run; newer: boolean}) {
  const {done, all, cases, summary, error, ended} = run;
  return (
    <Stack gap="sm">
      {newer && <Text className={classes.notice}>The text was changed since: this is what it would have done as it was.</Text>}
      {!ended && (
        <div>
          <Progress value={all === 0 ? 0 : (100 * done) / all} aria-label="How far the backtest is" />
          <Text size="sm" role="status">
            {all === 0 ? "Looking for past deployments …" : `${done} of ${count(all, "deployment")}`}
          </Text>
        </div>
      )}
      {error !== undefined && <Failed error={error} />}
      {ended && error === undefined && summary === undefined && <Text role="status">It was stopped after {done} of {count(all, "deployment")}.</Text>}
      {summary !== undefined && summary.cases + summary.skipped === 0 && <Empty>No past deployment of this time is on record, so there is nothing to try it on. Deploy once, or ask for a longer time.</Empty>}
      {summary !== undefined && summary.cases + summary.skipped > 0 && (
        <Stack gap={4} role="status" data-summary>
          {said(summary).map(({tone, text}) => (
            <Group key={text} gap="xs" wrap="nowrap" align="flex-start">
              <Badge tone={tone}>{words[tone]}</Badge>
              <Text size="sm" className="wrap">
                {text}
              </Text>
            </Group>
          ))}
        </Stack>
      )}
      <div>
        {worstFirst(cases).map((one) => (
          <Row key={one.deployment} one={one} />
        ))}
      </div>
    </Stack>
  );
}

const words = {good: "good", warn: "look", bad: "bad", unknown: "not known", info: "so many"} as const;

function Row({one}: {one: Case}) {
  const {tone, word, sentence} = read(one);
  const served = one.served !== undefined && one.wasServed !== undefined ? `Bad requests: ${digits(one.served)}, they were ${digits(one.wasServed)}.` : "";
  return (
    <div className={classes.row}>
      <Group gap="xs">
        <Badge tone={tone}>{word}</Badge>
        <Link href={to.deployment(one.deployment)}>{one.version}</Link>
        <Text size="sm" className="quiet">
          <Time at={one.beginTime} />, {stateWord(one.was).toLowerCase()} → {one.wouldBe}
        </Text>
      </Group>
      <Text size="sm" className="wrap">
        {sentence} {served}
      </Text>
      {[...distinct(one.reasons).map((reason) => `Because: ${reason}`), ...(one.missing.length === 0 ? [] : [`Not on record: ${one.missing.join(", ")}`]), ...one.notes].map((note) => (
        <Text key={note} size="sm" className="quiet wrap">
          {note}
        </Text>
      ))}
    </div>
  );
}
