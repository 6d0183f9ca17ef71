import {quantity} from "./words";

interface SparklineProps {
  values: readonly number[]; // oldest first
  limit?: number;
  unit?: string;
  width?: number;
  height?: number;
  bad?: boolean; // whether the last value is beyond the limit
}

/** The last values of a check, against its limit. */
export function Sparkline({values, limit, unit = "", width = 110, height = 28, bad = false}: SparklineProps) {
  const known = values.filter((value) => Number.isFinite(value));
  const last = known.at(-1);
  if (last === undefined) {
    return <svg width={width} height={height} role="img" aria-label="no values yet" />;
  }
  const {y, line} = drawn(values, limit, width, height);
  const words = `${known.length} values, now ${quantity(last, unit)}, between ${quantity(Math.min(...known), unit)} and ${quantity(Math.max(...known), unit)}${limit === undefined ? "" : `; limit ${quantity(limit, unit)}`}`;
  return (
    <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={words} style={{display: "block", flex: "none"}}>
      {limit !== undefined && <line x1={0} x2={width} y1={y(limit)} y2={y(limit)} stroke="var(--adg-bad)" strokeWidth={1} strokeDasharray="3 2" />}
      <path d={line} fill="none" stroke={bad ? "var(--adg-bad)" : "var(--adg-info)"} strokeWidth={1.6} strokeLinejoin="round" />
      <circle cx={width - pad} cy={y(last)} r={2.2} fill={bad ? "var(--adg-bad)" : "var(--adg-info)"} />
    </svg>
  );
}

// Private

const pad = 3;

function drawn(values: readonly number[], limit: number | undefined, width: number, height: number) {
  const scale = [...values.filter(Number.isFinite), ...(limit === undefined ? [] : [limit])];
  const low = Math.min(...scale);
  const range = Math.max(...scale) - low || 1;
  const y = (value: number) => height - pad - ((value - low) / range) * (height - 2 * pad);
  const step = (width - 2 * pad) / Math.max(1, values.length - 1);
  let pen = "M"; // lifted where there is no value
  let line = "";
  values.forEach((value, i) => {
    if (!Number.isFinite(value)) {
      pen = "M";
      return;
    }
    line += `${pen}${(pad + i * step).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = "L";
  });
  return {y, line};
}
