// All services, those that need somebody first.
import {Button, Group, SimpleGrid, Stack, Text, Title} from "@mantine/core";
import {useState} from "react";
import {all, api} from "../../ask/api";
import {useAsk} from "../../ask/ask";
import {Empty, State} from "../../ask/state";
import {count} from "../../figures/words";
import {TextFilter} from "../../frame/filter";
import {Link, useQuery} from "../../frame/router";
import {to} from "../../places";
import {Matters, Newest} from "./parts";
import {type Service, worstFirst} from "./view";
import classes from "./service.module.css";

export function Services() {
  const [query, change] = useQuery();
  const services = useAsk("services/list", (signal) => all((pageToken) => api.GET("/v1/services", {params: {query: {pageSize: 1000, pageToken}}, signal}), (page) => page.services), {every: 10_000});
  return (
    <>
      <Title order={1} mb="md">
        Services
      </Title>
      <Group mb="md" gap="sm" grow preventGrowOverflow={false} maw={520}>
        <TextFilter label="Name" name="name" query={query} change={change} />
        <TextFilter label="Team" name="team" query={query} change={change} />
      </Group>
      <State
        of={services}
        what="services"
        empty={(rows) => rows.length === 0}
        none={
          <Empty>
            There are no services yet: the first deployment or the first policy makes one. <Link href="/first-steps">First steps</Link>
          </Empty>
        }
      >
        {(rows) => <List services={rows} name={query.get("name") ?? ""} team={query.get("team") ?? ""} />}
      </State>
    </>
  );
}

// Private

const step = 60; // drawn at once

function List({services, name, team}: {services: readonly Service[]; name: string; team: string}) {
  const [most, setMost] = useState(step);
  const has = (text: string, part: string) => text.toLowerCase().includes(part.toLowerCase());
  const fitting = worstFirst(services.filter((service) => has(service.name, name) && has(service.team, team)));
  if (fitting.length === 0) {
    return <Empty>None of {count(services.length, "service")} is named like that.</Empty>;
  }
  return (
    <>
      <SimpleGrid cols={{base: 1, md: 2, xl: 3}} spacing="sm" component="ul" className={classes.list}>
        {fitting.slice(0, most).map((service) => (
          <li key={service.name} className="card">
            <Card service={service} />
          </li>
        ))}
      </SimpleGrid>
      {fitting.length > most && (
        <Button mt="sm" variant="default" onClick={() => setMost(most + step)}>
          More of {count(fitting.length, "service")}
        </Button>
      )}
    </>
  );
}

function Card({service}: {service: Service}) {
  return (
    <Stack gap="xs">
      <Group justify="space-between" gap="xs">
        <Link href={to.service(service.name)} className={classes.name}>
          {service.name}
        </Link>
        <Text size="sm" className="quiet">
          {service.team === "" ? "no team" : service.team}
        </Text>
      </Group>
      {service.environments.length === 0 && (
        <Text size="sm" className="quiet">
          It was never deployed.
        </Text>
      )}
      {service.environments.map((there) => (
        <div key={there.environment} className={classes.there}>
          <Group gap="xs">
            <Text size="sm" fw={650}>
              {there.environment}
            </Text>
            <Text size="sm">{there.live === undefined ? "nothing known to be live" : `${there.live.version} is live`}</Text>
            <Matters there={there} />
          </Group>
          <Newest there={there} />
        </div>
      ))}
    </Stack>
  );
}
