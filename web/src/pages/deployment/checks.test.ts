import {expect, test} from "vitest";
import {backSince, chartsOf, checksOf, marksOf, rangeOf, unitOf} from "./checks";
import {assessment, at, check, decision, deployment, judgement, t0} from "./made";

const names = {candidate: "v3", restored: "v2, brought back"};
const errors = check("errors", {compare: "COMPARISON_SEQUENTIAL", bad: "bad_total", total: "all_total"});
const latency = check("latency", {compare: "COMPARISON_SEQUENTIAL", histogram: "seconds_bucket"});
const memory = check("memory", {query: "heap"});

function view(of: ReturnType<typeof check>) {
  return {name: of.name, check: of, last: undefined, condemning: undefined};
}

test("the check that is worst comes first, of those alike the critical one", () => {
  const checks = [memory, check("cpu", {critical: true}), latency, errors];
  const watches = [judgement("memory"), judgement("cpu"), judgement("latency", {verdict: "VERDICT_UNKNOWN"}), judgement("errors", {verdict: "VERDICT_FAIL"})].map((last) => ({check: last.check, last}));
  expect(checksOf(deployment({checks, status: {checks: watches}}), [], undefined).map((v) => v.name)).toEqual(["errors", "latency", "cpu", "memory"]);
});

test("after a rollback the check that condemned the release still comes first, and says what it said then", () => {
  const course = [assessment(10, [judgement("errors", {verdict: "VERDICT_FAIL", text: "worse"}), judgement("memory")]), assessment(30, [judgement("errors"), judgement("memory")])];
  const watches = [judgement("memory"), judgement("errors")].map((last) => ({check: last.check, last}));
  const [first] = checksOf(deployment({checks: [memory, errors], status: {checks: watches}}), course, t0 + 20_000);
  expect(first).toMatchObject({name: "errors", condemning: {text: "worse"}, last: {verdict: "VERDICT_PASS"}});
});

test("what several checks say together is shown, though it is no check of the policy", () => {
  const course = [assessment(10, [judgement("memory"), judgement("combined", {verdict: "VERDICT_FAIL", text: "worse by what 2 checks say together"})])];
  const views = checksOf(deployment({checks: [memory], status: {checks: [{check: "memory", last: judgement("memory")}]}}), course, undefined);
  expect(views.map(({name, check: of, last}) => [name, of?.name, last?.verdict])).toEqual([
    ["combined", undefined, "VERDICT_FAIL"],
    ["memory", "memory", "VERDICT_PASS"],
  ]);
});

test("the interval of a ratio is drawn around the baseline in the check's own unit", () => {
  const course = [assessment(1, [judgement("errors", {value: 0.06, baseline: 0.02, low: 2, high: 5})])];
  expect(chartsOf(view(errors), course, names, undefined).values?.band).toMatchObject({low: [0.04], high: [0.1]});
});

test("a share whose upper end is not known yet may be all of it", () => {
  const course = [assessment(1, [judgement("errors", {value: 0.5, baseline: 0.02, low: 2})])];
  expect(chartsOf(view(errors), course, names, undefined).values?.band).toMatchObject({low: [0.04], high: [1]});
});

test("the interval of a shift is a distance from the baseline, and one without an end is not drawn", () => {
  const course = [assessment(1, [judgement("latency", {value: 0.5, baseline: 0.25, low: 0.125, high: 0.5})]), assessment(2, [judgement("latency", {value: 0.5, baseline: 0.25, low: 0.125})])];
  expect(chartsOf(view(latency), course, names, undefined).values?.band).toMatchObject({low: [0.375, null], high: [0.75, null]});
});

test("from the rollback on the values are those of the release that was brought back", () => {
  const course = [assessment(1, [judgement("memory", {value: 7})]), assessment(9, [judgement("memory", {value: 3})])];
  const lines = chartsOf(view(memory), course, names, t0 + 5000).values?.lines;
  expect(lines?.map(({name, values}) => [name, values])).toEqual([
    ["v3", [7, null]],
    ["v2, brought back", [null, 3]],
  ]);
});

test("a judgement that was carried over is drawn once", () => {
  const course = [assessment(1, [judgement("memory", {value: 7, time: at(1)})]), assessment(2, [judgement("memory", {value: 7, time: at(1)})])];
  expect(chartsOf(view(memory), course, names, undefined).values?.times).toEqual([t0 + 1000]);
});

test("the evidence of a sequential check is drawn against the evidence that decides", () => {
  const course = [assessment(1, [judgement("errors", {logE: Math.log(1000), logLimit: Math.log(100)})])];
  const {evidence, values} = chartsOf(view(errors), course, names, undefined);
  expect(evidence?.lines[0]?.values[0]).toBeCloseTo(3);
  expect(evidence?.limits?.[0]?.value).toBeCloseTo(2);
  expect(values).toBeUndefined();
});

test("the unit is what the server says; shares of counters are known without it", () => {
  expect(unitOf(errors)).toBe("ratio");
  expect(unitOf(memory)).toBe("");
  expect(unitOf(memory, {...judgement("memory"), unit: "bytes"} as ReturnType<typeof judgement>)).toBe("bytes");
});

test("charts have marks where something was decided, and none where it went on as before", () => {
  const decisions = [decision(1, {kind: "DECISION_KIND_PROMOTE", from: "STATE_PENDING", share: 5}), decision(2, {}), decision(3, {to: "STATE_ROLLING_BACK"})];
  expect(marksOf(deployment(), decisions)).toEqual([
    {at: t0 + 1000, text: "Began with 5 %"},
    {at: t0 + 3000, text: "The rollback began"},
  ]);
  expect(backSince(decisions)).toBe(t0 + 3000);
});

test("all charts show the same time, with the first and the last decision in it", () => {
  const course = [assessment(10, [judgement("errors")]), assessment(30, [judgement("errors")])];
  expect(rangeOf(course, [{at: t0 + 5000}, {at: t0 + 40_000}])).toEqual({from: t0 + 5000, to: t0 + 40_000});
  expect(rangeOf(course, [])).toEqual({from: t0 + 10_000, to: t0 + 30_000});
  expect(rangeOf([], [{at: t0}])).toBeUndefined();
});
