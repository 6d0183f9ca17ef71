// All deployments that have not ended, as they are now: one connection for the whole dashboard.
import {useSyncExternalStore} from "react";
import {changed} from "../ask/ask";
import {answer, api, type Schemas} from "../ask/api";
import {serverNow, serverTime} from "../frame/clock";
import {Courses} from "./courses";
import {type Connection, follow} from "./follow";

export type Row = Schemas["adg.v1.DeploymentSummary"];

export interface Live {
  rows: ReadonlyMap<string, Row>; // by id
  complete: boolean; // whether all are there
  connection: Connection;
}

/** The deployments that have not ended, live. While the connection is lost they are as they were last. */
export function useLive(): Live {
  return useSyncExternalStore(subscribe, () => live);
}

/** Whether the server tells us what happens, and since when it does not. */
export function useConnection(): Connection {
  return useSyncExternalStore(subscribe, () => live.connection);
}

/** Follows them while what shows them is still on its way. */
export function liveAhead(): void {
  setTimeout(subscribe(() => undefined), soon);
}

/** The last values of a deployment's headline, oldest first. */
export function courseOf(row: Row): readonly number[] {
  return courses.of(row);
}

/** Tries at once to find the server again. */
export function tryNow(): void {
  following?.tryNow();
}

// Private

// What comes within this time after something was drawn is drawn together: a thousand changes a second are no more work than
// ten. A long table takes its time to sort.
const gather = 250;
const gatherMany = 400;
const many = 1000;
// A check that begins to matter, such as one that fails, has its line soon; many that change do not ask all the time.
const patience = 1000;
const soon = 10_000; // ms for which they are followed ahead
const apart = 2000; // ms: where deployments end all the time, what has ended lately is asked for no more often

let live: Live = {rows: new Map(), complete: false, connection: {state: "connecting", since: serverNow(), nextTry: undefined, error: undefined}};
let next = new Map<string, Row>(); // what live.rows becomes when it is drawn
let complete = false; // of the stream that is open
let dirty = false;
let drawn = -gatherMany; // when that was last, in ms since the page began
let ended = false; // something has left the table since it was drawn
const courses = new Courses();
let recalling: ReturnType<typeof setTimeout> | undefined;
let due: ReturnType<typeof setTimeout> | undefined;
let asking: ReturnType<typeof setTimeout> | undefined; // for what has ended
let asked = -apart; // when that was asked for last, in ms since the page began
let following: ReturnType<typeof follow> | undefined;
const listening = new Set<() => void>();

function subscribe(tell: () => void): () => void {
  listening.add(tell);
  following ??= follow({
    path: "/v1/deployments:watch",
    query: () => ({live: true}),
    opened: () => {
      next = new Map();
      complete = false;
    },
    told: (message) => {
      serverTime(message.time);
      for (const row of message.changed) {
        next.set(row.id, row);
        if (courses.note(row) && live.complete) {
          recalling ??= setTimeout(recallLater, patience);
        }
      }
      for (const id of message.gone) {
        ended = next.delete(id) || ended;
      }
      complete ||= message.complete;
      dirty ||= message.changed.length + message.gone.length > 0 || message.complete;
      // Until all are there again after an interruption, those from before are shown. Who waits for the first sees them at once.
      if (dirty && complete && !live.complete) {
        draw();
      } else if (dirty && complete && due === undefined) {
        due = setTimeout(() => requestAnimationFrame(draw), Math.max(0, drawn + (next.size > many ? gatherMany : gather) - performance.now()));
      }
    },
    connection: (connection) => become({connection}),
  });
  return () => {
    listening.delete(tell);
    if (listening.size === 0) {
      clearTimeout(recalling);
      recalling = undefined;
      following?.end();
      following = undefined;
    }
  };
}

function recallLater(): void {
  recall()
    .catch(() => undefined) // lines begin later, then
    .finally(() => (recalling = undefined));
}

// The stream says what is measured from now on; what was measured before is known for the worst rows only.
async function recall(): Promise<void> {
  const {deployments} = await answer(api.GET("/v1/deployments", {params: {query: {live: true, order: "DEPLOYMENT_ORDER_WORST", pageSize: 50}}}));
  const rows = new Map(live.rows);
  for (const row of deployments) {
    courses.recall(row);
    const known = rows.get(row.id);
    if (known !== undefined) {
      rows.set(row.id, {...known}); // what is the same is not drawn again, and it may be long until it changes
    }
  }
  become({rows});
}

function draw(): void {
  due = undefined;
  if (!complete) {
    return; // the stream was lost meanwhile
  }
  dirty = false;
  drawn = performance.now();
  const over = ended || [...live.rows.keys()].some((id) => !next.has(id));
  ended = false;
  const first = !live.complete;
  courses.keep(next);
  become({rows: new Map(next), complete});
  if (first) {
    recallLater();
  }
  if (over) {
    asking ??= setTimeout(askEnded, Math.max(0, asked + apart - performance.now()));
  }
}

function askEnded(): void {
  asking = undefined;
  asked = performance.now();
  changed("deployments/ended");
}

function become(news: Partial<Live>): void {
  live = {...live, ...news};
  for (const tell of listening) {
    tell();
  }
}
