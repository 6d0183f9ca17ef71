// One deployment, as it is now and as it was: it is watched, and what was recorded of it is asked for.
import {useCallback, useEffect, useMemo, useRef, useState} from "react";
import {ApiError} from "../../api/client";
import {all, answer, api, type Schemas} from "../../ask/api";
import {type Asked, ahead, changed, useAsk} from "../../ask/ask";
import {serverTime} from "../../frame/clock";
import {type Span} from "../../figures/zoom";
import {isEnd} from "../../figures/badge";
import {follow} from "../../live/follow";

export type Deployment = Schemas["adg.v1.Deployment"];
export type Status = Schemas["adg.v1.Status"];
export type Assessment = Schemas["adg.v1.Assessment"];
export type Decision = Schemas["adg.v1.Decision"];
export type Baseline = Schemas["adg.v1.Baseline"];

/** A deployment as it is now, and what its checks said since the page was opened. */
export interface Watched {
  asked: Asked<Deployment>;
  seen: readonly Assessment[];
}

/** Watches a deployment until it has ended. */
export function useWatched(id: string): Watched {
  const [state, setState] = useState<{data?: Deployment; at?: number; error?: unknown; failing?: number; seen: readonly Assessment[]}>({seen: []});
  const following = useRef<ReturnType<typeof follow>>(undefined);
  useEffect(() => {
    let etag: string | undefined;
    const mine = follow({
      path: `/v1/deployments/${encodeURIComponent(id)}:watch`,
      query: () => ({}),
      ends: true,
      told: ({deployment, time}) => {
        serverTime(time);
        if (deployment === undefined) {
          setState((was) => ({...was, at: Date.now(), error: undefined, failing: undefined}));
          return;
        }
        setState((was) => ({data: deployment, at: Date.now(), seen: grown(was.seen, deployment)}));
        if (etag !== undefined && etag !== deployment.etag) {
          changed(`deployment/${id}/`);
        }
        etag = deployment.etag;
      },
      connection: ({state: how, error, since}) => {
        if (how === "lost" || how === "refused") {
          setState((was) => ({...was, error: error ?? new TypeError("cut off"), failing: since}));
        }
      },
    });
    following.current = mine;
    return mine.end;
  }, [id]);
  const again = useCallback(() => following.current?.tryNow(), []);
  const {data, at, failing, seen} = state;
  // What the server refuses is final for now; an interruption leaves what was known.
  const error = state.error instanceof ApiError && state.error.status === 404 ? new ApiError(404, state.error.code, `there is no deployment ${id}`, state.error.wayOut, state.error.requestId, new Map()) : state.error;
  return {asked: {data, at, error, failing, again}, seen};
}

/** What its checks said over time, oldest first: what was recorded, and what came since. */
export function useCourse(id: string, ended: boolean, seen: readonly Assessment[], span: Span | undefined): Asked<readonly Assessment[]> {
  const known = useRef<readonly Assessment[]>([]);
  const asked = useAsk(
    `deployment/${id}/assessments`,
    async (signal) => {
      const last = known.current.at(-1)?.time;
      const found = await assessments(id, {fromTime: last}, signal);
      known.current = joined(last === undefined ? [] : known.current, found);
      return known.current;
    },
    {every: ended ? undefined : 30_000},
  );
  // A long deployment is drawn from few of its points; a stretch that is looked at closely has all of its own.
  const thin = (asked.data?.length ?? 0) >= points;
  const from = thin ? span?.from : undefined;
  const close = useAsk(from === undefined ? undefined : `deployment/${id}/assessments/${from}-${span!.to}`, (signal) => assessments(id, {fromTime: iso(from!), toTime: iso(span!.to + 1)}, signal));
  const data = useMemo(() => (asked.data === undefined ? undefined : joined(joined(asked.data, seen), close.data ?? [])), [asked.data, seen, close.data]);
  return {...asked, data};
}

/** What was decided, oldest first. */
export function useDecisions(id: string): Asked<readonly Decision[]> {
  return useAsk(`deployment/${id}/decisions`, (signal) => decisions(id, signal));
}

/** What its checks were compared with before it began. */
export function useBaselines(id: string): Asked<readonly Baseline[]> {
  return useAsk(`deployment/${id}/baselines`, (signal) => baselines(id, signal));
}

/** Asks for what is shown of a deployment while it is asked for itself. */
export function useAhead(id: string): void {
  useEffect(() => {
    ahead(`deployment/${id}/decisions`, (signal) => decisions(id, signal));
    ahead(`deployment/${id}/assessments`, (signal) => assessments(id, {}, signal));
    ahead(`deployment/${id}/baselines`, (signal) => baselines(id, signal));
  }, [id]);
}

/** Asks once for a list or a thing that belongs to a deployment. */
export function usePart<T>(id: string, name: string, ask: (signal: AbortSignal) => Promise<{data?: T}>, every?: number): Asked<T> {
  return useAsk(`deployment/${id}/${name}`, (signal) => answer(ask(signal)), {every});
}

/** Two courses as one, oldest first; of two at the same time that of the second counts. */
export function joined(one: readonly Assessment[], other: readonly Assessment[]): readonly Assessment[] {
  if (other.length === 0) {
    return one;
  }
  const byTime = new Map([...one, ...other].map((a) => [at(a), a]));
  return [...byTime].sort(([a], [b]) => a - b).map(([, a]) => a);
}

/** A course that has grown by what a deployment says now. */
export function grown(seen: readonly Assessment[], {status}: Deployment): readonly Assessment[] {
  const last = seen.at(-1);
  const {tickedTime: time, health = "HEALTH_UNKNOWN", score = 0, checks = []} = status ?? {};
  const judgements = checks.flatMap(({last: judgement}) => (judgement === undefined ? [] : [judgement]));
  if (time === undefined || judgements.length === 0 || (last !== undefined && at(last) >= Date.parse(time))) {
    return seen;
  }
  return [...seen, {time, health, score, judgements, text: ""}].slice(-kept);
}

/** Whether a deployment has ended. */
export function hasEnded(deployment: Deployment): boolean {
  return isEnd(deployment.status?.state ?? "STATE_UNSPECIFIED");
}

// Private

const points = 600; // of a course
const kept = 3600; // that came while the page was open

async function assessments(id: string, range: {fromTime?: string; toTime?: string}, signal: AbortSignal): Promise<Assessment[]> {
  const query = {maxPoints: points, pageSize: 1000, ...(range.fromTime === undefined ? {} : {fromTime: range.fromTime}), ...(range.toTime === undefined ? {} : {toTime: range.toTime})};
  return all(
    (pageToken) => api.GET("/v1/deployments/{deployment}/assessments", {params: {path: {deployment: id}, query: {...query, pageToken}}, signal}),
    (page) => page.assessments,
  );
}

async function decisions(id: string, signal: AbortSignal): Promise<Decision[]> {
  return all(
    (pageToken) => api.GET("/v1/deployments/{deployment}/decisions", {params: {path: {deployment: id}, query: {pageSize: 1000, pageToken}}, signal}),
    (page) => page.decisions,
  );
}

async function baselines(id: string, signal: AbortSignal): Promise<Baseline[]> {
  return (await answer(api.GET("/v1/deployments/{deployment}/baselines", {params: {path: {deployment: id}, query: {pageSize: 1000}}, signal}))).baselines;
}

function at(a: Assessment): number {
  return Date.parse(a.time ?? "");
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
