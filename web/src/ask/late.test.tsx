import {MantineProvider} from "@mantine/core";
import {act, cleanup, render, screen} from "@testing-library/react";
import {expect, test, vi} from "vitest";
import {Caught} from "./caught";
import {late} from "./late";

const loaded = {default: ({name}: {name: string}) => <p>here is {name}</p>};
const Meanwhile = ({name}: {name: string}) => <p>{name} is on its way</p>;

test("what is loaded stands where something stood in for it as soon as it is there, and at once wherever else it is wanted", async () => {
  let come: (part: typeof loaded) => void = () => undefined;
  const load = vi.fn(() => new Promise<typeof loaded>((resolve) => (come = resolve)));
  const Part = late(load, Meanwhile);
  render(<Part name="it" />);
  expect(screen.getByText("it is on its way")).toBeTruthy();
  await act(async () => come(loaded));
  expect(screen.getByText("here is it")).toBeTruthy();
  render(<Part name="another" />);
  expect(screen.getByText("here is another")).toBeTruthy();
  expect(load).toHaveBeenCalledTimes(1);
});

test("what was loaded ahead is drawn at once", async () => {
  const Part = late(() => Promise.resolve(loaded), Meanwhile);
  await Part.ahead();
  render(<Part name="it" />);
  expect(screen.getByText("here is it")).toBeTruthy();
});

test("what cannot be loaded is said to be broken, and tried again when somebody comes back", async () => {
  vi.spyOn(console, "error").mockReturnValue();
  const load = vi.fn<() => Promise<typeof loaded>>().mockRejectedValueOnce(new Error("the network is gone")).mockRejectedValueOnce(new Error("still gone")).mockResolvedValue(loaded);
  const Part = late(load, Meanwhile);
  await Part.ahead(); // nobody sees that it failed
  const come = async () => {
    render(<Caught><Part name="it" /></Caught>, {wrapper: MantineProvider});
    await act(async () => undefined);
  };
  await come();
  expect(screen.getByRole("alert").textContent).toContain("still gone");
  cleanup();
  await come();
  expect(screen.getByText("here is it")).toBeTruthy();
  expect(load).toHaveBeenCalledTimes(3);
});
