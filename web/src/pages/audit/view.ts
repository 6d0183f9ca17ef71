// What the page of the audit log shows, and how it is written to a file.
import {type Schemas} from "../../ask/api";
import {timeOf} from "../../frame/filter";

export type Entry = Schemas["adg.v1.AuditEntry"];
type Outcome = Schemas["adg.v1.AuditOutcome"];

export interface Filters {
  actor?: string;
  action?: string;
  resource?: string;
  service?: string;
  environment?: string;
  outcomes?: Outcome[];
  fromTime?: string;
  toTime?: string;
}

export const outcomes = [
  {value: "", label: "All"},
  {value: "done", label: "Done"},
  {value: "denied", label: "Refused"},
  {value: "failed", label: "Failed"},
] as const;

/** What the address asks for. */
export function filtersOf(query: URLSearchParams): Filters {
  const text = (name: string) => query.get(name) || undefined;
  const outcome = outcomes.find(({value}) => value !== "" && value === query.get("outcome"));
  return {
    actor: text("actor"),
    action: text("action"),
    resource: text("resource"),
    service: text("service"),
    environment: text("environment"),
    outcomes: outcome === undefined ? undefined : [`AUDIT_OUTCOME_${outcome.value.toUpperCase()}` as Outcome],
    fromTime: timeOf(query, "from"),
    toTime: timeOf(query, "to"),
  };
}

export interface Written {
  lines: string[]; // each an entry as JSON, with its line break
  entries: number;
  cut: boolean; // there are more than were to be written
}

/** All entries as lines of JSON, page by page. Each says after which entry it comes, so a copy can be checked like the
 * log itself. */
export async function written(page: (token: string) => Promise<{entries: readonly Entry[]; nextPageToken: string}>, most: number, progress: (entries: number) => void): Promise<Written> {
  const lines: string[] = [];
  let token = "";
  do {
    const got = await page(token);
    for (const entry of got.entries.slice(0, most - lines.length)) {
      lines.push(`${JSON.stringify(entry)}\n`);
    }
    progress(lines.length);
    token = got.nextPageToken;
    if (lines.length >= most) {
      return {lines, entries: lines.length, cut: token !== ""};
    }
  } while (token !== "");
  return {lines, entries: lines.length, cut: false};
}
