// What a check of logs found: patterns that are new, more frequent or gone, with the counts of both releases.
import {Group, Text} from "@mantine/core";
import {type Schemas} from "../../ask/api";
import {Badge, type Tone} from "../../figures/badge";
import {Example} from "../../figures/example";
import {count, whole} from "../../figures/words";
import {Time} from "../../frame/time";
import classes from "./deployment.module.css";

type Finding = Schemas["adg.v1.LogFinding"];

interface PatternsProps {
  check: string;
  version: string; // of the release that was judged
  found: readonly Finding[];
}

/** The patterns that differ, each with its counts and a line of it; nothing where none does. */
export function Patterns({check, version, found}: PatternsProps) {
  const differ = found.filter(({change}) => change !== "LOG_CHANGE_UNSPECIFIED");
  if (differ.length === 0) {
    return null;
  }
  return (
    <>
      <ul className={classes.patterns} aria-label={`Log patterns of ${version} by ${check}`}>
        {differ.map((one) => (
          <li key={`${one.level} ${one.text}`} data-bad={one.decides || undefined}>
            <Group gap="xs">
              <Badge {...told(one)} />
              <span className="quiet">
                First seen <Time at={one.firstTime} both />
              </span>
            </Group>
            <code className={classes.pattern}>{one.text}</code>
            <dl className={classes.arms}>
              <div>
                <dt>{version}</dt>
                <dd>{counted(one.lines, one.moments, one.allMoments)}</dd>
              </div>
              <div>
                <dt>Baseline</dt>
                <dd>{counted(one.baselineLines, one.baselineMoments, one.baselineAllMoments)}</dd>
              </div>
            </dl>
            <Example of={one} />
          </li>
        ))}
      </ul>
      <Text size="sm" className="quiet" mb="xs">
        A moment is a stretch of time of one replica; a pattern counts once in it, however often it is logged.
      </Text>
    </>
  );
}

/** How a pattern changed, and what that means: only what decides is bad. */
export function told({change, decides}: Pick<Finding, "change" | "decides">): {tone: Tone; children: string} {
  if (change === "LOG_CHANGE_GONE") {
    return {tone: "info", children: "gone"};
  }
  const how = change === "LOG_CHANGE_NEW" ? "new" : "more frequent";
  return decides ? {tone: "bad", children: `${how}, worse by it`} : {tone: "warn", children: how};
}

// Private

// What the baseline had before the deployment counts in moments that have more lines of it than was usual then.
function counted(lines: number, moments: number, all: number): string {
  return lines > 0 && moments === 0 ? `${count(lines, "line")}, no more than usual` : `${count(lines, "line")}, in ${whole(moments)} of ${count(all, "moment")}`;
}
