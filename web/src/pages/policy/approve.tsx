import {Text} from "@mantine/core";
import {useState} from "react";
import {useAct} from "../../ask/act";
import {answer, api} from "../../ask/api";
import {changed} from "../../ask/ask";
import {Because} from "../../ask/because";
import {type Permission, Permitted, useMe, usePermission} from "../../ask/permission";
import {type Place, type Version, about} from "./asks";
import {Weakens} from "./diff";

/** Approves a version that guards less than the one in force: only another person than its author may. */
export function Approve({place, version}: {place: Place; version: Version}) {
  const [opened, setOpened] = useState(false);
  const by = useMayApprove(place, version);
  const path = {service: place.service, environment: place.environment, version: version.version};
  const act = useAct(
    ({reason}: {reason: string}, idempotencyKey) => answer(api.POST("/v1/policies/{service}/{environment}/versions/{version}:approve", {params: {path}, body: {idempotencyKey, etag: version.etag, reason}})),
    () => changed(about.one(place), about.all),
  );
  return (
    <>
      <Permitted by={by} size="xs" onClick={() => setOpened(true)}>
        {`Approve version ${version.version}`}
      </Permitted>
      <Because title={`Approve version ${version.version}`} opened={opened} close={() => setOpened(false)} act={act} label="Approve it">
        <Text>
          Version {version.version} by {version.author} comes into force at once: the next deployment of {place.service} in {place.environment} is guarded by it. Deployments that are under way keep theirs.
        </Text>
        <Weakens all={version.weakens} />
      </Because>
    </>
  );
}

// Private

function useMayApprove(place: Place, version: Version): Permission {
  const me = useMe().data?.identity;
  const may = usePermission("deployment.approve", place.service, place.environment);
  if (may.allowed && me !== undefined && [me.subject, me.person].includes(version.author)) {
    return {allowed: false, whyNot: "You wrote this version. It guards less than the one in force, so somebody else has to approve it."};
  }
  return may;
}
