// What a person chooses for this browser, such as the time zone.
import {useSyncExternalStore} from "react";

/** A choice that is kept in this browser. Where nothing can be kept it lasts as long as the page. */
export function kept(name: string, otherwise: string) {
  const listening = new Set<() => void>();
  let value = otherwise;
  try {
    value = localStorage.getItem(name) ?? otherwise;
  } catch {
    // It is as if nothing had been chosen.
  }
  return {
    get: () => value,
    set: (chosen: string) => {
      value = chosen;
      try {
        localStorage.setItem(name, chosen);
      } catch {
        // It lasts as long as the page.
      }
      listening.forEach((tell) => tell());
    },
    use: () =>
      useSyncExternalStore(
        (tell) => {
          listening.add(tell);
          return () => listening.delete(tell);
        },
        () => value,
      ),
  };
}
