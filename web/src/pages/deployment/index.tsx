// One deployment: how it stands, what comes next, which button does what; and below, why.
import {Tabs, Title} from "@mantine/core";
import {useEffect, useRef} from "react";
import {State} from "../../ask/state";
import {isNotFound} from "../../ask/api";
import {useParams, useQuery} from "../../frame/router";
import {chartsAhead} from "../../figures/chart";
import {useZoom} from "../../figures/zoom";
import {About} from "./about";
import {Protocol, WayBack} from "./back";
import {Checks} from "./checks-tab";
import {Forecast} from "./forecast";
import {Head} from "./head";
import {Missing} from "./missing";
import {Story} from "./story-tab";
import {Strip} from "./strip-line";
import {type Deployment, type Watched, hasEnded, useAhead, useCourse, useDecisions, useWatched} from "./watched";

chartsAhead();

export default function Page() {
  const {id = ""} = useParams();
  return <One key={id} id={id} />;
}

// Private

const tabs = ["checks", "story", "back", "forecast", "about"] as const;
const tabWord: Record<(typeof tabs)[number], string> = {checks: "Checks", story: "Timeline", back: "Way back", forecast: "Prediction", about: "About it"};

function One({id}: {id: string}) {
  useAhead(id);
  const watched = useWatched(id);
  const {asked} = watched;
  return (
    <>
      {asked.data === undefined && (
        <Title order={1} mb="md">
          Deployment
        </Title>
      )}
      {asked.data === undefined && isNotFound(asked.error) ? <Missing id={id} /> : <State of={asked} what="this deployment">{(data) => <Shown deployment={data} seen={watched.seen} />}</State>}
    </>
  );
}

function Shown({deployment, seen}: {deployment: Deployment; seen: Watched["seen"]}) {
  const {id} = deployment;
  const ended = hasEnded(deployment);
  const zoom = `deployment/${id}`;
  useZoomInAddress(zoom);
  const [span] = useZoom(zoom);
  const decisions = useDecisions(id);
  const course = useCourse(id, ended, seen, span);
  const [query, setQuery] = useQuery();
  const tab = tabs.find((one) => one === query.get("tab")) ?? "checks";
  return (
    <>
      <Head deployment={deployment} />
      <Protocol deployment={deployment} decisions={decisions.data ?? []} />
      <State of={decisions} what="what was decided">
        {(list) => <Strip deployment={deployment} decisions={list} />}
      </State>
      <Tabs value={tab} onChange={(value) => setQuery({tab: value === "checks" ? undefined : (value ?? undefined)})} keepMounted={false} mt="md">
        <Tabs.List mb="md">
          {tabs.map((one) => (
            <Tabs.Tab key={one} value={one}>
              {tabWord[one]}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="checks">
          <Checks deployment={deployment} course={course} decisions={decisions.data ?? []} zoom={zoom} />
        </Tabs.Panel>
        <Tabs.Panel value="story">
          <Story deployment={deployment} decisions={decisions} />
        </Tabs.Panel>
        <Tabs.Panel value="back">
          <WayBack deployment={deployment} />
        </Tabs.Panel>
        <Tabs.Panel value="forecast">
          <Forecast deployment={deployment} />
        </Tabs.Panel>
        <Tabs.Panel value="about">
          <About deployment={deployment} />
        </Tabs.Panel>
      </Tabs>
    </>
  );
}

// What one looks at closely stands in the address, so that another can look at the same.
function useZoomInAddress(group: string): void {
  const [query, setQuery] = useQuery();
  const [span, setSpan] = useZoom(group);
  const begun = useRef(false);
  const from = Number(query.get("from") ?? NaN);
  const to = Number(query.get("to") ?? NaN);
  useEffect(() => {
    if (!begun.current) {
      begun.current = true;
      if (span === undefined && from < to) {
        setSpan({from, to});
        return;
      }
    }
    setQuery({from: span === undefined ? undefined : String(Math.round(span.from)), to: span === undefined ? undefined : String(Math.round(span.to))});
    // Only what is chosen leads into the address, and the address only at the beginning.
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the address is read once
  }, [span?.from, span?.to]);
}
