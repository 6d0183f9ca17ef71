import {Button, Group, SegmentedControl, Select, Stack, Text} from "@mantine/core";
import {useState} from "react";
import {useAct} from "../../ask/act";
import {answer, api} from "../../ask/api";
import {changed} from "../../ask/ask";
import {Because} from "../../ask/because";
import {Permitted, usePermission} from "../../ask/permission";
import {Empty, State} from "../../ask/state";
import {Badge} from "../../figures/badge";
import {digits} from "../../figures/words";
import {Link, useQuery} from "../../frame/router";
import {Time} from "../../frame/time";
import {to} from "../../places";
import {type Chosen, type Judged, type Outcome, about, useJudged} from "./asks";
import {expected, featureWords, outcomes, wrongness} from "./figures";
import classes from "./prediction.module.css";

const step = 25;

/** Predictions and what became of them: the most wrong first, or the newest. */
export function Judgements({chosen}: {chosen: Chosen}) {
  const [query, change] = useQuery();
  const wrong = query.get("list") !== "newest";
  const most = Math.min(Math.max(Number(query.get("most")) || step, step), 1000);
  const asked = useJudged(chosen, wrong, most);
  return (
    <Stack gap="sm">
      <SegmentedControl
        aria-label="Which predictions"
        value={wrong ? "wrong" : "newest"}
        onChange={(value) => change({list: value === "newest" ? "newest" : undefined, most: undefined})}
        data={[
          {value: "wrong", label: "The most wrong"},
          {value: "newest", label: "The newest"},
        ]}
      />
      <State of={asked} what="predictions" empty={({predictions}) => predictions.length === 0} none={<Empty>{wrong ? "No outcome of a prediction is known for this choice yet: a success is known after a week, unless the policy says otherwise." : "Nothing was predicted for this choice yet."}</Empty>}>
        {({predictions, nextPageToken}) => (
          <div>
            {predictions.map((one) => (
              <Row key={one.deployment} one={one} />
            ))}
            {nextPageToken !== "" && (
              <Button variant="default" mt="sm" onClick={() => change({most: String(most + step)})}>
                Show {step} more
              </Button>
            )}
          </div>
        )}
      </State>
    </Stack>
  );
}

// Private

function Row({one}: {one: Judged}) {
  const [opened, setOpened] = useState(false);
  const {word, tone} = outcomes[one.outcome];
  const surprise = wrongness(one);
  const contributions = one.prediction?.contributions ?? [];
  return (
    <div className={classes.row}>
      <Group gap="xs">
        <Badge tone={tone}>{word}</Badge>
        <Link href={to.deployment(one.deployment)}>
          {one.service} {one.version}
        </Link>
        <Text size="sm" className="quiet">
          in {one.environment}, <Time at={one.prediction?.time} />
        </Text>
        {surprise !== "" && surprise !== "as expected" && (
          <Text size="sm" fw={600}>
            {surprise}
          </Text>
        )}
      </Group>
      <Text size="sm" className="wrap">
        {expected(one)} {one.why === "" ? "" : `Outcome: ${one.why}.`}
      </Text>
      {one.correctedBy !== "" && (
        <Text size="sm" className="quiet">
          {one.correctedBy} corrected the outcome, <Time at={one.outcomeTime} />.
        </Text>
      )}
      <Group gap="xs" mt={4}>
        {contributions.length > 0 && (
          <Button size="compact-xs" variant="default" aria-expanded={opened} onClick={() => setOpened(!opened)}>
            Why it was expected
          </Button>
        )}
        <Correct one={one} />
      </Group>
      {opened && (
        <ul className={classes.list}>
          {contributions.map(({feature, points, text}) => (
            <li key={feature} className="wrap">
              <Text size="sm" span>
                {text === "" ? featureWords(feature) : text}: {points > 0 ? "+" : ""}
                {digits(points)} percentage points
              </Text>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

const choices: readonly {value: Outcome; label: string; then: string}[] = [
  {value: "OUTCOME_FAILED", label: "It failed", then: "The next model learns it as a failure."},
  {value: "OUTCOME_SUCCEEDED", label: "It succeeded", then: "The next model learns it as a success."},
  {value: "OUTCOME_UNKNOWN", label: "Nobody can tell", then: "Nothing is learned from it."},
];

// Says how a deployment really came out.
function Correct({one}: {one: Judged}) {
  const by = usePermission("learn.write", one.service, one.environment);
  const [opened, setOpened] = useState(false);
  const other: Outcome = one.outcome === "OUTCOME_FAILED" ? "OUTCOME_SUCCEEDED" : "OUTCOME_FAILED";
  const [outcome, setOutcome] = useState<Outcome>(other);
  const act = useAct(
    ({reason}: {reason: string}, idempotencyKey) =>
      answer(api.POST("/v1/deployments/{deployment}:correct-outcome", {params: {path: {deployment: one.deployment}}, body: {idempotencyKey, etag: one.etag, outcome, reason}})),
    () => changed(about.predictions),
  );
  return (
    <>
      <Permitted by={by} size="compact-xs" variant="default" onClick={() => setOpened(true)}>
        Correct the outcome
      </Permitted>
      <Because title={`How ${one.service} ${one.version} really came out`} opened={opened} close={() => setOpened(false)} act={act} label="Put it on record">
        <Text size="sm">
          It is on record as “{outcomes[one.outcome].word.toLowerCase()}”{one.why === "" ? "" : `: ${one.why}`}. Your word outweighs what was seen; what was deployed does not change.
        </Text>
        <Select label="It came out so" data={choices.map(({value, label}) => ({value, label}))} value={outcome} allowDeselect={false} onChange={(value) => setOutcome(value ?? other)} />
        <Text size="sm">{choices.find(({value}) => value === outcome)?.then}</Text>
      </Because>
    </>
  );
}
