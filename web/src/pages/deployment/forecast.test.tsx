import {MantineProvider} from "@mantine/core";
import {render, screen} from "@testing-library/react";
import {expect, test} from "vitest";
import {type Schemas} from "../../ask/api";
import {Forecast, bar} from "./forecast";
import {at, deployment} from "./made";

const prediction: Schemas["adg.v1.Prediction"] = {
  time: at(0), success: 0.71, low: 0.6, high: 0.8, base: 0.9, outcomes: "412", standing: "better than the base rate", model: "m1",
  contributions: [{feature: "files", points: -12.5, text: "14 files in 5 directories, usual is 2"}, {feature: "tests", points: 2.5, text: "all tests were changed, too"}],
  missing: ["commit"], features: {files: 14},
};

function shown(d: ReturnType<typeof deployment>) {
  render(
    <MantineProvider>
      <Forecast deployment={d} />
    </MantineProvider>,
  );
}

test("a prediction says how likely success is, beside the usual, and what makes the difference", () => {
  shown(deployment({more: {prediction, steered: ["the bake is twice as long"]}}));
  screen.getByRole("heading", {name: "71 % likely to succeed"});
  screen.getByText(/one would say 90 %, as 412 outcomes/);
  const row = screen.getByRole("row", {name: /14 files in 5 directories/});
  expect(row.textContent).toContain("−12.5 pp");
  screen.getByText("The bake is twice as long.");
});

test("where nobody predicted, the page says so", () => {
  shown(deployment());
  screen.getByText(/Nobody predicted/);
});

test("the largest contribution fills its half, what is riskier goes to the left", () => {
  expect(prediction.contributions.map((c) => bar(c.points, prediction.contributions))).toEqual([{width: 50, side: "left"}, {width: 10, side: "right"}]);
});
