import {afterEach, beforeEach, expect, test, vi} from "vitest";
import {type Connection, follow} from "./follow";

type Answer = {status?: number; lines?: string[]; open?: boolean; fails?: boolean};

let answers: Answer[];
let asked: string[];

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0.5); // no jitter
  asked = [];
  vi.stubGlobal("fetch", (request: Request) => {
    asked.push(new URL(request.url).search);
    const {status = 200, lines = [], open = false, fails = false} = answers.shift() ?? {open: true};
    if (fails) {
      return Promise.reject(new TypeError("Failed to fetch"));
    }
    const body = new ReadableStream<Uint8Array>({
      start(to) {
        lines.forEach((line) => to.enqueue(new TextEncoder().encode(`${line}\n`)));
        request.signal.addEventListener("abort", () => to.error(new DOMException("aborted", "AbortError")));
        if (!open) {
          to.close();
        }
      },
    });
    return Promise.resolve(new Response(body, {status}));
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const event = (cursor: number) => JSON.stringify({result: {cursor: String(cursor)}});

function following(ends = false) {
  const told: string[] = [];
  const states: Connection["state"][] = [];
  let cursor = "0";
  const f = follow({
    path: "/v1/events:stream",
    query: () => ({after: cursor}),
    told: (message) => {
      cursor = message.cursor;
      told.push(cursor);
    },
    connection: ({state}) => states.push(state),
    ends,
  });
  return {...f, told, states};
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

test("a stream that was lost goes on after the last cursor", async () => {
  answers = [{lines: [event(1), event(2)]}, {lines: [event(3)], open: true}];
  const f = following();
  await pass(0);
  expect(f.states).toEqual(["connecting", "connected", "lost"]);
  await pass(500);
  expect(f.told).toEqual(["1", "2", "3"]);
  expect(asked).toEqual(["?after=0", "?after=2"]);
  expect(f.states.at(-1)).toBe("connected");
  f.end();
});

test("a server that does not answer is asked again, each time later, and at once when somebody says so", async () => {
  answers = Array.from({length: 3}, () => ({fails: true}));
  const f = following();
  await pass(0);
  await pass(500);
  await pass(999);
  expect(asked).toHaveLength(2);
  await pass(1);
  expect(asked).toHaveLength(3);
  f.tryNow();
  await pass(0);
  expect(asked).toHaveLength(4);
  f.end();
});

test("a stream that is silent for longer than the server ever is was cut off", async () => {
  answers = [{lines: [event(1)], open: true}, {lines: [event(2)], open: true}];
  const f = following();
  await pass(39_000);
  expect(f.states.at(-1)).toBe("connected");
  await pass(2000);
  expect(f.told).toEqual(["1", "2"]);
  f.end();
});

test("who may not see it is told, and does not try for ever", async () => {
  answers = [{status: 403}];
  const f = following();
  await pass(120_000);
  expect(f.states.at(-1)).toBe("refused");
  expect(asked).toHaveLength(1);
  f.end();
});

test("a stream that ends by itself is not opened again where that is the end", async () => {
  answers = [{lines: [event(1)]}];
  const f = following(true);
  await pass(60_000);
  expect(f.states.at(-1)).toBe("ended");
  expect(asked).toHaveLength(1);
  f.end();
});

test("what has ended asks nothing more", async () => {
  answers = [{fails: true}];
  const f = following();
  await pass(0);
  f.end();
  await pass(60_000);
  expect(asked).toHaveLength(1);
});
