// The events that the page shows: the newest of them, each once, in order.
import {type Schemas} from "../../ask/api";
import {timeOf} from "../../frame/filter";
import {to} from "../../places";

export type Event = Schemas["adg.v1.Event"];
type Fact = Schemas["adg.v1.Fact"];
export type Kind = Schemas["adg.v1.FactKind"];

export const kinds: Record<Exclude<Kind, "FACT_KIND_UNSPECIFIED">, {word: string; tone: "good" | "warn" | "bad" | "unknown" | "info"}> = {
  FACT_KIND_STARTED: {word: "Started", tone: "info"},
  FACT_KIND_GATED: {word: "Waits for a gate", tone: "warn"},
  FACT_KIND_BLOCKED: {word: "Blocked", tone: "warn"},
  FACT_KIND_PROMOTED: {word: "Promoted", tone: "info"},
  FACT_KIND_HELD: {word: "Held", tone: "warn"},
  FACT_KIND_RESUMED: {word: "Resumed", tone: "info"},
  FACT_KIND_ASKED: {word: "Approval wanted", tone: "warn"},
  FACT_KIND_SUGGESTED: {word: "Rollback suggested", tone: "warn"},
  FACT_KIND_CONDEMNED: {word: "Rollback is coming", tone: "bad"},
  FACT_KIND_REPRIEVED: {word: "Rollback called off", tone: "info"},
  FACT_KIND_ROLLBACK_STARTED: {word: "Rollback started", tone: "bad"},
  FACT_KIND_ROLLED_BACK: {word: "Rolled back", tone: "warn"},
  FACT_KIND_ROLLBACK_FAILED: {word: "Rollback failed", tone: "bad"},
  FACT_KIND_SUCCEEDED: {word: "Succeeded", tone: "good"},
  FACT_KIND_CANCELLED: {word: "Cancelled", tone: "unknown"},
  FACT_KIND_SUPERSEDED: {word: "Superseded", tone: "unknown"},
  FACT_KIND_DEADLINE: {word: "Deadline", tone: "bad"},
  FACT_KIND_BLIND: {word: "Checks say nothing", tone: "warn"},
  FACT_KIND_PAGE: {word: "A human is needed", tone: "bad"},
  FACT_KIND_WARNING: {word: "Warning", tone: "warn"},
  FACT_KIND_CHANGED: {word: "Changed", tone: "info"},
};

export function kindOf(kind: Kind): {word: string; tone: "good" | "warn" | "bad" | "unknown" | "info"} {
  return kind === "FACT_KIND_UNSPECIFIED" ? {word: "Something", tone: "unknown"} : kinds[kind];
}

const ways: Record<string, string> = {rest: "the API", grpc: "the API", cli: "the command line", dashboard: "the dashboard", webhook: "a webhook", broker: "a broker"};

/** Who did it and how he asked for it, in words; empty: ADG itself. */
export function byWhom({actor, via}: Pick<Fact, "actor" | "via">): string {
  const way = via === "" ? "" : ` through ${ways[via] ?? via}`;
  return actor === "" ? "" : `by ${actor}${way}`;
}

/** Where what happened is seen as it is now; undefined: nowhere. */
export function moreOf({deployment, action, service, environment}: Pick<Fact, "deployment" | "action" | "service" | "environment">): string | undefined {
  const area = action.split(".")[0] ?? "";
  if (deployment !== "") {
    return to.deployment(deployment);
  }
  if (area === "policy") {
    return to.policy(service, environment);
  }
  return ["hold", "release", "service"].includes(area) ? to.service(service) : parts[area] === undefined ? undefined : to.settings(parts[area]);
}

/** What an event says, in parts: what it is about stands in the middle. That is what comes before the colon of a deployment's; of
 * what else was changed its place or its name, and where none is named its first words. */
export function parted({text, deployment, service, environment, resource}: Pick<Fact, "text" | "deployment" | "service" | "environment" | "resource">): {before: string; subject: string; after: string} {
  const told = deployment === "" ? -1 : text.indexOf(": ");
  const names = [service === "" ? "" : `${service} in ${environment}`, resource.slice(resource.indexOf("/") + 1), service];
  const name = names.find((one) => one !== "" && at(text, one) >= 0);
  const from = told > 0 || name === undefined ? 0 : at(text, name);
  const to = told > 0 ? told : name === undefined ? text.split(" ", firstWords).join(" ").length : from + name.length;
  return {before: text.slice(0, from), subject: text.slice(from, to), after: text.slice(to)};
}

const firstWords = 2;

// Where a name stands in a text as words of their own; -1: nowhere.
function at(text: string, name: string): number {
  return ` ${text} `.search(new RegExp(`(?<=\\s)${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}(?=[\\s:,.])`, "u")) - 1;
}

const parts: Record<string, string> = {connection: "connections", stop: "stops", freeze: "freezes", user: "users", token: "tokens", role: "roles"};

export interface Wanted {
  deployment?: string;
  services?: string[];
  environments?: string[];
  kinds?: Kind[];
  urgent?: boolean;
}

/** What the address asks for. */
export function wantedOf(query: URLSearchParams): Wanted {
  const list = (name: string) => {
    const all = (query.get(name) ?? "").split(",").map((one) => one.trim()).filter((one) => one !== "");
    return all.length === 0 ? undefined : all;
  };
  const chosen = list("kind")?.map((kind) => `FACT_KIND_${kind.toUpperCase()}`).filter((kind): kind is Kind => kind in kinds);
  return {
    deployment: query.get("deployment") || undefined,
    services: list("service"),
    environments: list("environment"),
    kinds: chosen?.length === 0 ? undefined : chosen,
    urgent: query.get("urgent") === "yes" ? true : undefined,
  };
}

/** The cursor in the address to go on after; undefined: none. */
export function afterOf(query: URLSearchParams): string | undefined {
  const text = query.get("after") ?? "";
  return /^\d{1,19}$/.test(text) ? text : undefined;
}

/** The time in the address before which events are shown, for those who look back. */
export function untilOf(query: URLSearchParams): string | undefined {
  return timeOf(query, "to");
}

/** What a stream is asked for: a list and a stream take the same filters. */
export function streamQuery(wanted: Wanted, after: string): Record<string, string | string[] | boolean> {
  const query: Record<string, string | string[] | boolean> = {after};
  for (const [name, value] of Object.entries(wanted) as [string, string | string[] | boolean | undefined][]) {
    if (value !== undefined) {
      query[name] = value;
    }
  }
  return query;
}

/** The events of before and those that came, the newest first, each once, and no more than so many. */
export function merged(before: readonly Event[], came: readonly Event[], most: number): readonly Event[] {
  const newest = before[0] === undefined ? -1n : BigInt(before[0].cursor);
  const fresh = [...new Map(came.map((event) => [event.cursor, event])).values()].filter((event) => BigInt(event.cursor) > newest).sort((a, b) => (BigInt(a.cursor) < BigInt(b.cursor) ? 1 : -1));
  return fresh.length === 0 ? before : [...fresh, ...before].slice(0, most);
}
