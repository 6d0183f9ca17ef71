// The figures of bench/README.md: bench/dashboard prints them. They are no part of the tests, which are run on machines
// that do other things at the same time.
import type {CDPSession, Page} from "playwright-core";
import {expect, inject, test} from "vitest";
import {crowd} from "./crowd";
import {world} from "./world";

const {open} = world();
const seconds = Number(process.env["ADG_NUMBERS_SECONDS"] ?? 20);

function say(what: string, figures: object): void {
  process.stdout.write(`${JSON.stringify({bench: "dashboard", what, ...figures})}\n`);
}

// Long tasks are those of more than 50 ms.
const observing = `window.longTasks = []; new PerformanceObserver((list) => list.getEntries().forEach((e) => longTasks.push({start: e.startTime, end: e.startTime + e.duration}))).observe({type: "longtask", buffered: true});
new MutationObserver(() => { if (window.shownAt === undefined && document.querySelector("h1") && document.querySelector("nav a") && document.querySelector("[data-rows]")) window.shownAt = performance.now(); }).observe(document, {subtree: true, childList: true});`;

async function observed(page: Page, rate: number): Promise<CDPSession> {
  const session = await page.context().newCDPSession(page);
  await session.send("Emulation.setCPUThrottlingRate", {rate});
  await page.addInitScript(observing);
  return session;
}

type Told = {shownAt: number; longTasks: {start: number; end: number}[]};

test("the first load, with a processor a quarter as fast", async () => {
  const page = await open("/");
  await observed(page, 4);
  const tries: {shown: number; interactive: number; bytes: number}[] = [];
  for (let i = 0; i < 6; i++) {
    await page.reload();
    await page.getByText(/running|Nothing is being deployed/).first().waitFor();
    await page.waitForFunction("performance.now() - Math.max(shownAt, ...longTasks.map((t) => t.end)) > 1000"); // it is quiet
    tries.push(
      await page.evaluate(() => {
        const {shownAt, longTasks} = window as unknown as Told;
        const bytes = performance.getEntriesByType("resource").filter((e) => /\/(assets|theme)/.test(e.name)).reduce((sum, e) => sum + (e as PerformanceResourceTiming).encodedBodySize, 0);
        return {shown: Math.round(shownAt), interactive: Math.round(Math.max(shownAt, ...longTasks.map((t) => t.end))), bytes};
      }),
    );
  }
  const warm = tries.slice(1).sort((a, b) => a.interactive - b.interactive);
  say("first load, CPU slowed down 4 times", {kB: Math.round(tries[0]!.bytes / 100) / 10, first_ms: tries[0]!.interactive, median_ms: warm[2]!.interactive, shown_ms: warm[2]!.shown, tries: warm.length});
}, 120_000);

test.each([[1000, 1000], [10_000, 1000]])("%d deployments, of which %d change each second", async (deployments, perSecond) => {
  const server = await crowd(inject("served"), {deployments, perSecond});
  try {
    const page = await open("/", {served: server.served});
    const session = await observed(page, 1);
    await page.reload();
    await page.locator(`[data-rows="${deployments}"]`).waitFor();
    const heap = async () => {
      await session.send("HeapProfiler.collectGarbage");
      return ((await session.send("Runtime.getHeapUsage")).usedSize / 1e6).toFixed(1);
    };
    await page.waitForTimeout(3000);
    await page.evaluate("longTasks.length = 0");
    const [before, toldBefore] = [await heap(), server.told()];
    const begin = Date.now();
    await page.waitForTimeout(seconds * 1000);
    const took = (Date.now() - begin) / 1000;
    const tasks = await page.evaluate(() => (window as unknown as Told).longTasks.map((t) => Math.round(t.end - t.start)));
    const perSecondTold = Math.round((server.told() - toldBefore) / took);
    say("changes", {deployments, per_second: perSecondTold, seconds: Math.round(took), longest_task_ms: Math.max(0, ...tasks), tasks_over_50_ms: tasks.length, heap_before_MB: before, heap_after_MB: await heap()});
    expect(perSecondTold).toBeGreaterThan(0.9 * perSecond);
  } finally {
    await server.stop();
  }
}, 120_000 + seconds * 1000);
