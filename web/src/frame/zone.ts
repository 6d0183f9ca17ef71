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

/** The name of a zone for the browser: undefined is its own. */
export function named(chosen: string): string | undefined {
  if (chosen === "local") {
    return undefined;
  }
  try {
    new Intl.DateTimeFormat("en", {timeZone: chosen});
    return chosen;
  } catch {
    return undefined; // it was kept by a browser that knew more
  }
}
