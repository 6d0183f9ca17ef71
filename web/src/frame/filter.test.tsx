import {MantineProvider} from "@mantine/core";
import {fireEvent, render, screen} from "@testing-library/react";
import {expect, test} from "vitest";
import {Folded} from "./filter";

test("on a phone filters are behind a button that says how many are set", () => {
  render(
    <MantineProvider>
      <Folded names={["service", "kind", "to"]} query={new URLSearchParams("service=shop,cart&kind=&to=2026-01-01&after=7")}>
        <p>the filters</p>
      </Folded>
    </MantineProvider>,
  );
  const button = screen.getByRole("button", {name: "Filters (2)"});
  const folded = () => screen.getByText("the filters").parentElement!.className.includes("visible-from-sm"); // seen on what is wider only
  expect(button.className).toContain("hidden-from-sm");
  expect([folded(), button.getAttribute("aria-expanded")]).toEqual([true, "false"]);
  fireEvent.click(button);
  expect([folded(), button.getAttribute("aria-expanded")]).toEqual([false, "true"]);
});
