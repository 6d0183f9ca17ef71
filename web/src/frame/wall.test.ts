import {expect, test} from "vitest";
import {fromWall, toWall, wallTime} from "./wall";

const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString());

test("a wall in Berlin is an hour ahead of UTC in winter and two in summer", () => {
  expect(iso(fromWall("2026-01-15T14:03", "Europe/Berlin"))).toBe("2026-01-15T13:03:00.000Z");
  expect(iso(fromWall("2026-07-15T14:03", "Europe/Berlin"))).toBe("2026-07-15T12:03:00.000Z");
  expect(toWall(Date.parse("2026-07-15T12:03:00Z"), "Europe/Berlin")).toBe("2026-07-15T14:03");
});

test("a time that a clock shows twice is the first of the two", () => {
  expect(iso(fromWall("2026-10-25T02:30", "Europe/Berlin"))).toBe("2026-10-25T00:30:00.000Z");
});

test("a time that no clock shows is that of an hour later", () => {
  expect(iso(fromWall("2026-03-29T02:30", "Europe/Berlin"))).toBe("2026-03-29T01:30:00.000Z");
});

test("zones with odd hours are understood, on both sides of the date line", () => {
  expect(iso(fromWall("2026-01-01T00:15", "Asia/Kathmandu"))).toBe("2025-12-31T18:30:00.000Z");
  expect(iso(fromWall("2026-01-01T00:15", "Pacific/Kiritimati"))).toBe("2025-12-31T10:15:00.000Z");
});

test("what is no time is none", () => {
  expect(wallTime("", "UTC")).toBeUndefined();
  expect(wallTime("2026-01-15T14:03", "UTC")).toBe("2026-01-15T14:03:00.000Z");
});
