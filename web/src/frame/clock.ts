// The time, as the server has it: a laptop whose clock is wrong does not show a phase that ended before it began.
import {useSyncExternalStore} from "react";

/** Notes what the server says the time is. */
export function serverTime(said: string | undefined): void {
  const at = said === undefined ? NaN : Date.parse(said);
  if (!Number.isNaN(at)) {
    const found = at - Date.now();
    // Less than a second is the way that the message took.
    offset = Math.abs(found) < 1000 ? 0 : found;
  }
}

/** The server's time now, in ms. */
export function serverNow(): number {
  return Date.now() + offset;
}

/** The server's time, to the second, of a component that follows it. */
export function useNow(): number {
  return useSaid((now) => now);
}

/** What is said of the server's time: the component is drawn again when that is something else, which is seldom each second. */
export function useSaid<T extends string | number | boolean>(of: (now: number) => T): T {
  return useSyncExternalStore(subscribe, () => of(second * 1000));
}

// Private

let offset = 0;
let second = Math.floor(Date.now() / 1000);
let ticking: ReturnType<typeof setInterval> | undefined;
const listening = new Set<() => void>();

function subscribe(tell: () => void): () => void {
  listening.add(tell);
  ticking ??= setInterval(tick, 1000);
  tick();
  return () => {
    listening.delete(tell);
    if (listening.size === 0) {
      clearInterval(ticking);
      ticking = undefined;
    }
  };
}

function tick(): void {
  const now = Math.floor(serverNow() / 1000);
  if (now !== second) {
    second = now;
    for (const tell of listening) {
      tell();
    }
  }
}
