import {Button, Group, Stack, Text} from "@mantine/core";
import {useState} from "react";
import {useAct} from "../../ask/act";
import {ApiError, answer, api} from "../../ask/api";
import {changed} from "../../ask/ask";
import {Because} from "../../ask/because";
import {type Permission, Permitted} from "../../ask/permission";
import {State} from "../../ask/state";
import {type Place, type Version, about, useDraftDiff} from "./asks";
import {Difference} from "./diff";
import {type Draft} from "./draft";
import classes from "./policy.module.css";

interface SaveProps {
  place: Place;
  draft: Draft;
  may: Permission;
  tried: boolean; // whether this very text was tried on the past
  tryIt: () => void;
  saved: (version: Version) => void;
}

/** Saves the text as a new version, after a look at what it changes. */
export function Save({place, draft, may, tried, tryIt, saved}: SaveProps) {
  const [opened, setOpened] = useState(false);
  const {text, etag, of} = draft;
  const act = useAct(
    ({reason}: {reason: string}, idempotencyKey) => answer(api.PUT("/v1/policies/{service}/{environment}", {params: {path: {...place}}, body: {idempotencyKey, etag, reason, text}})),
    () => changed(about.one(place), about.all),
  );
  const diff = useDraftDiff(place, of === "" ? undefined : of, opened ? text : undefined);
  const next = Number(of) + 1;
  const conflict = act.error instanceof ApiError && act.error.status === 409;
  return (
    <>
      <Permitted by={may} onClick={() => setOpened(true)}>
        Save …
      </Permitted>
      <Because title={`Save as version ${next}`} size="xl" opened={opened} close={() => setOpened(false)} act={act} label={`Save version ${next}`} after={saved} extra={conflict ? <Conflict of={of} /> : undefined}>
        <Text>
          {(diff.data?.weakens.length ?? 0) > 0
            ? `It becomes version ${next}, and waits: as it guards less, somebody other than you has to approve it before it is in force.`
            : `It becomes version ${next}, and is in force at once: the next deployment of ${place.service} in ${place.environment} is guarded by it. Deployments that are under way keep theirs.`}
        </Text>
        {!tried && (
          <Group className={classes.notice} gap="xs">
            <Text size="sm" style={{flex: 1}}>
              This text was not tried on past deployments.
            </Text>
            <Button
              size="xs"
              variant="default"
              onClick={() => {
                setOpened(false);
                tryIt();
              }}
            >
              Try it first
            </Button>
          </Group>
        )}
        {of !== "" && (
          <State of={diff} what="what differs">
            {(data) => <Difference of={data} />}
          </State>
        )}
      </Because>
    </>
  );
}

// Private

function Conflict({of}: {of: string}) {
  return (
    <Stack gap={4} role="alert" className={classes.weaker}>
      <Text fw={600}>Somebody saved another version meanwhile.</Text>
      <Text size="sm">You began from {of === "" ? "none" : `version ${of}`}. Nothing of yours is lost: close this, look under Versions at what was changed, and take your changes over into the newest.</Text>
    </Stack>
  );
}
