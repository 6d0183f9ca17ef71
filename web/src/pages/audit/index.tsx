// The audit log: who did what, when, why and from where; and whether the log is as it was written.
import {Button, Group, SimpleGrid, Stack, Text, Title} from "@mantine/core";
import {useEffect, useRef, useState} from "react";
import {answer, api, type Schemas} from "../../ask/api";
import {useAct} from "../../ask/act";
import {useMore} from "../../ask/more";
import {Empty, Failed, State} from "../../ask/state";
import {Badge} from "../../figures/badge";
import {Copied} from "../../figures/copy";
import {MoreRows, Rows} from "../../figures/rows";
import {Unfold} from "../../figures/unfold";
import {count} from "../../figures/words";
import {ChoiceFilter, Folded, TextFilter, TimeFilter} from "../../frame/filter";
import {useQuery} from "../../frame/router";
import {Time} from "../../frame/time";
import {type Entry, type Filters, filtersOf, outcomes, written} from "./view";

export default function Page() {
  const [query, change] = useQuery();
  const filters = filtersOf(query);
  const entries = useMore(
    `audit/${JSON.stringify(filters)}`,
    async (pageToken, signal) => {
      const page = await answer(api.GET("/v1/audit", {params: {query: {...filters, pageSize: 100, pageToken}}, signal}));
      return {rows: page.entries, next: page.nextPageToken};
    },
    {every: 15_000},
  );
  const given = {query, change};
  return (
    <>
      <Title order={1} mb="md">
        Audit
      </Title>
      <Stack gap="md">
        <Verify />
        <Folded names={named} query={query}>
          <SimpleGrid cols={{base: 2, sm: 4}} spacing="xs" role="search" aria-label="Which entries">
            <TextFilter {...given} label="Who" name="actor" placeholder="user:ann" />
            <TextFilter {...given} label="What" name="action" placeholder="policy." />
            <TextFilter {...given} label="To what" name="resource" />
            <ChoiceFilter {...given} label="How it ended" name="outcome" choices={outcomes} />
            <TextFilter {...given} label="Service" name="service" />
            <TextFilter {...given} label="Environment" name="environment" />
            <TimeFilter {...given} label="From" name="from" />
            <TimeFilter {...given} label="To" name="to" />
          </SimpleGrid>
        </Folded>
        <Text size="sm" className="quiet">
          Who and what are written in full; an action with a final dot means all below it, such as policy.
        </Text>
        <Export key={JSON.stringify(filters)} filters={filters} />
        <State of={entries} what="the audit log" empty={(rows) => rows.length === 0} none={<Empty>No entry is like that.</Empty>}>
          {(rows) => (
            <div aria-busy={entries.loading}>
              <Table rows={rows} />
              <MoreRows of={entries} shown={rows.length} what="entries" />
            </div>
          )}
        </State>
      </Stack>
    </>
  );
}

// Private

const named = ["actor", "action", "resource", "outcome", "service", "environment", "from", "to"]; // the filters in the address

const ends: Record<Schemas["adg.v1.AuditOutcome"], {tone: "good" | "bad" | "warn" | "unknown"; word: string}> = {
  AUDIT_OUTCOME_UNKNOWN: {tone: "unknown", word: "Not known"},
  AUDIT_OUTCOME_DONE: {tone: "good", word: "Done"},
  AUDIT_OUTCOME_DENIED: {tone: "warn", word: "Refused"},
  AUDIT_OUTCOME_FAILED: {tone: "bad", word: "Failed"},
};

function Table({rows}: {rows: readonly Entry[]}) {
  return (
    <Rows
      label="Audit log"
      rows={rows}
      id={(entry) => entry.seq}
      columns={[
        {name: "No.", cell: (entry) => entry.seq, end: true},
        {name: "When", cell: (entry) => <Time at={entry.time} />},
        {name: "Who", cell: (entry) => entry.actor},
        {name: "What", cell: (entry) => entry.action, whole: true},
        {name: "To what", cell: (entry) => entry.resource},
        {name: "Ended", cell: (entry) => <Badge tone={ends[entry.outcome].tone}>{ends[entry.outcome].word}</Badge>},
        {name: "Why", cell: (entry) => (entry.reason === "" ? undefined : entry.reason)},
        {name: "From", cell: (entry) => (entry.address === "" ? undefined : entry.address), whole: true},
        {name: "More", cell: (entry) => <Detail entry={entry} />, whole: true},
      ]}
    />
  );
}

function Detail({entry}: {entry: Entry}) {
  const detail = Object.entries(entry.detail).filter(([, value]) => value !== "");
  return (
    <Unfold word="More" label={`More of entry ${entry.seq}`}>
      {detail.map(([name, value]) => (
        <Text key={name} size="xs" className="wrap">
          {name}: {value}
        </Text>
      ))}
      <Text size="xs" className="quiet wrap">
        Digest {entry.digest}
      </Text>
      <Text size="xs" className="quiet wrap">
        After {entry.previousDigest === "" ? "nothing: it is the first" : entry.previousDigest}
      </Text>
    </Unfold>
  );
}

function Verify() {
  const verify = useAct(() => answer(api.GET("/v1/audit:verify")));
  const [found, setFound] = useState<Schemas["adg.v1.VerifyAuditLogResponse"]>();
  return (
    <section className="card" aria-label="Whether the log is as it was written">
      <Group gap="sm">
        <Button loading={verify.busy} onClick={() => void verify.run(undefined).then(setFound)}>
          Verify the chain
        </Button>
        <Text size="sm" style={{flex: 1, minWidth: 220}}>
          Each entry holds the digest of the one before: whoever changes one, or takes one out, breaks the chain.
        </Text>
      </Group>
      {verify.error !== undefined && <Failed error={verify.error} />}
      <div role="status">
        {found !== undefined && (
          <Stack gap="xs" mt="sm">
            <div>
              <Badge tone={found.intact ? "good" : "bad"}>{found.intact ? "The log is as it was written" : "The log was changed"}</Badge>
            </div>
            <Text size="sm" className="wrap">
              {found.intact ? `${count(Number(found.entries), "entry", "entries")} were checked, to number ${found.lastSeq}. Note that number and its digest elsewhere: with them you notice later if the end was cut off.` : found.problem}
            </Text>
            {found.intact && <Copied label={`Digest of entry ${found.lastSeq}`} text={found.lastDigest} />}
          </Stack>
        )}
      </div>
    </section>
  );
}

const most = 200_000; // entries in a file: a browser holds them all before it saves them

function Export({filters}: {filters: Filters}) {
  const [said, setSaid] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const stop = useRef<AbortController>(undefined);
  useEffect(() => () => stop.current?.abort(), []);
  const save = async () => {
    const mine = new AbortController();
    stop.current = mine;
    setBusy(true);
    setError(undefined);
    try {
      const page = (pageToken: string) => answer(api.GET("/v1/audit", {params: {query: {...filters, oldestFirst: true, pageSize: 1000, pageToken}}, signal: mine.signal}));
      const all = await written(page, most, (entries) => setSaid(`${count(entries, "entry", "entries")} so far`));
      download(all.lines);
      setSaid(`${count(all.entries, "entry", "entries")} saved, the oldest first.${all.cut ? " There are more: choose a later time to go on from." : ""}`);
    } catch (failure) {
      if (!mine.signal.aborted) {
        setError(failure);
      }
      setSaid(mine.signal.aborted ? "Nothing was saved." : "");
    }
    setBusy(false);
  };
  return (
    <Group gap="sm">
      <Button variant="default" size="xs" onClick={() => (busy ? stop.current?.abort() : void save())}>
        {busy ? "Do not export" : "Export as JSON lines"}
      </Button>
      <Text size="sm" role="status">
        {said}
      </Text>
      {error !== undefined && <Failed error={error} />}
    </Group>
  );
}

function download(lines: string[]): void {
  const address = URL.createObjectURL(new Blob(lines, {type: "application/x-ndjson"}));
  const link = document.createElement("a");
  link.href = address;
  link.download = `audit-${new Date().toISOString().slice(0, 10)}.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // the browser has it by then
}
