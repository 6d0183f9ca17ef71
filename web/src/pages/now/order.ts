// Which deployments are shown, in which order, and in which groups: pure, so that it can be told by examples.
import {type Row} from "../../live/deployments";

export interface Choice {
  text: string; // all of its words stand in what the row shows
  services: readonly string[];
  environments: readonly string[];
  teams: readonly string[];
  healths: readonly string[]; // without the prefix, in lower case: unhealthy
  human: boolean; // only those that wait for one
  group: Group;
}

export type Group = "none" | "service" | "environment" | "team";

export const groups: readonly Group[] = ["none", "service", "environment", "team"];

export const healths = ["unhealthy", "degraded", "unknown", "healthy"] as const;

/** What is drawn one below the other. */
export type Item = {kind: "group"; name: string; rows: number; bad: number} | {kind: "row"; row: Row};

/** Reads a choice from an address. */
export function choiceOf(query: URLSearchParams): Choice {
  const list = (name: string) => (query.get(name) ?? "").split(",").filter((one) => one !== "");
  const group = groups.find((one) => one === query.get("group")) ?? "none";
  return {text: query.get("q") ?? "", services: list("service"), environments: list("environment"), teams: list("team"), healths: list("health"), human: query.get("human") === "yes", group};
}

/** How many filters are set. */
export function filters(c: Choice): number {
  return [c.text !== "", c.services.length > 0, c.environments.length > 0, c.teams.length > 0, c.healths.length > 0, c.human].filter(Boolean).length;
}

/** Whether a human should look at it now. */
export function isBad(row: Row): boolean {
  return row.paging || row.waitsForHuman || row.health === "HEALTH_UNHEALTHY" || goesBack(row);
}

/** Whether its release is being taken back. */
export function goesBack(row: Row): boolean {
  return condemned.has(row.state);
}

/** Where a deployment has got to. */
export function whereWords(row: Row): string {
  if (goesBack(row)) {
    return row.fromVersion === "" ? "Going back" : `Going back to ${row.fromVersion}`;
  }
  return row.phase !== "" ? `Phase ${row.phase}` : row.steps > 0 && row.step > 0 ? `Step ${row.step} of ${row.steps}` : "Not begun";
}

/** What is shown, the worst first; in groups, the group with the worst first. */
export function arranged(rows: Iterable<Row>, choice: Choice): Item[] {
  const chosen = [...rows].filter(fits(choice)).map((row) => ({row, rank: rankOf(row)}));
  chosen.sort((a, b) => a.rank - b.rank || byText(b.row.createTime ?? "", a.row.createTime ?? "") || byText(a.row.id, b.row.id));
  if (choice.group === "none") {
    return chosen.map(({row}) => ({kind: "row", row}));
  }
  const grouped = new Map<string, Row[]>();
  for (const {row} of chosen) {
    const name = row[choice.group];
    const group = grouped.get(name);
    if (group === undefined) {
      grouped.set(name, [row]);
    } else {
      group.push(row);
    }
  }
  return [...grouped].flatMap(([name, of]): Item[] => [
    {kind: "group", name: name === "" ? `no ${choice.group}` : name, rows: of.length, bad: of.filter(isBad).length},
    ...of.map((row): Item => ({kind: "row", row})),
  ]);
}

/** The names that there are to choose from, each once, and those that are chosen already. */
export function namesOf(rows: Iterable<Row>, field: "service" | "environment" | "team", chosen: readonly string[]): string[] {
  const names = new Set(chosen);
  for (const row of rows) {
    names.add(row[field]);
  }
  names.delete("");
  return [...names].sort();
}

// Private

const condemned = new Set<Row["state"]>(["STATE_ROLLBACK_PENDING", "STATE_ROLLING_BACK", "STATE_VERIFYING_ROLLBACK"]);

const healthRank: Record<Row["health"], number> = {HEALTH_UNHEALTHY: 2, HEALTH_DEGRADED: 4, HEALTH_UNKNOWN: 5, HEALTH_HEALTHY: 6};

// Those who wait for a human come first, as in the API's order. Scores change with every measurement: only steps of ten
// count, so that rows do not change places all the time.
function rankOf(row: Row): number {
  let rank = row.paging ? 0 : row.waitsForHuman ? 1 : healthRank[row.health];
  if (rank > 2 && goesBack(row)) {
    rank = 3;
  }
  return rank * 100 + (row.health === "HEALTH_UNKNOWN" ? 0 : Math.floor(row.score / 10));
}

// As the machine has it: localeCompare is twice as slow and more, and ten thousand rows are sorted whenever one changes.
function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function fits(c: Choice): (row: Row) => boolean {
  const words = c.text.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const one = (of: readonly string[], name: string) => of.length === 0 || of.includes(name);
  return (row) => {
    if (!one(c.services, row.service) || !one(c.environments, row.environment) || !one(c.teams, row.team) || !one(c.healths, row.health.slice("HEALTH_".length).toLowerCase())) {
      return false;
    }
    if (c.human && !row.waitsForHuman && !row.paging) {
      return false;
    }
    if (words.length === 0) {
      return true;
    }
    const text = [row.service, row.environment, row.team, row.version, row.fromVersion, row.author, row.actor, row.phase, row.reason, row.condemnedFor].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  };
}
