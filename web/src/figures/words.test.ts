import {expect, test} from "vitest";
import {count, digits, distinct, percent, quantity, seconds, span} from "./words";

test.each([[0, "0 s"], [0.25, "250 ms"], [59.4, "59 s"], [60, "1 m"], [200, "3 m 20 s"], [3600, "1 h"], [3660, "1 h 1 m"], [3605, "1 h"], [90_000, "1 d 1 h"], [-75, "1 m 15 s"], [NaN, "?"]])("%f s is %s", (value, words) => {
  expect(span(value)).toBe(words);
});

test.each([[0, "0"], [0.0213, "0.0213"], [0.00001, "1.00e-5"], [1.234, "1.23"], [12.34, "12.3"], [12_345, "12,345"], [2e9, "2.00e9"], [Infinity, "?"]])("%f is written as %s", (value, words) => {
  expect(digits(value)).toBe(words);
});

test("a number has its unit", () => {
  expect(quantity(0.25, "s")).toBe("250 ms");
  expect(quantity(75, "s")).toBe("1 m 15 s");
  expect(quantity(0.021, "ratio")).toBe("2.1 %");
  expect(quantity(10_548_792, "bytes")).toBe("10.1 MiB");
  expect(quantity(-1200, "B")).toBe("-1.17 KiB");
  expect(quantity(0, "bytes")).toBe("0 B");
  expect(quantity(3, "errors")).toBe("3 errors");
  expect(quantity(undefined, "s")).toBe("?");
  expect(percent(0.0213)).toBe("2.13 %");
  expect(count(1, "deployment")).toBe("1 deployment");
  expect(count(1200, "reply", "replies")).toBe("1,200 replies");
});

test("a duration of the API is read", () => {
  expect(seconds("90s")).toBe(90);
  expect(seconds("0.250s")).toBe(0.25);
  expect(seconds(undefined)).toBeUndefined();
  expect(seconds("soon")).toBeUndefined();
});

test("a reason that another one says in more words is not said twice", () => {
  expect(distinct(["unhealthy: errors fails", "rolling back to v1: unhealthy: errors fails", "late"])).toEqual(["rolling back to v1: unhealthy: errors fails", "late"]);
  expect(distinct(["same", "same"])).toEqual(["same"]);
});
