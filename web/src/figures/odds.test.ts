import {expect, test} from "vitest";
import {quantity} from "./words";

test("evidence is said as odds", () => {
  expect([2.6020599913, -0.8, 0, 12].map((log) => quantity(log, "odds"))).toEqual(["400 to 1", "1 to 6.31", "1 to 1", "more than 1e9 to 1"]);
});
