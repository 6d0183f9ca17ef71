// What the figures of predictions say, for people.
import {digits, percent} from "../../figures/words";
import {type Figures, type Judged, type Outcome} from "./asks";

export interface Measure {
  name: string;
  field: "logLoss" | "brier" | "auc" | "ece";
  unit: string;
  says: string;
  more: boolean; // whether more is better
}

/** How predictions are measured, by the word that stands in the address. */
export const measures: Readonly<Record<string, Measure>> = {
  loss: {name: "Log-loss", field: "logLoss", unit: "nats", says: "How surprising the outcomes were: less is better. A sure prediction that is wrong costs most.", more: false},
  brier: {name: "Squared error", field: "brier", unit: "", says: "Mean squared distance of prediction and outcome (Brier): less is better.", more: false},
  auc: {name: "Order", field: "auc", unit: "", says: "Chance that a deployment that failed was thought riskier than one that did not (AUC): 0.5 is guessing, 1 is perfect.", more: true},
};

/** The course of a measure: of the predictions, and of the base rate on the same deployments. */
export function courseOf(figures: Figures, measure: Measure): {times: number[]; score: (number | null)[]; base: (number | null)[]; rows: number[]} {
  const known = figures.course.filter(({fromTime}) => fromTime !== undefined);
  const {field} = measure;
  return {
    times: known.map(({fromTime}) => Date.parse(fromTime ?? "")),
    score: known.map(({score}) => score?.[field] ?? null),
    base: known.map(({base}) => base?.[field] ?? null),
    rows: known.map(({score}) => Number(score?.rows ?? 0)),
  };
}

/** How the predictions compare with the base rate, as a sentence. */
export function compared(figures: Figures, measure: Measure): string {
  const score = figures.score?.[measure.field];
  const base = figures.base?.[measure.field];
  if (score === undefined || base === undefined) {
    return `Too few outcomes are known for ${measure.name.toLowerCase()}.`;
  }
  const better = measure.more ? score > base : score < base;
  const same = Math.abs(score - base) < 1e-9;
  return `${measure.name} ${digits(score)} against ${digits(base)} of the base rate: ${same ? "the same" : better ? "better" : "worse"}.`;
}

/** What was expected of a deployment, as a sentence. */
export function expected(one: Judged): string {
  const {prediction} = one;
  if (prediction === undefined) {
    return "Nothing was expected of it.";
  }
  return `Expected to succeed with ${percent(prediction.success)} (${percent(prediction.low)} to ${percent(prediction.high)}); of all so far ${percent(prediction.base)} did.`;
}

/** How wrong a prediction was, in words. */
export function wrongness(one: Judged): string {
  const {prediction, outcome} = one;
  if (prediction === undefined || outcome === "OUTCOME_UNKNOWN") {
    return "";
  }
  const said = outcome === "OUTCOME_FAILED" ? 1 - prediction.success : prediction.success;
  return said >= 0.5 ? "as expected" : `only ${percent(said)} were given to that`;
}

export const outcomes: Readonly<Record<Outcome, {word: string; tone: "good" | "bad" | "unknown"}>> = {
  OUTCOME_UNKNOWN: {word: "Not known", tone: "unknown"},
  OUTCOME_SUCCEEDED: {word: "Succeeded", tone: "good"},
  OUTCOME_FAILED: {word: "Failed", tone: "bad"},
};

/** Features whose names do not say what they are. */
export function featureWords(name: string): string {
  return features[name] ?? name.replaceAll("_", " ");
}

/** Which way a feature works, in words. */
export function direction(value: number): string {
  if (Math.abs(value) < 0.1) {
    return "one way or the other";
  }
  return value < 0 ? "more of it makes failure likelier" : "more of it makes success likelier";
}

// Private

const features: Readonly<Record<string, string>> = {
  ns: "subsystems changed",
  nd: "folders changed",
  nf: "files changed",
  entropy: "how spread the change is",
  la: "lines added",
  ld: "lines deleted",
  lt: "lines in the files before",
  fix: "share of fixes among the commits",
  ndev: "authors of the files before",
  age: "days since the files were changed",
  nuc: "commits that changed the files last",
  exp: "experience of the authors",
  rexp: "recent experience of the authors",
  sexp: "experience in these subsystems",
  min_exp: "experience of the least experienced author",
  npriorchanges: "earlier changes of the files",
  hour: "hour of the day (UTC)",
  dow: "day of the week",
  auto: "begun by a pipeline",
  deploy_no: "number of the deployment",
  deps_changed: "dependencies changed",
  deps_major: "dependencies in another major version",
  h_since_last_deploy: "hours since the last deployment",
  h_deploys_24h: "deployments within a day",
  h_sub_fail: "share of the service's deployments that failed",
  h_reverts_7d: "failures within seven days",
  under_way: "other deployments under way",
  actor_deploys: "deployments by the same person",
  actor_fail: "failures of the same person",
  file_fail: "failures with the same files",
  author_fail: "failures with the same authors",
};
