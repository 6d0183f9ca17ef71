import {MantineProvider} from "@mantine/core";
import {fireEvent, render, screen, waitFor} from "@testing-library/react";
import {expect, test, vi} from "vitest";
import {Doing} from "./doing";

const may = {allowed: true, whyNot: ""};
const shown = (props: Partial<Parameters<typeof Doing<string>>[0]>) =>
  render(
    <MantineProvider env="test">
      <Doing name="Lift" about="the hold" does="It may be deployed again." by={may} run={() => Promise.resolve("done")} {...props} />
    </MantineProvider>,
  );
const begin = () => fireEvent.click(screen.getByRole("button", {name: /Lift/}));
const confirm = () => fireEvent.click(screen.getByRole("button", {name: "Lift"}));

test("nothing is done before there is a reason", async () => {
  const run = vi.fn(() => Promise.resolve("done"));
  shown({run});
  begin();
  await screen.findByText("It may be deployed again.");
  confirm();
  expect(run).not.toHaveBeenCalled();
  fireEvent.change(screen.getByLabelText("Why"), {target: {value: " fixed "}});
  confirm();
  await waitFor(() => expect(run).toHaveBeenCalledWith("fixed", expect.any(String)));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
});

test("what is dangerous wants a word typed exactly", async () => {
  const run = vi.fn(() => Promise.resolve("done"));
  shown({run, sure: "shop", why: "welcome"});
  begin();
  const word = await screen.findByLabelText("Type shop to confirm");
  fireEvent.change(word, {target: {value: "Shop"}});
  confirm();
  expect(run).not.toHaveBeenCalled();
  fireEvent.change(word, {target: {value: "shop"}});
  confirm();
  await waitFor(() => expect(run).toHaveBeenCalledTimes(1));
});

test("whoever may not do it cannot begin, and is told why", () => {
  shown({by: {allowed: false, whyNot: "You are no approver."}});
  begin();
  expect(screen.queryByRole("dialog")).toBeNull();
  expect(screen.getByRole("button").getAttribute("aria-disabled")).toBe("true");
  expect(screen.getByText("You are no approver.")).toBeTruthy();
});

test("a refusal is shown, and the dialog stays with what was written", async () => {
  shown({run: () => Promise.reject(new Error("the hold has changed meanwhile"))});
  begin();
  fireEvent.change(await screen.findByLabelText("Why"), {target: {value: "fixed"}});
  confirm();
  await screen.findByText("The hold has changed meanwhile.");
  expect(screen.getByLabelText<HTMLTextAreaElement>("Why").value).toBe("fixed");
});
