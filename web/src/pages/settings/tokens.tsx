// API tokens: what programs log in with.
import {Alert, Checkbox, Group, NativeSelect, Stack, Text, TextInput} from "@mantine/core";
import {useState} from "react";
import {answer, api, type Schemas} from "../../ask/api";
import {changed} from "../../ask/ask";
import {Doing} from "../../ask/doing";
import {useMore} from "../../ask/more";
import {useMe, usePermission} from "../../ask/permission";
import {useSomewhere} from "../../ask/somewhere";
import {Empty, State} from "../../ask/state";
import {Badge} from "../../figures/badge";
import {Copied} from "../../figures/copy";
import {MoreRows, Rows} from "../../figures/rows";
import {Icon} from "../../frame/icon";
import {useQuery} from "../../frame/router";
import {Time} from "../../frame/time";
import {scopeWords} from "../../line/scope";
import {WhereForm, nowhere, whereReady} from "./where";

type Token = Schemas["adg.v1.Token"];

export function Tokens() {
  const [query, change] = useQuery();
  const revoked = query.get("ended") === "yes" ? true : undefined;
  const tokens = useMore(
    `tokens/${revoked ?? ""}`,
    async (pageToken, signal) => {
      const page = await answer(api.GET("/v1/tokens", {params: {query: {revoked, pageSize: 100, pageToken}}, signal}));
      return {rows: page.tokens, next: page.nextPageToken};
    },
    {every: 30_000},
  );
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Checkbox label="Also those that have ended" checked={revoked === true} onChange={(event) => change({ended: event.currentTarget.checked ? "yes" : undefined})} />
        <NewToken />
      </Group>
      <State of={tokens} what="tokens" empty={(rows) => rows.length === 0} none={<Empty>There are no tokens. A pipeline needs one to deploy.</Empty>}>
        {(rows) => (
          <>
            <Rows
              label="Tokens"
              rows={rows}
              id={(token) => token.id}
              columns={[
                {name: "For", cell: (token) => token.name},
                {name: "May", cell: (token) => (token.role === "" ? "what its roles say" : `${token.role} for ${scopeWords(token.service, token.environment)}`)},
                {name: "Made by", cell: (token) => token.creator},
                {name: "Made", cell: (token) => <Time at={token.createTime} />},
                {name: "Used", cell: (token) => <Time at={token.useTime} />},
                {
                  name: "Ends",
                  cell: (token) =>
                    token.revoked ? (
                      <Badge tone="unknown" icon="stop">
                        Was ended
                      </Badge>
                    ) : (
                      <Time at={token.expireTime} />
                    ),
                },
                {name: "Id", cell: (token) => token.id},
                {name: "Do", cell: (token) => (token.revoked ? undefined : <Revoke token={token} />)},
              ]}
            />
            <MoreRows of={tokens} shown={rows.length} what="tokens" />
          </>
        )}
      </State>
    </Stack>
  );
}

// Private

function Revoke({token}: {token: Token}) {
  const {data} = useMe();
  const permission = usePermission("identity.write");
  const mine = data?.identity?.person === token.creator;
  return (
    <Doing
      name="End"
      about={`the token ${token.name}`}
      by={mine ? {allowed: true, whyNot: ""} : permission}
      why="welcome"
      color="red"
      does={`What uses ${token.name} is refused at once, and for good.`}
      run={(reason, idempotencyKey) => answer(api.DELETE("/v1/tokens/{id}", {params: {path: {id: token.id}, query: {etag: token.etag, reason, idempotencyKey}}}))}
      after={() => changed("tokens/")}
    />
  );
}

const lifetimes = [
  {value: "7", label: "7 days"},
  {value: "30", label: "30 days"},
  {value: "90", label: "90 days"},
  {value: "365", label: "a year"},
];

function NewToken() {
  const by = useSomewhere("role.grant");
  const [form, setForm] = useState({...nowhere, name: "", days: "90"});
  return (
    <Doing
      name="Make a token"
      by={by}
      why="welcome"
      input={form}
      opened={() => setForm({...nowhere, role: "deployer", name: "", days: "90"})}
      ready={form.name.trim() !== "" && whereReady(form)}
      does="A program that has it may do what the role may. It never may more than you, and it is shown once."
      run={(reason, idempotencyKey) => answer(api.POST("/v1/tokens", {body: {name: form.name.trim(), role: form.role, service: form.service.trim(), environment: form.environment.trim(), lifetime: `${Number(form.days) * 86_400}s`, reason, idempotencyKey}}))}
      after={() => changed("tokens/")}
      keep={({secret, token}) => (
        <Stack gap="sm">
          {secret === "" ? (
            <Text size="sm">The token was made by a try before this one, and its secret is not shown twice. End it, and make another.</Text>
          ) : (
            <>
              <Alert variant="outline" color="gray" icon={<Icon name="warn" />} title="It is shown now and never again" styles={{title: {color: "inherit"}, icon: {color: "var(--adg-warn)"}}}>
                Put it where the program reads it, such as the secrets of the pipeline.
              </Alert>
              <Copied label={`Token ${token?.name ?? ""}`} text={secret} />
            </>
          )}
        </Stack>
      )}
    >
      {(field) => (
        <>
          <TextInput label="What it is for" value={form.name} onChange={(event) => setForm({...form, name: event.currentTarget.value})} error={field("name")} />
          <WhereForm where={form} set={(news) => setForm({...form, ...news})} field={field} />
          <NativeSelect label="Good for" value={form.days} data={lifetimes} onChange={(event) => setForm({...form, days: event.currentTarget.value})} error={field("lifetime")} />
        </>
      )}
    </Doing>
  );
}
