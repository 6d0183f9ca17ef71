// What the page of predictions asks the server.
import {type Schemas, answer, all, api, isNotFound} from "../../ask/api";
import {useAsk} from "../../ask/ask";

export type Judged = Schemas["adg.v1.JudgedPrediction"];
export type Figures = Schemas["adg.v1.PredictionFigures"];
export type Model = Schemas["adg.v1.Model"];
export type Outcome = Schemas["adg.v1.Outcome"];

/** Which predictions are looked at; empty: all. */
export interface Chosen {
  service: string;
  environment: string;
  model: string;
  days: number; // 0: all the time
}

/** Asks that begin so are about predictions or models. */
export const about = {predictions: "predictions/", models: "models/"};

/** How good the chosen predictions were. */
export function useFigures(chosen: Chosen) {
  return useAsk(`${about.predictions}figures/${JSON.stringify(chosen)}`, (signal) => answer(api.GET("/v1/predictions:figures", {params: {query: {...query(chosen), bucket: bucket(chosen.days)}}, signal})), {every: 60_000});
}

/** The chosen predictions, the most wrong or the newest first: so many at most. */
export function useJudged(chosen: Chosen, wrong: boolean, most: number) {
  const order = wrong ? "PREDICTION_ORDER_SURPRISE" : "PREDICTION_ORDER_UNSPECIFIED";
  const outcomes: Outcome[] = wrong ? ["OUTCOME_SUCCEEDED", "OUTCOME_FAILED"] : [];
  const key = `${about.predictions}list/${order}/${most}/${JSON.stringify(chosen)}`;
  return useAsk(key, (signal) => answer(api.GET("/v1/predictions", {params: {query: {...query(chosen), order, outcomes, pageSize: most}}, signal})), {every: 60_000});
}

export interface Models {
  all: readonly Model[]; // the newest first
  active: Model | undefined; // with what it learned
}

/** The models that are kept, and what the one in use has learned. */
export function useModels() {
  return useAsk<Models>(`${about.models}all`, async (signal) => {
    const models = await all((pageToken) => api.GET("/v1/models", {params: {query: {pageSize: 1000, pageToken}}, signal}), (page) => page.models);
    const used = models.find((model) => model.active);
    if (used === undefined) {
      return {all: models, active: undefined};
    }
    const active = await answer(api.GET("/v1/models/{id}", {params: {path: {id: used.id}}, signal})).catch((error: unknown) => {
      if (!isNotFound(error)) {
        throw error;
      }
      return undefined; // it was followed by another just now
    });
    return {all: models, active};
  }, {every: 60_000});
}

/** The services and environments that there are, to choose from. */
export function useNames() {
  return useAsk("services-names", async (signal) => {
    const services = await all((pageToken) => api.GET("/v1/services", {params: {query: {pageSize: 1000, pageToken}}, signal}), (page) => page.services);
    return {services: services.map(({name}) => name), environments: [...new Set(services.flatMap(({environments}) => environments.map(({environment}) => environment)))].sort()};
  });
}

/** The stretch of time that the course is told by: days where few are looked at, else weeks. */
export function bucket(days: number): string {
  return days > 0 && days <= 31 ? "86400s" : "604800s";
}

// Private

function query({service, environment, model, days}: Chosen) {
  return {
    services: service === "" ? [] : [service],
    environments: environment === "" ? [] : [environment],
    ...(model === "" ? {} : {model}),
    // To the day, so that the same is asked for until tomorrow.
    ...(days === 0 ? {} : {fromTime: new Date(Math.floor(Date.now() / 86_400_000 - days) * 86_400_000).toISOString()}),
  };
}
