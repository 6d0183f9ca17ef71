// A connection as a form: which type, its options as the type's schema has them, and who may use it.
import {Alert, Button, Checkbox, Group, NativeSelect, PasswordInput, Stack, Text, TextInput, Textarea} from "@mantine/core";
import {useState} from "react";
import {all, answer, api, type Schemas} from "../../ask/api";
import {useAct} from "../../ask/act";
import {changed, useAsk} from "../../ask/ask";
import {Doing} from "../../ask/doing";
import {usePermission} from "../../ask/permission";
import {Failed, State} from "../../ask/state";
import {Icon} from "../../frame/icon";
import {type Field, type Form, fieldsOf, filled, writtenOptions} from "./options";
import {Tried} from "./tried";

type Connection = Schemas["adg.v1.Connection"];
type Driver = Schemas["adg.v1.Driver"];
type Seam = Schemas["adg.v1.Seam"];

export const seams = [
  {seam: "SEAM_SOURCE" as Seam, name: "source", one: "Source", many: "Sources: how a release is doing"},
  {seam: "SEAM_TARGET" as Seam, name: "target", one: "Target", many: "Targets: where it is made live"},
  {seam: "SEAM_NOTIFIER" as Seam, name: "notifier", one: "Notifier", many: "Notifiers: who is told"},
] as const;

interface Draft {
  name: string;
  seam: Seam;
  type: string;
  services: string;
  environments: string;
  form: Form | undefined; // undefined: nobody has written yet
}

/** Adds a connection, or changes the one there was before. */
export function ConnectionButton({before}: {before: Connection | undefined}) {
  const by = usePermission("connection.write");
  const [draft, setDraft] = useState<Draft>(() => draftOf(before));
  const drivers = useDrivers(by.allowed);
  const driver = drivers.data?.find((one) => one.seam === draft.seam && one.type === draft.type);
  const fields = driver === undefined ? [] : fieldsOf(driver.schema, driver.secrets);
  const form = draft.form ?? filled(fields, before?.options);
  const written = writtenOptions(fields, form);
  const connection = {
    name: draft.name.trim(),
    seam: draft.seam,
    type: draft.type,
    options: written.options as Record<string, never>,
    secrets: written.secrets,
    services: names(draft.services),
    environments: names(draft.environments),
  };
  const ready = driver !== undefined && written.problems.size === 0 && connection.name !== "" && connection.services.length > 0 && connection.environments.length > 0;
  return (
    <Doing
      name={before === undefined ? "Add a connection" : "Change"}
      about={before?.name}
      width="lg"
      by={by}
      why="welcome"
      input={connection}
      ready={ready}
      opened={() => setDraft(draftOf(before))}
      does={before === undefined ? "Policies of the services below can name it from then on. Its secrets are kept encrypted, and never shown again." : "Deployments under way use it as it is then. Secrets that you leave empty stay as they are."}
      run={(reason, idempotencyKey) =>
        before === undefined
          ? answer(api.POST("/v1/connections", {body: {connection, reason, idempotencyKey}}))
          : answer(api.PUT("/v1/connections/{connection.name}", {params: {path: {"connection.name": before.name}}, body: {connection, etag: before.etag ?? "", reason, idempotencyKey}}))
      }
      after={() => changed("connections/")}
    >
      {(field) => (
        <State of={drivers} what="types of connections">
          {(known) => (
            <>
              <Which draft={draft} set={(news) => setDraft({...draft, ...news})} drivers={known} fixed={before !== undefined} field={field} />
              {driver !== undefined && <Options fields={fields} form={form} set={(next) => setDraft({...draft, form: next})} problems={written.problems} kept={before?.secretNames ?? []} field={field} />}
              <Try connection={connection} ready={ready} />
            </>
          )}
        </State>
      )}
    </Doing>
  );
}

// Private

function useDrivers(wanted: boolean) {
  return useAsk(wanted ? "drivers" : undefined, (signal) => all((pageToken) => api.GET("/v1/drivers", {params: {query: {pageSize: 1000, pageToken}}, signal}), (page) => page.drivers));
}

function draftOf(before: Connection | undefined): Draft {
  return {
    name: before?.name ?? "",
    seam: before?.seam ?? "SEAM_SOURCE",
    type: before?.type ?? "prometheus",
    services: (before?.services ?? ["*"]).join(", "),
    environments: (before?.environments ?? ["*"]).join(", "),
    form: undefined,
  };
}

function names(text: string): string[] {
  return text.split(/[\s,]+/).filter((name) => name !== "");
}

interface WhichProps {
  draft: Draft;
  set: (news: Partial<Draft>) => void;
  drivers: readonly Driver[];
  fixed: boolean; // it is there already: its name and type stay
  field: (name: string) => string | undefined;
}

function Which({draft, set, drivers, fixed, field}: WhichProps) {
  const types = drivers.filter((driver) => driver.seam === draft.seam);
  const summary = types.find((driver) => driver.type === draft.type)?.summary;
  const choose = (seam: Seam) => set({seam, type: drivers.find((driver) => driver.seam === seam)?.type ?? "", form: undefined});
  return (
    <>
      {!fixed && (
        <Group grow align="flex-start">
          <NativeSelect label="For what" value={draft.seam} data={seams.map(({seam, many}) => ({value: seam, label: many}))} onChange={(event) => choose(event.currentTarget.value as Seam)} />
          <NativeSelect label="Type" value={draft.type} data={types.map((driver) => driver.type)} onChange={(event) => set({type: event.currentTarget.value, form: undefined})} error={field("connection.type")} />
        </Group>
      )}
      <Text size="sm" className="quiet">
        {summary}
      </Text>
      {!fixed && <TextInput label="Name" description="As policies will name it" autoComplete="off" value={draft.name} onChange={(event) => set({name: event.currentTarget.value})} error={field("connection.name")} />}
      <Group grow align="flex-start">
        <TextInput label="Services that may use it" description="Names, beginnings and *, or * for all" value={draft.services} onChange={(event) => set({services: event.currentTarget.value})} error={field("connection.services")} />
        <TextInput label="Environments" description="Likewise" value={draft.environments} onChange={(event) => set({environments: event.currentTarget.value})} error={field("connection.environments")} />
      </Group>
    </>
  );
}

interface OptionsProps {
  fields: readonly Field[];
  form: Form;
  set: (form: Form) => void;
  problems: ReadonlyMap<string, string>;
  kept: readonly string[]; // paths of secrets that are known already
  field: (name: string) => string | undefined;
}

function Options({fields, form, set, problems, kept, field}: OptionsProps) {
  const one = (option: Field) => (
    <Option key={option.path} option={option} value={form[option.path] ?? ""} set={(value) => set({...form, [option.path]: value})} kept={kept.includes(option.path)} error={problems.get(option.path) ?? field(`connection.options.${option.path}`) ?? field(option.path)} />
  );
  const more = fields.filter((option) => option.more);
  return (
    <>
      {fields.filter((option) => !option.more).map(one)}
      {more.length > 0 && (
        <details open={more.some(({path}) => problems.has(path)) || undefined}>
          <summary>More options ({more.length})</summary>
          <Stack gap="sm" mt="sm">
            {more.map(one)}
          </Stack>
        </details>
      )}
    </>
  );
}

function Option({option, value, set, kept, error}: {option: Field; value: string; set: (value: string) => void; kept: boolean; error: string | undefined}) {
  const common = {label: option.path, description: option.text, error, placeholder: option.otherwise};
  const changed = (event: {currentTarget: {value: string}}) => set(event.currentTarget.value);
  switch (option.kind) {
    case "flag":
      return <Checkbox label={option.path} description={option.text} error={error} checked={(value || option.otherwise) === "true"} onChange={(event) => set(String(event.currentTarget.checked))} />;
    case "lines":
      return <Textarea {...common} description={`${option.text} One a line.`} rows={3} value={value} onChange={changed} />;
    case "json":
      return <Textarea {...common} description={`${option.text} As JSON.`} rows={3} value={value} onChange={changed} styles={{input: {fontFamily: "var(--mantine-font-family-monospace)"}}} />;
    case "secret":
      return <PasswordInput {...common} placeholder={kept ? "is known; empty: it stays" : ""} autoComplete="off" value={value} onChange={changed} />;
    case "number":
      return <TextInput {...common} inputMode="decimal" value={value} onChange={changed} />;
    case "text":
      return <TextInput {...common} value={value} onChange={changed} />;
  }
}

/** Tries the connection out as it stands in the form, before it is saved. */
function Try({connection, ready}: {connection: Connection; ready: boolean}) {
  const trial = useAct((one: Connection, idempotencyKey) => answer(api.POST("/v1/connections/{name}:test", {params: {path: {name: one.name}}, body: {connection: one, idempotencyKey}})));
  const [found, setFound] = useState<Schemas["adg.v1.TestConnectionResponse"]>();
  return (
    <>
      <Group gap="sm">
        <Button variant="default" size="xs" loading={trial.busy} data-disabled={ready ? undefined : true} aria-disabled={!ready} onClick={() => ready && void trial.run(connection).then(setFound)}>
          Test it as it is here
        </Button>
        {connection.seam === "SEAM_NOTIFIER" && <Text size="sm">A test message is sent.</Text>}
      </Group>
      {trial.error !== undefined && <Failed error={trial.error} />}
      {trial.done && found !== undefined && (
        <Alert variant="outline" color="gray" icon={<Icon name="pulse" />}>
          <Tried trial={found} />
        </Alert>
      )}
    </>
  );
}
