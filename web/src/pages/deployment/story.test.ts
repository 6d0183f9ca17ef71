import {expect, test} from "vitest";
import {type Schemas} from "../../ask/api";
import {at, decision, deployment, release} from "./made";
import {storyOf} from "./story";

function fact(seconds: number, id: string): Schemas["adg.v1.Fact"] {
  return {id, deployment: "shop-v3", kind: "FACT_KIND_PAGE", time: at(seconds), service: "shop", environment: "production", release: "v3", lastGood: "v2", state: "STATE_HELD", health: "HEALTH_UNKNOWN", text: "nothing is known", reasons: [], actor: "", urgent: true, via: "", action: "", resource: ""};
}

function effect(seconds: number, more: Partial<Schemas["adg.v1.Effect"]> = {}): Schemas["adg.v1.Effect"] {
  return {id: "e1", deployment: "shop-v3", rollback: false, wanted: [{release: release("v3"), share: 5, role: "ROLE_CANDIDATE"}, {release: release("v2"), share: 95, role: "ROLE_STABLE"}], beginTime: at(seconds), error: "", final: false, ...more};
}

test("a story is told in order: what was decided comes before what was done and told because of it", () => {
  const story = storyOf(deployment(), [decision(5, {kind: "DECISION_KIND_PROMOTE", from: "STATE_PENDING", share: 5})], [effect(5)], [fact(5, "f")]);
  expect(story.map(({what}) => what)).toEqual(["Asked for the deployment", "Began with 5 %", "Told the target: v3 5 %, v2 95 %", "Called a human"]);
  expect(story[0]?.who).toBe("mia");
});

test("what a person asked for has his name and his reason", () => {
  const command: Schemas["adg.v1.Command"] = {id: "c", action: "ACTION_HOLD", actor: "ada", reason: "lunch", via: "dashboard", time: at(5)};
  const [, held] = storyOf(deployment(), [decision(5, {kind: "DECISION_KIND_HOLD", to: "STATE_HELD", command})], [], []);
  expect(held).toMatchObject({who: "ada", what: "Held", why: ["Asked for by ada: hold, because: lunch."]});
});

test("a fact that stands with its decision is told once", () => {
  const told = fact(5, "f");
  expect(storyOf(deployment(), [decision(5, {facts: [told]})], [], [told]).filter((e) => e.kind === "told")).toHaveLength(1);
});

test("a reason that another one contains is not said twice", () => {
  const [, back] = storyOf(deployment(), [decision(5, {to: "STATE_ROLLING_BACK", reasons: ["unhealthy for 1s", "rolling back to v2: unhealthy for 1s", "rolling back to v2: unhealthy for 1s"]})], [], []);
  expect(back?.why).toEqual(["Rolling back to v2: unhealthy for 1s."]);
});

test("an effect that failed says why, and what was written meanwhile", () => {
  const observed: Schemas["adg.v1.Observed"] = {releases: [], done: false, failed: true, text: "", suspended: "", log: "error: no such image"};
  const story = storyOf(deployment(), [], [effect(5, {endTime: at(6), took: "1s", error: "the pipeline failed", observed})], []);
  expect(story[1]).toMatchObject({bad: true, why: ["The pipeline failed."], log: "error: no such image"});
});
