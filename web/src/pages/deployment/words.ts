// What things of a deployment are called in front of people.
import {type Schemas} from "../../ask/api";
import {stateWord} from "../../figures/badge";
import {digits, distinct} from "../../figures/words";
import {type Deployment} from "./watched";

export type Action = Schemas["adg.v1.Action"];
type State = Schemas["adg.v1.State"];

/** What an action is called on its button. */
export const actionWord: Record<Action, string> = {
  ACTION_UNSPECIFIED: "Nothing",
  ACTION_PROMOTE: "Promote",
  ACTION_HOLD: "Hold",
  ACTION_RESUME: "Resume",
  ACTION_ROLL_BACK: "Roll back",
  ACTION_CANCEL: "Cancel",
  ACTION_APPROVE: "Approve",
  ACTION_REJECT: "Reject",
};

/** "25 %". */
export function share(percent: number): string {
  return `${digits(percent)} %`;
}

/** What was decided, in a few words. */
export function decided(d: Schemas["adg.v1.Decision"], phases: readonly {name: string}[]): string {
  const held = d.from === "STATE_HELD" && d.to !== "STATE_HELD";
  switch (d.to) {
    case "STATE_ROLLING":
      if (waiting.has(d.from)) {
        return `Began with ${share(d.share)}`;
      }
      return d.kind === "DECISION_KIND_PROMOTE" ? `Went on to ${share(d.share)}` : held ? "Resumed" : d.from === "STATE_ROLLBACK_PENDING" ? "The rollback was called off" : asked(d);
    case "STATE_VERIFYING":
      if (d.kind === "DECISION_KIND_PROMOTE") {
        return `Went on to phase ${phases[d.phase]?.name ?? d.phase + 1}`;
      }
      return held ? "Resumed" : d.from === "STATE_ROLLBACK_PENDING" ? "The rollback was called off" : asked(d);
    case "STATE_HELD":
      return d.from === "STATE_HELD" ? asked(d) : "Held";
    case "STATE_GATED":
      return d.from === "STATE_GATED" ? asked(d) : "Waits at a gate";
    case "STATE_ROLLBACK_PENDING":
      return d.from === d.to ? asked(d) : "Condemned: a rollback is coming";
    case "STATE_ROLLING_BACK":
      return d.from === d.to ? asked(d) : "The rollback began";
    case "STATE_VERIFYING_ROLLBACK":
      return d.from === d.to ? asked(d) : "The last good release is back: now it has to prove itself";
    case "STATE_UNSPECIFIED":
    case "STATE_PENDING":
    case "STATE_BLOCKED":
    case "STATE_SUCCEEDED":
    case "STATE_ROLLED_BACK":
    case "STATE_ROLLBACK_FAILED":
    case "STATE_CANCELLED":
    case "STATE_SUPERSEDED":
    case "STATE_UNDECIDED":
      return stateWord(d.to);
  }
}

/** What a deployment that ended badly leaves to people: ADG does nothing more there. */
export function leftTo(d: Deployment): string[] {
  const good = d.lastGood?.version === undefined ? "Deploy a release that is good." : `Deploy ${d.lastGood.version} again, or a newer release that is good.`;
  switch (d.status?.state) {
    case "STATE_ROLLBACK_FAILED":
      return [`The rollback failed, and ADG does nothing more by itself: see what is live, and put right what was in the way. ${good}`];
    case "STATE_UNDECIDED":
      return [`It ended without anybody knowing whether it is good, and ADG does nothing more by itself: see what is live. ${good}`];
    default:
      return [];
  }
}

/** Why a rollback would fail now, known before anybody asks for one. */
export function wouldFail(d: Deployment): string[] {
  return (d.status?.obstacles ?? []).filter(({final}) => final).map(({name, text}) => sentence(`A rollback would fail (${name}): ${text}`));
}

/** Why the release is taken back, and who decided it; not set: it is not. */
export function whyBack(decisions: readonly Schemas["adg.v1.Decision"][]): {reasons: string[]; by: string} | undefined {
  const back = decisions.find(({to}) => to === "STATE_ROLLBACK_PENDING" || to === "STATE_ROLLING_BACK");
  return back === undefined ? undefined : {reasons: distinct(back.reasons).map(sentence), by: decider(back)};
}

/** Who decided: the person who asked for it, or ADG by itself. */
export function decider(d: Schemas["adg.v1.Decision"]): string {
  return d.command === undefined || d.command.actor === "" ? "ADG" : d.command.actor;
}

/** A text of the server as a sentence. A version at its beginning stays as it is. */
export function sentence(text: string): string {
  if (text === "") {
    return "";
  }
  const first = /^[a-z]+(: |[^\w./:-])/.test(`${text} `) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

// Private

const waiting = new Set<State>(["STATE_PENDING", "STATE_GATED"]);

function asked(d: Schemas["adg.v1.Decision"]): string {
  return d.command === undefined ? "Went on as before" : `${actionWord[d.command.action]} was asked for`;
}
