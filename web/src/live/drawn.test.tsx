import {act, renderHook} from "@testing-library/react";
import {afterEach, beforeEach, expect, test, vi} from "vitest";
import {running} from "../test/deployment";
import {useLive} from "./deployments";

const {stream} = vi.hoisted(() => ({stream: {tell: (_: object): void => undefined}}));

vi.mock("./follow", () => ({
  follow: ({told}: {told: (message: object) => void}) => {
    stream.tell = told;
    return {tryNow: () => undefined, end: () => undefined};
  },
}));

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("fetch", () => Promise.resolve(Response.json({deployments: [], nextPageToken: ""})));
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("the first deployments are drawn as soon as all are there, a change at once, and many changes four times a second", async () => {
  let draws = 0;
  const {result} = renderHook(() => {
    draws++;
    return useLive();
  });
  const frame = 20; // ms, and a little more: a change is drawn with the next screen
  stream.tell({changed: [running({id: "a"})], gone: [], complete: false, time: ""});
  await vi.advanceTimersByTimeAsync(frame);
  expect(result.current.complete).toBe(false);
  stream.tell({changed: [running({id: "b"})], gone: [], complete: true, time: ""});
  await act(() => vi.advanceTimersByTimeAsync(0));
  expect([...result.current.rows.keys()]).toEqual(["a", "b"]);

  await act(() => vi.advanceTimersByTimeAsync(3000)); // nothing happens for a while
  stream.tell({changed: [running({id: "a", score: 50})], gone: [], complete: false, time: ""});
  await act(() => vi.advanceTimersByTimeAsync(frame));
  expect(result.current.rows.get("a")?.score).toBe(50);

  draws = 0;
  for (let i = 0; i < 100; i++) {
    stream.tell({changed: [running({id: "a", score: i})], gone: [], complete: false, time: ""});
    await act(() => vi.advanceTimersByTimeAsync(20));
  }
  expect(draws).toBeGreaterThanOrEqual(6);
  expect(draws).toBeLessThanOrEqual(9); // in two seconds
});
