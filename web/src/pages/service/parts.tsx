// What the list of services and the page of one have in common.
import {Group, Text} from "@mantine/core";
import {Badge, HealthBadge, StateBadge} from "../../figures/badge";
import {Link} from "../../frame/router";
import {Time} from "../../frame/time";
import {to} from "../../places";
import {type There, matters} from "./view";

export function Matters({there}: {there: There}) {
  return matters(there).map(({tone, icon, word, text}) => (
    <Badge key={word} tone={tone} icon={icon} title={text}>
      {word}
    </Badge>
  ));
}

/** The newest deployment in a line. */
export function Newest({there}: {there: There}) {
  const {latest} = there;
  if (latest === undefined) {
    return (
      <Text size="sm" className="quiet">
        Nothing was deployed there yet.
      </Text>
    );
  }
  return (
    <Group gap="xs">
      <Link href={to.deployment(latest.id)}>
        <Text span size="sm" className="wrap">
          {latest.fromVersion === "" ? latest.version : `${latest.fromVersion} → ${latest.version}`}
        </Text>
      </Link>
      <StateBadge state={latest.state} />
      {latest.endTime === undefined && <HealthBadge health={latest.health} score={latest.score} />}
      <Text span size="sm" className="quiet">
        <Time at={latest.endTime ?? latest.createTime} />
      </Text>
    </Group>
  );
}
