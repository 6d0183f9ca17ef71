import {expect, test} from "vitest";
import {running} from "../test/deployment";
import {Courses} from "./courses";
import {type Row} from "./deployments";

function measured(value: number | undefined, time: string, check = "errors", recent: number[] = []): Row {
  const judgement = {check, verdict: "VERDICT_PASS", why: "WHY_WITHIN_LIMITS", text: "", value, unit: "", samples: 1, baselineSamples: 1, proof: "PROOF_UNSPECIFIED", final: false, weak: false, patterns: [] as never[], time} as const;
  return running({headline: {judgement, recent}});
}

test("each new measurement is one more value, the same one told again is none", () => {
  const courses = new Courses();
  courses.note(measured(1, "a"));
  courses.note(measured(2, "b"));
  courses.note(measured(2, "b"));
  expect(courses.of(running())).toEqual([1, 2]);
});

test("another check begins anew", () => {
  const courses = new Courses();
  expect(courses.note(measured(1, "a"))).toBe(false);
  expect(courses.note(measured(300, "b", "latency"))).toBe(true); // its earlier values are wanted
  expect(courses.note(measured(301, "c", "latency"))).toBe(false);
  expect(courses.of(running())).toEqual([300, 301]);
});

test("no value is a gap", () => {
  const courses = new Courses();
  courses.note(measured(1, "a"));
  courses.note(measured(undefined, "b"));
  expect(courses.of(running())).toEqual([1, NaN]);
});

test("the last 32 values are kept", () => {
  const courses = new Courses();
  for (let i = 0; i < 100; i++) {
    courses.note(measured(i, String(i)));
  }
  expect(courses.of(running())).toHaveLength(32);
  expect(courses.of(running()).at(0)).toBe(68);
});

test("what was measured before somebody looked comes in front, and of another check not at all", () => {
  const courses = new Courses();
  courses.note(measured(4, "d"));
  courses.recall(measured(4, "d", "errors", [1, 2, 3, 4]));
  expect(courses.of(running())).toEqual([1, 2, 3, 4]);
  courses.recall(measured(9, "d", "latency", [5, 6, 7, 8, 9]));
  expect(courses.of(running())).toEqual([1, 2, 3, 4]);
});

test("what is not there any more is forgotten", () => {
  const courses = new Courses();
  courses.note(measured(1, "a"));
  courses.keep(new Map());
  expect(courses.of(running())).toEqual([]);
});
