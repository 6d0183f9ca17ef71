// The checks, the worst first: what each says, and its course as charts that are zoomed together.
import {Anchor, Button, Group, Stack, Text, Title} from "@mantine/core";
import {useMemo, useState} from "react";
import {type Asked} from "../../ask/ask";
import {State} from "../../ask/state";
import {type Schemas} from "../../ask/api";
import {Badge, VerdictBadge} from "../../figures/badge";
import {Chart} from "../../figures/chart";
import {count, quantity} from "../../figures/words";
import {Link} from "../../frame/router";
import {Time} from "../../frame/time";
import {to} from "../../places";
import {type CheckView, backSince, chartsOf, checksOf, marksOf, rangeOf, unitOf} from "./checks";
import {Patterns} from "./patterns";
import {type Assessment, type Decision, type Deployment, useBaselines} from "./watched";
import {sentence} from "./words";
import classes from "./deployment.module.css";

interface ChecksProps {
  deployment: Deployment;
  course: Asked<readonly Assessment[]>;
  decisions: readonly Decision[];
  zoom: string;
}

export function Checks({deployment, course, decisions, zoom}: ChecksProps) {
  const {id} = deployment;
  const baselines = useBaselines(id);
  const frozen = new Map((baselines.data ?? []).map((one) => [one.check, one]));
  const policy = to.policy(deployment.release?.service ?? "", deployment.environment);
  const marks = useMemo(() => marksOf(deployment, decisions), [deployment, decisions]);
  return (
    <State
      of={course}
      what="checks"
      empty={() => (deployment.policy?.checks.length ?? 0) === 0}
      none={
        <Text>
          The policy has no checks, so nothing can be known of the health. <Anchor component={Link} href={policy} underline="always">Add some to the policy</Anchor>.
        </Text>
      }
    >
      {(all) => {
        const backAt = backSince(decisions);
        return (
          <Stack gap="md">
            <Marks marks={marks} />
            {checksOf(deployment, all, backAt).map((view, i) => (
              <One key={view.name} view={view} course={all} deployment={deployment} marks={marks} backAt={backAt} zoom={zoom} frozen={frozen.get(view.name)} first={i < drawn} />
            ))}
          </Stack>
        );
      }}
    </State>
  );
}

// Private

const drawn = 8; // checks whose charts are there without asking

interface OneProps {
  view: CheckView;
  course: readonly Assessment[];
  deployment: Deployment;
  marks: ReturnType<typeof marksOf>;
  backAt: number | undefined;
  zoom: string;
  frozen: Schemas["adg.v1.Baseline"] | undefined;
  first: boolean;
}

// What the numbers in the charts mean.
function Marks({marks}: {marks: ReturnType<typeof marksOf>}) {
  if (marks.length === 0) {
    return null;
  }
  return (
    <ol className={classes.marks} aria-label="Decisions marked in the charts">
      {marks.map(({at, text}, i) => (
        <li key={i} className="wrap">
          <b>{i + 1}</b> {text}{" "}
          <span className="quiet">
            (<Time at={at} plain />)
          </span>
        </li>
      ))}
    </ol>
  );
}

function One({view, course, deployment, marks, backAt, zoom, frozen, first}: OneProps) {
  const [open, setOpen] = useState<boolean>();
  const shown = open ?? first;
  const {name, check, last, condemning} = view;
  const version = deployment.release?.version ?? "the release";
  const restored = `${deployment.lastGood?.version ?? "the last good release"}, brought back`;
  return (
    <section className="card" aria-labelledby={`check-${name}`} data-check={name}>
      <Group gap="xs" mb={4}>
        <Title order={2} id={`check-${name}`} className="wrap">
          {name}
        </Title>
        <VerdictBadge verdict={last?.verdict ?? "VERDICT_UNKNOWN"} />
        {last !== undefined && proofs[last.proof] !== "" && <Badge tone="info">{proofs[last.proof]}</Badge>}
        {check === undefined && <span className="quiet">what several checks say together</span>}
        {check?.critical === true && <span className="quiet">critical</span>}
        {check !== undefined && <span className="quiet">weight {quantity(check.weight)}</span>}
      </Group>
      {backAt !== undefined && condemning !== undefined && (
        <Said title={`${version}, before the rollback`} judgement={condemning} badge />
      )}
      {backAt !== undefined && condemning !== undefined && <Patterns check={name} version={version} found={condemning.patterns} />}
      {(check !== undefined || last !== undefined) && <Said title={backAt === undefined ? "" : restored} judgement={last} />}
      {backAt === undefined && last !== undefined && <Patterns check={name} version={version} found={last.patterns} />}
      {last?.weak === true && (
        <Text size="sm" className="wrap">
          What is promised about false alarms holds for independent {whatCounts(check)}s only, which these may not be.
        </Text>
      )}
      <Before frozen={frozen} check={check} />
      {shown ? (
        <Charts view={view} course={course} names={{candidate: version, restored}} marks={marks} backAt={backAt} zoom={zoom} />
      ) : (
        <Button size="compact-sm" variant="default" mt="xs" onClick={() => setOpen(true)}>
          Show the chart of {name}
        </Button>
      )}
      {check !== undefined && (
        <Text size="sm" className="quiet wrap" mt="xs">
          {asks(check)}
        </Text>
      )}
    </section>
  );
}

function Said({title, judgement, badge = false}: {title: string; judgement: Schemas["adg.v1.Judgement"] | undefined; badge?: boolean}) {
  return (
    <Text className="wrap">
      {title !== "" && <b>{title}: </b>}
      {badge && judgement !== undefined && (
        <>
          <VerdictBadge verdict={judgement.verdict} />{" "}
        </>
      )}
      {judgement === undefined ? "It has said nothing yet." : sentence(judgement.text)}{" "}
      {judgement?.time !== undefined && (
        <span className="quiet">
          (<Time at={judgement.time} />)
        </span>
      )}
    </Text>
  );
}

// The frozen baseline, in words.
function Before({frozen, check}: {frozen: Schemas["adg.v1.Baseline"] | undefined; check: Schemas["adg.v1.Check"] | undefined}) {
  if (frozen === undefined) {
    return null;
  }
  const unit = unitOf(check);
  const [low, high] = [Math.min(...frozen.values), Math.max(...frozen.values)].map((value) => quantity(value, unit));
  const range = frozen.values.length === 0 ? "no values" : low === high ? low : `${low} to ${high}`;
  const counted = frozen.total > 0 ? count(frozen.total, whatCounts(check)) : "";
  const known = check?.compare === "COMPARISON_LOGS" ? counted : counted === "" ? range : `${range} (${counted})`;
  return (
    <Text size="sm" className="wrap">
      <b>Before the deployment:</b> {frozen.error !== "" ? sentence(`nothing is known: ${frozen.error}`) : `${known}.`}
    </Text>
  );
}

function Charts({view, course, names, marks, backAt, zoom}: Omit<OneProps, "frozen" | "first" | "deployment"> & {names: {candidate: string; restored: string}}) {
  const {candidate, restored} = names;
  const {values, evidence} = useMemo(() => chartsOf(view, course, {candidate, restored}, backAt), [view, course, candidate, restored, backAt]);
  const range = useMemo(() => rangeOf(course, marks), [course, marks]);
  if (values === undefined && evidence === undefined) {
    return (
      <Text className="quiet" mt="xs">
        There are no values to draw yet.
      </Text>
    );
  }
  return (
    <Stack gap="sm" mt="sm">
      {values !== undefined && <Chart title={view.name} {...values} marks={marks} range={range} zoom={zoom} height={200} />}
      {evidence !== undefined && <Chart title={`Evidence that ${candidate} is worse, by ${view.name}`} {...evidence} marks={marks} range={range} zoom={zoom} height={130} />}
    </Stack>
  );
}

const proofs: Record<Schemas["adg.v1.Proof"], string> = {PROOF_UNSPECIFIED: "", PROOF_BAKED: "a fault would have been seen", PROOF_PROVEN: "shown to be not worse"};

/** What a check counts. */
function whatCounts(check: Schemas["adg.v1.Check"] | undefined): string {
  return check?.compare === "COMPARISON_LOGS" ? "line" : "request";
}

function asks({source, query, bad, total, histogram, warn, fail}: Schemas["adg.v1.Check"]): string {
  const what = query !== "" ? query : histogram !== "" ? histogram : `${bad} of ${total}`;
  const limits = [warn === "" ? "" : `warns ${warn}`, fail === "" ? "" : `fails ${fail}`].filter((text) => text !== "").join(", ");
  return `${source === "" ? "Asks" : `Asks ${source}`}: ${what}${limits === "" ? "" : `; ${limits}`}`;
}
