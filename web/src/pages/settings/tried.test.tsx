import {MantineProvider} from "@mantine/core";
import {render, screen, within} from "@testing-library/react";
import {expect, test} from "vitest";
import {type Schemas} from "../../ask/api";
import {Tried} from "./tried";

type Trial = Schemas["adg.v1.TestConnectionResponse"];

function shown(more: Partial<Trial>) {
  const trial: Trial = {ok: true, text: "asked {app=\"shop\"}: lines of the last 5m0s: 3, replicas: 1, patterns: 1", wayOut: "", took: "0.1s", ...more};
  return render(
    <MantineProvider>
      <Tried trial={trial} />
    </MantineProvider>,
  );
}

const measured: Schemas["adg.v1.Measurement"] = {
  check: "",
  arm: "ARM_UNSPECIFIED",
  took: "0.1s",
  sent: [],
  warnings: [],
  error: "",
  values: [],
  bad: [],
  total: [],
  slow: [],
};

test("what a log says is shown as patterns, each with a line of it", () => {
  shown({
    measurement: {...measured, log: {replicas: ["a"], lines: 3, mute: 0, leftOut: 0, patterns: [{text: "order <n> is lost", level: "LOG_LEVEL_ERROR", example: "order 7 is lost", lines: 3, moments: 1}]}},
  });
  const row = within(screen.getByRole("row", {name: /order <n> is lost/}));
  row.getByText("Error: order 7 is lost");
  row.getByText("3");
});

test("where no log was asked for there is no table", () => {
  shown({measurement: measured});
  expect(screen.queryByRole("table")).toBeNull();
});
