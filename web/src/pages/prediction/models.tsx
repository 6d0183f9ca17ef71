import {Group, Progress, Stack, Text} from "@mantine/core";
import {useEffect, useRef, useState} from "react";
import {useAct} from "../../ask/act";
import {answer, api, server} from "../../ask/api";
import {changed} from "../../ask/ask";
import {Because} from "../../ask/because";
import {work} from "../../api/client";
import {Permitted, usePermission} from "../../ask/permission";
import {Empty} from "../../ask/state";
import {Badge} from "../../figures/badge";
import {count, digits} from "../../figures/words";
import {Time} from "../../frame/time";
import {type Model, about} from "./asks";
import classes from "./prediction.module.css";

/** The models that are kept: which is in use, and how good each was on deployments that it had not seen. */
export function ModelList({all}: {all: readonly Model[]}) {
  if (all.length === 0) {
    return <Empty>No model was trained yet. ADG trains one by itself once 20 outcomes are known, or you do now, with what is known.</Empty>;
  }
  return (
    <div>
      {all.map((model) => (
        <One key={model.id} model={model} />
      ))}
    </div>
  );
}

/** Trains a model on all outcomes that are known, and tells how far it is. */
export function Train() {
  const by = usePermission("learn.write");
  const [opened, setOpened] = useState(false);
  const [far, setFar] = useState<{done: number; all: number}>();
  const [made, setMade] = useState<Model>();
  const busy = useRef<AbortController>(undefined);
  useEffect(() => () => busy.current?.abort(), []);
  const act = useAct(
    async ({reason}: {reason: string}, idempotencyKey) => {
      const mine = new AbortController();
      busy.current = mine;
      let model: Model | undefined;
      for await (const came of work(server, "/v1/models", {reason, idempotencyKey}, mine.signal)) {
        setFar({done: came.done, all: came.all});
        model = came.model ?? model;
      }
      if (model === undefined) {
        throw new Error("the training was cut off: look in a minute whether there is a new model");
      }
      return model;
    },
    (model) => {
      setMade(model);
      changed(about.models, about.predictions);
    },
  );
  return (
    <Stack gap={4} align="flex-end">
      <Permitted
        by={by}
        onClick={() => {
          setFar(undefined);
          setOpened(true);
        }}
      >
        Train a model
      </Permitted>
      {made !== undefined && (
        <Text size="sm" role="status">
          Trained: {made.standing}. {made.active ? "It is in use." : "It is not in use: another is pinned, or better."}
        </Text>
      )}
      <Because title="Train a model" opened={opened} close={() => setOpened(false)} act={act} label="Train it" optional>
        <Text size="sm">It learns from all outcomes that are known. Predictions are made by it from then on, unless another model is pinned or the one in use is better. What was predicted before stays as it was.</Text>
        {act.busy && (
          <div>
            <Progress value={far === undefined || far.all === 0 ? 0 : (100 * far.done) / far.all} aria-label="How far the training is" />
            <Text size="sm" role="status">
              {far === undefined || far.all === 0 ? "Reading what is known …" : `${far.done} of ${count(far.all, "deployment")}`}
            </Text>
          </div>
        )}
      </Because>
    </Stack>
  );
}

// Private

function One({model}: {model: Model}) {
  const {score} = model;
  return (
    <div className={classes.row}>
      <Group gap="xs">
        {model.active && <Badge tone="good">In use</Badge>}
        {model.pinned && (
          <Badge tone="warn" icon="hold">
            Pinned
          </Badge>
        )}
        <Badge tone={model.better ? "good" : "unknown"}>{model.better ? "Better than the base rate" : "Not better than the base rate"}</Badge>
        <Text size="sm" className="quiet">
          <Time at={model.createTime} both />, by {model.author}
        </Text>
      </Group>
      <Text size="sm" className="wrap">
        {capital(model.standing)}. Learned from {count(Number(model.outcomes), "outcome")}, {count(Number(model.failed), "failure")} among them
        {score?.logLoss === undefined ? "" : `; log-loss ${digits(score.logLoss)} nats, ${digits(Math.abs(model.gain))} ${model.gain >= 0 ? "less" : "more"} than the base rate`}
        {score?.auc === undefined ? "" : `; order ${digits(score.auc)}`}.
      </Text>
      {model.reason !== "" && (
        <Text size="sm" className="wrap">
          {model.reason}
        </Text>
      )}
      <Text size="xs" className="quiet wrap">
        {model.id}
      </Text>
      <Pin model={model} />
    </div>
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function Pin({model}: {model: Model}) {
  const by = usePermission("learn.write");
  const [opened, setOpened] = useState(false);
  const {pinned, etag} = model;
  const path = {id: model.id};
  const act = useAct(
    ({reason}: {reason: string}, idempotencyKey) => {
      const body = {idempotencyKey, etag, reason};
      return answer(pinned ? api.POST("/v1/models/{id}:unpin", {params: {path}, body}) : api.POST("/v1/models/{id}:pin", {params: {path}, body}));
    },
    () => changed(about.models),
  );
  return (
    <Stack gap={0} align="flex-start" mt={4}>
      <Permitted by={by} size="compact-xs" variant="default" onClick={() => setOpened(true)}>
        {pinned ? "Unpin it" : "Pin it"}
      </Permitted>
      <Because title={pinned ? "Unpin the model" : "Pin the model"} opened={opened} close={() => setOpened(false)} act={act} label={pinned ? "Unpin it" : "Pin it"}>
        <Text size="sm">
          {pinned
            ? "From now on the newest model that is good makes the predictions again. Running deployments keep theirs."
            : "From now on all predictions are made by this model, and newer ones are not used until it is unpinned. Running deployments keep theirs."}
        </Text>
      </Because>
    </Stack>
  );
}
