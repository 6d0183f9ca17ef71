// Who is logged in from where.
import {Stack, Text} from "@mantine/core";
import {answer, api, type Schemas} from "../../ask/api";
import {changed} from "../../ask/ask";
import {Doing} from "../../ask/doing";
import {useMore} from "../../ask/more";
import {useMe, usePermission} from "../../ask/permission";
import {Empty, State} from "../../ask/state";
import {Badge} from "../../figures/badge";
import {MoreRows, Rows} from "../../figures/rows";
import {TextFilter} from "../../frame/filter";
import {useQuery} from "../../frame/router";
import {Time} from "../../frame/time";

type Session = Schemas["adg.v1.Session"];

export function Sessions() {
  const [query, change] = useQuery();
  const user = query.get("user") || undefined;
  const sessions = useMore(
    `sessions/${user ?? ""}`,
    async (pageToken, signal) => {
      const page = await answer(api.GET("/v1/sessions", {params: {query: {user, pageSize: 100, pageToken}}, signal}));
      return {rows: page.sessions, next: page.nextPageToken};
    },
    {every: 30_000},
  );
  return (
    <Stack gap="sm">
      <TextFilter label="Whose" placeholder="a name; empty: yours" name="user" query={query} change={change} />
      <State of={sessions} what="sessions" empty={(rows) => rows.length === 0} none={<Empty>{user ?? "You"}: no session is open.</Empty>}>
        {(rows) => (
          <>
            <Rows
              label="Sessions"
              rows={rows}
              id={(session) => session.id}
              columns={[
                {name: "Who", cell: (session) => session.user},
                {name: "With", cell: (session) => session.agent || undefined},
                {name: "From", cell: (session) => session.address || undefined},
                {name: "Opened", cell: (session) => <Time at={session.createTime} />},
                {name: "Used", cell: (session) => <Time at={session.useTime} />},
                {name: "Ends", cell: (session) => <Time at={session.expireTime} />},
                {name: "This one", cell: (session) => (session.current ? <Badge tone="info" icon="human">You are here</Badge> : undefined)},
                {name: "Do", cell: (session) => (session.current ? <Text size="sm">Log out above</Text> : <End session={session} />)},
              ]}
            />
            <MoreRows of={sessions} shown={rows.length} what="sessions" />
          </>
        )}
      </State>
    </Stack>
  );
}

// Private

function End({session}: {session: Session}) {
  const {data} = useMe();
  const permission = usePermission("identity.write");
  const mine = data?.identity?.person === session.user;
  return (
    <Doing
      name="End"
      about={`the session of ${session.user} from ${session.address}`}
      by={mine ? {allowed: true, whyNot: ""} : permission}
      why="welcome"
      does={`Whoever uses it has to log in again.`}
      run={(reason, idempotencyKey) => answer(api.DELETE("/v1/sessions/{id}", {params: {path: {id: session.id}, query: {etag: session.etag, reason, idempotencyKey}}}))}
      after={() => changed("sessions/")}
    />
  );
}
