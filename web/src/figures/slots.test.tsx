import {renderHook} from "@testing-library/react";
import {expect, test} from "vitest";
import {Slots, useSlots} from "./slots";

const rows = (from: number, to: number) => Array.from({length: to - from}, (_, i) => `row ${from + i}`);

test("a row keeps its number while it is in the list, wherever it goes", () => {
  const slots = new Slots();
  const [a, b, c] = slots.give(["a", "b", "c"]);
  expect(new Set([a, b, c]).size).toBe(3);
  expect(slots.give(["c", "new", "a"])).toEqual([c, b, a]);
});

test("no two rows of a list have the same number, however rows come and go", () => {
  const slots = new Slots();
  for (const [from, to] of [[0, 10], [5, 8], [7, 30], [7, 30], [0, 0], [20, 45], [3, 60]] as const) {
    expect(new Set(slots.give(rows(from, to))).size).toBe(to - from);
  }
});

test("a list through which rows go for hours has no more numbers than it was ever long", () => {
  const {result, rerender} = renderHook(({from}) => useSlots(rows(from, from + 50)), {initialProps: {from: 0}});
  const seen = new Set<number>();
  for (let from = 0; from < 2000; from += 3) {
    rerender({from});
    for (let i = 0; i < 50; i++) {
      seen.add(result.current(i));
    }
  }
  expect(seen.size).toBe(50);
});
