// All of it in one line: what one has to know before one reads any row.
import {count, whole} from "../../figures/words";
import {type Row} from "../../live/deployments";
import {goesBack, isBad} from "./order";

/** How many deployments run, how they are, and what ended badly; and whether somebody should look at it now. */
export function summed(rows: readonly Row[], unsettled: readonly Row[]): {text: string; bad: boolean} {
  const of = (health: Row["health"]) => rows.filter((row) => row.health === health && !goesBack(row)).length;
  const parts = [
    [rows.filter((row) => row.paging || row.waitsForHuman).length, "need a human"],
    [rows.filter(goesBack).length, "going back"],
    [of("HEALTH_UNHEALTHY"), "unhealthy"],
    [of("HEALTH_DEGRADED"), "degraded"],
    [of("HEALTH_UNKNOWN"), "unknown"],
    [of("HEALTH_HEALTHY"), "healthy"],
  ] as const;
  const told = parts.filter(([n]) => n > 0).map(([n, word]) => `${whole(n)} ${n === 1 ? word.replace("need a", "needs a") : word}`);
  const running = `${count(rows.length, "deployment")} running${told.length === 0 ? "" : `: ${told.join(", ")}`}`;
  const over = unsettled.length === 0 ? "" : `${whole(unsettled.length)} ended badly and ${unsettled.length === 1 ? "needs" : "need"} a human; `;
  return {text: over + running, bad: unsettled.length > 0 || rows.some(isBad)};
}
