// What the pages of services show, without how.
import {type Schemas} from "../../ask/api";
import {type Tone} from "../../figures/badge";
import {count, digits, percent, quantity, seconds, span} from "../../figures/words";

export type Service = Schemas["adg.v1.Service"];
export type There = Schemas["adg.v1.ServiceEnvironment"];
type FigureSet = Schemas["adg.v1.FigureSet"];

/** How much a service in an environment needs somebody: the worst has the most. */
export function trouble({latest, stop, freeze, holds}: There): number {
  const health = latest === undefined ? "HEALTH_UNKNOWN" : latest.health;
  const running = latest !== undefined && latest.endTime === undefined;
  if (latest?.paging === true || latest?.state === "STATE_ROLLBACK_FAILED") {
    return 6;
  }
  if (latest?.waitsForHuman === true || (running && health === "HEALTH_UNHEALTHY")) {
    return 5;
  }
  if (running && health === "HEALTH_DEGRADED") {
    return 4;
  }
  if (stop !== undefined) {
    return 3;
  }
  if (latest?.state === "STATE_ROLLED_BACK") {
    return 2;
  }
  return freeze !== undefined || holds > 0 ? 1 : 0;
}

/** Services, the ones that need somebody first, then by name. */
export function worstFirst(services: readonly Service[]): Service[] {
  const worst = new Map(services.map((service) => [service, Math.max(0, ...service.environments.map(trouble))]));
  return [...services].sort((a, b) => worst.get(b)! - worst.get(a)! || a.name.localeCompare(b.name));
}

/** What is the matter with a service in an environment, and is not seen from its newest deployment. */
export function matters({stop, freeze, holds}: There): {tone: Tone; icon: "stop" | "hold"; word: string; text: string}[] {
  const all: ReturnType<typeof matters> = [];
  if (stop !== undefined) {
    all.push({tone: "bad", icon: "stop", word: "Stopped", text: `ADG does not act: stopped by ${stop.actor}: ${stop.reason}`});
  }
  if (freeze !== undefined) {
    all.push({tone: "warn", icon: "hold", word: "Frozen", text: `No deployment begins: ${freeze.name}: ${freeze.reason}`});
  }
  if (holds > 0) {
    all.push({tone: "warn", icon: "hold", word: `${holds} on hold`, text: `${count(holds, "release")} must not be deployed again until somebody lifts the hold`});
  }
  return all;
}

export const trusts: Record<Schemas["adg.v1.Trust"], string> = {
  TRUST_UNSPECIFIED: "not said",
  TRUST_OBSERVE: "only records",
  TRUST_SUGGEST: "says what it would do",
  TRUST_ASK: "acts once a human approved",
  TRUST_AUTO: "acts by itself",
};

export interface Figure {
  field: string; // as the API names its definition
  name: string;
  value: string;
}

/** The figures, DORA's four first. */
export function figures(set: FigureSet): Figure[] {
  const time = (duration: string | undefined) => {
    const known = seconds(duration);
    return known === undefined ? "not known" : span(known);
  };
  const share = (value: number | undefined) => (value === undefined ? "not known" : percent(value));
  return [
    {field: "per_day", name: "Deployment frequency", value: often(set.perDay)},
    {field: "lead_median", name: "Lead time for changes", value: time(set.leadMedian)},
    {field: "change_failure_rate", name: "Change failure rate", value: share(set.changeFailureRate)},
    {field: "restore_median", name: "Time to restore", value: time(set.restoreMedian)},
    {field: "detect_median", name: "Time to detect", value: time(set.detectMedian)},
    {field: "success_rate", name: "Success rate", value: share(set.successRate)},
    {field: "deployments", name: "Deployments that ended", value: String(set.deployments)},
    {field: "succeeded", name: "Succeeded", value: String(set.succeeded)},
    {field: "rolled_back", name: "Rolled back", value: String(set.rolledBack)},
    {field: "blocked", name: "Blocked", value: String(set.blocked)},
    {field: "cancelled", name: "Cancelled", value: String(set.cancelled)},
  ];
}

/** How often, in the unit that makes a number of it that one can imagine. */
export function often(perDay: number | undefined): string {
  if (perDay === undefined) {
    return "not known";
  }
  if (perDay === 0) {
    return "none";
  }
  if (perDay >= 1) {
    return `${digits(perDay)} a day`;
  }
  return perDay * 7 >= 1 ? `${digits(perDay * 7)} a week` : `${digits(perDay * 30)} in 30 days`;
}

/** The times that figures can be of, and into which stretches they are cut. */
export const ranges = [
  {days: 7, label: "7 days", bucket: 86_400},
  {days: 30, label: "30 days", bucket: 86_400},
  {days: 90, label: "90 days", bucket: 7 * 86_400},
  {days: 365, label: "A year", bucket: 30 * 86_400},
] as const;

export function rangeOf(text: string | null) {
  return ranges.find(({days}) => String(days) === text) ?? ranges[1];
}

/** What a check said before the newest deployment, in its unit. */
export function normal({baseline, unit}: Schemas["adg.v1.ServiceBaseline"]): string {
  if (baseline === undefined) {
    return "nothing is known";
  }
  if (baseline.error !== "") {
    return `nothing is known: ${baseline.error}`;
  }
  if (baseline.bad > 0 && baseline.total > 0) {
    return `${percent(baseline.bad / baseline.total)} bad of ${count(Math.round(baseline.total), "event")}`;
  }
  const last = baseline.values.at(-1);
  const value = last === undefined ? "no values" : quantity(last, unit);
  return baseline.total > 0 ? `${value}, of ${count(Math.round(baseline.total), "event")}` : value;
}
