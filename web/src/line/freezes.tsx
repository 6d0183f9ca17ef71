// Freeze windows: times in which no deployment begins.
import {Group, NativeSelect, SegmentedControl, Stack, Text, TextInput, Textarea} from "@mantine/core";
import {useState} from "react";
import {all, answer, api, type Schemas} from "../ask/api";
import {changed, useAsk} from "../ask/ask";
import {Doing} from "../ask/doing";
import {usePermission} from "../ask/permission";
import {useSomewhere} from "../ask/somewhere";
import {Empty, State} from "../ask/state";
import {Badge} from "../figures/badge";
import {Rows} from "../figures/rows";
import {Time, absolute} from "../frame/time";
import {wallTime} from "../frame/wall";
import {zone, zones} from "../frame/zone";
import {scopeWords} from "./scope";
import {days, momentText} from "./weekly";

type Freeze = Schemas["adg.v1.FreezeWindow"];

/** The freeze windows, or those that cover a service. */
export function Freezes({service}: {service?: string}) {
  const freezes = useAsk(`freezes/${service ?? ""}`, (signal) => all((pageToken) => api.GET("/v1/freezes", {params: {query: {service, pageSize: 1000, pageToken}}, signal}), (page) => page.freezes), {every: 30_000});
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Text size="sm" className="quiet">
          While one holds, no deployment begins where it covers. Those under way go on, and rollbacks are never kept back.
        </Text>
        <NewFreeze service={service} />
      </Group>
      <State of={freezes} what="freeze windows" empty={(rows) => rows.length === 0} none={<Empty>No freeze window{service === undefined ? "" : ` covers ${service}`}: deployments may begin at any time.</Empty>}>
        {(rows) => <Table rows={rows} />}
      </State>
    </Stack>
  );
}

// Private

function Table({rows}: {rows: readonly Freeze[]}) {
  const chosen = zone.use();
  return (
    <Rows
      label="Freeze windows"
      rows={rows}
      id={(freeze) => freeze.name}
      columns={[
        {name: "Name", cell: (freeze) => freeze.name},
        {
          name: "Now",
          cell: (freeze) =>
            freeze.active === true ? (
              <>
                <Badge tone="warn" icon="hold">
                  Holds
                </Badge>
                {freeze.activeUntilTime !== undefined && (
                  <Text span size="sm">
                    {" "}
                    until <Time at={freeze.activeUntilTime} />
                  </Text>
                )}
              </>
            ) : (
              <Badge tone="unknown" icon="clock">
                Does not hold
              </Badge>
            ),
        },
        {name: "When", cell: (freeze) => whenWords(freeze, chosen)},
        {name: "Where", cell: (freeze) => scopeWords(freeze.service, freeze.environment)},
        {name: "Why", cell: (freeze) => freeze.reason},
        {name: "By", cell: (freeze) => freeze.actor},
        {name: "Do", cell: (freeze) => <Drop freeze={freeze} />},
      ]}
    />
  );
}

export function whenWords(freeze: Freeze, chosen: string): string {
  if (freeze.weekly !== undefined) {
    return `Every week from ${freeze.weekly.from} to ${freeze.weekly.until}, ${freeze.weekly.zone === "" || freeze.weekly.zone === undefined ? "UTC" : freeze.weekly.zone}`;
  }
  const from = freeze.fromTime === undefined ? "From the beginning" : `From ${absolute(Date.parse(freeze.fromTime), chosen)}`;
  return freeze.untilTime === undefined ? `${from} until it is dropped` : `${from} to ${absolute(Date.parse(freeze.untilTime), chosen)}`;
}

function Drop({freeze}: {freeze: Freeze}) {
  const by = usePermission("freeze.write", freeze.service, freeze.environment);
  return (
    <Doing
      name="Drop"
      about={`the freeze window ${freeze.name}`}
      by={by}
      why="welcome"
      does={`Deployments of ${scopeWords(freeze.service, freeze.environment)} may begin again at once, unless another window covers them; those that wait for the window go on by themselves.`}
      run={(reason, idempotencyKey) => answer(api.DELETE("/v1/freezes/{name}", {params: {path: {name: freeze.name}, query: {etag: freeze.etag, reason, idempotencyKey}}}))}
      after={told}
    />
  );
}

function told(): void {
  changed("freezes/", "services/", "service/");
}

const blank = {name: "", service: "", environment: "", kind: "once", from: "", until: "", fromDay: "Fri", fromTime: "16:00", untilDay: "Mon", untilTime: "06:00", zone: "UTC", reason: ""};

function NewFreeze({service}: {service: string | undefined}) {
  const by = useSomewhere("freeze.write");
  const chosen = zone.use();
  const [form, setForm] = useState(blank);
  const set = (news: Partial<typeof blank>) => setForm({...form, ...news});
  const freeze = written(form, chosen);
  return (
    <Doing
      name="Freeze"
      by={by}
      why="none"
      input={freeze}
      opened={() => setForm({...blank, service: service ?? "", zone: chosen === "local" ? Intl.DateTimeFormat().resolvedOptions().timeZone : chosen})}
      ready={freeze !== undefined}
      does="No deployment begins in this time where the window covers. Those under way go on, and rollbacks are never kept back."
      run={(_, idempotencyKey) => answer(api.POST("/v1/freezes", {body: {freeze: freeze!, reason: freeze!.reason, idempotencyKey}}))}
      after={told}
    >
      {(field) => <FreezeForm form={form} set={set} chosen={chosen} field={field} />}
    </Doing>
  );
}

function FreezeForm({form, set, chosen, field}: {form: typeof blank; set: (news: Partial<typeof blank>) => void; chosen: string; field: (name: string) => string | undefined}) {
  return (
    <>
      <TextInput label="Name" description="Unique, such as christmas" value={form.name} maxLength={100} onChange={(event) => set({name: event.currentTarget.value})} error={field("freeze.name")} />
      <Group grow align="flex-start">
        <TextInput label="Service" description="A name, or its beginning and *; empty: all" value={form.service} onChange={(event) => set({service: event.currentTarget.value})} error={field("freeze.service")} />
        <TextInput label="Environment" description="Likewise" value={form.environment} onChange={(event) => set({environment: event.currentTarget.value})} error={field("freeze.environment")} />
      </Group>
      <SegmentedControl aria-label="How often" value={form.kind} onChange={(kind) => set({kind})} data={[{value: "once", label: "Once"}, {value: "weekly", label: "Every week"}]} />
      {form.kind === "once" ? (
        <Group grow align="flex-start">
          <TextInput type="datetime-local" label="From" description={chosen === "local" ? "By this browser's clock; empty: now" : `By the clock of ${chosen}; empty: now`} value={form.from} onChange={(event) => set({from: event.currentTarget.value})} error={field("freeze.from_time")} />
          <TextInput type="datetime-local" label="Until" description="Empty: until it is dropped" value={form.until} onChange={(event) => set({until: event.currentTarget.value})} error={field("freeze.until_time")} />
        </Group>
      ) : (
        <>
          <Moment label="From" day={form.fromDay} time={form.fromTime} set={(fromDay, fromTime) => set({fromDay, fromTime})} />
          <Moment label="Until" day={form.untilDay} time={form.untilTime} set={(untilDay, untilTime) => set({untilDay, untilTime})} />
          <NativeSelect label="By the clock of" value={form.zone} data={["UTC", ...zones().filter((name) => name !== "UTC")]} onChange={(event) => set({zone: event.currentTarget.value})} error={field("freeze.weekly.zone")} />
        </>
      )}
      <Textarea label="Why" description="Whoever is kept waiting reads it." value={form.reason} rows={3} maxLength={2000} onChange={(event) => set({reason: event.currentTarget.value})} error={field("freeze.reason")} />
    </>
  );
}

function Moment({label, day, time, set}: {label: string; day: string; time: string; set: (day: string, time: string) => void}) {
  return (
    <Group grow align="flex-end">
      <NativeSelect label={`${label}, day`} value={day} data={[...days]} onChange={(event) => set(event.currentTarget.value, time)} />
      <TextInput type="time" label={`${label}, time`} value={time} onChange={(event) => set(day, event.currentTarget.value)} />
    </Group>
  );
}

/** The window of a form; undefined: something necessary is missing. */
export function written(form: typeof blank, chosen: string, now = Date.now()): Freeze | undefined {
  const scope = {name: form.name.trim(), reason: form.reason.trim(), service: form.service.trim(), environment: form.environment.trim()};
  if (scope.name === "" || scope.reason === "") {
    return undefined;
  }
  if (form.kind === "once") {
    return {...scope, fromTime: wallTime(form.from, chosen) ?? new Date(now).toISOString(), untilTime: wallTime(form.until, chosen)};
  }
  const from = momentText({day: form.fromDay, time: form.fromTime});
  const until = momentText({day: form.untilDay, time: form.untilTime});
  return from === undefined || until === undefined ? undefined : {...scope, weekly: {from, until, zone: form.zone}};
}
