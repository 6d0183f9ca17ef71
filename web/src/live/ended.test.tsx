import {act, renderHook} from "@testing-library/react";
import {afterEach, beforeEach, expect, test, vi} from "vitest";
import {running} from "../test/deployment";
import {type Row, useLive} from "./deployments";

const {changed, stream} = vi.hoisted(() => ({changed: vi.fn(), stream: {tell: (_: object): void => undefined}}));

vi.mock("../ask/ask", () => ({changed}));
vi.mock("./follow", () => ({
  follow: ({told}: {told: (message: object) => void}) => {
    stream.tell = told;
    return {tryNow: () => undefined, end: () => undefined};
  },
}));

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("where deployments end all the time, what has ended is asked for at once and then every two seconds", async () => {
  const {result} = renderHook(() => useLive());
  const row = (i: number): Row => running({id: `d${i}`});
  stream.tell({changed: [row(0)], gone: [], complete: true});
  await act(() => vi.advanceTimersByTimeAsync(200));
  expect([...result.current.rows.keys()]).toEqual(["d0"]);
  expect(changed).not.toHaveBeenCalled();
  for (let i = 1; i <= 100; i++) {
    stream.tell({changed: [row(i)], gone: [`d${i - 1}`], complete: false});
    await act(() => vi.advanceTimersByTimeAsync(100));
    if (i === 3) {
      expect(changed).toHaveBeenCalledTimes(1);
    }
  }
  expect([...result.current.rows.keys()]).toEqual(["d100"]);
  expect(changed.mock.calls.length).toBeGreaterThanOrEqual(5);
  expect(changed.mock.calls.length).toBeLessThanOrEqual(6);
});
