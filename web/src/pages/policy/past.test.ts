import {expect, test} from "vitest";
import {type Case, type Summary, read, said, worstFirst} from "./past";

function one(more: Partial<Case>): Case {
  return {deployment: "d", version: "v", truth: "good", was: "STATE_SUCCEEDED", wouldBe: "promoted", reasons: [], missing: [], notes: [], ...more};
}

test.each<[string, Partial<Case>, string, string]>([
  ["a good release that is promoted again", {}, "as it was", "good"],
  ["a good release that would have been rolled back", {wouldBe: "rolled back", found: "4s"}, "false alarm", "bad"],
  ["a bad release that would have been promoted", {truth: "bad"}, "missed", "bad"],
  ["a bad release that is found in the same time", {truth: "bad", wouldBe: "rolled back", found: "10.1s", wasFound: "10s"}, "found", "good"],
  ["a bad release that is found sooner", {truth: "bad", wouldBe: "asked to roll back", found: "4s", wasFound: "10s"}, "found earlier", "good"],
  ["a bad release that is found later", {truth: "bad", wouldBe: "suggested a rollback", found: "40s", wasFound: "10s"}, "found later", "warn"],
  ["one of which too little is on record", {wouldBe: "not simulated"}, "not known", "unknown"],
  ["one that nobody knows the truth of", {truth: "unknown", wouldBe: "held"}, "not found bad", "unknown"],
])("%s", (_, more, word, tone) => {
  expect(read(one(more))).toMatchObject({word, tone});
});

test("a release that is found at another time says by how much", () => {
  expect(read(one({truth: "bad", wouldBe: "rolled back", found: "4s", wasFound: "10s"})).sentence).toBe("It was bad, and would have been found after 4 s, 6 s earlier than it was.");
});

test("what was missed comes before false alarms, and these before what is as it was, the newest first", () => {
  const cases = [
    one({deployment: "same", beginTime: "2026-01-01T00:00:00Z"}),
    one({deployment: "alarm", wouldBe: "rolled back"}),
    one({deployment: "newer", beginTime: "2026-01-02T00:00:00Z"}),
    one({deployment: "missed", truth: "bad"}),
  ];
  expect(worstFirst(cases).map(({deployment}) => deployment)).toEqual(["missed", "alarm", "newer", "same"]);
});

const summary: Summary = {cases: 3, skipped: 0, early: 0, promoted: 2, open: 0, served: 12, falseRollbacks: {count: 0, of: 2, low: 0, high: 0.66}, detections: {count: 1, of: 1, low: 0.2, high: 1}};

test("the summary says what was found before what was not", () => {
  expect(said({...summary, detectMedian: "7s", wasMedian: "9s", wasServed: 20}).map(({text}) => text)).toEqual([
    "Found 1 of 1 bad release (20 % to 100 % of all, as far as so few tell), half of them within 7 s (it was 9 s).",
    "Would have rolled back 0 of 2 good releases (0 % to 66 % of all, as far as so few tell).",
    "The bad releases would have served 12 bad requests; it was 20.",
  ]);
});

test("without a bad release on record nothing is said of finding one", () => {
  const [first] = said({...summary, detections: {count: 0, of: 0, low: 0, high: 1}});
  expect(first).toEqual({tone: "unknown", text: "No bad release is on record, so this does not tell whether one would be found."});
});

test("a missed bad release makes the summary bad", () => {
  expect(said({...summary, detections: {count: 1, of: 2, low: 0.1, high: 0.9}})[0]?.tone).toBe("bad");
});
