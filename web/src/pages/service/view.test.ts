import {expect, test} from "vitest";
import {type Schemas} from "../../ask/api";
import {type Service, type There, figures, matters, normal, often, rangeOf, trouble, worstFirst} from "./view";

const there = (news: Partial<There>): There => ({environment: "production", holds: 0, policyVersion: "1", trust: "TRUST_AUTO", ...news});
const latest = (news: object): There["latest"] => ({state: "STATE_SUCCEEDED", health: "HEALTH_HEALTHY", paging: false, waitsForHuman: false, endTime: "2026-01-01T00:00:00Z", ...news}) as There["latest"];
const service = (name: string, ...environments: There[]): Service => ({name, environments, team: "", description: "", repository: "", etag: "v0"});

test("what calls a human stands before what is unhealthy, and that before what was rolled back", () => {
  const calm = service("a-calm", there({latest: latest({})}));
  const paging = service("paging", there({latest: latest({paging: true, endTime: undefined})}));
  const unhealthy = service("unhealthy", there({}), there({latest: latest({health: "HEALTH_UNHEALTHY", endTime: undefined})}));
  const back = service("back", there({latest: latest({state: "STATE_ROLLED_BACK"})}));
  expect(worstFirst([calm, back, unhealthy, paging]).map((one) => one.name)).toEqual(["paging", "unhealthy", "back", "a-calm"]);
});

test("what was unhealthy and has ended well is nobody's business any more", () => {
  expect(trouble(there({latest: latest({health: "HEALTH_UNHEALTHY"})}))).toBe(0);
});

test("services without trouble are in the order of their names", () => {
  expect(worstFirst([service("b"), service("a")]).map((one) => one.name)).toEqual(["a", "b"]);
});

test("a stop, a freeze and holds are said, each with why", () => {
  const all = matters(there({holds: 2, stop: {actor: "ann", reason: "database moves", etag: ""}, freeze: {name: "christmas", reason: "nobody is here"}}));
  expect(all.map((one) => one.word)).toEqual(["Stopped", "Frozen", "2 on hold"]);
  expect(all[0]!.text).toContain("ann: database moves");
  expect(matters(there({}))).toEqual([]);
});

test("figures have units, and what is not known is not zero", () => {
  const set = {deployments: 4, succeeded: 3, rolledBack: 1, blocked: 0, cancelled: 0, perDay: 0.1, changeFailureRate: 0.25, restoreMedian: "95s"};
  const told = Object.fromEntries(figures(set).map(({field, value}) => [field, value]));
  expect(told).toMatchObject({per_day: "3 in 30 days", change_failure_rate: "25 %", restore_median: "1 m 35 s", lead_median: "not known", success_rate: "not known", deployments: "4"});
});

test.each([
  [undefined, "not known"],
  [0, "none"],
  [4.22, "4.22 a day"],
  [0.5, "3.5 a week"],
])("%s a day is %s", (perDay, words) => {
  expect(often(perDay)).toBe(words);
});

test("an address with a range that is none shows 30 days", () => {
  expect(rangeOf("7").days).toBe(7);
  expect(rangeOf("12").days).toBe(30);
  expect(rangeOf(null).days).toBe(30);
});

test.each([
  [{values: [0.0529]}, "s", "52.9 ms"],
  [{values: [1, 5_862_144], total: 1200}, "bytes", "5.59 MiB, of 1,200 events"],
  [{bad: 1, total: 9, values: [0.2]}, "share", "11.1 % bad of 9 events"],
  [{total: 9, values: [0]}, "share", "0 %, of 9 events"],
  [{values: []}, "s", "no values"],
  [{error: "401", values: [3]}, "", "nothing is known: 401"],
])("of the baseline %j in %j it says %j", (some, unit, says) => {
  const baseline = {check: "c", bad: 0, total: 0, replicas: {}, error: "", ...some} as NonNullable<Schemas["adg.v1.ServiceBaseline"]["baseline"]>;
  expect(normal({environment: "production", deployment: "d1", baseline, unit})).toBe(says);
});
