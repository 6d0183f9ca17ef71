import {expect, test} from "vitest";
import {type Figures, type Judged} from "./asks";
import {spoken} from "./calibration";
import {compared, courseOf, direction, expected, featureWords, measures, wrongness} from "./figures";

const figures = {
  score: {rows: "9", logLoss: 0.4, auc: 0.8},
  base: {rows: "9", logLoss: 0.6, auc: 0.5},
  better: true,
  standing: "",
  calibration: [],
  course: [
    {fromTime: "2026-01-05T00:00:00Z", score: {rows: "4", logLoss: 0.3}, base: {rows: "4", logLoss: 0.5}},
    {fromTime: "2026-01-12T00:00:00Z", score: {rows: "5"}, base: {rows: "5", logLoss: 0.7}},
  ],
} as Figures;

test("the course has a gap where nothing can be said", () => {
  expect(courseOf(figures, measures["loss"]!)).toEqual({times: [Date.UTC(2026, 0, 5), Date.UTC(2026, 0, 12)], score: [0.3, null], base: [0.5, 0.7], rows: [4, 5]});
});

test("less log-loss is better, and more order is", () => {
  expect(compared(figures, measures["loss"]!)).toBe("Log-loss 0.4 against 0.6 of the base rate: better.");
  expect(compared(figures, measures["auc"]!)).toBe("Order 0.8 against 0.5 of the base rate: better.");
  expect(compared(figures, measures["brier"]!)).toBe("Too few outcomes are known for squared error.");
});

function judged(success: number, outcome: Judged["outcome"]): Judged {
  return {deployment: "d", service: "shop", environment: "production", version: "v1", outcome, why: "", correctedBy: "", etag: "", prediction: {success, low: success - 0.1, high: success + 0.05, base: 0.75, outcomes: "60", standing: "", model: "m", contributions: [], missing: [], features: {}}};
}

test("what was expected is said with its interval and the base rate", () => {
  expect(expected(judged(0.9, "OUTCOME_FAILED"))).toBe("Expected to succeed with 90 % (80 % to 95 %); of all so far 75 % did.");
});

test("a prediction was wrong where less than half was given to what came", () => {
  expect(wrongness(judged(0.97, "OUTCOME_FAILED"))).toBe("only 3 % were given to that");
  expect(wrongness(judged(0.97, "OUTCOME_SUCCEEDED"))).toBe("as expected");
  expect(wrongness(judged(0.97, "OUTCOME_UNKNOWN"))).toBe("");
});

test("the calibration names the step that is furthest off, by how many it concerns", () => {
  const steps = [
    {from: 0, to: 0.1, rows: "100", predicted: 0.05, observed: 0.1},
    {from: 0.1, to: 0.2, rows: "1", predicted: 0.15, observed: 1},
    {from: 0.9, to: 1, rows: "0", predicted: 0, observed: 0},
  ];
  expect(spoken(steps)).toBe("101 predictions. Furthest off: where 5 % were said to fail, 10 % of 100 deployments did, more often than was said.");
  expect(spoken([])).toBe("No outcome of a prediction is known yet.");
});

test("features have words, and those that are not known keep their name", () => {
  expect(featureWords("nf")).toBe("files changed");
  expect(featureWords("my_own")).toBe("my own");
  expect([direction(-0.6), direction(0.6), direction(0.01)]).toEqual(["more of it makes failure likelier", "more of it makes success likelier", "one way or the other"]);
});
