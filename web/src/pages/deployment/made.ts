// Things of the API that tests begin with: complete, and with nothing in them that a test does not say.
import {type Schemas} from "../../ask/api";
import {type Assessment, type Decision, type Deployment} from "./watched";

export const t0 = Date.parse("2026-03-01T03:00:00Z");

/** A time, so many seconds after the beginning. */
export function at(seconds: number): string {
  return new Date(t0 + seconds * 1000).toISOString();
}

export function judgement(check: string, more: Partial<Schemas["adg.v1.Judgement"]> = {}): Schemas["adg.v1.Judgement"] {
  return {check, verdict: "VERDICT_PASS", why: "WHY_WITHIN_LIMITS", text: "fine", unit: "", samples: 1, baselineSamples: 1, proof: "PROOF_UNSPECIFIED", final: false, weak: false, patterns: [], ...more};
}

export function assessment(seconds: number, judgements: Schemas["adg.v1.Judgement"][]): Assessment {
  return {time: at(seconds), health: "HEALTH_HEALTHY", score: 100, text: "", judgements: judgements.map((j) => ({time: at(seconds), ...j}))};
}

export function decision(seconds: number, more: Partial<Decision>): Decision {
  return {deployment: "shop-v3", seq: String(seconds), time: at(seconds), kind: "DECISION_KIND_CONTINUE", reasons: [], from: "STATE_ROLLING", to: "STATE_ROLLING", step: 0, phase: 0, share: 0, health: "HEALTH_UNKNOWN", score: 0, operation: "", facts: [], ...more};
}

export function check(name: string, more: Partial<Schemas["adg.v1.Check"]> = {}): Schemas["adg.v1.Check"] {
  return {name, source: "prom", query: "", bad: "", total: "", histogram: "", replica: "", compare: "COMPARISON_THRESHOLD", baseline: "BASELINE_KIND_CONCURRENT", aggregate: "AGGREGATE_LATEST", warn: "", fail: "", failures: 0, minSamples: 0, weight: 1, critical: false, blamePreexisting: false, ...more} as Schemas["adg.v1.Check"];
}

export function permit(action: Schemas["adg.v1.Action"], more: Partial<Schemas["adg.v1.Permit"]> = {}): Schemas["adg.v1.Permit"] {
  return {action, allowed: true, whyNot: "", consequence: "v3 stays at 5 %", dangerous: false, ...more};
}

export function release(version: string): Schemas["adg.v1.Release"] {
  return {service: "shop", version, artifact: "", config: "", commit: "", schema: "", identity: version};
}

interface Wanted {
  status?: Partial<Schemas["adg.v1.Status"]>;
  checks?: Schemas["adg.v1.Check"][];
  approve?: boolean;
  more?: Partial<Deployment>;
}

/** A deployment of shop v3 after v2, in steps of 5 and 100 % and one phase. */
export function deployment({status = {}, checks = [], approve = false, more = {}}: Wanted = {}): Deployment {
  return {
    id: "shop-v3",
    version: "1",
    etag: "e1",
    environment: "production",
    release: release("v3"),
    lastGood: release("v2"),
    policy: {
      service: "shop",
      environment: "production",
      checks,
      approve,
      strategy: {kind: "STRATEGY_KIND_CANARY", steps: [{share: 5, bake: "60s", pause: false}, {share: 100, bake: "300s", pause: true}]},
      verify: [{name: "immediate", duration: "900s", interval: "15s", checks: []}],
    } as unknown as Schemas["adg.v1.Policy"],
    policyVersion: "1",
    steered: [],
    actor: "mia",
    author: "",
    reason: "",
    labels: {},
    createTime: at(0),
    status: {
      state: "STATE_ROLLING",
      step: 0,
      phase: 0,
      share: 5,
      health: "HEALTH_HEALTHY",
      score: 100,
      resume: "STATE_UNSPECIFIED",
      heldBy: "",
      reasons: [],
      checks: [],
      permits: [],
      rollbackSteps: [],
      obstacles: [],
      rollbacks: 0,
      ...status,
    } as Schemas["adg.v1.Status"],
    ...more,
  };
}
