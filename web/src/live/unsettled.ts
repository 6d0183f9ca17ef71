// What has ended and left nobody knows what live. It runs no more, so it is no row of what runs; but a human is needed.
import {answer, api} from "../ask/api";
import {useAsk} from "../ask/ask";
import {useAnywhere} from "../ask/permission";
import {serverNow} from "../frame/clock";
import {type Row} from "./deployments";

/** The deployments that ended badly, and that no later one has put right: the last first. */
export function useUnsettled(): readonly Row[] {
  const may = useAnywhere("deployment.read");
  const {data} = useAsk(may ? "deployments/ended/unsettled" : undefined, ask, {every: 30_000});
  return data ?? none;
}

/** Those of the deployments that ended so, without those that a later one of the same place has put right. */
export function unsettled(ended: readonly Row[]): Row[] {
  const last = new Map<string, Row>(); // of each place, the newest that says something
  for (const row of ended) {
    const place = JSON.stringify([row.service, row.environment]);
    const other = last.get(place);
    if (other === undefined || (row.createTime ?? "") > (other.createTime ?? "")) {
      last.set(place, row);
    }
  }
  return [...last.values()].filter(({state}) => bad.includes(state)).sort((a, b) => (b.endTime ?? "").localeCompare(a.endTime ?? ""));
}

// Private

const none: readonly Row[] = [];
const bad: Row["state"][] = ["STATE_ROLLBACK_FAILED", "STATE_UNDECIDED"];
const good: Row["state"][] = ["STATE_SUCCEEDED", "STATE_ROLLED_BACK"];
const days = 7; // what nobody has touched for longer wakes nobody

async function ask(signal: AbortSignal): Promise<Row[]> {
  const list = async (query: {states: Row["state"][]; services?: string[]; fromTime: string}) => (await answer(api.GET("/v1/deployments", {params: {query: {...query, pageSize: 1000}}, signal}))).deployments;
  const failed = await list({states: bad, fromTime: new Date(serverNow() - days * 86_400_000).toISOString()});
  if (failed.length === 0) {
    return [];
  }
  const first = failed.reduce((time, row) => ((row.createTime ?? time) < time ? row.createTime! : time), failed[0]!.createTime ?? "");
  const later = await list({states: good, services: [...new Set(failed.map(({service}) => service))].slice(0, 100), fromTime: first});
  return unsettled([...failed, ...later]);
}
