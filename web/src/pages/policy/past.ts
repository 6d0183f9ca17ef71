// What a policy would have done with past deployments, as a person reads it.
import {type Schemas} from "../../ask/api";
import {type Tone} from "../../figures/badge";
import {count, digits, percent, seconds, span} from "../../figures/words";

export type Case = Schemas["adg.v1.BacktestCase"];
export type Summary = Schemas["adg.v1.BacktestSummary"];

export interface Read {
  tone: Tone;
  word: string; // what is different, in short
  sentence: string;
  weight: number; // how much one wants to see it: the worst first
}

/** What would have been different with one deployment. */
export function read(one: Case): Read {
  if (one.wouldBe === "not simulated") {
    return {tone: "unknown", word: "not known", sentence: "Too little is on record to tell.", weight: 1};
  }
  const found = condemned.has(one.wouldBe);
  if (one.truth === "good") {
    return found
      ? {tone: "bad", word: "false alarm", sentence: `It was good, and would have been found bad${after(one.found)}.`, weight: 5}
      : {tone: "good", word: "as it was", sentence: one.wouldBe === "promoted" ? "It was good, and would have been promoted." : `It was good, and would have ended “${one.wouldBe}”.`, weight: one.wouldBe === "promoted" ? 0 : 2};
  }
  if (one.truth === "bad") {
    return found ? caught(one) : {tone: "bad", word: "missed", sentence: `It was bad, and would have ended “${one.wouldBe}”.`, weight: 6};
  }
  return {tone: "unknown", word: found ? "found bad" : "not found bad", sentence: `Nobody knows whether it was good; it would have ended “${one.wouldBe}”.`, weight: found ? 3 : 1};
}

/** The cases with what matters most first; among equals the newest. */
export function worstFirst(cases: readonly Case[]): Case[] {
  return [...cases].sort((a, b) => read(b).weight - read(a).weight || (b.beginTime ?? "").localeCompare(a.beginTime ?? ""));
}

/** The summary in sentences, the most important first. */
export function said(summary: Summary): {tone: Tone; text: string}[] {
  const all: {tone: Tone; text: string}[] = [];
  const {falseRollbacks: alarms, detections} = summary;
  if (detections !== undefined && detections.of > 0) {
    all.push({tone: detections.count < detections.of ? "bad" : "good", text: `Found ${detections.count} of ${count(detections.of, "bad release")}${range(detections)}${summary.detectMedian === undefined ? "" : `, half of them within ${span(seconds(summary.detectMedian) ?? 0)}`}${summary.wasMedian === undefined ? "" : ` (it was ${span(seconds(summary.wasMedian) ?? 0)})`}.`});
  } else {
    all.push({tone: "unknown", text: "No bad release is on record, so this does not tell whether one would be found."});
  }
  if (alarms !== undefined && alarms.of > 0) {
    all.push({tone: alarms.count > 0 ? "bad" : "good", text: `Would have rolled back ${alarms.count} of ${count(alarms.of, "good release")}${range(alarms)}.`});
  }
  if (detections !== undefined && detections.of > 0) {
    const was = summary.wasServed === undefined ? "" : `; it was ${digits(summary.wasServed)}`;
    all.push({tone: summary.wasServed !== undefined && summary.served > summary.wasServed ? "warn" : "info", text: `The bad releases would have served ${count(Math.round(summary.served), "bad request")}${was}.`});
  }
  if (summary.early > 0) {
    all.push({tone: "warn", text: `${count(summary.early, "bad release")} would have been found before anything was wrong: luck, not merit.`});
  }
  if (summary.open > 0) {
    all.push({tone: "warn", text: `${count(summary.open, "deployment")} would have been held, or would have gone on beyond what is on record.`});
  }
  if (summary.skipped > 0) {
    all.push({tone: "unknown", text: `${count(summary.skipped, "deployment")} could not be tried: too little is on record.`});
  }
  return all;
}

// Private

const condemned = new Set(["rolled back", "asked to roll back", "suggested a rollback"]);

function after(duration: string | undefined): string {
  const value = seconds(duration);
  return value === undefined ? "" : ` after ${span(value)}`;
}

function caught(one: Case): Read {
  const was = seconds(one.wasFound);
  const now = seconds(one.found);
  const base = `It was bad, and would have been found${after(one.found)}`;
  if (was === undefined || now === undefined || Math.abs(was - now) < 0.5) {
    return {tone: "good", word: "found", sentence: `${base}.`, weight: 2};
  }
  const later = now > was;
  return {tone: later ? "warn" : "good", word: later ? "found later" : "found earlier", sentence: `${base}, ${span(Math.abs(now - was))} ${later ? "later" : "earlier"} than it was.`, weight: later ? 4 : 3};
}

// The share is told with its interval where so few say little.
function range({of, low, high}: Schemas["adg.v1.BacktestRate"]): string {
  return of < 1 || high - low < 0.05 ? "" : ` (${percent(low)} to ${percent(high)} of all, as far as so few tell)`;
}
