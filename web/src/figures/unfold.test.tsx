import {fireEvent, render, screen} from "@testing-library/react";
import {expect, test} from "vitest";
import {Unfold} from "./unfold";

test("what is folded away is drawn when it is wanted", () => {
  const {container} = render(<Unfold word="More"><p>the rest</p></Unfold>);
  expect(screen.queryByText("the rest")).toBeNull();
  const details = container.querySelector("details")!;
  details.open = true;
  fireEvent(details, new Event("toggle"));
  expect(screen.getByText("the rest")).toBeTruthy();
  details.open = false;
  fireEvent(details, new Event("toggle"));
  expect(screen.queryByText("the rest")).toBeNull();
});
