// What the server was started with. It is changed in its file, not here: a running server does not change under people.
import {Stack, Text, Title} from "@mantine/core";
import {all, api} from "../../ask/api";
import {useAsk} from "../../ask/ask";
import {Empty, State} from "../../ask/state";
import {Badge} from "../../figures/badge";
import {Rows} from "../../figures/rows";
import {TextFilter} from "../../frame/filter";
import {useQuery} from "../../frame/router";

export function Server() {
  const [query, change] = useQuery();
  const settings = useAsk("system/settings", (signal) => all((pageToken) => api.GET("/v1/system/settings", {params: {query: {pageSize: 1000, pageToken}}, signal}), (page) => page.settings));
  const features = useAsk("system/features", (signal) => all((pageToken) => api.GET("/v1/system/features", {params: {query: {pageSize: 1000, pageToken}}, signal}), (page) => page.features));
  const text = (query.get("setting") ?? "").toLowerCase();
  return (
    <Stack gap="md">
      <Title order={3} size="h5">
        What it offers
      </Title>
      <State of={features} what="features">
        {(rows) => (
          <Rows
            label="Features"
            rows={rows}
            id={(feature) => feature.name}
            columns={[
              {name: "Feature", cell: (feature) => feature.name},
              {name: "Is", cell: (feature) => (feature.enabled ? <Badge tone="good">On</Badge> : <Badge tone="unknown" icon="stop">Off</Badge>)},
              {name: "What", cell: (feature) => feature.text},
            ]}
          />
        )}
      </State>
      <Title order={3} size="h5">
        Settings in force
      </Title>
      <Text size="sm" className="quiet">
        They are changed where they come from: the configuration file, the environment or a flag; the server reads them when it starts.
      </Text>
      <TextFilter label="Setting" name="setting" query={query} change={change} />
      <State of={settings} what="settings">
        {(rows) => {
          const fitting = rows.filter((setting) => `${setting.path} ${setting.text}`.toLowerCase().includes(text));
          return fitting.length === 0 ? (
            <Empty>No setting is like that.</Empty>
          ) : (
            <Rows
              label="Settings"
              rows={fitting}
              id={(setting) => setting.path}
              columns={[
                {name: "Setting", cell: (setting) => setting.path},
                {name: "Value", cell: (setting) => (setting.value === "" ? <span className="quiet">{setting.secret ? "a secret" : "empty"}</span> : setting.secret ? `a secret, kept in ${setting.value}` : setting.value)},
                {name: "From", cell: (setting) => setting.origin},
                {name: "What for", cell: (setting) => setting.text},
              ]}
            />
          );
        }}
      </State>
    </Stack>
  );
}
