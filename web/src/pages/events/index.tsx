// What happened, as it happens; and what could not be told to somebody.
import {Tabs, Title} from "@mantine/core";
import {useQuery} from "../../frame/router";
import {Dead} from "./dead";
import {Stream} from "./stream";

export default function Page() {
  const [query, change] = useQuery();
  const dead = query.get("part") === "dead";
  return (
    <>
      <Title order={1} mb="md">
        Events
      </Title>
      <Tabs value={dead ? "dead" : "all"} onChange={(value) => change({part: value === "dead" ? "dead" : undefined})} keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="all">What happens</Tabs.Tab>
          <Tabs.Tab value="dead">Not delivered</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="all" pt="md">
          <Stream />
        </Tabs.Panel>
        <Tabs.Panel value="dead" pt="md">
          <Dead />
        </Tabs.Panel>
      </Tabs>
    </>
  );
}
