// Every page there is: where it is, what it is called, and how to get there by keyboard. A page is a folder under pages/
// with a default export; it is loaded when it is first opened.
import {createElement} from "react";
import {type Late, late} from "./ask/late";
import {Loading} from "./ask/state";
import {type IconName} from "./frame/icon";
import {match} from "./frame/router";

export interface Place {
  name: string; // of the folder under pages/
  title: string;
  paths: readonly string[]; // patterns: ":name" is one part, ":name?" may be missing
  menu?: string; // where the navigation leads; without it, it does not
  key?: string; // the second key, after g
  icon: IconName;
  needs?: string; // the permission without which there is nothing to see
  Page: Late<object>;
}

const meanwhile = (what: string) => () => createElement(Loading, {what});

export const places: readonly Place[] = [
  {name: "now", title: "Now", paths: ["/"], menu: "/", key: "n", icon: "pulse", needs: "deployment.read", Page: late(() => import("./pages/now"), meanwhile("Now"))},
  {name: "deployment", title: "Deployment", paths: ["/deployments/:id"], icon: "rocket", needs: "deployment.read", Page: late(() => import("./pages/deployment"), meanwhile("Deployment"))},
  {name: "service", title: "Services", paths: ["/services/:service?"], menu: "/services", key: "s", icon: "box", needs: "deployment.read", Page: late(() => import("./pages/service"), meanwhile("Services"))},
  {name: "policy", title: "Policies", paths: ["/policies", "/policies/:service/:environment"], menu: "/policies", key: "p", icon: "shield", needs: "policy.read", Page: late(() => import("./pages/policy"), meanwhile("Policies"))},
  {name: "prediction", title: "Predictions", paths: ["/predictions"], menu: "/predictions", key: "r", icon: "target", needs: "prediction.read", Page: late(() => import("./pages/prediction"), meanwhile("Predictions"))},
  {name: "events", title: "Events", paths: ["/events"], menu: "/events", key: "e", icon: "list", needs: "event.read", Page: late(() => import("./pages/events"), meanwhile("Events"))},
  {name: "audit", title: "Audit", paths: ["/audit"], menu: "/audit", key: "a", icon: "book", needs: "audit.read", Page: late(() => import("./pages/audit"), meanwhile("Audit"))},
  {name: "settings", title: "Settings", paths: ["/settings/:part?"], menu: "/settings", key: "t", icon: "gear", Page: late(() => import("./pages/settings"), meanwhile("Settings"))},
  {name: "first-steps", title: "First steps", paths: ["/first-steps"], menu: "/first-steps", key: "f", icon: "flag", Page: late(() => import("./pages/first-steps"), meanwhile("First steps"))},
];

/** The place of a path, and what stands in for the names in its pattern. */
export function placeOf(path: string): {place: Place; params: Record<string, string>} | undefined {
  for (const place of places) {
    for (const pattern of place.paths) {
      const params = match(pattern, path);
      if (params !== undefined) {
        return {place, params};
      }
    }
  }
  return undefined;
}

/** The addresses of what people look at, so that nobody puts them together by hand. */
export const to = {
  deployment: (id: string) => `/deployments/${encodeURIComponent(id)}`,
  service: (service: string) => `/services/${encodeURIComponent(service)}`,
  policy: (service: string, environment: string) => `/policies/${encodeURIComponent(service)}/${encodeURIComponent(environment)}`,
  settings: (part: string) => `/settings/${encodeURIComponent(part)}`,
};
