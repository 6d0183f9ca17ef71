// Now: what is being deployed, is it healthy, what is wrong, what will happen next.
import {Title} from "@mantine/core";
import {useDeferredValue, useMemo} from "react";
import {isForbidden} from "../../ask/api";
import {Empty, Failed, Loading} from "../../ask/state";
import {useAnywhere, useMe} from "../../ask/permission";
import {count} from "../../figures/words";
import {Link, useQuery} from "../../frame/router";
import {type Row, useLive} from "../../live/deployments";
import {useUnsettled} from "../../live/unsettled";
import {Choose} from "./choose";
import {Ended, endedAhead} from "./ended";
import {Rows} from "./list";
import {arranged, choiceOf} from "./order";
import {summed} from "./sum";
import {Unsettled} from "./unsettled";

if (window.location.pathname === "/") {
  endedAhead(choiceOf(new URLSearchParams(window.location.search))); // this is the page that is being loaded
}

export default function Now() {
  const {rows, complete, connection} = useLive();
  const [query, change] = useQuery();
  const choice = useMemo(() => choiceOf(query), [query]);
  // While somebody types, the list may come a moment later than the letters.
  const later = useDeferredValue(choice);
  const items = useMemo(() => arranged(rows.values(), later), [rows, later]);
  const unsettled = useUnsettled();
  return (
    <>
      <Title order={1} mb={4}>
        Now
      </Title>
      <Sum rows={rows} unsettled={unsettled} complete={complete} />
      <Unsettled rows={unsettled} />
      {connection.state === "refused" && !isForbidden(connection.error) && <Failed error={connection.error} />}
      {!complete && connection.state !== "refused" && <Loading what="deployments" />}
      {complete && rows.size > 0 && <Choose rows={rows} choice={choice} change={change} />}
      {complete && rows.size === 0 && <Nothing />}
      {complete && rows.size > 0 && items.length === 0 && <Empty>None of the {count(rows.size, "running deployment")} is what you look for.</Empty>}
      <Rows items={items} />
      <Ended choice={later} />
    </>
  );
}

// Private

function Sum({rows, unsettled, complete}: {rows: ReadonlyMap<string, Row>; unsettled: readonly Row[]; complete: boolean}) {
  const {text, bad} = useMemo(() => summed([...rows.values()], unsettled), [rows, unsettled]);
  return (
    <p role="status" style={{margin: "0 0 1rem", fontWeight: bad ? 650 : 400, color: bad ? "var(--adg-bad)" : "var(--mantine-color-dimmed)"}}>
      {complete ? text : "Looking for what is running …"}
    </p>
  );
}

function Nothing() {
  const mayStart = useAnywhere("deployment.start");
  const {data} = useMe();
  const sees = data === undefined || data.grants.some((g) => g.permission === "deployment.read");
  if (!sees) {
    return <Empty>You may not see deployments: an admin can give you the role viewer.</Empty>;
  }
  return (
    <Empty>
      Nothing is being deployed. {mayStart && <>A pipeline starts deployments with <code>adg deploy start</code>; </>}
      <Link href="/first-steps">the first steps</Link> show how to begin.
    </Empty>
  );
}
