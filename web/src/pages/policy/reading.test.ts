// How the pages of policies read what the server answers.
import {expect, test} from "vitest";
import {type Schemas} from "../../ask/api";
import {answered, tally} from "./answers";
import {type Policy, type Version, inForceOf} from "./asks";
import {linesOf} from "./lines";
import {chosen} from "./list";
import {inWords} from "./summary";
import {standing} from "./versions";

type Measurement = Schemas["adg.v1.Measurement"];

function measurement(more: Partial<Measurement>): Measurement {
  return {check: "errors", arm: "ARM_CANDIDATE", sent: [], values: [], bad: [], total: [], slow: [], warnings: [], error: "", ...more};
}

function series(...values: number[]): Schemas["adg.v1.Series"] {
  return {labels: {__name__: "requests", version: "v2", job: "shop"}, samples: values.map((value, i) => ({value, time: `2026-01-01T00:00:0${i}Z`})), histograms: []};
}

test("an answer of counters has one part per query, and says how they grew", () => {
  const parts = answered(measurement({sent: ["total", "bad"], total: [series(100, 150)], bad: [series(2, 5)]}));
  expect(parts.map(({what, sent}) => [what, sent])).toEqual([["The release, all events", "total"], ["The release, bad events", "bad"]]);
  expect(parts[1]?.series[0]).toMatchObject({labels: 'requests{job="shop", version="v2"}', last: 5, growth: 3, values: [2, 5]});
});

test("no series is said, and so is an error", () => {
  expect(answered(measurement({sent: ["up"]}))).toMatchObject([{sent: "up", problem: "The source answered, and nothing matches the query."}]);
  expect(answered(measurement({error: "no route"}))).toMatchObject([{problem: "no route"}]);
});

test("of many series a few are shown, and how many more there are", () => {
  const [part] = answered(measurement({sent: ["up"], values: Array.from({length: 9}, () => series(1))}));
  expect([part?.series.length, part?.more]).toEqual([5, 4]);
});

test("checks without values are named", () => {
  const check = (name: string, more: Partial<Measurement>) => ({check: name, measurements: [measurement(more)]});
  expect(tally([check("a", {values: [series(1)]}), check("b", {}), check("c", {error: "no", values: []})])).toEqual({text: "1 of 3 checks got values; b, c got none.", silent: ["b", "c"]});
  expect(tally([check("a", {values: [series(1)]})]).text).toBe("1 check: every query was answered with values.");
});

test("a difference has the numbers of the lines in both texts", () => {
  const lines = linesOf("--- version 1\n+++ text\n@@ -4,3 +4,3 @@\n target: a\n-alpha: 1%\n+alpha: 2%\n promote: baked\n");
  expect(lines).toEqual([
    {kind: "gap", text: "line 4", before: undefined, after: undefined},
    {kind: "same", text: "target: a", before: 4, after: 4},
    {kind: "gone", text: "alpha: 1%", before: 5, after: undefined},
    {kind: "added", text: "alpha: 2%", before: undefined, after: 5},
    {kind: "same", text: "promote: baked", before: 6, after: 6},
  ]);
});

function version(n: number, more: Partial<Version> = {}): Version {
  return {service: "shop", environment: "demo", version: String(n), text: "", author: "ann", reason: "", approver: "", pendingApproval: false, weakens: [], warnings: [], promise: "", etag: "", ...more} as Version;
}

test("in force is the newest that does not guard less, or that was approved", () => {
  const weak = {weakens: ["alpha"]};
  expect(inForceOf([version(3, weak), version(2), version(1)])).toBe("2");
  expect(inForceOf([version(3, {...weak, approver: "user:bob"}), version(2)])).toBe("3");
  expect(inForceOf([version(3), version(2, weak), version(1)])).toBe("3");
});

test("a version that was followed before it was approved was never in force", () => {
  expect(standing(version(3), "3").word).toBe("In force");
  expect(standing(version(4, {pendingApproval: true}), "3").word).toBe("Waits for approval");
  expect(standing(version(2), "3").word).toBe("Earlier");
});

test("policies that wait come first, and a choice takes all its words", () => {
  const all = [version(1, {service: "cart"}), version(2, {service: "shop", pendingApproval: true}), version(1, {service: "shop", environment: "staging"})];
  const names = (found: Version[]) => found.map(({service, environment}) => `${service}/${environment}`);
  expect(names(chosen(all, "", false))).toEqual(["shop/demo", "cart/demo", "shop/staging"]);
  expect(names(chosen(all, "SHOP stag", false))).toEqual(["shop/staging"]);
  expect(names(chosen(all, "", true))).toEqual(["shop/demo"]);
});

test("what a policy does is said in sentences, and what asks for a person", () => {
  const policy = {
    checks: [{name: "errors", critical: true}, {name: "cpu", critical: false}],
    strategy: {kind: "STRATEGY_KIND_CANARY", steps: [{share: 5, bake: "60s", pause: true}, {share: 100, bake: "60s", pause: false}]},
    verify: [{name: "immediate", duration: "900s", checks: []}],
    rollback: {trust: "TRUST_ASK", rules: [{when: "HEALTH_UNHEALTHY", lasting: "60s"}, {when: "HEALTH_DEGRADED", lasting: "0s", after: "600s"}]},
    risk: {warn: "", approve: "", block: "success < 50%"},
    approve: true,
    fourEyes: true,
    alpha: 0.01,
    deadline: "3600s",
    atDeadline: "AT_DEADLINE_PAGE",
  } as unknown as Policy;
  expect(inWords(policy)).toEqual([
    "A release goes up to 5 % and 100 %; at each of them it has to be good for 1 m before the next. After 5 % a person promotes it.",
    "Fully live it is watched for 15 m (immediate).",
    "The check errors can make it unhealthy alone; cpu counts towards its score.",
    "A release that is unhealthy goes back when it was for 1 m.",
    "A release that is degraded goes back as soon as it is, 10 m later unless it recovers.",
    "ADG asks a person before it rolls back.",
    "A person approves before the first step, another one than who started it.",
    "A deployment with a predicted success < 50% does not begin.",
    "After 1 h a deployment that has not ended stays as it is, and a person is called.",
  ]);
});
