// What sources answered to a check's queries, as a person reads it.
import {type Schemas} from "../../ask/api";
import {count} from "../../figures/words";

export interface Answered {
  what: string; // which of the check's queries, and whose values
  sent: string; // the query as it was sent; empty: it is not known
  series: readonly Values[];
  more: number; // series that are not shown
  problem: string; // why there is no answer, or what the source said; empty: nothing
}

export interface Values {
  labels: string;
  values: readonly number[]; // oldest first
  last: number;
  at: string | undefined;
  growth: number | undefined; // of a counter, within the window
}

const most = 5; // series of one answer

/** The answers of one measurement, one per query. */
export function answered(m: Schemas["adg.v1.Measurement"]): Answered[] {
  const whose = arms[m.arm];
  const told = [m.error, ...m.warnings].filter((text) => text !== "").join("; ");
  const parts = ([["values", m.values, false], ["all events", m.total, true], ["bad events", m.bad, true], ["the histogram", m.slow, true]] as const).filter(([, series]) => series.length > 0);
  if (parts.length === 0) {
    return (m.sent.length === 0 ? [""] : m.sent).map((sent) => ({what: whose, sent, series: [], more: 0, problem: told === "" ? "The source answered, and nothing matches the query." : told}));
  }
  return parts.map(([name, series, counts], i) => ({
    what: parts.length === 1 && name === "values" ? whose : `${whose}, ${name}`,
    sent: m.sent[Math.min(i, m.sent.length - 1)] ?? "",
    series: series.slice(0, most).map((one) => valuesOf(one, counts)),
    more: Math.max(0, series.length - most),
    problem: told,
  }));
}

/** How many checks have which answer: "3 checks answered, 1 has no data". */
export function tally(checks: readonly Schemas["adg.v1.CheckTest"][]): {text: string; silent: string[]} {
  const silent = checks.filter(({measurements}) => measurements.every((m) => m.error !== "" || m.values.length + m.total.length + m.bad.length + m.slow.length === 0)).map(({check}) => check);
  const well = checks.length - silent.length;
  return {text: silent.length === 0 ? `${count(checks.length, "check")}: every query was answered with values.` : `${well} of ${count(checks.length, "check")} got values; ${silent.join(", ")} got none.`, silent};
}

// Private

const arms: Record<Schemas["adg.v1.Arm"], string> = {ARM_UNSPECIFIED: "Values", ARM_CANDIDATE: "The release", ARM_BASELINE: "The baseline"};

function valuesOf(series: Schemas["adg.v1.Series"], counts: boolean): Values {
  const values = series.samples.map(({value}) => value);
  const last = series.samples.at(-1);
  const first = values.find((value) => Number.isFinite(value));
  return {labels: labelsOf(series.labels), values, last: last?.value ?? NaN, at: last?.time, growth: counts && first !== undefined && last?.value !== undefined ? last.value - first : undefined};
}

function labelsOf(labels: Readonly<Record<string, string>>): string {
  const {__name__: name = "", ...rest} = labels;
  const inside = Object.entries(rest)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([label, value]) => `${label}="${value}"`)
    .join(", ");
  return inside === "" ? name || "no labels" : `${name}{${inside}}`;
}
