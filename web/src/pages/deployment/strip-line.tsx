// The strip: where the deployment came along, where it is, what is ahead; and what was decided at each station.
import {Group, Text, Title} from "@mantine/core";
import {Badge} from "../../figures/badge";
import {distinct, span} from "../../figures/words";
import {useNow} from "../../frame/clock";
import {useQuery} from "../../frame/router";
import {Time} from "../../frame/time";
import {type Station, howWord, stationsOf} from "./strip";
import {type Decision, type Deployment} from "./watched";
import {decided, decider, sentence} from "./words";
import classes from "./deployment.module.css";

export function Strip({deployment, decisions}: {deployment: Deployment; decisions: readonly Decision[]}) {
  const [query, setQuery] = useQuery();
  const {stations, here} = stationsOf(deployment, decisions);
  const wanted = query.get("at");
  const shown = stations.find((s) => s.key === wanted) ?? stations.find((s) => s.key === here) ?? stations[0]!;
  return (
    <section className="card" aria-labelledby="strip" style={{marginTop: "0.75rem"}}>
      <Title order={2} id="strip" mb="xs">
        Steps and phases
      </Title>
      <ol className={classes.strip}>
        {stations.map((station) => (
          <li key={station.key} aria-current={station.key === here ? "step" : undefined}>
            <button type="button" className={classes.station} data-how={station.how} aria-pressed={station.key === shown.key} onClick={() => setQuery({at: station.key === here ? undefined : station.key})}>
              <b>{station.title}</b>
              <Badge tone={howWord[station.how].tone}>{howWord[station.how].word}</Badge>
              <Stay station={station} />
            </button>
          </li>
        ))}
      </ol>
      <Decided deployment={deployment} station={shown} />
    </section>
  );
}

// Private

function Stay({station: {entered, left, how}}: {station: Station}) {
  const now = useNow();
  if (entered === undefined) {
    return <span className={classes.stay}>–</span>;
  }
  const end = left ?? (how === "now" ? now : undefined);
  return <span className={classes.stay}>{end === undefined ? <Time at={entered} plain /> : span(Math.max(0, (end - entered) / 1000))}</span>;
}

function Decided({deployment, station}: {deployment: Deployment; station: Station}) {
  return (
    <div className={classes.decided}>
      <Text fw={650}>
        {station.title} <span className="quiet">({station.about})</span>
      </Text>
      {station.decisions.length === 0 && <Text className="quiet">{station.entered === undefined ? "It has not come here." : "Nothing was decided here."}</Text>}
      {station.decisions.slice(-most).map((one) => (
        <div key={one.seq}>
          <Group gap="xs">
            <Time at={one.time} both />
            <b>{decided(one, deployment.policy?.verify ?? [])}</b>
            <span className="quiet">by {decider(one)}</span>
          </Group>
          {distinct(one.reasons).map((reason) => (
            <Text key={reason} size="sm" className="wrap">
              {sentence(reason)}
            </Text>
          ))}
        </div>
      ))}
      {station.decisions.length > most && <Text size="sm">The last {most} of {station.decisions.length} are shown; the timeline has all.</Text>}
    </div>
  );
}

const most = 10; // decisions of a station
