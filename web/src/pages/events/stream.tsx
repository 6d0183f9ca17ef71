// Events, live: the last ones first, and what comes is put in front.
import {Button, Checkbox, Group, MultiSelect, SimpleGrid, Stack, Text} from "@mantine/core";
import {useWindowVirtualizer} from "@tanstack/react-virtual";
import {useEffect, useMemo, useRef, useState} from "react";
import {answer, api, explained} from "../../ask/api";
import {useMore} from "../../ask/more";
import {Empty, State} from "../../ask/state";
import {Badge} from "../../figures/badge";
import {Copied} from "../../figures/copy";
import {MoreRows} from "../../figures/rows";
import {useSlots} from "../../figures/slots";
import {useTop} from "../../figures/top";
import {Unfold} from "../../figures/unfold";
import {Folded, TextFilter, TimeFilter} from "../../frame/filter";
import {useQuery} from "../../frame/router";
import {Time} from "../../frame/time";
import {useFollow} from "../../live/use-follow";
import {Told} from "./told";
import {type Event, type Wanted, afterOf, byWhom, kindOf, kinds, merged, streamQuery, untilOf, wantedOf} from "./view";
import classes from "./events.module.css";

export function Stream() {
  const [query, change] = useQuery();
  const wanted = wantedOf(query);
  const given = {query, change};
  return (
    <Stack gap="md">
      <Folded names={filters} query={query}>
        <SimpleGrid cols={{base: 1, xs: 2, md: 3}} spacing="xs" role="search" aria-label="Which events">
          <TextFilter {...given} label="Services" name="service" placeholder="shop, cart" />
          <TextFilter {...given} label="Environments" name="environment" />
          <TextFilter {...given} label="Deployment" name="deployment" />
          <MultiSelect size="xs" label="What" clearable clearButtonProps={{"aria-label": "All of them"}} data={choices} value={(wanted.kinds ?? []).map(short)} onChange={(value) => change({kind: value.join(",")})} />
          <TimeFilter {...given} label="Before" name="to" />
          <Checkbox mt={{base: 0, xs: 26}} label="Only what wakes people" checked={wanted.urgent === true} onChange={(event) => change({urgent: event.currentTarget.checked ? "yes" : undefined})} />
        </SimpleGrid>
      </Folded>
      <List key={JSON.stringify([wanted, afterOf(query), untilOf(query)])} wanted={wanted} after={afterOf(query)} until={untilOf(query)} />
    </Stack>
  );
}

// Private

const filters = ["service", "environment", "deployment", "kind", "to", "urgent"]; // in the address
const short = (kind: string) => kind.replace("FACT_KIND_", "").toLowerCase();
const choices = Object.entries(kinds).map(([kind, {word}]) => ({value: short(kind), label: word}));
const most = 5000; // of those that came while the page was open
const gather = 250; // ms: what comes within it is drawn at once

interface ListProps {
  wanted: Wanted;
  after: string | undefined;
  until: string | undefined;
}

// From a cursor on the whole way is followed; else the last events are asked for, and followed from the newest on. Those
// who look back to a time are not disturbed by what happens now.
function List({wanted, after, until}: ListProps) {
  const past = useMore(after === undefined ? `events/${JSON.stringify([wanted, until])}` : undefined, async (pageToken, signal) => {
    const page = await answer(api.GET("/v1/events", {params: {query: {...wanted, toTime: until, newestFirst: true, pageSize: 100, pageToken}}, signal}));
    return {rows: page.events, next: page.nextPageToken};
  });
  if (after !== undefined) {
    return <Following wanted={wanted} after={after} past={[]} />;
  }
  return (
    <State of={past} what="events">
      {(rows) => (
        <>
          {until === undefined ? <Following wanted={wanted} after={rows[0]?.cursor ?? "0"} past={rows} /> : rows.length === 0 ? <Empty>No event is like that.</Empty> : <Events rows={rows} />}
          <MoreRows of={past} shown={rows.length} what="events" />
        </>
      )}
    </State>
  );
}

function Following({wanted, after, past}: {wanted: Wanted; after: string; past: readonly Event[]}) {
  const [came, setCame] = useState<readonly Event[]>([]);
  const [paused, setPaused] = useState(false);
  const [cursor, setCursor] = useState(after);
  const waiting = useRef<Event[]>([]);
  const last = useRef(after);
  const due = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(due.current), []);
  const connection = useFollow(
    paused ? undefined : "/v1/events:stream",
    () => streamQuery(wanted, last.current),
    ({event, cursor: at}) => {
      last.current = at;
      if (event !== undefined) {
        waiting.current.push(event);
      }
      due.current ??= setTimeout(() => {
        due.current = undefined;
        const news = waiting.current.splice(0);
        setCursor(last.current);
        setCame((before) => merged(before, news, most));
      }, gather);
    },
  );
  const rows = past.length === 0 ? came : [...came.filter((event) => BigInt(event.cursor) > BigInt(after)), ...past];
  return (
    <Stack gap="sm">
      <Group gap="sm">
        <Button size="xs" variant="default" aria-pressed={paused} onClick={() => setPaused(!paused)}>
          {paused ? "Go on" : "Pause"}
        </Button>
        <Badge tone={paused ? "unknown" : connection.state === "connected" ? "good" : "warn"} icon={paused ? "hold" : connection.state === "connected" ? "pulse" : "lost"}>
          {paused ? "Paused: what happens is shown when you go on" : connection.state === "connected" ? "Live" : connection.state === "refused" ? explained(connection.error).sentence : "Not live"}
        </Badge>
        {connection.state === "lost" && !paused && (
          <Text size="sm">
            Not connected since <Time at={connection.since} plain />. Nothing is missed: it goes on after event {cursor}.
          </Text>
        )}
      </Group>
      {rows.length === 0 ? <Empty>Nothing has happened yet that is like that. It is shown here as soon as it does.</Empty> : <Events rows={rows} />}
      <Unfold word="Go on from here elsewhere">
        <Stack gap="xs" mt="xs">
          <Copied label="An address that shows what comes after now" text={`${window.location.origin}/events?${resumed(cursor)}`} />
          <Copied label="The same on the command line" text={`adg events --follow --after ${cursor}`} />
        </Stack>
      </Unfold>
    </Stack>
  );
}

function resumed(cursor: string): string {
  const query = new URLSearchParams(window.location.search);
  query.set("after", cursor);
  return query.toString();
}

// Only what is seen is drawn: a thousand events a second are no more work than ten.
function Events({rows}: {rows: readonly Event[]}) {
  "use no memo"; // the virtualizer is one object that changes
  const list = useRef<HTMLDivElement>(null);
  const top = useTop(list);
  const key = useSlots(useMemo(() => rows.map(({cursor}) => cursor), [rows]));
  const virtual = useWindowVirtualizer({count: rows.length, estimateSize: () => 76, overscan: 8, scrollMargin: top, getItemKey: key});
  return (
    <div ref={list} role="list" aria-label="Events" style={{height: virtual.getTotalSize(), position: "relative"}}>
      {virtual.getVirtualItems().map((item) => (
        <div key={rows[item.index]!.cursor} ref={virtual.measureElement} data-index={item.index} role="listitem" aria-setsize={rows.length} aria-posinset={item.index + 1} className={classes.row} style={{transform: `translateY(${item.start - top}px)`}}>
          <One event={rows[item.index]!} />
        </div>
      ))}
    </div>
  );
}

function One({event: {fact, cursor}}: {event: Event}) {
  if (fact === undefined) {
    return <Text size="sm">Event {cursor}</Text>;
  }
  const {word, tone} = kindOf(fact.kind);
  return (
    <div className={classes.event} data-urgent={fact.urgent ? true : undefined}>
      <Group gap="xs">
        <Time at={fact.time} />
        <Badge tone={tone}>{word}</Badge>
        {fact.urgent && (
          <Badge tone="bad" icon="human">
            Wakes people
          </Badge>
        )}
        <Text span size="xs" className="quiet">
          event {cursor}
        </Text>
      </Group>
      <Told fact={fact} />
      {fact.actor !== "" && (
        <Text span size="sm" className="quiet">
          {" "}
          {byWhom(fact)}
        </Text>
      )}
      {fact.action !== "" && fact.reasons.length > 0 && (
        <Text size="sm" className="wrap">
          {fact.reasons.join("; ")}
        </Text>
      )}
    </div>
  );
}
