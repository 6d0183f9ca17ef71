// What the checks said over time, as the charts want it.
import {type Schemas} from "../../ask/api";
import {type Line, type ChartProps} from "../../figures/chart";
import {type Assessment, type Decision, type Deployment} from "./watched";
import {decided} from "./words";

type Check = Schemas["adg.v1.Check"];
type Judgement = Schemas["adg.v1.Judgement"];

/** A check with all that is shown of it. */
export interface CheckView {
  name: string;
  check: Check | undefined; // not set: it is no check of the policy, but what several of them say together
  last: Judgement | undefined; // what it says now
  condemning: Judgement | undefined; // what it said last before the rollback; not set: there was none
}

/** The checks of a deployment, those that are worst first. */
export function checksOf(d: Deployment, course: readonly Assessment[], backAt: number | undefined): CheckView[] {
  const before = backAt === undefined ? undefined : course.findLast((a) => timeOf(a) <= backAt);
  const views: CheckView[] = (d.policy?.checks ?? []).map((check) => {
    const last = d.status?.checks.find((w) => w.check === check.name)?.last;
    const condemning = before?.judgements.find((j) => j.check === check.name);
    return {name: check.name, check, last, condemning};
  });
  // Such as what all sequential checks say together.
  const now = d.status?.checks.map((w) => w.last).filter((j) => j !== undefined) ?? [];
  for (const {check: name} of [...(course.at(-1)?.judgements ?? []), ...(before?.judgements ?? []), ...now]) {
    if (!views.some((view) => view.name === name)) {
      const all = backAt === undefined ? course.at(-1) : undefined;
      views.push({name, check: undefined, last: now.find((j) => j.check === name) ?? all?.judgements.find((j) => j.check === name), condemning: before?.judgements.find((j) => j.check === name)});
    }
  }
  return views
    .map((view, i) => ({view, i}))
    .sort((a, b) => badness(b.view) - badness(a.view) || Number(b.view.check?.critical ?? false) - Number(a.view.check?.critical ?? false) || (b.view.check?.weight ?? 0) - (a.view.check?.weight ?? 0) || a.i - b.i)
    .map(({view}) => view);
}

/** When the rollback began, in ms; from then on the checks are of the release that was brought back. */
export function backSince(decisions: readonly Decision[]): number | undefined {
  const first = decisions.find((d) => d.to === "STATE_ROLLING_BACK" || d.to === "STATE_VERIFYING_ROLLBACK");
  return first?.time === undefined ? undefined : Date.parse(first.time);
}

/** The unit of what a check measures: as the server says, else of those whose unit is known by how they count. */
export function unitOf(check: Check | undefined, judgement?: Judgement): string {
  const said = (judgement as {unit?: string} | undefined)?.unit || (check as {unit?: string} | undefined)?.unit;
  if (said !== undefined && said !== "") {
    return said;
  }
  return check !== undefined && ((check.bad !== "" && check.total !== "") || check.compare === "COMPARISON_LOGS") ? "ratio" : "";
}

/** The marks of all charts: what was decided, but for going on as before. */
export function marksOf(d: Deployment, decisions: readonly Decision[]): {at: number; text: string}[] {
  const phases = d.policy?.verify ?? [];
  return decisions.filter((one) => one.time !== undefined && (one.from !== one.to || one.kind === "DECISION_KIND_PROMOTE" || one.command !== undefined)).map((one) => ({at: Date.parse(one.time!), text: decided(one, phases)}));
}

/** The time that all charts show: from the first of what was measured or decided to the last. */
export function rangeOf(course: readonly Assessment[], marks: readonly {at: number}[]): {from: number; to: number} | undefined {
  const times = [...course.map(timeOf), ...marks.map(({at}) => at)].filter(Number.isFinite);
  const from = times.reduce((a, b) => Math.min(a, b), Infinity);
  const to = times.reduce((a, b) => Math.max(a, b), -Infinity);
  return from < to ? {from, to} : undefined;
}

/** The charts of a check: its values, and for a sequential one the evidence. Not set where there is nothing to draw. */
export function chartsOf(view: CheckView, course: readonly Assessment[], names: {candidate: string; restored: string}, backAt: number | undefined): {values: Drawn | undefined; evidence: Drawn | undefined} {
  const all = judgementsOf(view.name, course);
  const unit = unitOf(view.check, all.at(-1)?.j);
  return {values: valuesOf(view.check, all, unit, names, backAt), evidence: evidenceOf(all)};
}

// Private

type Drawn = Pick<ChartProps, "times" | "lines" | "band" | "limits" | "unit">;
type Point = {at: number; j: Judgement};

function timeOf(a: Assessment): number {
  return Date.parse(a.time ?? "");
}

const severity: Record<Schemas["adg.v1.Verdict"], number> = {VERDICT_FAIL: 3, VERDICT_WARN: 2, VERDICT_UNKNOWN: 1, VERDICT_PASS: 0};

function badness({last, condemning}: CheckView): number {
  return Math.max(severity[last?.verdict ?? "VERDICT_UNKNOWN"], condemning === undefined ? 0 : severity[condemning.verdict]);
}

// A judgement that is carried over because nothing was due is not another point.
function judgementsOf(name: string, course: readonly Assessment[]): Point[] {
  const all: Point[] = [];
  for (const a of course) {
    const j = a.judgements.find((one) => one.check === name);
    const at = Date.parse(j?.time ?? a.time ?? "");
    if (j !== undefined && at > (all.at(-1)?.at ?? -Infinity)) {
      all.push({at, j});
    }
  }
  return all;
}

function valuesOf(check: Check | undefined, all: readonly Point[], unit: string, names: {candidate: string; restored: string}, backAt: number | undefined): Drawn | undefined {
  // Of a log a single value is known, when a pattern decides: the evidence has a course.
  if (all.every(({j}) => j.value === undefined && j.baseline === undefined) || check?.compare === "COMPARISON_LOGS") {
    return undefined;
  }
  const is = (back: boolean) => ({at}: Point) => (backAt !== undefined && at > backAt) === back;
  const line = (name: string, pick: (p: Point) => number | undefined, more: Partial<Line>): Line[] => {
    const values = all.map((p) => pick(p) ?? null);
    return values.every((value) => value === null) ? [] : [{name, values, ...more}];
  };
  const low = all.map(({j}) => edge(check, j, j.low, j.high, 0) ?? null);
  const high = all.map(({j}) => edge(check, j, j.high, j.low, 1) ?? null);
  const banded = low.some((value, i) => value !== null && high[i] !== null);
  return {
    times: all.map(({at}) => at),
    unit,
    lines: [
      ...line(names.candidate, (p) => (is(false)(p) ? p.j.value : undefined), {tone: "info"}),
      ...line(names.restored, (p) => (is(true)(p) ? p.j.value : undefined), {tone: "good"}),
      ...line("baseline", ({j}) => j.baseline, {tone: "unknown", dashed: true}),
      ...line("limit", ({j}) => j.limit, {tone: "bad", dashed: true}),
    ],
    ...(banded ? {band: {name: `${names.candidate} lies in`, low: low.map((value, i) => (high[i] === null ? null : value)), high: high.map((value, i) => (low[i] === null ? null : value))}} : {}),
  };
}

// The interval is that of a ratio to the baseline where events are counted, and that of a distance from it elsewhere. A
// share whose one end is not known yet goes as far as shares do.
function edge(check: Check | undefined, j: Judgement, end: number | undefined, other: number | undefined, furthest: number): number | undefined {
  if (j.baseline === undefined || (end === undefined && other === undefined)) {
    return undefined;
  }
  if (check?.compare === "COMPARISON_SEQUENTIAL" && check.histogram === "") {
    return end === undefined ? furthest : Math.min(1, j.baseline * end);
  }
  return end === undefined ? undefined : j.baseline + end;
}

function evidenceOf(all: readonly Point[]): Drawn | undefined {
  const limit = all.findLast(({j}) => j.logLimit !== undefined)?.j.logLimit;
  if (all.every(({j}) => j.logE === undefined)) {
    return undefined;
  }
  return {
    times: all.map(({at}) => at), // all of them, so that it lies below the values of the same time
    unit: "odds",
    lines: [{name: "evidence against it", values: all.map(({j}) => (j.logE === undefined ? null : j.logE / Math.LN10)), tone: "info"}],
    ...(limit === undefined ? {} : {limits: [{name: "decides", value: limit / Math.LN10, tone: "bad" as const}]}),
  };
}
