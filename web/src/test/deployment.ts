import {type Row} from "../live/deployments";

/** A running deployment, as the API has it, with what a test cares about. */
export function running(some: Partial<Row> = {}): Row {
  return {
    id: "shop-1", etag: "1", service: "shop", environment: "production", team: "", version: "v2", fromVersion: "v1", actor: "user:pipeline", author: "",
    strategy: "STRATEGY_KIND_CANARY", createTime: "2026-01-02T03:04:05Z", state: "STATE_ROLLING", step: 1, steps: 4, share: 5, phase: "", health: "HEALTH_HEALTHY",
    score: 100, reason: "", condemnedFor: "", waitsForHuman: false, paging: false, rolledBack: false, ...some,
  };
}
