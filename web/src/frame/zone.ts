// The time zone that times are shown in, and whether they are shown as "3 m ago" or as what the clock said.
import {kept} from "./kept";

/** "local", "UTC", or the name of a zone such as Europe/Berlin. */
export const zone = kept("adg.zone", "local");

/** "relative" or "absolute". */
export const manner = kept("adg.times", "relative");

/** All zones that the browser knows. */
export function zones(): string[] {
  return Intl.supportedValuesOf("timeZone");
}

/** Writes times in a zone, such as "local"; one that the browser does not know, as it was kept by one that knew more, is the
 * browser's own. What writes them is made once for each zone: that takes a hundred times as long as to write one. */
export function writer(locale: string, options: Intl.DateTimeFormatOptions): (chosen: string) => Intl.DateTimeFormat {
  const made = new Map<string, Intl.DateTimeFormat>();
  return (chosen) => {
    let one = made.get(chosen);
    if (one === undefined) {
      one = makeWriter(locale, options, chosen);
      made.set(chosen, one);
    }
    return one;
  };
}

// Private

function makeWriter(locale: string, options: Intl.DateTimeFormatOptions, chosen: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat(locale, {...options, timeZone: chosen === "local" ? undefined : chosen});
  } catch {
    return new Intl.DateTimeFormat(locale, options);
  }
}
