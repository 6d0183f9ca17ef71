// Stretches of a week, as "Fri 16:00" to "Mon 06:00".
export const days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"] as const;

export interface Moment {
  day: string;
  time: string; // "16:00"
}

export function momentOf(text: string): Moment | undefined {
  const found = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([01]\d|2[0-3]):([0-5]\d)$/.exec(text);
  return found === null ? undefined : {day: found[1]!, time: `${found[2]}:${found[3]}`};
}

/** A moment as the API has it; undefined: it is not whole. */
export function momentText({day, time}: Moment): string | undefined {
  const text = `${day} ${time}`;
  return momentOf(text) === undefined ? undefined : text;
}
