import {describe, expect, test} from "vitest";
import {type Schema, meaning, offers} from "./complete";
import {spotAt} from "./yaml";

const schema: Schema = {
  properties: {
    service: {type: "string"},
    target: {enum: ["shop-router", "shop-cluster"], type: "string"},
    checks: {
      type: "array",
      items: {
        type: "object",
        required: ["name", "source"],
        properties: {
          name: {type: "string", description: "Name of the check."},
          source: {enum: ["metrics"], type: "string"},
          critical: {type: "boolean", default: false},
          window: {type: "string", default: "1m"},
          sequential: {type: "object", properties: {detect: {type: "number", default: 3}, season: {type: "boolean"}}},
        },
      },
    },
    strategy: {description: "How a release becomes live.", anyOf: [{enum: ["canary", "recreate"]}, {type: "object", properties: {canary: {type: "object", properties: {bake: {type: "string"}}}}}]},
    variables: {type: "object", additionalProperties: {type: "string", description: "A variable."}},
  },
};

/** What is offered where | stands. */
function at(text: string): string[] {
  const position = text.indexOf("|");
  const spot = spotAt(text.replace("|", ""), position);
  return spot === undefined ? ["nothing"] : offers(schema, spot).map(({label}) => label);
}

describe("what is offered", () => {
  test.each<[string, string, string[]]>([
    ["an empty text has all fields", "|", ["checks", "service", "strategy", "target", "variables"]],
    ["fields that are there are not offered again, before and after", "service: shop\n|\ntarget: a\n", ["checks", "strategy", "variables"]],
    ["a value of few is one of them", "target: |", ["shop-router", "shop-cluster"]],
    ["of a value that is begun, too", "target: shop-|", ["shop-router", "shop-cluster"]],
    ["fields of an item, the necessary ones first", "checks:\n  - |", ["name", "source", "critical", "sequential", "window"]],
    ["fields of an item that has some", "checks:\n  - name: errors\n    |", ["source", "critical", "sequential", "window"]],
    ["an item that is not indented", "checks:\n- name: errors\n  s|", ["source", "critical", "sequential", "window"]],
    ["the second item has its own fields", "checks:\n  - name: a\n    source: metrics\n  - name: b\n    |", ["source", "critical", "sequential", "window"]],
    ["fields that come after in the item are there", "checks:\n  - name: a\n    |\n    window: 1m\n  - name: b\n    critical: true\n", ["source", "critical", "sequential"]],
    ["whether", "checks:\n  - critical: |", ["true", "false"]],
    ["within brackets", "checks:\n  - {name: a, |", ["source", "critical", "sequential", "window"]],
    ["a value within brackets", "checks:\n  - {name: a, source: |", ["metrics"]],
    ["brackets within brackets", "checks: [{name: a, sequential: {det|", ["detect", "season"]],
    ["behind brackets that were closed", "checks:\n  - {name: a, sequential: {detect: 3}, |", ["source", "critical", "window"]],
    ["brackets over several lines", "checks:\n  - {name: a,\n     |", ["source", "critical", "sequential", "window"]],
    ["what is deeper", "checks:\n  - name: a\n    sequential:\n      |", ["detect", "season"]],
    ["back at the first indentation", "checks:\n  - name: a\n    source: metrics\n|", ["service", "strategy", "target", "variables"]],
    ["a choice of a word or fields: the words", "strategy: |", ["canary", "recreate"]],
    ["a choice of a word or fields: the fields", "strategy:\n  |", ["canary"]],
    ["nothing in a comment", "target: # |", ["nothing"]],
    ["nothing in a quoted text", 'checks:\n  - {name: "a, |', ["nothing"]],
    ["nothing in a folded text", "checks:\n  - name: >\n      some |\n", ["nothing"]],
    ["a colon within a query is none of ours", 'checks:\n  - name: "sum:rate"\n    |', ["source", "critical", "sequential", "window"]],
  ])("%s", (_, text, want) => {
    expect(at(text)).toEqual(want);
  });

  test("a list begins on a line of its own, a word on the same", () => {
    const spot = spotAt("", 0)!;
    const texts = Object.fromEntries(offers(schema, spot).map(({label, text}) => [label, text]));
    expect(texts["checks"]).toBe("checks:\n  - ");
    expect(texts["variables"]).toBe("variables:\n  ");
    expect(texts["target"]).toBe("target: ");
    expect(texts["strategy"]).toBe("strategy: ");
  });

  test("what is usual is said", () => {
    const text = "checks:\n  - window: ";
    expect(offers(schema, spotAt(text, text.length)!)).toEqual([{label: "1m", detail: "usual", info: "", text: "1m"}]);
  });
});

test("the meaning of a field is that of the schema", () => {
  expect(meaning(schema, ["checks", 3, "name"])).toBe("Name of the check.");
  expect(meaning(schema, ["strategy"])).toBe("How a release becomes live.");
  expect(meaning(schema, ["variables", "anything"])).toBe("A variable.");
  expect(meaning(schema, ["nothing"])).toBe("");
});
