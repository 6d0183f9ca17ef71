// What a policy does, in sentences: whoever reads them need not know the file's fields.
import {type Schemas} from "../../ask/api";
import {digits, seconds, span} from "../../figures/words";
import {type Policy} from "./asks";

/** What the policy does with a release, from its first step to the way back. */
export function inWords(policy: Policy): string[] {
  return [rollout(policy), verification(policy), checks(policy), ...rules(policy), alone(policy), ...humans(policy)].filter((sentence) => sentence !== "");
}

// Private

function lasting(duration: string | undefined): string {
  return span(seconds(duration) ?? 0);
}

function listed(all: readonly string[]): string {
  return all.length < 2 ? (all[0] ?? "") : `${all.slice(0, -1).join(", ")} and ${all.at(-1)}`;
}

function rollout({strategy}: Policy): string {
  const steps = strategy?.steps ?? [];
  const pauses = steps.filter((step) => step.pause).map((step) => `${digits(step.share)} %`);
  const bakes = new Set(steps.map((step) => lasting(step.bake)));
  const shares = listed(steps.map((step) => `${digits(step.share)} %`));
  let sentence = steps.length === 1 ? `A release becomes live at once, and has to be good for ${lasting(steps[0]?.bake)}.` : "";
  if (steps.length > 1) {
    const each = bakes.size === 1 ? `at each of them it has to be good for ${[...bakes][0]} before the next` : `there it has to be good for ${listed(steps.map((step) => lasting(step.bake)))} before the next`;
    sentence = `A release goes up to ${shares}; ${each}.`;
  }
  return pauses.length === 0 ? sentence : `${sentence} After ${listed(pauses)} a person promotes it.`;
}

function verification({verify}: Policy): string {
  return verify.length === 0 ? "Nothing is watched after the last step." : `Fully live it is watched for ${listed(verify.map((phase) => `${lasting(phase.duration)} (${phase.name})`))}.`;
}

function checks(policy: Policy): string {
  const critical = policy.checks.filter((check) => check.critical).map((check) => check.name);
  const others = policy.checks.filter((check) => !check.critical).map((check) => check.name);
  if (policy.checks.length === 0) {
    return "Nothing is measured, so nothing is known of a release.";
  }
  const alone = critical.length === 0 ? "" : `The ${critical.length === 1 ? "check" : "checks"} ${listed(critical)} can make it unhealthy alone`;
  const counted = others.length === 0 ? "" : `${listed(others)} ${others.length === 1 ? "counts" : "count"} towards its score`;
  return `${[alone, counted].filter((part) => part !== "").join("; ")}.`;
}

function rules({rollback}: Policy): string[] {
  return (rollback?.rules ?? []).map((rule) => {
    const what = rule.when === "HEALTH_UNHEALTHY" ? "unhealthy" : "degraded";
    const for_ = (seconds(rule.lasting) ?? 0) === 0 ? "as soon as it is" : `when it was for ${lasting(rule.lasting)}`;
    const after = (seconds(rule.after) ?? 0) === 0 ? "" : `, ${lasting(rule.after)} later unless it recovers`;
    return `A release that is ${what} goes back ${for_}${after}.`;
  });
}

const trusts: Record<Schemas["adg.v1.Trust"], string> = {
  TRUST_UNSPECIFIED: "",
  TRUST_OBSERVE: "ADG only records that; it never rolls back.",
  TRUST_SUGGEST: "ADG says that it should; people roll back.",
  TRUST_ASK: "ADG asks a person before it rolls back.",
  TRUST_AUTO: "ADG rolls back by itself.",
};

function alone({rollback}: Policy): string {
  return rollback === undefined ? "" : trusts[rollback.trust];
}

function humans(policy: Policy): string[] {
  const all: string[] = [];
  if (policy.approve) {
    all.push(`A person approves before the first step${policy.fourEyes ? ", another one than who started it" : ""}.`);
  }
  const {warn = "", approve = "", block = ""} = policy.risk ?? {};
  if (block !== "") {
    all.push(`A deployment with a predicted ${block} does not begin.`);
  }
  if (approve !== "") {
    all.push(`With a predicted ${approve} a person approves first.`);
  }
  if (warn !== "") {
    all.push(`With a predicted ${warn} people are warned.`);
  }
  if (policy.deadline !== undefined) {
    all.push(`After ${lasting(policy.deadline)} ${deadlines[policy.atDeadline]}.`);
  }
  return all;
}

const deadlines: Record<Schemas["adg.v1.AtDeadline"], string> = {
  AT_DEADLINE_UNSPECIFIED: "it ends",
  AT_DEADLINE_TO_LAST_GOOD: "a deployment that has not ended goes back, unless it is fully live",
  AT_DEADLINE_KEEP: "a deployment that has not ended stays as it is",
  AT_DEADLINE_PAGE: "a deployment that has not ended stays as it is, and a person is called",
};
