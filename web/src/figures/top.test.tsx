import {act, renderHook} from "@testing-library/react";
import {afterEach, expect, test, vi} from "vitest";
import {useTop} from "./top";

afterEach(() => vi.unstubAllGlobals());

test("what begins further down once something above it has grown is known to", () => {
  let resized = () => {};
  vi.stubGlobal(
    "ResizeObserver",
    class {
      constructor(tell: () => void) {
        resized = tell;
      }
      observe() {}
      disconnect() {}
    },
  );
  const box = {current: {offsetTop: 100} as HTMLElement};
  const {result} = renderHook(() => useTop(box));
  expect(result.current).toBe(100);
  box.current = {offsetTop: 340} as HTMLElement;
  act(resized);
  expect(result.current).toBe(340);
});
