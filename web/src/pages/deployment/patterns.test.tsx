import {MantineProvider} from "@mantine/core";
import {render, screen, within} from "@testing-library/react";
import {expect, test} from "vitest";
import {type Schemas} from "../../ask/api";
import {at} from "./made";
import {Patterns, told} from "./patterns";

function finding(text: string, more: Partial<Schemas["adg.v1.LogFinding"]> = {}): Schemas["adg.v1.LogFinding"] {
  return {text, level: "LOG_LEVEL_ERROR", change: "LOG_CHANGE_NEW", moments: 7, allMoments: 20, baselineMoments: 0, baselineAllMoments: 180, lines: 21, baselineLines: 0, firstTime: at(3), example: `${text} 42`, logE: 14, logLimit: 9, decides: true, ...more};
}

function shown(found: Schemas["adg.v1.LogFinding"][]) {
  return render(
    <MantineProvider>
      <Patterns check="log" version="v3" found={found} />
    </MantineProvider>,
  );
}

test("a pattern stands with the counts of both releases and a line as an example", () => {
  shown([finding("payment of <n> is lost")]);
  const list = screen.getByRole("list", {name: "Log patterns of v3 by log"});
  const [item, ...others] = within(list).getAllByRole("listitem");
  expect(others).toEqual([]);
  const one = within(item!);
  one.getByText("new, worse by it");
  one.getByText("payment of <n> is lost");
  one.getByText(/^First seen/);
  expect(one.getByText("v3").nextSibling?.textContent).toBe("21 lines, in 7 of 20 moments");
  expect(one.getByText("Baseline").nextSibling?.textContent).toBe("0 lines, in 0 of 180 moments");
  one.getByText("Error: payment of <n> is lost 42");
});

test("lines in no moment that has more of them than usual are said to be usual", () => {
  shown([finding("nearly sold out", {change: "LOG_CHANGE_GONE", decides: false, lines: 0, moments: 0, baselineLines: 18, baselineMoments: 0})]);
  screen.getByText("18 lines, no more than usual");
  screen.getByText("0 lines, in 0 of 20 moments");
});

test("what decides is bad, what is only suspected is a warning, and what is gone is neither", () => {
  expect(told(finding("x")).tone).toBe("bad");
  expect(told(finding("x", {decides: false, change: "LOG_CHANGE_MORE"}))).toEqual({tone: "warn", children: "more frequent"});
  expect(told(finding("x", {decides: false, change: "LOG_CHANGE_GONE"}))).toEqual({tone: "info", children: "gone"});
});

test("patterns that are as they were are not shown, and without others there is no list", () => {
  shown([finding("as ever", {change: "LOG_CHANGE_UNSPECIFIED", decides: false})]);
  expect(screen.queryByRole("list")).toBeNull();
});
