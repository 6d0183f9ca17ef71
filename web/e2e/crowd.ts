// A server in front of the real one that knows of many deployments, of which so many change each second: what a browser
// has to bear at a large company. All but the stream of running deployments is the real server's.
import {type IncomingMessage, type Server as Http, type ServerResponse, createServer, request} from "node:http";
import type {AddressInfo} from "node:net";
import type {Served} from "./server";

export interface Crowd {
  served: Served;
  told: () => number; // changes so far
  stop: () => Promise<void>;
}

export async function crowd(real: Served, {deployments, perSecond}: {deployments: number; perSecond: number}): Promise<Crowd> {
  let told = 0;
  const server = createServer((asked, answered) => {
    if (asked.url?.startsWith("/v1/deployments:watch") === true) {
      stream(answered, deployments, perSecond, (n) => (told += n));
    } else {
      pass(real, asked, answered);
    }
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const {port} = server.address() as AddressInfo;
  return {served: {...real, url: `http://127.0.0.1:${port}`}, told: () => told, stop: () => closed(server)};
}

// Private

const batches = 20; // a second: the real server gathers, too

function stream(to: ServerResponse, deployments: number, perSecond: number, sent: (n: number) => void): void {
  to.writeHead(200, {"content-type": "application/json"});
  const tell = (result: object) => to.write(`${JSON.stringify({result})}\n`);
  let tick = 0;
  for (let i = 0; i < deployments; i += 500) {
    tell({changed: Array.from({length: Math.min(500, deployments - i)}, (_, n) => row(i + n, 0)), gone: [], complete: i + 500 >= deployments, time: new Date().toISOString()});
  }
  let next = 0;
  const timer = setInterval(() => {
    tick++;
    const changed = Array.from({length: perSecond / batches}, () => row(next++ % deployments, tick));
    tell({changed, gone: [], complete: false, time: new Date().toISOString()});
    sent(changed.length);
  }, 1000 / batches);
  to.on("close", () => clearInterval(timer));
}

function row(i: number, tick: number): object {
  const value = 0.02 + 0.01 * Math.sin(i + tick);
  const bad = (i + tick) % 97 === 0;
  const now = new Date().toISOString();
  return {
    id: `crowd-${i}`, etag: String(tick), service: `service-${i}`, environment: "production", team: `team-${i % 20}`, version: "v2", fromVersion: "v1", actor: "user:pipeline", author: "Ann",
    strategy: "STRATEGY_KIND_CANARY", createTime: new Date(Date.now() - i * 1000).toISOString(), state: "STATE_ROLLING", sinceTime: now, step: 1 + (tick % 4), steps: 4, share: 25, phase: "",
    phaseEndTime: new Date(Date.now() + 60_000).toISOString(), health: bad ? "HEALTH_UNHEALTHY" : "HEALTH_HEALTHY", score: bad ? 20 : 100, predicted: 0.93, reason: "step 2 of 4 (25 %) is baking",
    headline: {
      judgement: {
        check: "errors", verdict: bad ? "VERDICT_FAIL" : "VERDICT_PASS", why: "WHY_WITHIN_LIMITS", text: "1.43 % of 70 requests were bad, 2.18 % of the baseline's 1,329, 0.65 times as many (0 to 8.6)",
        value, limit: 0.05, samples: 70, baselineSamples: 1329, proof: "PROOF_UNSPECIFIED", final: false, weak: false, time: now,
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
