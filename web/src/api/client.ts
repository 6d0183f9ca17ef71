// The client of ADG's API: every call is typed by the API's definition, errors say what to do, and streams can be read.
import createClient, {type Client} from "openapi-fetch";
import type {components, paths} from "./schema.js";

/** The messages of the API, by name: Schemas["adg.v1.Deployment"]. */
export type Schemas = components["schemas"];

/** The calls of the API, by method and path: api.GET("/v1/deployments/{id}", {params: {path: {id}}}). */
export type Api = Client<paths>;

/** Where the server is, and who asks. Without a token the browser's session is used. */
export interface Server {
  url: string;
  token?: string;
  fetch?: typeof fetch;
}

type Detail = Schemas["adg.v1.ErrorDetail"];

/** An error that the server answered with: the message is what went wrong, wayOut is what to do about it. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: Detail["code"],
    sentence: string,
    readonly wayOut: string,
    readonly requestId: string,
    readonly fields: ReadonlyMap<string, string>,
  ) {
    super(sentence);
    this.name = "ApiError";
  }
}

/** Connects to a server. A call that the server refuses rejects with an ApiError. */
export function connect(server: Server): Api {
  const api = createClient<paths>({baseUrl: server.url, fetch: asking(server)});
  api.use({
    async onResponse({response}) {
      if (!response.ok) {
        throw await refusal(response);
      }
    },
  });
  return api;
}

/** The paths of the API that answer with a stream. */
export type Streams = "/v1/events:stream" | "/v1/deployments:watch" | `/v1/deployments/${string}:watch`;

/** What the messages of a stream are. */
export type Told<P extends Streams> = P extends "/v1/events:stream"
  ? Schemas["adg.v1.StreamEventsResponse"]
  : P extends "/v1/deployments:watch"
    ? Schemas["adg.v1.WatchDeploymentsResponse"]
    : Schemas["adg.v1.WatchDeploymentResponse"];

/** Reads a stream until it ends, the signal aborts, or the server refuses. Whoever lost one begins again: events go on
 * after the last cursor. */
export async function* stream<P extends Streams>(
  server: Server,
  path: P,
  query: Record<string, string | string[] | boolean> = {},
  signal?: AbortSignal,
): AsyncGenerator<Told<P>, void, undefined> {
  const asked = new URL(path, server.url);
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [String(value)]) {
      asked.searchParams.append(name, one);
    }
  }
  yield* messages<Told<P>>(await asking(server)(new Request(asked, {headers: {accept: "application/x-ndjson"}, signal: signal ?? null})));
}

/** The calls that do something that takes its time, and tell how far they have come: a backtest, a training. */
export type Works = `/v1/policies/${string}/${string}:backtest` | "/v1/models";

/** What the messages of such a call are; the last one has what came of it. */
export type Came<P extends Works> = P extends "/v1/models" ? Schemas["adg.v1.TrainModelResponse"] : Schemas["adg.v1.BacktestPolicyResponse"];

/** Has something done, and reads how far it has come until it is done, the signal aborts, or the server refuses. */
export async function* work<P extends Works>(server: Server, path: P, body: object, signal?: AbortSignal): AsyncGenerator<Came<P>, void, undefined> {
  const headers = {accept: "application/x-ndjson", "content-type": "application/json"};
  yield* messages<Came<P>>(await asking(server)(new Request(new URL(path, server.url), {method: "POST", headers, body: JSON.stringify(body), signal: signal ?? null})));
}

// Private

type Body = {message?: string; details?: readonly unknown[]};

function asking(server: Server): (request: Request) => Promise<Response> {
  const ask = server.fetch ?? fetch;
  return (request) => {
    if (server.token !== undefined) {
      request.headers.set("authorization", `Bearer ${server.token}`);
    }
    return ask(request);
  };
}

async function* messages<M>(response: Response): AsyncGenerator<M, void, undefined> {
  if (!response.ok || response.body === null) {
    throw await refusal(response);
  }
  for await (const line of lines(response.body)) {
    const {result, error} = JSON.parse(line) as {result?: M; error?: Body};
    if (error !== undefined) {
      throw told(response.status, error);
    }
    if (result !== undefined) {
      yield result;
    }
  }
}

async function refusal(response: Response): Promise<ApiError> {
  try {
    const body = (await response.json()) as Body & {error?: Body};
    return told(response.status, body.error ?? body); // a stream that is refused says so in the way of a stream
  } catch {
    return told(response.status, {message: `the server answered with ${response.status} ${response.statusText}`});
  }
}

function told(status: number, body: Body): ApiError {
  const fields = new Map<string, string>();
  let detail: Partial<Detail> = {};
  for (const one of (body.details ?? []) as ReadonlyArray<{"@type"?: string; fieldViolations?: {field: string; description: string}[]}>) {
    if (one["@type"]?.endsWith("/adg.v1.ErrorDetail")) {
      detail = one as Partial<Detail>;
    }
    for (const violation of one.fieldViolations ?? []) {
      fields.set(violation.field, violation.description);
    }
  }
  const sentence = detail.sentence ?? body.message ?? "";
  return new ApiError(status, detail.code ?? "ERROR_CODE_UNSPECIFIED", sentence, detail.wayOut ?? "", detail.requestId ?? "", fields);
}

// A line is a message; one that is longer than this is none.
const longest = 64 << 20;

async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const {done, value} = await reader.read();
      if (done) {
        return;
      }
      const parts = (rest + decoder.decode(value, {stream: true})).split("\n");
      rest = parts.pop() ?? "";
      if (rest.length > longest) {
        throw new Error("the server sent a message that never ends");
      }
      yield* parts.filter((part) => part !== "");
    }
  } finally {
    await reader.cancel().catch(() => undefined); // nobody listens any more
  }
}
