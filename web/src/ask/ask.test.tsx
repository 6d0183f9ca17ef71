import {MantineProvider} from "@mantine/core";
import {act, render, screen} from "@testing-library/react";
import {afterEach, beforeEach, expect, test, vi} from "vitest";
import {ApiError} from "./api";
import {ahead, changed, forget, useAsk} from "./ask";
import {useAct} from "./act";
import {State} from "./state";

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  forget();
  vi.useRealTimers();
});

function Names({ask, name = "names"}: {ask: () => Promise<string[]>; name?: string}) {
  const asked = useAsk(name, ask, {every: 10_000});
  return (
    <State of={asked} what="names" empty={(names) => names.length === 0}>
      {(names) => <p>{names.join(", ")}</p>}
    </State>
  );
}

async function shown(ask: () => Promise<string[]>, twice = false) {
  render(
    <MantineProvider>
      <Names ask={ask} />
      {twice && <Names ask={ask} />}
    </MantineProvider>,
  );
  await act(() => vi.advanceTimersByTimeAsync(0));
}

const refused = (status: number, sentence = "it is so") => new ApiError(status, "ERROR_CODE_INTERNAL", sentence, "do something else", "request-7", new Map());

test("an answer is asked for once for all who want it, and again after its time", async () => {
  const ask = vi.fn().mockResolvedValueOnce(["one"]).mockResolvedValue(["two"]);
  await shown(ask, true);
  expect(screen.getAllByText("one")).toHaveLength(2);
  expect(ask).toHaveBeenCalledTimes(1);
  await act(() => vi.advanceTimersByTimeAsync(10_000));
  expect(screen.getAllByText("two")).toHaveLength(2);
  expect(ask).toHaveBeenCalledTimes(2);
});

test("who comes a moment later gets the answer that there is, and who comes much later a new one", async () => {
  const ask = vi.fn().mockResolvedValueOnce(["one"]).mockResolvedValue(["two"]);
  await shown(ask);
  await act(() => vi.advanceTimersByTimeAsync(1900));
  await shown(ask);
  expect(ask).toHaveBeenCalledTimes(1);
  expect(screen.getAllByText("one")).toHaveLength(2);
  await act(() => vi.advanceTimersByTimeAsync(200));
  await shown(ask);
  expect(ask).toHaveBeenCalledTimes(2);
  expect(screen.getAllByText("two")).toHaveLength(3);
  await act(() => vi.advanceTimersByTimeAsync(10_000));
  expect(ask).toHaveBeenCalledTimes(3); // all of them together
});

test("while it is loading, that is said; nothing is said to be nothing", async () => {
  let answer: (names: string[]) => void = () => undefined;
  await shown(() => new Promise((resolve) => (answer = resolve)));
  expect(screen.getByRole("status").textContent).toBe("Loading names");
  await act(async () => answer([]));
  expect(screen.getByText("There are no names yet.")).toBeTruthy();
});

test("an error says what to do and which request it was, and is tried again where it may pass", async () => {
  const ask = vi.fn().mockRejectedValueOnce(refused(503, "the store does not answer")).mockResolvedValue(["there"]);
  await shown(ask);
  const alert = screen.getByRole("alert").textContent;
  expect(alert).toContain("The store does not answer.");
  expect(alert).toContain("Do something else.");
  expect(alert).toContain("request-7");
  await act(() => vi.advanceTimersByTimeAsync(2000));
  expect(screen.getByText("there")).toBeTruthy();
});

test("who may not see it is told so, and it is not asked for again", async () => {
  const ask = vi.fn().mockRejectedValue(refused(403, "an admin of everything can let you"));
  await shown(ask);
  expect(screen.getByRole("alert").textContent).toContain("You may not see names.");
  await act(() => vi.advanceTimersByTimeAsync(60_000));
  expect(ask).toHaveBeenCalledTimes(1);
});

test("an answer that cannot be had anew stays, and says from when it is", async () => {
  const ask = vi.fn().mockResolvedValueOnce(["one"]).mockRejectedValueOnce(new TypeError("Failed to fetch")).mockResolvedValue(["two"]);
  await shown(ask);
  await act(() => vi.advanceTimersByTimeAsync(10_000));
  expect(screen.getByText("one")).toBeTruthy();
  expect(screen.getByRole("status").textContent).toMatch(/This is as of \d\d:\d\d:\d\d. The server does not answer./);
  await act(() => vi.advanceTimersByTimeAsync(2000));
  expect(screen.getByText("two")).toBeTruthy();
  expect(screen.queryByRole("status")).toBeNull();
});

test("what somebody did is seen at once", async () => {
  const ask = vi.fn().mockResolvedValueOnce(["one"]).mockResolvedValue(["two"]);
  await shown(ask);
  await act(async () => changed("nam"));
  expect(screen.getByText("two")).toBeTruthy();
});

function Doing({does}: {does: (input: string, key: string) => Promise<string>}) {
  const done = useAct(does);
  return (
    <>
      <button onClick={() => void done.run("a")}>a</button>
      <button onClick={() => void done.run("b")}>b</button>
      <p>{done.busy ? "busy" : done.done ? "done" : done.error === undefined ? "idle" : "failed"}</p>
      <p>{done.field("release.last_version")}</p>
    </>
  );
}

test("a try after one that was not answered has the same idempotency key, any other a new one", async () => {
  const keys: string[] = [];
  const lost = new TypeError("Failed to fetch");
  const does = vi.fn((_: string, key: string) => {
    keys.push(key);
    return [1, 5].includes(keys.length) ? Promise.reject(lost) : keys.length === 3 ? Promise.reject(refused(409)) : Promise.resolve("");
  });
  render(<Doing does={does} />);
  for (const name of ["a", "a", "a", "a", "a", "b"]) {
    await act(async () => screen.getByText(name, {selector: "button"}).click());
  }
  const [lostOnce, again, conflict, after, lostAgain, other] = keys;
  expect(again).toBe(lostOnce);
  expect(new Set([lostOnce, conflict, after, lostAgain, other]).size).toBe(5);
});

test("what the server says about a field is found under its name, however that is written", async () => {
  const wrong = new ApiError(400, "ERROR_CODE_INVALID", "no", "", "", new Map([["release.lastVersion", "there is no such version"]]));
  render(<Doing does={() => Promise.reject(wrong)} />);
  await act(async () => screen.getByText("a").click());
  expect(screen.getByText("there is no such version")).toBeTruthy();
  expect(screen.getByText("failed")).toBeTruthy();
});

test("what was asked for ahead is there for who comes soon, who asks when he wants to know it anew", async () => {
  const [early, ask] = [vi.fn().mockResolvedValue(["one"]), vi.fn().mockResolvedValue(["two"])];
  ahead("names", early);
  await vi.advanceTimersByTimeAsync(500);
  await shown(ask);
  expect(screen.getByText("one")).toBeTruthy();
  expect(ask).not.toHaveBeenCalled();
  await act(() => vi.advanceTimersByTimeAsync(10_000));
  expect(screen.getByText("two")).toBeTruthy();
  expect(early).toHaveBeenCalledTimes(1);
});
