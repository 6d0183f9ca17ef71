// One running deployment: what it is, how it is doing, what matters most, and what comes next.
import {Progress, Text} from "@mantine/core";
import {memo} from "react";
import {Badge, HealthBadge, StateBadge} from "../../figures/badge";
import {Sparkline} from "../../figures/sparkline";
import {digits, percent, span} from "../../figures/words";
import {useSaid} from "../../frame/clock";
import {Icon} from "../../frame/icon";
import {Link} from "../../frame/router";
import {Time} from "../../frame/time";
import {courseOf, type Row} from "../../live/deployments";
import {whyOf} from "../../live/why";
import {to} from "../../places";
import {goesBack, whereWords} from "./order";
import classes from "./now.module.css";

export const DeploymentRow = memo(function DeploymentRow({row, chosen}: {row: Row; chosen: boolean}) {
  return (
    <article className={classes.row} data-health={row.health} data-back={goesBack(row) || undefined} data-chosen={chosen || undefined} aria-label={`${row.service} ${row.version} in ${row.environment}`}>
      <div className={classes.how}>
        <HealthBadge health={row.health} score={row.score} />
        <StateBadge state={row.state} />
        {row.paging && (
          <Badge tone="bad" icon="human">
            Needs a human
          </Badge>
        )}
        {!row.paging && row.waitsForHuman && (
          <Badge tone="warn" icon="human">
            Waits for a human
          </Badge>
        )}
      </div>
      <What row={row} />
      <Progressing row={row} />
      <Matters row={row} />
      <Expected row={row} />
    </article>
  );
});

// Private

function What({row}: {row: Row}) {
  const {author, actor} = row;
  return (
    <div className={classes.what}>
      <div>
        <Link href={to.deployment(row.id)} className={classes.name} data-row={row.id}>
          {row.service}
        </Link>{" "}
        <span className="quiet">in {row.environment}</span>
      </div>
      <Text size="sm" className="wrap">
        {row.fromVersion !== "" && (
          <>
            {row.fromVersion} <span aria-label="to">→</span>{" "}
          </>
        )}
        <strong>{row.version}</strong>
      </Text>
      <Text size="xs" className="quiet wrap">
        {author !== "" ? `by ${author}` : `by ${actor}`}, <Time at={row.createTime} />
        {row.team !== "" && `, ${row.team}`}
      </Text>
    </div>
  );
}

function Progressing({row}: {row: Row}) {
  return (
    <div className={classes.progress}>
      <Text size="sm">
        {whereWords(row)}, {digits(row.share)} %
      </Text>
      <Progress value={row.share} size="sm" aria-label={`share of ${row.service} ${row.version}`} />
      <Text size="xs" className="quiet">
        <Left row={row} />
      </Text>
    </div>
  );
}

function Left({row}: {row: Row}) {
  return useSaid((now) => leftWords(row, now));
}

function leftWords(row: Row, now: number): string {
  if (row.phaseEndTime === undefined) {
    return goesBack(row) ? "no end is known: it is done when the old release is verified" : "no end is known";
  }
  const left = (Date.parse(row.phaseEndTime) - now) / 1000;
  return left > 0 ? `${span(left)} left if it stays healthy` : "due now";
}

function Matters({row}: {row: Row}) {
  const judgement = row.headline?.judgement;
  if (judgement === undefined) {
    return (
      <Text size="sm" className={`${classes.matters} quiet`}>
        Nothing was measured yet.
      </Text>
    );
  }
  const bad = judgement.verdict === "VERDICT_FAIL";
  const tone = {VERDICT_FAIL: "bad", VERDICT_WARN: "warn", VERDICT_PASS: "good", VERDICT_UNKNOWN: "unknown"} as const;
  return (
    <div className={classes.matters}>
      <div className={classes.line}>
        <span className={classes.verdict} data-verdict={judgement.verdict}>
          <Icon name={tone[judgement.verdict]} size={15} />
          <span className="wrap">{judgement.check}</span>
        </span>
        <Sparkline values={courseOf(row)} limit={judgement.limit} unit={judgement.unit} bad={bad} />
      </div>
      <Text size="xs" className={classes.sentence} title={judgement.text}>
        {judgement.text}
      </Text>
    </div>
  );
}

function Expected({row}: {row: Row}) {
  return (
    <div className={classes.expected}>
      <Text size="sm">{row.predicted === undefined ? <span className="quiet">not predicted</span> : <>{percent(Math.round(row.predicted * 100) / 100)} likely to succeed</>}</Text>
      {whyOf(row) !== "" && (
        <Text size="xs" className={classes.sentence} title={whyOf(row)}>
          {whyOf(row)}
        </Text>
      )}
    </div>
  );
}
