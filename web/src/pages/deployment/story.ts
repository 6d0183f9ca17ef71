// The story of a deployment: what was decided, done and told, oldest first.
import {type Schemas} from "../../ask/api";
import {distinct, seconds, span} from "../../figures/words";
import {type Decision, type Deployment} from "./watched";
import {actionWord, decided, decider, sentence, share} from "./words";

type Effect = Schemas["adg.v1.Effect"];
type Fact = Schemas["adg.v1.Fact"];

export type Kind = "decided" | "done" | "told";

export interface Entry {
  key: string;
  kind: Kind;
  at: number; // ms
  who: string;
  what: string;
  why: readonly string[]; // sentences
  seq?: string; // of a decision, for its evidence
  urgent?: boolean; // it woke people
  bad?: boolean;
  log?: string; // what a program wrote: text of others
}

/** All of it as one story. */
export function storyOf(d: Deployment, decisions: readonly Decision[], effects: readonly Effect[], facts: readonly Fact[]): Entry[] {
  const told = new Map([...decisions.flatMap((one) => one.facts), ...facts].map((fact) => [fact.id, fact]));
  const asked: Entry = {key: "asked", kind: "decided", at: Date.parse(d.createTime ?? ""), who: d.actor || "somebody", what: "Asked for the deployment", why: d.reason === "" ? [] : [d.reason]};
  return [asked, ...decisions.map((one) => decision(d, one)), ...effects.map(effect), ...[...told.values()].map(fact)]
    .map((entry, i) => ({entry, i}))
    .sort((a, b) => a.entry.at - b.entry.at || rank[a.entry.kind] - rank[b.entry.kind] || a.i - b.i)
    .map(({entry}) => entry);
}

/** "v3 5 %, v2 95 %". */
export function placed(placements: readonly Schemas["adg.v1.Placement"][]): string {
  return placements.map((p) => `${p.release?.version ?? "?"} ${share(p.share)}`).join(", ");
}

// Private

// What was decided at one time comes before what was done because of it.
const rank: Record<Kind, number> = {decided: 0, done: 1, told: 2};

function decision(d: Deployment, one: Decision): Entry {
  const {command} = one;
  const asked = command === undefined || command.action === "ACTION_UNSPECIFIED" ? [] : [`Asked for by ${command.actor}: ${actionWord[command.action].toLowerCase()}${command.reason === "" ? "" : `, because: ${command.reason}`}`];
  return {
    key: `decision-${one.seq}`,
    kind: "decided",
    at: Date.parse(one.time ?? ""),
    who: decider(one),
    what: decided(one, d.policy?.verify ?? []),
    why: [...asked, ...distinct(one.reasons)].map(sentence),
    seq: one.seq,
    bad: one.kind === "DECISION_KIND_ROLL_BACK" || one.to === "STATE_ROLLBACK_FAILED",
  };
}

function effect(one: Effect): Entry {
  const wanted = placed(one.wanted);
  const running = one.endTime === undefined;
  const how = running ? "under way" : one.error !== "" ? one.error : `the target says: ${one.observed === undefined ? "nothing" : placed(one.observed.releases) || "nothing of its releases"}, after ${span(seconds(one.took) ?? 0)}`;
  const said = one.observed?.text ?? "";
  return {
    key: `effect-${one.id}`,
    kind: "done",
    at: Date.parse(one.beginTime ?? ""),
    who: "ADG",
    what: one.rollback ? `Told the target to go back: ${wanted}` : `Told the target: ${wanted}`,
    why: [how, said].filter((text) => text !== "").map(sentence),
    bad: one.error !== "",
    ...(one.observed === undefined || one.observed.log === "" ? {} : {log: one.observed.log}),
  };
}

function fact(one: Fact): Entry {
  return {key: `fact-${one.id}`, kind: "told", at: Date.parse(one.time ?? ""), who: one.actor || "ADG", what: one.urgent ? "Called a human" : "Told people", why: [one.text], urgent: one.urgent};
}
