// Facts that a notifier was never told, because it failed for too long.
import {Text} from "@mantine/core";
import {answer, api} from "../../ask/api";
import {changed} from "../../ask/ask";
import {Doing} from "../../ask/doing";
import {useMore} from "../../ask/more";
import {usePermission} from "../../ask/permission";
import {Empty, State} from "../../ask/state";
import {type Schemas} from "../../ask/api";
import {MoreRows, Rows} from "../../figures/rows";
import {count} from "../../figures/words";
import {TextFilter} from "../../frame/filter";
import {useQuery} from "../../frame/router";
import {Time} from "../../frame/time";
import {Told} from "./told";

type Delivery = Schemas["adg.v1.Delivery"];

export function Dead() {
  const [query, change] = useQuery();
  const notifier = query.get("notifier") || undefined;
  const dead = useMore(
    `deliveries/${notifier ?? ""}`,
    async (pageToken, signal) => {
      const page = await answer(api.GET("/v1/deliveries:dead", {params: {query: {notifier, pageSize: 100, pageToken}}, signal}));
      return {rows: page.deliveries, next: page.nextPageToken};
    },
    {every: 10_000},
  );
  return (
    <>
      <TextFilter label="Notifier" name="notifier" query={query} change={change} />
      <Text size="sm" my="sm" className="quiet">
        Each was tried again and again, later each time, until ADG gave up: nobody was told of it there.
      </Text>
      <State of={dead} what="deliveries" empty={(rows) => rows.length === 0} none={<Empty>Every event was told to everybody who wanted to know, or is on its way.</Empty>}>
        {(rows) => (
          <>
            <Rows
              label="Not delivered"
              rows={rows}
              id={(delivery) => delivery.id}
              columns={[
                {name: "Notifier", cell: (delivery) => delivery.notifier},
                {name: "What", cell: (delivery) => (delivery.fact === undefined ? undefined : <Told fact={delivery.fact} />)},
                {name: "Happened", cell: (delivery) => <Time at={delivery.fact?.time} />},
                {name: "Given up", cell: (delivery) => `after ${count(delivery.tries, "try", "tries")}`},
                {name: "When", cell: (delivery) => <Time at={delivery.time} />},
                {name: "Because", cell: (delivery) => delivery.error},
                {name: "Do", cell: (delivery) => <Retry delivery={delivery} />},
              ]}
            />
            <MoreRows of={dead} shown={rows.length} what="deliveries" />
          </>
        )}
      </State>
    </>
  );
}

// Private

function Retry({delivery}: {delivery: Delivery}) {
  const by = usePermission("deployment.command", delivery.fact?.service, delivery.fact?.environment);
  return (
    <Doing
      name="Try again"
      about={`to tell ${delivery.notifier}: ${delivery.fact?.text ?? delivery.id}`}
      by={by}
      why="welcome"
      does={`${delivery.notifier} is told now. It says when it happened, so nobody takes it for new. If that fails, it is tried again for a while, and comes back here.`}
      run={(reason, idempotencyKey) => answer(api.POST("/v1/deliveries/{id}:retry", {params: {path: {id: delivery.id}}, body: {etag: delivery.etag, reason, idempotencyKey}}))}
      after={() => changed("deliveries/")}
    />
  );
}
