// What the pages of policies ask the server.
import {type Schemas, answer, all, api} from "../../ask/api";
import {useAsk} from "../../ask/ask";
import {type Schema} from "./complete";

export type Version = Schemas["adg.v1.PolicyVersion"];
export type Problem = Schemas["adg.v1.PolicyProblem"];
export type Policy = Schemas["adg.v1.Policy"];

export interface Place {
  service: string;
  environment: string;
}

/** Asks that begin so are about the policy, or about all of them. */
export const about = {all: "policies", one: (place: Place) => `policy/${place.service}/${place.environment}/`};

/** The newest version of each policy. */
export function usePolicies() {
  return useAsk(about.all, (signal) => all((pageToken) => api.GET("/v1/policies", {params: {query: {pageSize: 1000, pageToken}}, signal}), (page) => page.policies), {every: 30_000});
}

export interface Known {
  versions: readonly Version[]; // the newest first; none: there is no policy yet
  newest: Version | undefined; // with its text
  inForce: string | undefined; // the number of the version that deployments are guarded by
}

/** All versions of a policy, and the text of the newest. */
export function useVersions(place: Place) {
  return useAsk<Known>(`${about.one(place)}versions`, (signal) => known(place, signal), {every: 30_000});
}

/** The schema of policies, as far as this person's services may use connections. */
export function useSchema() {
  return useAsk("policy-schema", async (signal) => (await answer(api.GET("/v1/policies:schema", {signal}))).schema as Schema);
}

/** How two versions differ. */
export function useDiff(place: Place, fromVersion: string | undefined, toVersion: string | undefined) {
  const key = fromVersion === undefined || toVersion === undefined ? undefined : `${about.one(place)}diff/${fromVersion}/${toVersion}`;
  return useAsk(key, (signal) => answer(api.POST("/v1/policies/{service}/{environment}:diff", {params: {path: {...place}}, body: {fromVersion, toVersion}, signal})));
}

/** How a text differs from the newest version. */
export function useDraftDiff(place: Place, fromVersion: string | undefined, toText: string | undefined) {
  const key = fromVersion === undefined || toText === undefined ? undefined : `${about.one(place)}draft-diff/${fromVersion}/${toText}`;
  return useAsk(key, (signal) => answer(api.POST("/v1/policies/{service}/{environment}:diff", {params: {path: {...place}}, body: {fromVersion, toText}, signal})));
}

/** The number of the version that is in force: the newest that does not guard less, or that somebody approved. */
export function inForceOf(versions: readonly Pick<Version, "version" | "weakens" | "approver">[]): string | undefined {
  return versions.find((version) => version.weakens.length === 0 || version.approver !== "")?.version;
}

// Private

async function known(place: Place, signal: AbortSignal): Promise<Known> {
  const path = {...place};
  const query = {services: [place.service], environments: [place.environment]};
  const [row] = (await answer(api.GET("/v1/policies", {params: {query}, signal}))).policies;
  if (row === undefined) {
    return {versions: [], newest: undefined, inForce: undefined};
  }
  const [newest, versions] = await Promise.all([
    answer(api.GET("/v1/policies/{service}/{environment}", {params: {path, query: {version: row.version}}, signal})),
    all((pageToken) => api.GET("/v1/policies/{service}/{environment}/versions", {params: {path, query: {pageSize: 1000, pageToken}}, signal}), (page) => page.versions),
  ]);
  return {versions, newest, inForce: inForceOf(versions)};
}
