import {expect, test} from "vitest";
import {alone} from "./alone";

test("a value without neighbours is alone, and those that a line connects are not", () => {
  expect(alone([null, 5, null, 1, 2, null, 7])).toEqual([1, 6]);
  expect(alone([3])).toEqual([0]);
  expect(alone([1, 2, 3])).toEqual([]);
  expect(alone([null, undefined])).toEqual([]);
});
