import {render, screen} from "@testing-library/react";
import {expect, test} from "vitest";
import {Sparkline} from "./sparkline";

test("a line says in words what it shows", () => {
  render(<Sparkline values={[1, 3, 2]} limit={4} />);
  expect(screen.getByRole("img").getAttribute("aria-label")).toBe("3 values, now 2, between 1 and 3; limit 4");
});

test("a line without values says so", () => {
  render(<Sparkline values={[NaN]} />);
  expect(screen.getByRole("img").getAttribute("aria-label")).toBe("no values yet");
});

test("where nothing is known the line has a gap", () => {
  const {container} = render(<Sparkline values={[1, 2, NaN, 3, 4]} />);
  expect(container.querySelector("path")?.getAttribute("d")?.match(/M/g)).toHaveLength(2);
});
