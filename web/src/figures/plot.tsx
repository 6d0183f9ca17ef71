// Draws charts with uPlot, in the colours of the scheme, with everything that can be seen in it said in words, too.
import "uplot/dist/uPlot.min.css";
import {Button, Group, ScrollArea, Table, Text, VisuallyHidden, useComputedColorScheme} from "@mantine/core";
import {useEffect, useId, useMemo, useRef, useState} from "react";
import uPlot from "uplot";
import {absolute, timeOfDay} from "../frame/time";
import {zone} from "../frame/zone";
import {alone} from "./alone";
import {type ChartProps, type Line} from "./chart";
import classes from "./plot.module.css";
import {quantity, unitWord} from "./words";
import {useZoom} from "./zoom";

export default function Plot(props: ChartProps) {
  const {title, unit = "", zoom, height = 200} = props;
  const [table, setTable] = useState(false);
  const [span, setSpan] = useZoom(zoom);
  const id = useId();
  const chosen = zone.use();
  const summary = props.summary ?? said(props, chosen);
  return (
    <figure className={classes.figure} aria-labelledby={`${id}-title`} aria-describedby={`${id}-summary`}>
      <Group justify="space-between" gap="xs" mb={4}>
        <figcaption id={`${id}-title`} className={classes.title}>
          {title}
          {unitWord(unit) !== "" && <span className="quiet"> ({unitWord(unit)})</span>}
        </figcaption>
        <Group gap={4}>
          {span !== undefined && (
            <Button size="compact-xs" variant="default" onClick={() => setSpan(undefined)}>
              All of the time
            </Button>
          )}
          <Button size="compact-xs" variant="default" aria-pressed={table} onClick={() => setTable(!table)}>
            {table ? "Chart" : "Table"}
          </Button>
        </Group>
      </Group>
      {table ? <Values {...props} span={span} chosen={chosen} height={height} /> : <Canvas {...props} span={span} setSpan={setSpan} chosen={chosen} height={height} />}
      <Text id={`${id}-summary`} size="sm" className="quiet wrap">
        {summary}
        {/* Whoever sees the chart sees the numbers in it; what they mean stands once beside all charts that share them. */}
        <VisuallyHidden>{happened(props, chosen)}</VisuallyHidden>
      </Text>
    </figure>
  );
}

// Private

type Span = {from: number; to: number}; // ms
type Drawn = ChartProps & {span: Span | undefined; chosen: string; height: number};

// What the clock of a chart says: over days the day, too.
function clockOf(times: readonly number[], chosen: string): (ms: number) => string {
  const long = (times.at(-1) ?? 0) - (times[0] ?? 0) > 48 * 3_600_000;
  return long ? (ms) => absolute(ms, chosen).slice(0, 16) : (ms) => timeOfDay(ms, chosen);
}

// Times are shown to the second, so there are no ticks in between; the last are weeks, months and years.
const wholeSeconds = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 1_209_600, 2_592_000, 7_776_000, 31_536_000];

const most = 500; // rows of a table: nobody reads more, and browsers draw them slowly

function Canvas(props: Drawn & {setSpan: (span: Span | undefined) => void}) {
  const {times, lines, band, span, setSpan, height, chosen} = props;
  const scheme = useComputedColorScheme();
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const latest = useRef({...props, setSpan});
  useEffect(() => {
    latest.current = {...props, setSpan};
  });
  const data = useMemo(() => [times.map((ms) => ms / 1000), ...lines.map((line) => [...line.values]), ...(band === undefined ? [] : [[...band.high], [...band.low]])] as uPlot.AlignedData, [times, lines, band]);
  // What makes it another chart, and not only other values.
  const shape = JSON.stringify([lines.map(({name, tone, dashed}) => [name, tone, dashed]), band?.name, scheme, chosen, height, props.unit]);
  const first = useRef(data);
  useEffect(() => {
    first.current = data;
  });
  useEffect(() => {
    const box = place.current!;
    const made = new uPlot(options(latest, box.clientWidth, height, chosen), first.current, box);
    plot.current = made;
    const resized = new ResizeObserver(() => {
      if (made.width !== box.clientWidth) {
        made.setSize({width: box.clientWidth, height}); // draws it all again
      }
    });
    resized.observe(box);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [shape, height, chosen]);
  const from = span?.from ?? props.range?.from;
  const to = span?.to ?? props.range?.to;
  useEffect(() => {
    const made = plot.current;
    if (made === undefined) {
      return;
    }
    made.setData(data, from === undefined);
    if (from !== undefined && to !== undefined) {
      made.setScale("x", {min: from / 1000, max: to / 1000});
    }
    // Limits and marks are drawn with it. redraw() would be wrong here: it sets the scale that was there before the data.
  }, [data, from, to, shape, props.limits, props.marks]);
  return <div ref={place} className={classes.canvas} aria-hidden="true" />;
}

function options(latest: {current: ChartProps & {setSpan: (span: Span | undefined) => void}}, width: number, height: number, chosen: string): uPlot.Options {
  const {times, lines, band, unit = ""} = latest.current;
  const clock = clockOf(times, chosen);
  const tick = (ms: number) => (clock(ms).length > 8 ? clock(ms).slice(5, 10) : clock(ms)); // 11-22, or 14:03:12
  const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const ink = colour("--mantine-color-dimmed");
  const axis = {stroke: ink, grid: {stroke: colour("--adg-line"), width: 1}, ticks: {stroke: colour("--adg-line"), width: 1}};
  const series: uPlot.Series[] = lines.map((line, i) => ({label: line.name, stroke: colour(strokeOf(line, i)), width: 1.75, dash: line.dashed === true ? [5, 4] : undefined, points: {show: true, size: 8, fill: colour(strokeOf(line, i)), filter: (u, at) => alone(u.data[at] ?? [])}, value: (_, value) => (value === null ? "–" : quantity(value, unit))}));
  const edges: uPlot.Series[] = band === undefined ? [] : ["high", "low"].map((edge) => ({label: `${band.name}, ${edge}`, stroke: "transparent", points: {show: false}, value: (_, value) => (value === null ? "–" : quantity(value, unit))}));
  return {
    width,
    height,
    series: [{value: (_, value) => (value === null ? "–" : clock(value * 1000))}, ...series, ...edges],
    bands: band === undefined ? [] : [{series: [lines.length + 1, lines.length + 2], fill: colour("--adg-band")}],
    axes: [
      {...axis, incrs: wholeSeconds, values: (_, ticks) => ticks.map((at) => tick(at * 1000))},
      {...axis, ...(unit === "odds" ? {incrs: [1, 2, 5, 10, 20, 50, 100]} : {}), size: (_, labels) => 7 * Math.max(5, ...(labels ?? []).map((label) => label?.length ?? 0)) + 16, values: (_, ticks) => ticks.map((tick) => quantity(tick, unit))},
    ],
    scales: {x: {range: (_, from, to) => (from === to ? [from - 30, to + 30] : [from, to])}, y: {range: (_, low, high) => yRange(low, high, latest.current.limits ?? [])}},
    cursor: {drag: {x: true, y: false, setScale: false}},
    legend: {live: true},
    hooks: {
      setSelect: [
        (u) => {
          if (u.select.width > 4) {
            latest.current.setSpan({from: u.posToVal(u.select.left, "x") * 1000, to: u.posToVal(u.select.left + u.select.width, "x") * 1000});
          }
          u.setSelect({left: 0, width: 0, top: 0, height: 0}, false);
        },
      ],
      drawAxes: [(u) => drawOver(u, latest.current, colour)], // below the lines: a mark stands where the value is that led to it,
    },
  };
}

// Limits that are near belong into the picture; one that is far away would make a line of everything else.
function yRange(low: number | null, high: number | null, limits: readonly {value: number}[]): [number, number] {
  let from = low ?? 0;
  let to = high ?? 1;
  const reach = 3 * (to - from || Math.abs(to) || 1);
  for (const {value} of limits) {
    if (value > from - reach && value < to + reach) {
      from = Math.min(from, value);
      to = Math.max(to, value);
    }
  }
  const air = 0.06 * (to - from || Math.abs(to) || 1);
  return [from >= 0 && from - air < 0 ? 0 : from - air, to + air];
}

function drawOver(u: uPlot, {limits = [], marks = []}: ChartProps, colour: (name: string) => string): void {
  const {ctx, bbox} = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.lineWidth = devicePixelRatio;
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = "left"; // the axes leave theirs
  ctx.textBaseline = "alphabetic";
  for (const {name, value, tone = "bad"} of limits) {
    const y = u.valToPos(value, "y", true);
    ctx.strokeStyle = ctx.fillStyle = colour(`--adg-${tone}`);
    ctx.setLineDash(tone === "bad" ? [6, 3] : [2, 3]);
    line(ctx, bbox.left, y, bbox.left + bbox.width, y);
    const above = y - 14 * devicePixelRatio > bbox.top; // else its name would be cut off
    ctx.fillText(name, bbox.left + 18 * devicePixelRatio, above ? y - 3 : y + 12 * devicePixelRatio); // beside the number of a mark at the edge
  }
  ctx.setLineDash([]);
  ctx.strokeStyle = ctx.fillStyle = colour("--mantine-color-text");
  for (const [i, {at}] of marks.entries()) {
    const x = u.valToPos(at / 1000, "x", true);
    line(ctx, x, bbox.top, x, bbox.top + bbox.height);
    const room = x + 20 * devicePixelRatio < bbox.left + bbox.width;
    ctx.textAlign = room ? "left" : "right";
    ctx.fillText(String(i + 1), room ? x + 3 : x - 3, bbox.top + 11 * (1 + (i % 3)) * devicePixelRatio); // those that are close stay readable
  }
  ctx.restore();
}

function line(ctx: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}

const order = ["info", "unknown", "good", "warn", "bad"] as const;

function strokeOf(line: Line, i: number): string {
  return `--adg-${line.tone ?? order[i % order.length]}`;
}

function Values({title, times, lines, unit = "", band, span, chosen, height}: Drawn) {
  const within = times.map((ms, i) => ({ms, i})).filter(({ms}) => span === undefined || (ms >= span.from && ms <= span.to));
  const shown = within.slice(-most).reverse();
  const clock = clockOf(times, chosen);
  const cell = (value: number | null | undefined) => (value === null || value === undefined ? "–" : quantity(value, unit));
  return (
    <ScrollArea h={height} type="auto" viewportProps={{tabIndex: 0, "aria-label": `${title} as a table`, role: "region"}}>
      <Table stickyHeader striped aria-label={title}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Time</Table.Th>
            {lines.map((line) => (
              <Table.Th key={line.name}>{line.name}</Table.Th>
            ))}
            {band !== undefined && <Table.Th>{band.name}</Table.Th>}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {shown.map(({ms, i}) => (
            <Table.Tr key={ms}>
              <Table.Td>{clock(ms)}</Table.Td>
              {lines.map((line) => (
                <Table.Td key={line.name}>{cell(line.values[i])}</Table.Td>
              ))}
              {band !== undefined && (
                <Table.Td>
                  {cell(band.low[i])} to {cell(band.high[i])}
                </Table.Td>
              )}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {within.length > most && (
        <Text size="sm" p="xs">
          The last {most} of {within.length} are shown.
        </Text>
      )}
    </ScrollArea>
  );
}

// said is the chart in words.
function said({times, lines, unit = "", limits = []}: ChartProps, chosen: string): string {
  const begin = times[0];
  const end = times.at(-1);
  if (begin === undefined || end === undefined) {
    return "There are no values yet.";
  }
  const told = lines.map(({name, values}) => {
    const known = values.filter((value) => value !== null);
    const last = known.at(-1);
    return last === undefined ? `${name} has no values` : `${name} is ${quantity(last, unit)} at the end, between ${quantity(Math.min(...known), unit)} and ${quantity(Math.max(...known), unit)}`;
  });
  told.push(...limits.map(({name, value}) => `${name} is ${quantity(value, unit)}`));
  const clock = clockOf(times, chosen);
  const from = clock(begin).length > 8 ? clock(begin) : absolute(begin, chosen, end);
  return `${from} to ${clock(end)}: ${told.join("; ")}.`;
}

// happened is what the marks mean.
function happened({times, marks = []}: ChartProps, chosen: string): string {
  return marks.map(({at, text}, i) => ` ${i + 1}: ${text} (${clockOf(times, chosen)(at)}).`).join("");
}
