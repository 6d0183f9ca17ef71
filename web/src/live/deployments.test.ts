import {cleanup, renderHook} from "@testing-library/react";
import {afterEach, beforeEach, expect, test, vi} from "vitest";
import {running} from "../test/deployment";
import {type Row, courseOf, useLive} from "./deployments";

let tell: (message: object) => void;
let listed: Row[];
let lists: number;

function measured(check: string, value: number, time: string, recent: number[] = []): Row {
  return running({headline: {judgement: {check, verdict: "VERDICT_FAIL", why: "WHY_WITHIN_LIMITS", text: "", value, unit: "", samples: 1, baselineSamples: 1, proof: "PROOF_UNSPECIFIED", final: false, weak: false, patterns: [] as never[], time}, recent}});
}

beforeEach(() => {
  vi.useFakeTimers();
  lists = 0;
  vi.stubGlobal("fetch", (request: Request) => {
    if (!new URL(request.url).pathname.endsWith(":watch")) {
      lists++;
      return Promise.resolve(Response.json({deployments: listed, nextPageToken: ""}));
    }
    const body = new ReadableStream<Uint8Array>({
      start(to) {
        tell = (result) => to.enqueue(new TextEncoder().encode(`${JSON.stringify({result})}\n`));
      },
    });
    return Promise.resolve(new Response(body));
  });
});

afterEach(() => {
  cleanup();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("a check that begins to matter has its earlier values in its line", async () => {
  const {result} = renderHook(() => useLive());
  await vi.advanceTimersByTimeAsync(0);
  listed = [measured("errors", 1, "a", [0, 1])];
  tell({changed: [measured("errors", 1, "a")], gone: [], complete: true, time: "2026-01-02T03:04:05Z"});
  await vi.advanceTimersByTimeAsync(2000);
  expect(result.current.rows.size).toBe(1);
  expect(courseOf(running())).toEqual([0, 1]);

  listed = [measured("latency", 9, "b", [5, 6, 9])];
  tell({changed: [measured("latency", 9, "b")], gone: [], complete: false, time: "2026-01-02T03:04:06Z"});
  await vi.advanceTimersByTimeAsync(2000);
  expect(courseOf(running())).toEqual([5, 6, 9]);
  expect(lists).toBe(2);
});
