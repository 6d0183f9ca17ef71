// Who can log in.
import {Group, PasswordInput, Stack, TextInput} from "@mantine/core";
import {useState} from "react";
import {answer, api, type Schemas} from "../../ask/api";
import {changed} from "../../ask/ask";
import {Doing} from "../../ask/doing";
import {useMore} from "../../ask/more";
import {usePermission} from "../../ask/permission";
import {Empty, State} from "../../ask/state";
import {Badge} from "../../figures/badge";
import {MoreRows, Rows} from "../../figures/rows";
import {TextFilter} from "../../frame/filter";
import {Link, useQuery} from "../../frame/router";
import {Time} from "../../frame/time";

type User = Schemas["adg.v1.User"];
type Change = {disabled?: boolean; locked?: boolean; password?: string};

export function Users() {
  const [query, change] = useQuery();
  const prefix = query.get("name") || undefined;
  const users = useMore(
    `users/${prefix ?? ""}`,
    async (pageToken, signal) => {
      const page = await answer(api.GET("/v1/users", {params: {query: {prefix, pageSize: 100, pageToken}}, signal}));
      return {rows: page.users, next: page.nextPageToken};
    },
    {every: 30_000},
  );
  return (
    <Stack gap="sm">
      <Group justify="space-between" align="flex-end">
        <TextFilter label="Name begins with" name="name" query={query} change={change} />
        <NewUser />
      </Group>
      <State of={users} what="users" empty={(rows) => rows.length === 0} none={<Empty>Nobody is named like that.</Empty>}>
        {(rows) => (
          <>
            <Rows
              label="Users"
              rows={rows}
              id={(user) => user.name}
              columns={[
                {name: "Name", cell: (user) => user.name},
                {name: "For people", cell: (user) => user.displayName || undefined},
                {name: "Email", cell: (user) => user.email || undefined},
                {name: "Logs in", cell: (user) => <LogsIn user={user} />},
                {name: "Last", cell: (user) => <Time at={user.loginTime} />},
                {name: "Groups", cell: (user) => ((user.groups ?? []).length === 0 ? undefined : user.groups!.join(", "))},
                {name: "Roles", cell: (user) => <Link href={`/settings/roles?subject=${encodeURIComponent(`user:${user.name}`)}`}>Roles of {user.name}</Link>},
                {name: "Do", cell: (user) => <Do user={user} />},
              ]}
            />
            <MoreRows of={users} shown={rows.length} what="users" />
          </>
        )}
      </State>
    </Stack>
  );
}

// Private

function LogsIn({user}: {user: User}) {
  if (user.disabled) {
    return (
      <Badge tone="unknown" icon="stop">
        Not any more
      </Badge>
    );
  }
  if (user.locked) {
    return (
      <Badge tone="warn" icon="hold">
        Not for now: too many wrong passwords
      </Badge>
    );
  }
  return <Badge tone="good">{user.provider === "" ? "With a password" : `With ${user.provider}`}</Badge>;
}

function Do({user}: {user: User}) {
  const by = usePermission("identity.write");
  const [password, setPassword] = useState("");
  const patch = (change: Change) => (reason: string, idempotencyKey: string) => answer(api.PATCH("/v1/users/{name}", {params: {path: {name: user.name}}, body: {...change, etag: user.etag, reason, idempotencyKey}}));
  const common = {by, why: "welcome" as const, after: told};
  return (
    <Group gap={6}>
      {user.locked && <Doing {...common} name="Unlock" about={user.name} does={`${user.name} can try to log in again at once.`} run={patch({locked: false})} />}
      {user.disabled ? (
        <Doing {...common} name="Enable" about={user.name} does={`${user.name} can log in again, with the roles that he has.`} run={patch({disabled: false})} />
      ) : (
        <Doing {...common} name="Disable" about={user.name} does={`${user.name} cannot log in any more, his sessions end at once, and his tokens no longer work. He can be enabled again.`} run={patch({disabled: true})} />
      )}
      {user.provider === "" && (
        <Doing {...common} name="Set a password" about={`for ${user.name}`} input={password} opened={() => setPassword("")} ready={password.length >= 12} does={`${user.name} logs in with it from now on; his sessions end at once. Tell him, and let him change it.`} run={patch({password})}>
          {(field) => <PasswordInput label="New password" description="At least 12 characters" autoComplete="new-password" value={password} onChange={(event) => setPassword(event.currentTarget.value)} error={field("password")} />}
        </Doing>
      )}
      <Doing
        {...common}
        name="Delete"
        about={user.name}
        sure={user.name}
        color="red"
        does={`${user.name}, his sessions, tokens and roles are gone for good. What he did stays in the audit log.`}
        run={(reason, idempotencyKey) => answer(api.DELETE("/v1/users/{name}", {params: {path: {name: user.name}, query: {etag: user.etag, reason, idempotencyKey}}}))}
      />
    </Group>
  );
}

const blank = {name: "", displayName: "", email: "", password: ""};

function NewUser() {
  const by = usePermission("identity.write");
  const [form, setForm] = useState(blank);
  const text = (name: keyof typeof blank) => ({value: form[name], onChange: (event: {currentTarget: {value: string}}) => setForm({...form, [name]: event.currentTarget.value})});
  return (
    <Doing
      name="Add a user"
      by={by}
      why="welcome"
      input={form}
      opened={() => setForm(blank)}
      ready={form.name.trim() !== "" && form.password.length >= 12}
      does="He can log in with the password, and sees nothing until somebody gives him a role."
      run={(reason, idempotencyKey) => answer(api.POST("/v1/users", {body: {...form, name: form.name.trim(), reason, idempotencyKey}}))}
      after={told}
    >
      {(field) => (
        <>
          <TextInput label="Name" description="Letters, digits, '.', '_' or '-'" autoComplete="off" {...text("name")} error={field("name")} />
          <TextInput label="Name for people" autoComplete="off" {...text("displayName")} error={field("display_name")} />
          <TextInput label="Email" type="email" autoComplete="off" {...text("email")} error={field("email")} />
          <PasswordInput label="First password" description="At least 12 characters" autoComplete="new-password" {...text("password")} error={field("password")} />
        </>
      )}
    </Doing>
  );
}

function told(): void {
  changed("users/", "sessions/", "tokens/", "bindings/");
}
