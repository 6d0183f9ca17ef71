// What a clock on a wall shows, in the zone that the person chose, as fields for a date and a time want it.
import {writer} from "./zone";

/** "2026-11-22T14:03", as the wall's clock has it. */
export function toWall(ms: number, chosen: string): string {
  return minute(chosen).format(ms).replace(" ", "T");
}

/** The time at which the wall's clock shows that. Where it shows it twice, at the end of summer time, it is the first;
 * where it never does, that of an hour later. */
export function fromWall(wall: string, chosen: string): number | undefined {
  const found = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})/.exec(wall);
  if (found === null) {
    return undefined;
  }
  const [year, month, day, hour, min] = found.slice(1).map(Number) as [number, number, number, number, number];
  const utc = Date.UTC(year, month - 1, day, hour, min);
  const candidates = [ahead(utc - 86_400_000, chosen), ahead(utc + 86_400_000, chosen)].map((by) => utc - by);
  const fitting = candidates.filter((ms) => toWall(ms, chosen) === wall.slice(0, 16));
  return fitting.length > 0 ? Math.min(...fitting) : Math.max(...candidates);
}

/** A time of the wall as the API has times; undefined: none. */
export function wallTime(wall: string, chosen: string): string | undefined {
  const ms = fromWall(wall, chosen);
  return ms === undefined ? undefined : new Date(ms).toISOString();
}

// Private

const minute = writer("sv-SE", {dateStyle: "short", timeStyle: "short"});

// How far the wall's clock is ahead of UTC.
function ahead(ms: number, chosen: string): number {
  return Date.parse(`${toWall(ms, chosen)}:00Z`) - Math.floor(ms / 60_000) * 60_000;
}
