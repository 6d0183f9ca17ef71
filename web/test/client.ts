// Deploys a release by the client, follows it to its end, and is refused what there is not: node client.js SERVER VERSION,
// with the token in ADG_TOKEN.
import {ApiError, connect, stream} from "../src/api/client.js";

declare const process: {argv: string[]; env: Record<string, string | undefined>; stdout: {write(text: string): void}};

const [, , url = "", version = ""] = process.argv;
const server = {url, token: process.env["ADG_TOKEN"] ?? ""};
const api = connect(server);
const say = (text: string): void => process.stdout.write(`${text}\n`);

const started = await api.POST("/v1/deployments", {
  body: {idempotencyKey: `typescript-${version}`, environment: "test", release: {service: "shop", version}, reason: "by TypeScript"},
});
const id = started.data?.id ?? "";

let state = "";
for await (const {deployment} of stream(server, `/v1/deployments/${id}:watch`)) {
  if (deployment !== undefined) {
    state = deployment.status?.state ?? "";
  }
}
say(`${version}: ${state}`);

const {data} = await api.GET("/v1/events", {params: {query: {deployment: id}}});
say(`events: ${(data?.events ?? []).map((e) => e.fact?.kind ?? "").join(" ")}`);

for await (const {event} of stream(server, "/v1/events:stream", {after: "0", deployment: id})) {
  if (event?.fact !== undefined) {
    say(`first: ${event.fact.kind}`);
    break;
  }
}

try {
  await api.GET("/v1/deployments/{id}", {params: {path: {id: "nothing"}}});
} catch (error) {
  if (error instanceof ApiError) {
    say(`refused: ${error.status} ${error.code} ${error.requestId !== ""}: ${error.message}`);
  }
}

try {
  await api.POST("/v1/deployments", {body: {environment: "test", release: {service: "", version: ""}}});
} catch (error) {
  if (error instanceof ApiError) {
    say(`fields: ${[...error.fields.keys()].join(" ")}`);
  }
}
