import {expect, test} from "vitest";
import {whenWords, written} from "./freezes";
import {scopeWords} from "./scope";
import {momentOf, momentText} from "./weekly";

const form = {name: "christmas", service: "", environment: "prod*", kind: "once", from: "2026-12-24T00:00", until: "", fromDay: "Fri", fromTime: "16:00", untilDay: "Mon", untilTime: "06:00", zone: "Europe/Berlin", reason: "nobody is here"};

test("a window that holds once begins by the wall's clock, and ends when somebody drops it", () => {
  expect(written(form, "Europe/Berlin")).toEqual({name: "christmas", service: "", environment: "prod*", reason: "nobody is here", fromTime: "2026-12-23T23:00:00.000Z", untilTime: undefined});
});

test("without a beginning it holds from now on", () => {
  expect(written({...form, from: ""}, "UTC", Date.UTC(2026, 0, 1))?.fromTime).toBe("2026-01-01T00:00:00.000Z");
});

test("a weekly window has no dates", () => {
  expect(written({...form, kind: "weekly"}, "UTC")).toEqual({name: "christmas", service: "", environment: "prod*", reason: "nobody is here", weekly: {from: "Fri 16:00", until: "Mon 06:00", zone: "Europe/Berlin"}});
});

test("without a name, a reason or a whole time there is no window", () => {
  expect(written({...form, name: " "}, "UTC")).toBeUndefined();
  expect(written({...form, reason: ""}, "UTC")).toBeUndefined();
  expect(written({...form, kind: "weekly", untilTime: ""}, "UTC")).toBeUndefined();
});

test("a window says when it holds", () => {
  expect(whenWords({name: "w", reason: "", weekly: {from: "Fri 16:00", until: "Mon 06:00", zone: ""}}, "UTC")).toBe("Every week from Fri 16:00 to Mon 06:00, UTC");
  expect(whenWords({name: "w", reason: "", fromTime: "2026-12-24T00:00:00Z"}, "UTC")).toBe("From 2026-12-24 00:00:00 UTC until it is dropped");
});

test("where something holds is said in words", () => {
  expect(scopeWords("", "")).toBe("all services in all environments");
  expect(scopeWords("checkout", "*")).toBe("checkout in all environments");
  expect(scopeWords("pay*", "production")).toBe("services named pay… in production");
});

test("moments of a week are read as they are written, and no others", () => {
  expect(momentOf("Fri 16:00")).toEqual({day: "Fri", time: "16:00"});
  expect(momentOf("Fri 24:00")).toBeUndefined();
  expect(momentText({day: "Funday", time: "16:00"})).toBeUndefined();
});
