// A server in front of the real one that knows of many deployments, of which so many change each second, and tells of as
// many events: what a browser has to bear at a large company. All but the two streams is the real server's.
import {type IncomingMessage, type Server as Http, type ServerResponse, createServer, request} from "node:http";
import type {AddressInfo} from "node:net";
import type {Schemas} from "../src/api/client";
import type {Served} from "./server";

export interface Crowd {
  served: Served;
  told: () => number; // changes and events so far
  asked: () => number; // what else it was asked for
  stop: () => Promise<void>;
}

export interface Crowding {
  deployments: number;
  changes: number; // of them, each second
  turnover: number; // deployments that end each second, and as many begin
  events: number; // each second
}

export async function crowd(real: Served, crowding: Crowding): Promise<Crowd> {
  let [told, others] = [0, 0];
  const server = createServer((asked, answered) => {
    const sent = (n: number) => (told += n);
    if (asked.url?.startsWith("/v1/deployments:watch") === true) {
      changes(answered, crowding, sent);
    } else if (asked.url?.startsWith("/v1/events:stream") === true) {
      events(answered, crowding, sent);
    } else {
      others++;
      pass(real, asked, answered);
    }
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const {port} = server.address() as AddressInfo;
  return {served: {...real, url: `http://127.0.0.1:${port}`}, told: () => told, asked: () => others, stop: () => closed(server)};
}

// Private

const batches = 20; // a second: the real server gathers, too

function changes(to: ServerResponse, {deployments, changes: perSecond, turnover}: Crowding, sent: (n: number) => void): void {
  const tell = teller(to);
  for (let i = 0; i < deployments; i += 500) {
    tell({changed: Array.from({length: Math.min(500, deployments - i)}, (_, n) => row(i + n, 0)), gone: [], complete: i + 500 >= deployments, time: new Date().toISOString()});
  }
  let [tick, oldest, next] = [0, 0, 0];
  every(to, (seconds) => {
    tick++;
    const gone: string[] = [];
    const changed: object[] = [];
    while (oldest < Math.floor(turnover * seconds)) {
      gone.push(name(oldest));
      changed.push(row(oldest + deployments, tick));
      oldest++;
    }
    for (const all = Math.floor(perSecond * seconds); next < all; next++) {
      changed.push(row(oldest + (next % deployments), tick));
    }
    tell({changed, gone, complete: false, time: new Date().toISOString()});
    sent(changed.length);
  });
}

function events(to: ServerResponse, {events: perSecond}: Crowding, sent: (n: number) => void): void {
  const tell = teller(to);
  const before = 1_000_000; // after all that the real server told
  let last = 0;
  every(to, (seconds) => {
    const all = Math.floor(perSecond * seconds);
    sent(all - last);
    while (last < all) {
      const cursor = before + ++last;
      tell({cursor: String(cursor), time: new Date().toISOString(), event: {cursor: String(cursor), fact: fact(cursor)}});
    }
  });
}

function teller(to: ServerResponse): (result: object) => void {
  to.writeHead(200, {"content-type": "application/json"});
  return (result) => to.write(`${JSON.stringify({result})}\n`);
}

// every has a batch made many times a second, and says how long it has been so: a timer that is late is made up for.
function every(to: ServerResponse, batch: (seconds: number) => void): void {
  const begin = Date.now();
  const timer = setInterval(() => batch((Date.now() - begin) / 1000), 1000 / batches);
  to.on("close", () => clearInterval(timer));
}

function name(i: number): string {
  return `crowd-${i}`;
}

function fact(i: number): Schemas["adg.v1.Fact"] {
  return {
    id: `fact-${i}`, kind: i % 50 === 0 ? "FACT_KIND_CONDEMNED" : "FACT_KIND_PROMOTED", deployment: name(i % 1000), service: `service-${i % 1000}`, environment: "production", release: "v2", lastGood: "v1",
    state: "STATE_ROLLING", health: "HEALTH_HEALTHY", urgent: i % 50 === 0, actor: "", via: "", action: "", resource: "", reasons: [], text: `service-${i % 1000} v2 in production: healthy for 2 m: on to step ${1 + (i % 4)} of 4`, time: new Date().toISOString(),
  };
}

function row(i: number, tick: number): Schemas["adg.v1.DeploymentSummary"] {
  const value = 0.02 + 0.01 * Math.sin(i + tick);
  const bad = (i + tick) % 97 === 0;
  const now = new Date().toISOString();
  return {
    id: name(i), etag: String(tick), service: `service-${i}`, environment: "production", team: `team-${i % 20}`, version: "v2", fromVersion: "v1", actor: "user:pipeline", author: "Ann",
    strategy: "STRATEGY_KIND_CANARY", createTime: new Date(Date.now() - i * 1000).toISOString(), state: "STATE_ROLLING", sinceTime: now, step: 1 + (tick % 4), steps: 4, share: 25, phase: "",
    phaseEndTime: new Date(Date.now() + 60_000).toISOString(), health: bad ? "HEALTH_UNHEALTHY" : "HEALTH_HEALTHY", score: bad ? 20 : 100, predicted: 0.93, reason: "step 2 of 4 (25 %) is baking", condemnedFor: "",
    headline: {
      judgement: {
        check: "errors", verdict: bad ? "VERDICT_FAIL" : "VERDICT_PASS", why: "WHY_WITHIN_LIMITS", text: "1.43 % of 70 requests were bad, 2.18 % of the baseline's 1,329, 0.65 times as many (0 to 8.6)",
        value, unit: "", limit: 0.05, samples: 70, baselineSamples: 1329, proof: "PROOF_UNSPECIFIED", final: false, weak: false, patterns: [], time: now,
      },
      recent: [],
    },
    waitsForHuman: false, paging: false, rolledBack: false,
  };
}

function pass(real: Served, asked: IncomingMessage, answered: ServerResponse): void {
  // The real server takes writes from its own pages only.
  const {host: _, origin: __, ...headers} = asked.headers;
  const on = request(`${real.url}${asked.url}`, {method: asked.method ?? "GET", headers}, (answer) => {
    answered.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(answered);
  });
  on.on("error", () => answered.destroy());
  asked.pipe(on);
}

function closed(server: Http): Promise<void> {
  return new Promise((done) => {
    server.close(() => done());
    server.closeAllConnections();
  });
}
