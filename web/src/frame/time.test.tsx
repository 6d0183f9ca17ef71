import {MantineProvider} from "@mantine/core";
import {act, render, screen} from "@testing-library/react";
import {Profiler} from "react";
import {expect, test, vi} from "vitest";
import {serverNow, serverTime} from "./clock";
import {Time, absolute, relative} from "./time";
import {manner, zone} from "./zone";

const at = Date.parse("2026-03-04T05:06:07Z");

test("a time is said in the zone that was chosen, with the day where it is another one", () => {
  expect(absolute(at, "UTC")).toBe("2026-03-04 05:06:07 UTC");
  expect(absolute(at, "Asia/Tokyo", at)).toBe("14:06:07");
  expect(absolute(at, "UTC", at + 86_400_000)).toBe("2026-03-04 05:06:07");
  expect(absolute(at, "Mars/Olympus", at)).toMatch(/^\d\d:\d\d:\d\d$/); // it was kept by a browser that knew more
});

test("a time is said as how long ago, or how long until", () => {
  expect(relative(at - 200_000, at)).toBe("3 m 20 s ago");
  expect(relative(at + 60_000, at)).toBe("in 1 m");
  expect(relative(at + 900, at)).toBe("now");
});

test("people choose how times are shown, and the other way is in the title", () => {
  vi.useFakeTimers({now: at + 5000});
  zone.set("UTC");
  manner.set("relative");
  render(<MantineProvider><Time at="2026-03-04T05:06:07Z" /></MantineProvider>);
  const shown = screen.getByText("5 s ago");
  expect(shown.getAttribute("title")).toBe("2026-03-04 05:06:07 UTC");
  act(() => manner.set("absolute"));
  expect(shown.textContent).toBe("05:06:07");
  act(() => {
    vi.advanceTimersByTime(2000);
  });
  expect(shown.getAttribute("title")).toBe("7 s ago");
  vi.useRealTimers();
});

test("the server's clock counts, not the laptop's", () => {
  vi.useFakeTimers({now: at});
  serverTime("2026-03-04T06:06:07Z");
  expect(serverNow()).toBe(at + 3_600_000);
  serverTime("2026-03-04T05:06:07.500Z"); // that is the way that it took
  expect(serverNow()).toBe(at);
  vi.useRealTimers();
});

test("a time is drawn again when other words say it", () => {
  vi.useFakeTimers({now: at + 2 * 3_600_000});
  manner.set("relative");
  const drawn = vi.fn();
  render(<MantineProvider><Profiler id="time" onRender={drawn}><Time at={at} /></Profiler></MantineProvider>);
  const before = drawn.mock.calls.length;
  act(() => {
    vi.advanceTimersByTime(30_000);
  });
  expect(drawn.mock.calls.length).toBe(before); // it is 2 h ago
  act(() => {
    vi.advanceTimersByTime(40_000);
  });
  expect(screen.getByText("2 h 1 m ago")).toBeTruthy();
  expect(drawn.mock.calls.length).toBe(before + 1);
  vi.useRealTimers();
});
