import {Button, Group, NativeSelect, Stack, Text, Title} from "@mantine/core";
import {useState} from "react";
import {useAct} from "../../ask/act";
import {answer, api} from "../../ask/api";
import {Failed, State} from "../../ask/state";
import {Badge, type Tone} from "../../figures/badge";
import {Dialog} from "../../frame/dialog";
import {useQuery} from "../../frame/router";
import {Time} from "../../frame/time";
import {Approve} from "./approve";
import {type Known, type Place, type Version, useDiff} from "./asks";
import {Difference} from "./diff";
import {type Draft} from "./draft";
import classes from "./policy.module.css";

interface VersionsProps {
  place: Place;
  known: Known;
  draft: Draft;
}

/** Every version: who changed what, when and why; which is in force; and how two of them differ. */
export function Versions({place, known, draft}: VersionsProps) {
  const [query, change] = useQuery();
  const {versions, inForce} = known;
  const from = query.get("from") ?? versions[1]?.version;
  const until = query.get("to") ?? versions[0]?.version;
  const diff = useDiff(place, from, until);
  const options = versions.map((one) => ({value: one.version, label: `version ${one.version}`}));
  return (
    <Stack gap="md">
      <div>
        {versions.map((version, i) => (
          <div key={version.version} className={classes.row}>
            <Group gap="xs">
              <Text fw={600}>Version {version.version}</Text>
              <Standing version={version} inForce={inForce} />
              <Text size="sm" className="quiet">
                {version.author}, <Time at={version.createTime} both />
              </Text>
            </Group>
            <Text size="sm" className="wrap">
              {version.reason}
            </Text>
            {version.approver !== "" && <Text size="sm">It guards less than the one before; {version.approver} approved it.</Text>}
            <Group gap="xs" mt={4}>
              {version.pendingApproval && <Approve place={place} version={version} />}
              {i + 1 < versions.length && (
                <Button size="xs" variant="default" onClick={() => change({from: versions[i + 1]?.version, to: version.version})}>
                  What it changed
                </Button>
              )}
              <Restore place={place} version={version} draft={draft} />
            </Group>
          </div>
        ))}
      </div>
      {versions.length > 1 && (
        <section aria-label="Compare versions">
          <Title order={2} size="h4" mb="xs">
            Compare
          </Title>
          <Group gap="sm" mb="sm">
            <NativeSelect label="From" data={options} value={from} onChange={(event) => change({from: event.currentTarget.value})} />
            <NativeSelect label="To" data={options} value={until} onChange={(event) => change({to: event.currentTarget.value})} />
          </Group>
          <State of={diff} what="what differs">
            {(data) => <Difference of={data} />}
          </State>
        </section>
      )}
    </Stack>
  );
}

/** Whether a version is in force, waits, or was followed by another. */
export function standing(version: Pick<Version, "version" | "pendingApproval">, inForce: string | undefined): {tone: Tone; word: string} {
  if (version.version === inForce) {
    return {tone: "good", word: "In force"};
  }
  if (version.pendingApproval) {
    return {tone: "warn", word: "Waits for approval"};
  }
  return {tone: "unknown", word: inForce !== undefined && Number(version.version) > Number(inForce) ? "Never in force" : "Earlier"};
}

// Private

function Standing({version, inForce}: {version: Version; inForce: string | undefined}) {
  const {tone, word} = standing(version, inForce);
  return <Badge tone={tone}>{word}</Badge>;
}

// Puts the text of a version into the editor.
function Restore({place, version, draft}: {place: Place; version: Version; draft: Draft}) {
  const act = useAct(() => answer(api.GET("/v1/policies/{service}/{environment}", {params: {path: {...place}, query: {version: version.version}}})), (got) => draft.set(got.text));
  const [asked, setAsked] = useState(false);
  if (version.version === draft.of && !draft.dirty) {
    return null;
  }
  const put = () => {
    setAsked(false);
    void act.run({});
  };
  return (
    <>
      <Button size="xs" variant="default" loading={act.busy} onClick={() => (draft.dirty ? setAsked(true) : put())}>
        Put it into the editor
      </Button>
      {act.error !== undefined && <Failed error={act.error} />}
      <Dialog title={`Put version ${version.version} into the editor`} opened={asked} close={() => setAsked(false)}>
        <Text mb="sm">What you changed and did not save is thrown away.</Text>
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={() => setAsked(false)}>
            Keep mine
          </Button>
          <Button onClick={put}>Throw mine away</Button>
        </Group>
      </Dialog>
    </>
  );
}
