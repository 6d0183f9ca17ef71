// Times: what the clock said, in the zone that the person chose, and how long ago that is.
import {type CSSProperties, useMemo} from "react";
import {span} from "../figures/words";
import {useSaid} from "./clock";
import {manner, writer, zone} from "./zone";

interface TimeProps {
  at: string | number | undefined; // as the API has it, or in ms; undefined: never
  plain?: boolean; // the clock's time without the day, whatever was chosen
  both?: boolean; // the one and the other
  never?: string; // shown where there is no time
  style?: CSSProperties;
}

/** A time. What is not shown of it (how long ago, or the clock's time) is in its title. */
export function Time({at, never = "never", ...rest}: TimeProps) {
  const ms = typeof at === "string" ? Date.parse(at) : at;
  if (ms === undefined || Number.isNaN(ms)) {
    return <span className="quiet">{never}</span>;
  }
  return <Known ms={ms} {...rest} />;
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
  const day = (at: number) => days(chosen).format(at);
  if (now !== undefined) {
    return day(ms) === day(now) ? timeOfDay(ms, chosen) : `${day(ms)} ${timeOfDay(ms, chosen)}`;
  }
  return `${day(ms)} ${timeOfDay(ms, chosen)} ${zoneName(ms, chosen)}`;
}

/** "14:03:12". */
export function timeOfDay(ms: number, chosen: string): string {
  return clocks(chosen).format(ms);
}

// Private

const days = writer("sv-SE", {dateStyle: "short"});
const clocks = writer("en-GB", {hour: "2-digit", minute: "2-digit", second: "2-digit"});
const names = writer("en-GB", {timeZoneName: "short"});

function Known({ms, plain = false, both = false, style}: {ms: number; plain?: boolean; both?: boolean; style?: CSSProperties}) {
  const chosen = zone.use();
  const how = manner.use();
  const ago = useSaid((now) => relative(ms, now));
  const clock = useSaid((now) => (how === "absolute" || both ? absolute(ms, chosen, now) : ""));
  const whole = useMemo(() => absolute(ms, chosen), [ms, chosen]);
  let shown = how === "absolute" ? clock : ago;
  let title = how === "absolute" ? ago : whole;
  if (plain) {
    shown = timeOfDay(ms, chosen);
    title = `${whole}, ${ago}`;
  } else if (both) {
    shown = `${clock} (${ago})`;
  }
  return (
    <time dateTime={new Date(ms).toISOString()} title={title} style={{whiteSpace: "nowrap", ...style}}>
      {shown}
    </time>
  );
}

// "UTC", "CET" or "GMT+2".
function zoneName(ms: number, chosen: string): string {
  const parts = names(chosen).formatToParts(ms);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? "";
}
