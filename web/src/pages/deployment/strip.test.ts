import {expect, test} from "vitest";
import {decision, deployment, t0} from "./made";
import {stationsOf} from "./strip";

const begun = decision(1, {kind: "DECISION_KIND_PROMOTE", from: "STATE_PENDING", to: "STATE_ROLLING", share: 5});
const further = decision(70, {kind: "DECISION_KIND_PROMOTE", to: "STATE_ROLLING", step: 1, share: 100});

function hows(...of: Parameters<typeof stationsOf>): Record<string, string> {
  return Object.fromEntries(stationsOf(...of).stations.map((s) => [s.key, s.how]));
}

test("before the first decision a deployment is at its start, and all is ahead", () => {
  expect(hows(deployment({status: {state: "STATE_PENDING"}}), [])).toEqual({start: "now", "step-1": "ahead", "step-2": "ahead", "phase-1": "ahead", end: "ahead"});
});

test("steps that were left are done, and it is said when each was entered and left", () => {
  const {stations, here} = stationsOf(deployment({status: {step: 1}}), [begun, further]);
  expect(here).toBe("step-2");
  expect(stations.map((s) => s.how)).toEqual(["done", "done", "now", "ahead", "ahead"]);
  expect(stations[1]).toMatchObject({title: "5 %", entered: t0 + 1000, left: t0 + 70_000});
});

test("a deployment that is held is where it was held, and the hold is told there", () => {
  const held = decision(30, {kind: "DECISION_KIND_HOLD", to: "STATE_HELD"});
  const {stations, here} = stationsOf(deployment({status: {state: "STATE_HELD", resume: "STATE_ROLLING"}}), [begun, held]);
  expect(here).toBe("step-1");
  expect(stations[1]?.decisions.map((d) => d.to)).toEqual(["STATE_ROLLING", "STATE_HELD"]);
});

test("a release that is condemned turned bad at its last step, and what was ahead is not reached", () => {
  const back = decision(40, {kind: "DECISION_KIND_ROLL_BACK", to: "STATE_ROLLING_BACK"});
  expect(hows(deployment({status: {state: "STATE_ROLLING_BACK", rollbacks: 1}}), [begun, back])).toEqual({start: "done", "step-1": "bad", "step-2": "never", "phase-1": "never", back: "now", end: "ahead"});
});

test("when the rollback is verified the strip ends with that word", () => {
  const back = decision(40, {kind: "DECISION_KIND_ROLL_BACK", to: "STATE_ROLLING_BACK"});
  const ended = decision(60, {from: "STATE_VERIFYING_ROLLBACK", to: "STATE_ROLLED_BACK"});
  const {stations} = stationsOf(deployment({status: {state: "STATE_ROLLED_BACK", rollbacks: 1}}), [begun, back, ended]);
  expect(stations.at(-1)).toMatchObject({title: "Rolled back", how: "done", entered: t0 + 60_000});
  expect(stations.find((s) => s.key === "back")?.how).toBe("done");
});

test("a deployment that was cancelled before its first step reached no step", () => {
  const ended = decision(5, {from: "STATE_GATED", to: "STATE_CANCELLED"});
  expect(hows(deployment({status: {state: "STATE_CANCELLED"}}), [ended])).toEqual({start: "done", "step-1": "never", "step-2": "never", "phase-1": "never", end: "done"});
});

test("a rollback that failed is bad at the rollback and at its end", () => {
  const back = decision(40, {kind: "DECISION_KIND_ROLL_BACK", to: "STATE_ROLLING_BACK"});
  const ended = decision(60, {from: "STATE_VERIFYING_ROLLBACK", to: "STATE_ROLLBACK_FAILED"});
  const {stations} = stationsOf(deployment({status: {state: "STATE_ROLLBACK_FAILED", rollbacks: 1}}), [begun, back, ended]);
  expect(stations.at(-1)).toMatchObject({title: "Rollback failed", how: "bad"});
  expect(stations.find((s) => s.key === "back")?.how).toBe("bad");
});

test("while it goes back no success is promised", () => {
  const back = decision(40, {kind: "DECISION_KIND_ROLL_BACK", to: "STATE_ROLLING_BACK"});
  const {stations} = stationsOf(deployment({status: {state: "STATE_ROLLING_BACK", rollbacks: 1}}), [begun, back]);
  expect(stations.at(-1)).toMatchObject({title: "Rolled back", about: "v2 is live and verified", how: "ahead"});
});
