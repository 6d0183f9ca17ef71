// The stretch of time that charts show. Those that belong together show the same.
import {useState, useSyncExternalStore} from "react";

export interface Span {
  from: number; // ms
  to: number;
}

/** The stretch that a chart is zoomed to; undefined: all. Without a word of the group it is the chart's own. */
export function useZoom(group: string | undefined): [Span | undefined, (span: Span | undefined) => void] {
  const [own, setOwn] = useState<Span>();
  const shared = useSyncExternalStore(subscribe, () => (group === undefined ? undefined : spans.get(group)));
  if (group === undefined) {
    return [own, setOwn];
  }
  return [shared, (span) => set(group, span)];
}

// Private

const spans = new Map<string, Span>();
const listening = new Set<() => void>();

function subscribe(tell: () => void): () => void {
  listening.add(tell);
  return () => listening.delete(tell);
}

function set(group: string, span: Span | undefined): void {
  if (span === undefined) {
    spans.delete(group);
  } else {
    spans.set(group, span);
  }
  listening.forEach((tell) => tell());
}
