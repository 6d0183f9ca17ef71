// The figures of bench/README.md: bench/dashboard prints them. They are no part of the tests, which are run on machines
// that do other things at the same time.
import {afterAll, expect, inject, test} from "vitest";
import {type Crowding, crowd} from "./crowd";
import {type Told, ready, told, watched} from "./observed";
import {api, world} from "./world";

const {open} = world();
const seconds = Number(process.env["ADG_NUMBERS_SECONDS"] ?? 20);

const figures: {what: string; figure: string; value: number; unit: string; aim: number | undefined}[] = [];

/** Says a figure, and the most that it should be. */
function say(what: string, figure: string, value: number, unit: string, aim?: number): void {
  const rounded = Math.abs(value) < 10 ? Math.round(value * 100) / 100 : Math.round(value);
  figures.push({what, figure, value: rounded, unit, aim});
  // A line of its own, whatever the reporter has written before it.
  process.stdout.write(`\n${JSON.stringify({bench: "dashboard", what, figure, value: rounded, unit, aim, met: aim === undefined ? undefined : rounded <= aim})}\n`);
}

afterAll(() => {
  const line = (...cells: string[]) => process.stdout.write(`\n| ${cells.join(" | ")} |`);
  line("what", "figure", "result", "aim", "met");
  line("---", "---", "---", "---", "---");
  let last = "";
  for (const {what, figure, value, unit, aim} of figures) {
    line(what === last ? "" : what, figure, `${value.toLocaleString("en-GB")} ${unit}`.trim(), aim === undefined ? "" : `at most ${aim.toLocaleString("en-GB")} ${unit}`.trim(), aim === undefined ? "" : value <= aim ? "yes" : "no");
    last = what;
  }
  process.stdout.write("\n");
});

const middle = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

const addresses: Record<string, () => Promise<string> | string> = {
  Now: () => "/",
  Deployment: async () => `/deployments/${(await api().GET("/v1/deployments", {params: {query: {states: ["STATE_ROLLED_BACK"]}}})).data!.deployments[0]!.id}`,
  Service: () => "/services/shop",
  Policy: () => "/policies/shop/demo",
  Predictions: () => "/predictions",
  Events: () => "/events",
  Audit: () => "/audit",
  Settings: () => "/settings/connections",
  "First steps": () => "/first-steps",
};

test.each(Object.keys(addresses))("%s is loaded, with a processor a quarter as fast", async (name) => {
  const page = await open(await addresses[name]!());
  const session = await watched(page, {slower: 4});
  const loads: Told[] = [];
  for (let i = 0; i < 5; i++) {
    await session.send("Network.clearBrowserCache");
    await page.reload();
    await ready(page);
    loads.push(await told(page));
  }
  const typical = (figure: (load: Told) => number) => middle(loads.map(figure));
  const what = `${name}, 4 times as slow`;
  say(what, "scripts and styles", typical((load) => load.bytes / 1000), "kB", name === "Now" ? 250 : undefined);
  say(what, "first contentful paint", typical((load) => load.painted), "ms");
  say(what, "largest contentful paint", typical((load) => load.largest), "ms", 2500);
  say(what, "interactive", typical((load) => load.interactive), "ms", name === "Now" ? 1000 : undefined);
  say(what, "blocked", typical((load) => load.blocked), "ms", 200);
  say(what, "layout shift", typical((load) => load.shifted), "", 0.1);
}, 120_000);

const busy = {changes: 1000, turnover: 10, events: 0};
const eventful = {deployments: 10, changes: 0, turnover: 0, events: 1000};

test.each([1000, 10_000])("%d deployments, of which a thousand change each second", async (deployments) => {
  await live(`Now, ${deployments.toLocaleString("en-GB")} deployments, 1,000 changes/s`, "/", {...busy, deployments});
}, 180_000 + seconds * 2000);

test("a thousand events each second", async () => {
  await live("Events, 1,000 events/s", "/events", eventful);
}, 180_000 + seconds * 2000);

/** Looks at a page for a while, with a key pressed each second: how long people wait for it, and what it keeps. */
async function live(what: string, path: string, crowding: Crowding): Promise<void> {
  const server = await crowd(inject("served"), crowding);
  try {
    const page = await open(path, {served: server.served});
    const session = await watched(page, {slower: 1});
    await page.reload();
    if (path === "/") {
      await page.locator(`[data-rows="${crowding.deployments}"]`).waitFor();
      say(what, "all are there", (await told(page)).now, "ms");
    } else {
      await page.getByText("Live", {exact: true}).waitFor();
    }
    await page.waitForTimeout(3000); // what comes with loading is over
    await page.evaluate("forget()");
    const metric = async (name: string) => (await session.send("Performance.getMetrics")).metrics.find((one) => one.name === name)!.value;
    const [before, asked, busyBefore, begin] = [server.told(), server.asked(), await metric("ThreadTime"), Date.now()];
    const samples: {at: number; MB: number; nodes: number; listeners: number}[] = [];
    const collected: {begin: number; end: number}[] = []; // the browser was told to tidy up: that is not the page's doing
    const apart = Math.max(5, seconds / 60);
    for (let at = 0; at <= seconds; at = (Date.now() - begin) / 1000) {
      if (at >= samples.length * apart) {
        const from = await page.evaluate<number>("performance.now()");
        let MB = Infinity;
        for (let i = 0; i < 4; i++) {
          // Between tidying up and counting the next changes come in, a megabyte and more of them: what is kept is the least.
          await session.send("HeapProfiler.collectGarbage");
          MB = Math.min(MB, (await metric("JSHeapUsedSize")) / 1e6);
        }
        samples.push({at, MB, nodes: await metric("Nodes"), listeners: await metric("JSEventListeners")});
        collected.push({begin: from, end: await page.evaluate<number>("performance.now()")});
      }
      await page.keyboard.press("j");
      await page.waitForTimeout(1000);
    }
    const took = (Date.now() - begin) / 1000;
    const perSecond = (server.told() - before) / took;
    const busy = ((await metric("ThreadTime")) - busyBefore) / took;
    const {tasks, keys, shifted} = await told(page);
    const own = tasks.filter((task) => !collected.some((one) => task.start < one.end && one.begin < task.end)).map(({start, end}) => end - start);
    say(what, "told", perSecond, "a second");
    say(what, "the page's thread is busy", 100 * busy, "%");
    say(what, "longest task", Math.max(0, ...own), "ms", 100);
    say(what, "tasks of more than 50 ms", own.length / (took / 60), "a minute");
    say(what, "longest wait for a key", Math.max(0, ...keys), "ms", 200);
    say(what, "layout shift", shifted, "");
    say(what, "questions besides", (server.asked() - asked) / (took / 60), "a minute");
    remembered(what, samples);
    expect(perSecond).toBeGreaterThan(0.95 * (crowding.changes + crowding.events));
    await page.close(); // before the server goes
  } finally {
    await server.stop();
  }
}

/** Says what a page keeps, and whether that grows: by the line through the least of each tenth of the second half, when all
 * that is kept has been filled. A page that had no time to tidy up has more than it keeps, and never less. It takes minutes. */
function remembered(what: string, samples: {at: number; MB: number; nodes: number; listeners: number}[]): void {
  const [first, last] = [samples[0]!, samples.at(-1)!];
  say(what, "memory at first", first.MB, "MB");
  say(what, `memory after ${Math.round(last.at)} s`, last.MB, "MB");
  say(what, "nodes at last", last.nodes, "");
  say(what, "listeners at last", last.listeners, "");
  if (last.at >= 300) {
    const tenth = last.at / 20;
    const least = Array.from({length: 10}, (_, i) => samples.filter(({at}) => at >= last.at / 2 + i * tenth && at <= last.at / 2 + (i + 1) * tenth))
      .filter((some) => some.length > 0)
      .map((some) => some.reduce((a, b) => (b.MB < a.MB ? b : a)));
    const mean = (of: (sample: (typeof samples)[number]) => number) => least.reduce((sum, sample) => sum + of(sample), 0) / least.length;
    const [at, MB] = [mean((sample) => sample.at), mean((sample) => sample.MB)];
    const slope = least.reduce((sum, sample) => sum + (sample.at - at) * (sample.MB - MB), 0) / least.reduce((sum, sample) => sum + (sample.at - at) ** 2, 0);
    say(what, "memory grows, of what it is in an hour", (100 * slope * 3600) / MB, "%", 10);
  }
}
