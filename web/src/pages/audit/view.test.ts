import {expect, test, vi} from "vitest";
import {type Entry, filtersOf, written} from "./view";

const entry = (seq: number) => ({seq: String(seq), actor: "ann"}) as Entry;

test("what stands in the address is asked for, and nothing else", () => {
  expect(filtersOf(new URLSearchParams("actor=ann&outcome=denied&from=2026-01-01T00:00:00Z&outcome2=x"))).toEqual({
    actor: "ann",
    outcomes: ["AUDIT_OUTCOME_DENIED"],
    fromTime: "2026-01-01T00:00:00.000Z",
  });
  expect(filtersOf(new URLSearchParams("outcome=nonsense&from=yesterday"))).toEqual({});
});

test("all pages are written, an entry a line, and how far it is is told", async () => {
  const pages: Record<string, {entries: Entry[]; nextPageToken: string}> = {"": {entries: [entry(1), entry(2)], nextPageToken: "b"}, b: {entries: [entry(3)], nextPageToken: ""}};
  const progress = vi.fn();
  const all = await written((token) => Promise.resolve(pages[token]!), 10, progress);
  expect(all.lines.map((line) => (JSON.parse(line) as Entry).seq)).toEqual(["1", "2", "3"]);
  expect(all.lines.every((line) => line.endsWith("\n"))).toBe(true);
  expect(all).toMatchObject({entries: 3, cut: false});
  expect(progress.mock.calls).toEqual([[2], [3]]);
});

test("an export that would never end is cut, and says so", async () => {
  const all = await written(() => Promise.resolve({entries: [entry(1), entry(2)], nextPageToken: "again"}), 3, () => undefined);
  expect(all).toMatchObject({entries: 3, cut: true});
});

test("a page that does not come leaves no half of a file", async () => {
  await expect(written((token) => (token === "" ? Promise.resolve({entries: [entry(1)], nextPageToken: "b"}) : Promise.reject(new Error("gone"))), 10, () => undefined)).rejects.toThrow("gone");
});
