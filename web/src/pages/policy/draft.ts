// The text that a person works on. It is kept in this tab until it is saved or thrown away, so that going elsewhere on
// the dashboard, or loading the page again, loses nothing.
import {useCallback, useEffect, useState} from "react";
import {type Place, type Version} from "./asks";

export interface Draft {
  text: string;
  of: string; // the version that it began from; "": there was none
  etag: string; // of that version
  dirty: boolean; // whether it differs from that version
  set: (text: string) => void;
  restart: () => void; // throws it away, and begins from the newest version
}

/** The draft of a policy. newest is the newest version; template is begun with where there is none. */
export function useDraft(place: Place, newest: Version | undefined, template: string): Draft {
  const name = `adg.draft.${place.service}/${place.environment}`;
  const begin = (): Begun => ({of: newest?.version ?? "", etag: newest?.etag ?? "", original: newest?.text ?? template, text: newest?.text ?? template});
  const [begun, setBegun] = useState<Begun>(() => stored(name) ?? begin());
  const dirty = begun.text !== begun.original;
  // Who changed nothing works on what is newest.
  if (!dirty && begun.of !== (newest?.version ?? "")) {
    setBegun(begin());
  }
  useEffect(() => {
    try {
      if (dirty) {
        sessionStorage.setItem(name, JSON.stringify(begun));
      } else {
        sessionStorage.removeItem(name);
      }
    } catch {
      // It is lost when the page is left; the browser says so before.
    }
  }, [name, begun, dirty]);
  const set = useCallback((text: string) => setBegun((was) => ({...was, text})), []);
  return {text: begun.text, of: begun.of, etag: begun.etag, dirty, set, restart: () => setBegun(begin())};
}

/** What a policy begins with where there is none: the least that guards, with the connections that may be used. */
export function templateOf(place: Place, sources: readonly string[], targets: readonly string[]): string {
  return `service: ${place.service}
environment: ${place.environment}
target: ${targets[0] ?? "NAME-OF-A-TARGET"}
checks:
  - name: errors
    source: ${sources[0] ?? "NAME-OF-A-SOURCE"}
    bad: http_requests_total{version="$version", code=~"5.."} # counters, not rates
    total: http_requests_total{version="$version"}
    compare: sequential # against the version that is live
    critical: true
strategy:
  canary: {steps: [5%, 25%, 50%, 100%], bake: 5m}
verify:
  - {phase: immediate, for: 15m, interval: 15s}
rollback:
  trust: ask # auto: ADG rolls back by itself
  rules:
    - {when: unhealthy, for: 1m, act: now}
`;
}

// Private

interface Begun {
  of: string;
  etag: string;
  original: string;
  text: string;
}

function stored(name: string): Begun | undefined {
  try {
    const begun = JSON.parse(sessionStorage.getItem(name) ?? "null") as Partial<Begun> | null;
    const {of, etag, original, text} = begun ?? {};
    return of === undefined || etag === undefined || original === undefined || text === undefined ? undefined : {of, etag, original, text};
  } catch {
    return undefined;
  }
}
