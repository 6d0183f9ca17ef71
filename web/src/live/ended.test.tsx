import {act, renderHook} from "@testing-library/react";
import {afterEach, beforeEach, expect, test, vi} from "vitest";
import {running} from "../test/deployment";
import {type Row, courseOf, useLive} from "./deployments";

const {changed, stream} = vi.hoisted(() => ({changed: vi.fn(), stream: {tell: (_: object): void => undefined}}));

vi.mock("../ask/ask", () => ({changed}));
vi.mock("./follow", () => ({
  follow: ({told}: {told: (message: object) => void}) => {
    stream.tell = told;
    return {tryNow: () => undefined, end: () => undefined};
  },
}));

const judgement = {check: "errors", verdict: "VERDICT_PASS", why: "WHY_WITHIN_LIMITS", text: "", value: 4, unit: "", samples: 1, baselineSamples: 1, proof: "PROOF_UNSPECIFIED", final: false, weak: false, patterns: [] as never[], time: "2026-01-02T03:04:05Z"} as const;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("fetch", () => Promise.resolve(Response.json({deployments: [running({id: "d0", headline: {judgement, recent: [1, 2, 3, 4]}})], nextPageToken: ""})));
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("a line begins with what was measured before; where deployments end all the time, what has ended is asked for at once and then every two seconds", async () => {
  const {result} = renderHook(() => useLive());
  const row = (i: number): Row => running({id: `d${i}`, headline: {judgement, recent: [4]}});
  const told = row(0);
  stream.tell({changed: [told], gone: [], complete: true});
  await act(() => vi.advanceTimersByTimeAsync(200));
  expect([...result.current.rows.keys()]).toEqual(["d0"]);
  // What was measured before somebody looked is drawn although nothing has changed: another row, with the whole line.
  expect(result.current.rows.get("d0")).not.toBe(told);
  expect(courseOf(told)).toEqual([1, 2, 3, 4]);
  expect(changed).not.toHaveBeenCalled();
  for (let i = 1; i <= 100; i++) {
    stream.tell({changed: [row(i)], gone: [`d${i - 1}`], complete: false});
    await act(() => vi.advanceTimersByTimeAsync(100));
    if (i === 3) {
      expect(changed).toHaveBeenCalledTimes(1);
    }
  }
  await act(() => vi.advanceTimersByTimeAsync(300)); // what comes often is drawn four times a second
  expect([...result.current.rows.keys()]).toEqual(["d100"]);
  expect(changed.mock.calls.length).toBeGreaterThanOrEqual(5);
  expect(changed.mock.calls.length).toBeLessThanOrEqual(6);
});
