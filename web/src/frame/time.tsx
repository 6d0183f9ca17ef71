// Times: what the clock said, in the zone that the person chose, and how long ago that is.
import {type CSSProperties} from "react";
import {span} from "../figures/words";
import {useNow} from "./clock";
import {manner, named, zone} from "./zone";

interface TimeProps {
  at: string | number | undefined; // as the API has it, or in ms; undefined: never
  plain?: boolean; // the clock's time without the day, whatever was chosen
  both?: boolean; // the one and the other
  never?: string; // shown where there is no time
  style?: CSSProperties;
}

/** A time. What is not shown of it (how long ago, or the clock's time) is in its title. */
export function Time({at, plain = false, both = false, never = "never", style}: TimeProps) {
  const now = useNow();
  const chosen = zone.use();
  const how = manner.use();
  const ms = typeof at === "string" ? Date.parse(at) : at;
  if (ms === undefined || Number.isNaN(ms)) {
    return <span className="quiet">{never}</span>;
  }
  const clock = absolute(ms, chosen, now);
  const ago = relative(ms, now);
  let shown = how === "absolute" ? clock : ago;
  let title = how === "absolute" ? ago : absolute(ms, chosen);
  if (plain) {
    shown = timeOfDay(ms, chosen);
    title = `${absolute(ms, chosen)}, ${ago}`;
  } else if (both) {
    shown = `${clock} (${ago})`;
  }
  return (
    <time dateTime={new Date(ms).toISOString()} title={title} style={{whiteSpace: "nowrap", ...style}}>
      {shown}
    </time>
  );
}

/** "3 m ago", "in 4 m", "now". */
export function relative(ms: number, now: number): string {
  const away = Math.abs(ms - now);
  if (away < 1500) {
    return "now";
  }
  return ms < now ? `${span(away / 1000)} ago` : `in ${span(away / 1000)}`;
}

/** "14:03:12" if it is of the same day as now, else with the date; without now always with it, and with the zone. */
export function absolute(ms: number, chosen: string, now?: number): string {
  const day = (at: number) => new Intl.DateTimeFormat("sv-SE", {timeZone: named(chosen), dateStyle: "short"}).format(at);
  if (now !== undefined) {
    return day(ms) === day(now) ? timeOfDay(ms, chosen) : `${day(ms)} ${timeOfDay(ms, chosen)}`;
  }
  return `${day(ms)} ${timeOfDay(ms, chosen)} ${zoneName(ms, chosen)}`;
}

/** "14:03:12". */
export function timeOfDay(ms: number, chosen: string): string {
  return new Intl.DateTimeFormat("en-GB", {timeZone: named(chosen), hour: "2-digit", minute: "2-digit", second: "2-digit"}).format(ms);
}

/** "UTC", "CET" or "GMT+2". */
function zoneName(ms: number, chosen: string): string {
  const parts = new Intl.DateTimeFormat("en-GB", {timeZone: named(chosen), timeZoneName: "short"}).formatToParts(ms);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? "";
}
