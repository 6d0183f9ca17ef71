import {expect, test} from "vitest";
import {whyOf} from "./why";

test.each([
  ["STATE_SUCCEEDED", "", "all is well", "all is well"],
  ["STATE_ROLLED_BACK", "errors fails", "v1 is live and verified", "errors fails"],
  ["STATE_ROLLED_BACK", "", "v1 is live and verified", "v1 is live and verified"],
  ["STATE_ROLLING_BACK", "errors fails", "rolling back to v1: errors fails", "rolling back to v1: errors fails"],
  ["STATE_ROLLING_BACK", "errors fails", "the target is on its way back", "errors fails; the target is on its way back"],
  ["STATE_ROLLBACK_FAILED", "errors fails", "no outcome within 5m", "no outcome within 5m; errors fails"],
  ["STATE_ROLLING", "", "", ""],
] as const)("%s, condemned for %j, with the reason %j, says %j", (state, condemnedFor, reason, says) => {
  expect(whyOf({state, condemnedFor, reason})).toBe(says);
});
