// What a person may do with a deployment: each button says beforehand what exactly will happen.
import {Button, Group, Stack, Text, TextInput, Textarea} from "@mantine/core";
import {useEffect, useState} from "react";
import {useAct} from "../../ask/act";
import {answer, api, type Schemas} from "../../ask/api";
import {changed} from "../../ask/ask";
import {Permitted} from "../../ask/permission";
import {Failed} from "../../ask/state";
import {Dialog} from "../../frame/dialog";
import {Icon, type IconName} from "../../frame/icon";
import {useKeys} from "../../frame/keys";
import {offer} from "../../frame/palette";
import {ReportLinks} from "./reports";
import {type Deployment, hasEnded} from "./watched";
import {type Action, actionWord, sentence} from "./words";
import classes from "./deployment.module.css";

type Permit = Schemas["adg.v1.Permit"];

/** The buttons that make sense where the deployment stands. */
export function Deeds({deployment}: {deployment: Deployment}) {
  const [chosen, setChosen] = useState<Action>();
  const permits = offered(deployment);
  const open = (action: Action) => {
    if (permits.some((permit) => permit.action === action && permit.allowed)) {
      setChosen(action);
    }
  };
  useKeys(permits.filter(({action, allowed}) => allowed && keys[action] !== undefined).map(({action}) => ({keys: keys[action]!, does: `${actionWord[action]} this deployment`, run: () => open(action)})));
  const able = permits.filter(({allowed}) => allowed).map(({action}) => action).join();
  const what = `${deployment.release?.service ?? ""} ${deployment.release?.version ?? ""} in ${deployment.environment}`;
  useEffect(() => {
    const actions = able.split(",").filter((action) => action !== "") as Action[];
    return offer(actions.map((action) => ({name: `${actionWord[action]} ${what}`, kind: "Action", icon: looks[action].icon, run: () => setChosen(action)})));
  }, [able, what]);
  const permit = deployment.status?.permits.find((one) => one.action === chosen);
  if (hasEnded(deployment) && chosen === undefined) {
    return <ReportLinks deployment={deployment} few />;
  }
  return (
    <>
      <Group gap="xs" role="group" aria-label="What you can do">
        {permits.map((one) => (
          <Permitted key={one.action} by={{allowed: one.allowed, whyNot: sentence(one.whyNot)}} {...look(one.action, deployment)} leftSection={<Icon name={looks[one.action].icon} />} onClick={() => open(one.action)}>
            {actionWord[one.action]}
          </Permitted>
        ))}
      </Group>
      <Dialog title={permit === undefined ? "" : question(permit.action, deployment)} opened={permit !== undefined} close={() => setChosen(undefined)} size="lg">
        {permit !== undefined && <Deed key={permit.action} deployment={deployment} permit={permit} close={() => setChosen(undefined)} />}
      </Dialog>
    </>
  );
}

/** The actions that are shown, allowed or not: nobody wants to see "resume" where nothing is held. */
export function offered(deployment: Deployment): Permit[] {
  const {status} = deployment;
  if (status === undefined || hasEnded(deployment)) {
    return [];
  }
  const {state, heldBy} = status;
  const decides = state === "STATE_GATED" || state === "STATE_PENDING" || state === "STATE_ROLLBACK_PENDING";
  const held = state === "STATE_HELD" || heldBy !== "";
  return status.permits.filter(({action, allowed}) => {
    switch (action) {
      case "ACTION_APPROVE":
      case "ACTION_REJECT":
        return allowed || (decides && (status.outlook?.waitsFor === "approval" || status.askedTime !== undefined));
      case "ACTION_RESUME":
        return allowed || held;
      case "ACTION_HOLD":
        return allowed || !held;
      case "ACTION_PROMOTE":
      case "ACTION_ROLL_BACK":
      case "ACTION_CANCEL":
        return true;
      case "ACTION_UNSPECIFIED":
        return false;
    }
  });
}

// Private

const keys: Partial<Record<Action, string>> = {ACTION_PROMOTE: "p", ACTION_HOLD: "h", ACTION_RESUME: "u", ACTION_ROLL_BACK: "b", ACTION_CANCEL: "c", ACTION_APPROVE: "y", ACTION_REJECT: "n"};

// A rollback stands out where there is reason for one.
function look(action: Action, {status}: Deployment): {variant: string; color: string} {
  const sick = status?.health === "HEALTH_UNHEALTHY" || status?.health === "HEALTH_DEGRADED";
  const main = action === "ACTION_APPROVE" || (action === "ACTION_ROLL_BACK" && sick);
  return {variant: main ? "filled" : "default", color: action === "ACTION_ROLL_BACK" ? "red" : "blue"};
}

const looks: Record<Action, {icon: IconName}> = {
  ACTION_UNSPECIFIED: {icon: "unknown"},
  ACTION_PROMOTE: {icon: "up"},
  ACTION_HOLD: {icon: "hold"},
  ACTION_RESUME: {icon: "rocket"},
  ACTION_ROLL_BACK: {icon: "back"},
  ACTION_CANCEL: {icon: "stop"},
  ACTION_APPROVE: {icon: "good"},
  ACTION_REJECT: {icon: "bad"},
};

function question(action: Action, d: Deployment): string {
  return `${actionWord[action]} ${d.release?.service ?? ""} ${d.release?.version ?? ""} in ${d.environment}?`;
}

type Asked = {etag: string; reason: string};

// A hold or a rollback is wanted whatever has happened meanwhile; anything else holds for what one has looked at.
function ask(action: Action, id: string, {etag, reason}: Asked, idempotencyKey: string): Promise<Deployment> {
  const params = {path: {id}};
  const bound = {params, body: {etag, reason, idempotencyKey}};
  const free = {params, body: {reason, idempotencyKey}};
  switch (action) {
    case "ACTION_PROMOTE":
      return answer(api.POST("/v1/deployments/{id}:promote", bound));
    case "ACTION_HOLD":
      return answer(api.POST("/v1/deployments/{id}:hold", free));
    case "ACTION_RESUME":
      return answer(api.POST("/v1/deployments/{id}:resume", bound));
    case "ACTION_ROLL_BACK":
      return answer(api.POST("/v1/deployments/{id}:rollback", free));
    case "ACTION_CANCEL":
      return answer(api.POST("/v1/deployments/{id}:cancel", bound));
    case "ACTION_APPROVE":
      return answer(api.POST("/v1/deployments/{id}:approve", bound));
    case "ACTION_REJECT":
      return answer(api.POST("/v1/deployments/{id}:reject", bound));
    case "ACTION_UNSPECIFIED":
      return Promise.reject(new Error("nothing was asked for"));
  }
}

function Deed({deployment, permit, close}: {deployment: Deployment; permit: Permit; close: () => void}) {
  const {id, etag, release} = deployment;
  const service = release?.service ?? "";
  const [reason, setReason] = useState("");
  const [typed, setTyped] = useState("");
  const [tried, setTried] = useState(false);
  const act = useAct(
    (input: Asked, key) => ask(permit.action, id, input, key),
    () => {
      changed(`deployment/${id}/`);
      close();
    },
  );
  const noReason = reason.trim() === "" ? "Say why: it stands in the record, for those who come after you." : undefined;
  const notTyped = permit.dangerous && typed !== service ? `Type ${service}: this is not easily taken back.` : undefined;
  const submit = () => {
    setTried(true);
    if (permit.allowed && noReason === undefined && notTyped === undefined) {
      void act.run({etag, reason: reason.trim()});
    }
  };
  const word = actionWord[permit.action];
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
      noValidate
    >
      <Stack gap="sm">
        <div className={permit.allowed ? classes.consequence : classes.needed} role="status" data-part="consequence">
          <Text className="wrap">{permit.allowed ? sentence(permit.consequence) : `This cannot be done any more: ${permit.whyNot}.`}</Text>
        </div>
        <Textarea label="Why" description="For the record, and for the others on call" rows={3} maxLength={1000} required data-autofocus value={reason} onChange={(event) => setReason(event.currentTarget.value)} error={act.field("reason") ?? (tried ? noReason : undefined)} />
        {permit.dangerous && <TextInput label={`Type ${service} to confirm`} autoComplete="off" required value={typed} onChange={(event) => setTyped(event.currentTarget.value)} error={tried ? notTyped : undefined} />}
        {act.error !== undefined && <Failed error={act.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            Leave it as it is
          </Button>
          <Button type="submit" color={permit.dangerous ? "red" : "blue"} loading={act.busy} disabled={!permit.allowed}>
            {word}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
