// A chart over time. What draws it is loaded when the first chart is shown.
import {Skeleton} from "@mantine/core";
import {late} from "../ask/late";
import {useTurn} from "./turn";

export interface Line {
  name: string;
  values: readonly (number | null)[]; // one for each of times; null: nothing is known
  tone?: "good" | "warn" | "bad" | "unknown" | "info"; // default: by order
  dashed?: boolean; // such as a baseline
}

export interface ChartProps {
  title: string; // what it shows, for its table and for those who do not see it
  times: readonly number[]; // in ms, rising
  lines: readonly Line[];
  unit?: string;
  limits?: readonly {name: string; value: number; tone?: "warn" | "bad"}[];
  band?: {name: string; low: readonly (number | null)[]; high: readonly (number | null)[]}; // such as a confidence interval
  marks?: readonly {at: number; text: string}[]; // such as decisions, in ms
  range?: {from: number; to: number}; // in ms: what is shown unless somebody zooms; default: the times
  zoom?: string; // charts with the same word zoom together
  height?: number;
  summary?: string; // what one sees in it, as a sentence; made from the figures where nobody says it
}

const Plot = late<ChartProps>(() => import("./plot"), Meanwhile);

/** A chart: limits, a band, marks, a zoom that is shared, and the same as a table. */
export function Chart(props: ChartProps) {
  return useTurn() ? <Plot {...props} /> : <Meanwhile {...props} />;
}

/** Loads what draws charts: a page that has some with nearly all that it shows does so as it begins. */
export function chartsAhead(): void {
  void Plot.ahead();
}

// Private

function Meanwhile({height = 200}: ChartProps) {
  return <Skeleton height={height + 60} />;
}
