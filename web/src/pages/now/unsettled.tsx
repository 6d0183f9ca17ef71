// What ended badly stands above all that runs: nothing goes on by itself there, and nobody knows what is live.
import {Text} from "@mantine/core";
import {HealthBadge, StateBadge} from "../../figures/badge";
import {Link} from "../../frame/router";
import {Time} from "../../frame/time";
import {type Row} from "../../live/deployments";
import {whyOf} from "../../live/why";
import {to} from "../../places";
import classes from "./now.module.css";

export function Unsettled({rows}: {rows: readonly Row[]}) {
  if (rows.length === 0) {
    return null;
  }
  return (
    <section role="alert" aria-label="Ended badly, and needs a human" className={classes.unsettled}>
      {rows.slice(0, most).map((row) => (
        <article key={row.id} aria-label={`${row.service} ${row.version} in ${row.environment}`}>
          <div className={classes.how}>
            <StateBadge state={row.state} />
            <HealthBadge health={row.health} score={row.score} />
            <span>
              <Link href={to.deployment(row.id)} className={classes.name}>
                {row.service}
              </Link>{" "}
              in {row.environment}: {row.fromVersion !== "" && <>{row.fromVersion} → </>}
              <strong>{row.version}</strong>, <Time at={row.endTime} />
            </span>
          </div>
          <Text size="sm" className={classes.sentence} title={whyOf(row)}>
            {whyOf(row)}
          </Text>
        </article>
      ))}
      {rows.length > most && <Text size="sm">and {rows.length - most} more</Text>}
    </section>
  );
}

// Private

const most = 5; // shown: with more of them it is one outage
