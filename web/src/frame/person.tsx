// The person: who is logged in, with which roles, how he wants to see things, and the way out.
import {ActionIcon, Button, Divider, Popover, SegmentedControl, Select, Stack, Text, useMantineColorScheme} from "@mantine/core";
import {useMemo} from "react";
import {answer, api} from "../ask/api";
import {useAct} from "../ask/act";
import {useMe} from "../ask/permission";
import {Failed} from "../ask/state";
import {Icon} from "./icon";
import {manner, zone, zones} from "./zone";

export function Person() {
  const {data} = useMe();
  const identity = data?.identity;
  const out = useAct(
    () => answer(api.POST("/v1/logout", {body: {}})),
    () => window.location.assign("/login"),
  );
  const name = identity?.displayName || identity?.person || identity?.subject || "…";
  return (
    <Popover position="bottom-end" width={300} trapFocus returnFocus>
      <Popover.Target>
        <ActionIcon variant="default" size="lg" aria-label={`${name}: who you are, and how things are shown`}>
          <Icon name="human" />
        </ActionIcon>
      </Popover.Target>
      <Popover.Dropdown p="sm">
        <Stack gap="sm">
          <div>
            <Text fw={650} className="wrap">
              {name}
            </Text>
            <Roles />
          </div>
          <Divider />
          <Looks />
          <Divider />
          {out.error !== undefined && <Failed error={out.error} />}
          <Button variant="default" fullWidth loading={out.busy} onClick={() => void out.run(undefined)}>
            Log out
          </Button>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}

// Private

function Roles() {
  const {data} = useMe();
  const bindings = data?.identity?.bindings ?? [];
  if (bindings.length === 0) {
    return <Text size="sm">You have no role: an admin can give you one.</Text>;
  }
  const where = (name: string, all: string) => (name === "*" ? all : name);
  return (
    <Stack gap={2}>
      {bindings.map((b) => (
        <Text key={b.id} size="sm" className="quiet wrap">
          {b.role}: {where(b.service, "all services")}, {where(b.environment, "all environments")}
        </Text>
      ))}
    </Stack>
  );
}

function Looks() {
  const {colorScheme, setColorScheme} = useMantineColorScheme();
  const chosen = zone.use();
  const how = manner.use();
  const choices = useMemo(() => [{value: "local", label: "This browser's"}, {value: "UTC", label: "UTC"}, ...zones().filter((name) => name !== "UTC").map((name) => ({value: name, label: name}))], []);
  return (
    <>
      <SegmentedControl
        aria-label="Colours"
        value={colorScheme}
        onChange={(value) => setColorScheme(value as "light" | "dark" | "auto")}
        data={[{value: "light", label: "Light"}, {value: "dark", label: "Dark"}, {value: "auto", label: "System"}]}
      />
      <SegmentedControl aria-label="Times" value={how} onChange={manner.set} data={[{value: "relative", label: "3 m ago"}, {value: "absolute", label: "14:03:12"}]} />
      <Select label="Time zone" searchable value={chosen} limit={60} onChange={(value) => zone.set(value ?? "local")} data={choices} allowDeselect={false} comboboxProps={{withinPortal: false}} />
    </>
  );
}
