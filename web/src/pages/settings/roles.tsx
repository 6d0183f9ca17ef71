// Who may do what, where; and what each role contains.
import {Group, Stack, Text, TextInput, Title} from "@mantine/core";
import {useState} from "react";
import {all, answer, api, type Schemas} from "../../ask/api";
import {changed, useAsk} from "../../ask/ask";
import {Doing} from "../../ask/doing";
import {useMore} from "../../ask/more";
import {usePermission} from "../../ask/permission";
import {useSomewhere} from "../../ask/somewhere";
import {Empty, State} from "../../ask/state";
import {MoreRows, Rows} from "../../figures/rows";
import {TextFilter} from "../../frame/filter";
import {useQuery} from "../../frame/router";
import {Time} from "../../frame/time";
import {scopeWords} from "../../line/scope";
import {WhereForm, nowhere, whereReady} from "./where";

type Binding = Schemas["adg.v1.RoleBinding"];

export function Roles() {
  const [query, change] = useQuery();
  const subject = query.get("subject") || undefined;
  const bindings = useMore(
    `bindings/${subject ?? ""}`,
    async (pageToken, signal) => {
      const page = await answer(api.GET("/v1/bindings", {params: {query: {subject, pageSize: 100, pageToken}}, signal}));
      return {rows: page.bindings, next: page.nextPageToken};
    },
    {every: 30_000},
  );
  return (
    <Stack gap="md">
      <Group justify="space-between" align="flex-end">
        <TextFilter label="Whose" placeholder="user:ann" name="subject" query={query} change={change} />
        <Give subject={subject} />
      </Group>
      <State of={bindings} what="roles" empty={(rows) => rows.length === 0} none={<Empty>{subject === undefined ? "Nobody has a role." : `${subject} has no role.`}</Empty>}>
        {(rows) => (
          <>
            <Rows
              label="Who has which role"
              rows={rows}
              id={(binding) => binding.id ?? ""}
              columns={[
                {name: "Who", cell: (binding) => binding.subject},
                {name: "Role", cell: (binding) => binding.role, whole: true},
                {name: "Where", cell: (binding) => scopeWords(binding.service, binding.environment)},
                {name: "Given by", cell: (binding) => binding.creator || undefined},
                {name: "When", cell: (binding) => (binding.createTime === undefined ? undefined : <Time at={binding.createTime} />)},
                {name: "Do", cell: (binding) => <Take binding={binding} />},
              ]}
            />
            <MoreRows of={bindings} shown={rows.length} what="roles" />
          </>
        )}
      </State>
      <Contents />
    </Stack>
  );
}

// Private

function Take({binding}: {binding: Binding}) {
  const by = usePermission("role.grant", binding.service, binding.environment);
  const what = `the role ${binding.role} of ${binding.subject}`;
  return (
    <Doing
      name="Take"
      about={what}
      by={by}
      why="welcome"
      does={`${binding.subject} may no longer do what ${binding.role} may in ${scopeWords(binding.service, binding.environment)}, at once. His tokens may no more than he.`}
      run={(reason, idempotencyKey) => answer(api.DELETE("/v1/bindings/{id}", {params: {path: {id: binding.id ?? ""}, query: {etag: binding.etag, reason, idempotencyKey}}}))}
      after={told}
    />
  );
}

function Give({subject}: {subject: string | undefined}) {
  const by = useSomewhere("role.grant");
  const [form, setForm] = useState({...nowhere, subject: ""});
  return (
    <Doing
      name="Give a role"
      by={by}
      why="welcome"
      input={form}
      opened={() => setForm({...nowhere, subject: subject ?? "user:"})}
      ready={/^(user|group|token):./.test(form.subject) && whereReady(form)}
      does="He may do it at once. Nobody can give what he does not have there himself."
      run={(reason, idempotencyKey) => answer(api.POST("/v1/bindings", {body: {...form, reason, idempotencyKey}}))}
      after={told}
    >
      {(field) => (
        <>
          <TextInput label="To whom" description="user:NAME, group:NAME or token:ID" value={form.subject} onChange={(event) => setForm({...form, subject: event.currentTarget.value})} error={field("subject")} />
          <WhereForm where={form} set={(news) => setForm({...form, ...news})} field={field} />
        </>
      )}
    </Doing>
  );
}

function Contents() {
  const roles = useAsk("roles", (signal) => all((pageToken) => api.GET("/v1/roles", {params: {query: {pageToken}}, signal}), (page) => page.roles));
  return (
    <section aria-label="What the roles contain">
      <Title order={3} size="h5" mb="xs">
        What the roles contain
      </Title>
      <State of={roles} what="roles">
        {(rows) => (
          <Rows
            label="What the roles contain"
            rows={rows}
            id={(role) => role.role}
            columns={[
              {name: "Role", cell: (role) => role.role, whole: true},
              {name: "For", cell: (role) => role.text},
              {
                name: "Permissions",
                cell: (role) => (
                  <Text size="xs" className="wrap">
                    {role.permissions.join(", ")}
                  </Text>
                ),
              },
            ]}
          />
        )}
      </State>
    </section>
  );
}

function told(): void {
  changed("bindings/", "me");
}
