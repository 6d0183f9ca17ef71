// What something is, as a picture, a word and a colour: the colour is never the only sign.
import {type Schemas} from "../ask/api";
import {Icon, type IconName} from "../frame/icon";
import classes from "./badge.module.css";

export type Tone = "good" | "warn" | "bad" | "unknown" | "info";

export function Badge({tone, icon, children, title}: {tone: Tone; icon?: IconName; children: string; title?: string}) {
  return (
    <span className={classes.badge} data-tone={tone} title={title}>
      <Icon name={icon ?? icons[tone]} size={15} />
      {children}
    </span>
  );
}

export function HealthBadge({health, score}: {health: Schemas["adg.v1.Health"]; score?: number}) {
  const {tone, word} = healths[health];
  return <Badge tone={tone}>{score === undefined || health === "HEALTH_UNKNOWN" ? word : `${word} ${Math.round(score)}`}</Badge>;
}

export function VerdictBadge({verdict}: {verdict: Schemas["adg.v1.Verdict"]}) {
  const {tone, word} = verdicts[verdict];
  return <Badge tone={tone}>{word}</Badge>;
}

export function StateBadge({state}: {state: Schemas["adg.v1.State"]}) {
  const {tone, word, icon} = states[state];
  return (
    <Badge tone={tone} icon={icon}>
      {word}
    </Badge>
  );
}

/** A word for a state. */
export function stateWord(state: Schemas["adg.v1.State"]): string {
  return states[state].word;
}

/** Whether a deployment in the state has ended. */
export function isEnd(state: Schemas["adg.v1.State"]): boolean {
  return ends.has(state);
}

// Private

const icons: Record<Tone, IconName> = {good: "good", warn: "warn", bad: "bad", unknown: "unknown", info: "wait"};

const healths: Record<Schemas["adg.v1.Health"], {tone: Tone; word: string}> = {
  HEALTH_UNKNOWN: {tone: "unknown", word: "Unknown"},
  HEALTH_HEALTHY: {tone: "good", word: "Healthy"},
  HEALTH_DEGRADED: {tone: "warn", word: "Degraded"},
  HEALTH_UNHEALTHY: {tone: "bad", word: "Unhealthy"},
};

const verdicts: Record<Schemas["adg.v1.Verdict"], {tone: Tone; word: string}> = {
  VERDICT_UNKNOWN: {tone: "unknown", word: "Unknown"},
  VERDICT_PASS: {tone: "good", word: "Pass"},
  VERDICT_WARN: {tone: "warn", word: "Warn"},
  VERDICT_FAIL: {tone: "bad", word: "Fail"},
};

const states: Record<Schemas["adg.v1.State"], {tone: Tone; word: string; icon: IconName}> = {
  STATE_UNSPECIFIED: {tone: "unknown", word: "Unknown", icon: "unknown"},
  STATE_PENDING: {tone: "info", word: "Pending", icon: "wait"},
  STATE_GATED: {tone: "warn", word: "Gated", icon: "human"},
  STATE_ROLLING: {tone: "info", word: "Rolling", icon: "up"},
  STATE_VERIFYING: {tone: "info", word: "Verifying", icon: "search"},
  STATE_HELD: {tone: "warn", word: "Held", icon: "hold"},
  STATE_ROLLBACK_PENDING: {tone: "bad", word: "Rollback pending", icon: "wait"},
  STATE_ROLLING_BACK: {tone: "bad", word: "Rolling back", icon: "back"},
  STATE_VERIFYING_ROLLBACK: {tone: "warn", word: "Verifying rollback", icon: "search"},
  STATE_BLOCKED: {tone: "warn", word: "Blocked", icon: "stop"},
  STATE_SUCCEEDED: {tone: "good", word: "Succeeded", icon: "good"},
  STATE_ROLLED_BACK: {tone: "warn", word: "Rolled back", icon: "back"},
  STATE_ROLLBACK_FAILED: {tone: "bad", word: "Rollback failed", icon: "bad"},
  STATE_CANCELLED: {tone: "unknown", word: "Cancelled", icon: "stop"},
  STATE_SUPERSEDED: {tone: "unknown", word: "Superseded", icon: "stop"},
  STATE_UNDECIDED: {tone: "unknown", word: "Undecided", icon: "unknown"},
};

const ends = new Set<Schemas["adg.v1.State"]>(["STATE_BLOCKED", "STATE_SUCCEEDED", "STATE_ROLLED_BACK", "STATE_ROLLBACK_FAILED", "STATE_CANCELLED", "STATE_SUPERSEDED", "STATE_UNDECIDED"]);
