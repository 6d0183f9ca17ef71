import {Button, Group, Stack, Switch, Text, TextInput, Title} from "@mantine/core";
import {type FormEvent, useState} from "react";
import {Permitted, useAnywhere} from "../../ask/permission";
import {Empty, State} from "../../ask/state";
import {Badge} from "../../figures/badge";
import {count} from "../../figures/words";
import {Dialog} from "../../frame/dialog";
import {Link, go, useQuery} from "../../frame/router";
import {Time} from "../../frame/time";
import {to} from "../../places";
import {type Version, usePolicies} from "./asks";
import {Weakens} from "./diff";
import classes from "./policy.module.css";

/** All policies: those that wait for somebody first. */
export function List() {
  const [query, change] = useQuery();
  const asked = usePolicies();
  const text = query.get("q") ?? "";
  const pending = query.get("waits") === "1";
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Title order={1}>Policies</Title>
        <Fresh />
      </Group>
      <Text className="quiet">How the deployments of each service are guarded: what is measured, how a release goes up, and when it goes back.</Text>
      <Group align="end" gap="md">
        <TextInput label="Service or environment" value={text} onChange={(event) => change({q: event.currentTarget.value})} maxLength={200} />
        <Switch label="Only those that wait for an approval" checked={pending} onChange={(event) => change({waits: event.currentTarget.checked ? "1" : undefined})} />
      </Group>
      <State of={asked} what="policies" empty={(all) => all.length === 0} none={<Empty>No service has a policy yet. “New policy” begins one, with the least that guards filled in.</Empty>}>
        {(all) => <Rows all={all} shown={chosen(all, text, pending)} />}
      </State>
    </Stack>
  );
}

/** The policies that are asked for; those that wait for an approval come first. */
export function chosen(all: readonly Version[], text: string, pending: boolean): Version[] {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== "");
  return all
    .filter((one) => (!pending || one.pendingApproval) && words.every((word) => `${one.service} ${one.environment}`.toLowerCase().includes(word)))
    .sort((a, b) => Number(b.pendingApproval) - Number(a.pendingApproval) || a.service.localeCompare(b.service) || a.environment.localeCompare(b.environment));
}

// Private

function Rows({all, shown}: {all: readonly Version[]; shown: readonly Version[]}) {
  return (
    <div className="card">
      <Text size="sm" className="quiet" role="status">
        {shown.length === all.length ? count(all.length, "policy", "policies") : `${shown.length} of ${count(all.length, "policy", "policies")}`}
      </Text>
      {shown.map((one) => (
        <div key={`${one.service}/${one.environment}`} className={classes.row}>
          <Group gap="xs">
            <Link href={to.policy(one.service, one.environment)} className={classes.place}>
              {one.service} in {one.environment}
            </Link>
            {one.pendingApproval ? <Badge tone="warn">{`Version ${one.version} waits for approval`}</Badge> : <Badge tone="good">{`Version ${one.version} in force`}</Badge>}
          </Group>
          <Text size="sm" className="quiet wrap">
            {one.author}, <Time at={one.createTime} both />
            {one.reason === "" ? "" : `: ${one.reason}`}
          </Text>
          {one.pendingApproval && <Weakens all={one.weakens} />}
        </div>
      ))}
    </div>
  );
}

const plain = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/;

function Fresh() {
  const may = useAnywhere("policy.write");
  const [opened, setOpened] = useState(false);
  const [place, setPlace] = useState({service: "", environment: ""});
  const whyNot = (name: string) => (name === "" || plain.test(name) ? undefined : "Letters, digits, dots, dashes and underscores");
  const ready = plain.test(place.service) && plain.test(place.environment);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (ready) {
      go(to.policy(place.service, place.environment));
    }
  };
  return (
    <>
      <Permitted by={{allowed: may, whyNot: may ? "" : "You may write no policy: that takes the permission policy.write, which an admin can give you."}} onClick={() => setOpened(true)}>
        New policy
      </Permitted>
      <Dialog title="New policy" opened={opened} close={() => setOpened(false)}>
        <form onSubmit={submit}>
          <Stack gap="sm">
            <Text size="sm">The editor opens with the least that guards. Nothing is stored before you save it there.</Text>
            <TextInput label="Service" required data-autofocus maxLength={200} value={place.service} error={whyNot(place.service)} onChange={(event) => setPlace({...place, service: event.currentTarget.value})} />
            <TextInput label="Environment" required maxLength={200} value={place.environment} error={whyNot(place.environment)} onChange={(event) => setPlace({...place, environment: event.currentTarget.value})} />
            <Group justify="flex-end">
              <Button type="submit" disabled={!ready}>
                Write it
              </Button>
            </Group>
          </Stack>
        </form>
      </Dialog>
    </>
  );
}
