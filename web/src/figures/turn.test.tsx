import {act, render, screen} from "@testing-library/react";
import {afterEach, beforeEach, expect, test, vi} from "vitest";
import {useTurn} from "./turn";

beforeEach(() => vi.useFakeTimers({toFake: ["requestAnimationFrame", "cancelAnimationFrame"]}));
afterEach(() => vi.useRealTimers());

const Slow = () => <p>{useTurn() ? "drawn" : "waits"}</p>;
const frame = () =>
  act(() => {
    vi.advanceTimersToNextFrame();
  });

test("of what takes its time one is drawn with each screen, in the order in which they came", () => {
  render(<><Slow /><Slow /><Slow /></>);
  const all = () => screen.getAllByText(/drawn|waits/).map((one) => one.textContent);
  expect(all()).toEqual(["waits", "waits", "waits"]);
  frame();
  expect(all()).toEqual(["drawn", "waits", "waits"]);
  frame();
  frame();
  expect(all()).toEqual(["drawn", "drawn", "drawn"]);
});

test("what is gone before its turn keeps nobody waiting", () => {
  const {unmount} = render(<><Slow /><Slow /></>);
  unmount();
  render(<Slow />);
  frame();
  expect(screen.getByText("drawn")).toBeTruthy();
});
