// The stations of a deployment: the steps, the phases, and a rollback if there is one, each with what was decided there.
import {type Schemas} from "../../ask/api";
import {type Tone, isEnd, stateWord} from "../../figures/badge";
import {seconds, span} from "../../figures/words";
import {type Decision, type Deployment} from "./watched";
import {share} from "./words";

export interface Station {
  key: string; // in the address
  title: string;
  about: string; // what happens there
  how: "done" | "now" | "ahead" | "never" | "bad"; // never: it will not be reached; bad: it was condemned there
  entered: number | undefined; // ms
  left: number | undefined;
  decisions: readonly Decision[]; // that led there, and those made there
}

/** What a station's state is called. */
export const howWord: Record<Station["how"], {word: string; tone: Tone}> = {
  done: {word: "done", tone: "good"},
  now: {word: "now", tone: "info"},
  ahead: {word: "to come", tone: "unknown"},
  never: {word: "not run", tone: "unknown"},
  bad: {word: "bad", tone: "bad"},
};

/** The stations in order, and which one the deployment is at. */
export function stationsOf(d: Deployment, decisions: readonly Decision[]): {stations: Station[]; here: string} {
  const sorted = new Map<string, Decision[]>();
  let where = "start";
  for (const one of decisions) {
    where = placeOf(one.to, one.step, one.phase) ?? where;
    sorted.set(where, [...(sorted.get(where) ?? []), one]);
  }
  const {status} = d;
  const here = (status === undefined ? undefined : placeOf(status.state === "STATE_HELD" ? status.resume : status.state, status.step, status.phase)) ?? where;
  const goesBack = sorted.has("back") || here === "back" || (status?.rollbacks ?? 0) > 0;
  const plans = plansOf(d, goesBack);
  const stations = plans.map((plan): Station => {
    const mine = sorted.get(plan.key) ?? [];
    const first = plan.key === "start" ? d.createTime : mine[0]?.time;
    return {...plan, how: "ahead", entered: first === undefined ? undefined : Date.parse(first), left: undefined, decisions: mine};
  });
  leave(stations);
  judge(stations, here, goesBack, status?.state ?? "STATE_UNSPECIFIED");
  return {stations, here};
}

// Private

type Plan = Pick<Station, "key" | "title" | "about">;

function placeOf(state: Schemas["adg.v1.State"], step: number, phase: number): string | undefined {
  switch (state) {
    case "STATE_PENDING":
    case "STATE_GATED":
      return "start";
    case "STATE_ROLLING":
      return `step-${step + 1}`;
    case "STATE_VERIFYING":
      return `phase-${phase + 1}`;
    case "STATE_ROLLBACK_PENDING":
    case "STATE_ROLLING_BACK":
    case "STATE_VERIFYING_ROLLBACK":
      return "back";
    case "STATE_HELD":
    case "STATE_UNSPECIFIED":
      return undefined; // where it was
    case "STATE_BLOCKED":
    case "STATE_SUCCEEDED":
    case "STATE_ROLLED_BACK":
    case "STATE_ROLLBACK_FAILED":
    case "STATE_CANCELLED":
    case "STATE_SUPERSEDED":
    case "STATE_UNDECIDED":
      return "end";
  }
}

function plansOf(d: Deployment, goesBack: boolean): Plan[] {
  const {policy, status} = d;
  const state = status?.state ?? "STATE_UNSPECIFIED";
  const good = d.lastGood?.version ?? "the last good release";
  const lasts = (duration: string | undefined) => span(seconds(duration) ?? 0);
  return [
    {key: "start", title: "Start", about: policy?.approve === true ? "gates, and an approval" : "gates"},
    ...(policy?.strategy?.steps ?? []).map((step, i) => ({
      key: `step-${i + 1}`,
      title: share(step.share),
      about: step.pause ? `healthy for ${lasts(step.bake)}, then somebody promotes` : `healthy for ${lasts(step.bake)}`,
    })),
    ...(policy?.verify ?? []).map((phase, i) => ({key: `phase-${i + 1}`, title: phase.name, about: `watched for ${lasts(phase.duration)}`})),
    ...(goesBack ? [{key: "back", title: "Rollback", about: `back to ${good}`}] : []),
    endOf(state, good),
  ];
}

// What it ends with, or would.
function endOf(state: Schemas["adg.v1.State"], good: string): Plan {
  if (isEnd(state)) {
    return {key: "end", title: stateWord(state), about: "it has ended"};
  }
  return placeOf(state, 0, 0) === "back" ? {key: "end", title: stateWord("STATE_ROLLED_BACK"), about: `${good} is live and verified`} : {key: "end", title: "Success", about: "live and verified"};
}

// A station is left when a later one is entered.
function leave(stations: Station[]): void {
  const reached = stations.filter((s) => s.entered !== undefined);
  reached.forEach((station, i) => {
    station.left = reached[i + 1]?.entered;
  });
}

function judge(stations: Station[], here: string, goesBack: boolean, state: Schemas["adg.v1.State"]): void {
  const ended = isEnd(state);
  const failed = state === "STATE_ROLLBACK_FAILED";
  const at = stations.findIndex((s) => s.key === here);
  const back = stations.findIndex((s) => s.key === "back");
  const turned = goesBack ? stations.findLastIndex((s, i) => i < back && s.entered !== undefined) : -1;
  stations.forEach((station, i) => {
    if (i === at) {
      station.how = failed ? "bad" : ended ? "done" : "now";
    } else if (i === turned || (failed && i === back)) {
      station.how = "bad";
    } else if (station.entered !== undefined && i < at) {
      station.how = "done";
    } else if (i < at || (goesBack && i < back) || ended) {
      station.how = "never";
    }
  });
}
