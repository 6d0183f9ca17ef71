import {expect, test} from "vitest";
import {running} from "../../test/deployment";
import {arranged, choiceOf, filters, isBad, namesOf, whereWords} from "./order";

const all = choiceOf(new URLSearchParams());

function ids(rows: Parameters<typeof arranged>[0], query = ""): string[] {
  return arranged(rows, choiceOf(new URLSearchParams(query))).map((item) => (item.kind === "row" ? item.row.id : `[${item.name} ${item.rows}/${item.bad}]`));
}

const rows = [
  running({id: "good", team: "web", author: "Ann"}),
  running({id: "unknown", health: "HEALTH_UNKNOWN", score: 0, environment: "staging"}),
  running({id: "degraded", health: "HEALTH_DEGRADED", score: 65, service: "cart"}),
  running({id: "bad", health: "HEALTH_UNHEALTHY", score: 20, service: "cart", team: "pay"}),
  running({id: "worse", health: "HEALTH_UNHEALTHY", score: 5}),
  running({id: "back", health: "HEALTH_HEALTHY", state: "STATE_ROLLING_BACK"}),
  running({id: "waiting", waitsForHuman: true}),
  running({id: "paging", paging: true, waitsForHuman: true}),
];

test("who waits for a human comes first, then the worst health, then what is being rolled back", () => {
  expect(ids(rows)).toEqual(["paging", "waiting", "worse", "bad", "back", "degraded", "unknown", "good"]);
});

test("of those that are as bad, the newest comes first, and a score that moves a little changes nothing", () => {
  const old = running({id: "old", health: "HEALTH_UNHEALTHY", score: 23, createTime: "2026-01-01T00:00:00Z"});
  const young = running({id: "young", health: "HEALTH_UNHEALTHY", score: 27, createTime: "2026-01-02T00:00:00Z"});
  expect(ids([old, young])).toEqual(["young", "old"]);
  expect(ids([{...old, score: 27}, {...young, score: 23}])).toEqual(["young", "old"]);
});

test("the group with the worst deployment comes first, and says how many are in trouble", () => {
  expect(ids(rows, "group=team")).toEqual(["[no team 6/4]", "paging", "waiting", "worse", "back", "degraded", "unknown", "[pay 1/1]", "bad", "[web 1/0]", "good"]);
});

test("all words have to be found, in whatever the row shows", () => {
  expect(ids(rows, "q=CART+prod")).toEqual(["bad", "degraded"]);
  expect(ids(rows, "q=ann")).toEqual(["good"]);
  expect(ids(rows, "q=cart+ann")).toEqual([]);
});

test("filters of different kinds have to hold all, names of one kind any", () => {
  expect(ids(rows, "health=unhealthy,degraded&service=cart")).toEqual(["bad", "degraded"]);
  expect(ids(rows, "environment=staging")).toEqual(["unknown"]);
  expect(ids(rows, "human=yes")).toEqual(["paging", "waiting"]);
});

test("an address that says nothing, or nonsense, filters nothing", () => {
  expect(filters(all)).toBe(0);
  expect(choiceOf(new URLSearchParams("group=colour&human=maybe"))).toEqual(all);
  expect(filters(choiceOf(new URLSearchParams("q=x&team=a,b&human=yes")))).toBe(3);
});

test("names to choose from are those that there are, and those chosen already", () => {
  expect(namesOf(rows, "team", ["gone"])).toEqual(["gone", "pay", "web"]);
});

test("a deployment that is being rolled back is in trouble, however healthy it looks", () => {
  expect(rows.filter(isBad).map((row) => row.id)).toEqual(["bad", "worse", "back", "waiting", "paging"]);
});

test("what goes back is not said to be at the step that it came to", () => {
  expect(whereWords(running({step: 4}))).toBe("Step 4 of 4");
  expect(whereWords(running({step: 4, phase: "soak"}))).toBe("Phase soak");
  expect(whereWords(running({step: 4, phase: "soak", state: "STATE_ROLLING_BACK"}))).toBe("Going back to v1");
  expect(whereWords(running({step: 0}))).toBe("Not begun");
});
