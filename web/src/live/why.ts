// Why a deployment is where it is, as one row of a list says it.
import {distinct} from "../figures/words";
import {type Row} from "./deployments";

/** Of what went back it is why the release was condemned: the last word is of the one before. */
export function whyOf({state, reason, condemnedFor}: Pick<Row, "state" | "reason" | "condemnedFor">): string {
  if (state === "STATE_ROLLED_BACK" && condemnedFor !== "") {
    return condemnedFor;
  }
  const both = state === "STATE_ROLLBACK_FAILED" ? [reason, condemnedFor] : [condemnedFor, reason];
  return distinct(both.filter((text) => text !== "")).join("; ");
}
