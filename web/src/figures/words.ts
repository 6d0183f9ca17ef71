// Figures as words: every number has its unit, and as many digits as tell something.

/** A stretch of time in seconds, in its two largest units: "45 s", "3 m 20 s", "2 h 5 m", "4 d 3 h". */
export function span(seconds: number): string {
  if (!Number.isFinite(seconds)) {
    return "?";
  }
  if (seconds > 0 && seconds < 1) {
    return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  }
  let rest = Math.round(Math.abs(seconds));
  if (rest < 60) {
    return `${rest} s`;
  }
  const parts: string[] = [];
  for (const [unit, size] of [["d", 86_400], ["h", 3600], ["m", 60], ["s", 1]] as const) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) {
      parts.push(`${count} ${unit}`);
    } else if (parts.length > 0) {
      break;
    }
    if (parts.length === 2) {
      break;
    }
  }
  return parts.join(" ");
}

/** A duration of the API, such as "90s" or "0.250s", in seconds; undefined where there is none. */
export function seconds(duration: string | undefined): number | undefined {
  const found = /^(-?\d+(?:\.\d+)?)s$/.exec(duration ?? "");
  return found?.[1] === undefined ? undefined : Number(found[1]);
}

/** A share of one as percent: 0.0213 is "2.13 %". */
export function percent(share: number | undefined): string {
  return share === undefined ? "?" : `${digits(share * 100)} %`;
}

/** A number with three significant digits, more where it is large: "0.0213", "412", "12,345". */
export function digits(value: number): string {
  if (!Number.isFinite(value)) {
    return "?";
  }
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e9)) {
    return value.toExponential(2).replace("e+", "e");
  }
  return written[size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 4].format(value);
}

/** A value in the unit of its check; the units are those of the policy. Seconds and shares are shown as people say them. */
export function quantity(value: number | undefined, unit = ""): string {
  if (value === undefined) {
    return "?";
  }
  switch (unit) {
    case "s":
    case "seconds":
      return Math.abs(value) < 1 ? `${digits(value * 1000)} ms` : value < 60 ? `${digits(value)} s` : span(value);
    case "B":
    case "bytes":
      return bytes(value);
    case "%":
    case "percent":
      return `${digits(value)} %`;
    case "ratio":
    case "share":
      return percent(value);
    case "odds": // their decimal logarithm
      return odds(value);
    default:
      return unit === "" ? digits(value) : `${digits(value)} ${unit}`;
  }
}

/** "512 B", "10.1 MiB": each unit is 1024 of the one before, as in the sentences of the server. */
export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const size = Math.max(0, units.findLastIndex((_, i) => Math.abs(value) >= 1024 ** i));
  return `${digits(value / 1024 ** size)} ${units[size]}`;
}

/** How strong evidence is, of the decimal logarithm of its e-value: "400 to 1", "1 to 6.3". */
export function odds(log: number): string {
  const size = Math.abs(log);
  const one = size > 9 ? "more than 1e9" : digits(10 ** size);
  return log < 0 ? `1 to ${one}` : `${one} to 1`;
}

/** What stands beside the title of figures in that unit: nothing where each figure says it. */
export function unitWord(unit: string): string {
  return ["", "ratio", "share", "%", "percent", "s", "seconds", "B", "bytes", "odds"].includes(unit) ? "" : unit;
}

/** "1 deployment", "3 deployments". */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${whole(n)} ${n === 1 ? one : many}`;
}

/** "12,345". */
export function whole(n: number): string {
  return written.whole.format(n);
}

/** The reasons without those that another one says, too. */
export function distinct(reasons: readonly string[]): string[] {
  return reasons.filter((reason, i) => !reasons.some((other, j) => i !== j && other.includes(reason) && (other.length > reason.length || j < i)));
}

// Private

// To make one takes a hundred times as long as to write a number with it.
const written = {0: withDigits(0), 1: withDigits(1), 2: withDigits(2), 4: withDigits(4), whole: new Intl.NumberFormat("en")};

function withDigits(most: number): Intl.NumberFormat {
  return new Intl.NumberFormat("en", {maximumFractionDigits: most});
}
