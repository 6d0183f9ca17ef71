// What a page says of itself while it is measured: when it was painted, when it could be used, what kept people waiting.
import type {CDPSession, Page} from "playwright-core";

export interface Told {
  now: number; // ms since the page was asked for, as all times here
  bytes: number; // of scripts and styles, as they were sent
  painted: number; // the first content
  largest: number; // the largest content
  interactive: number; // all is there, and no task was long since
  blocked: number; // by how much tasks were longer than 50 ms, until then
  shifted: number; // how far things moved by themselves, as CLS has it, but in all
  tasks: {start: number; end: number}[]; // of more than 50 ms
  keys: number[]; // from a key to what it changed on the screen; of more than 16 ms
}

/** Observes a page from its next load on, on a processor that is so many times slower. */
export async function watched(page: Page, {slower}: {slower: number}): Promise<CDPSession> {
  const session = await page.context().newCDPSession(page);
  await session.send("Emulation.setCPUThrottlingRate", {rate: slower});
  await session.send("Performance.enable");
  await page.addInitScript(observe);
  return session;
}

/** Waits until a page is there and was quiet for a second. */
export async function ready(page: Page): Promise<void> {
  // The policy of content allows no script that is text, which waiting within the page would take.
  for (let quiet = false; !quiet; await page.waitForTimeout(200)) {
    quiet = await page.evaluate(() => {
      const {seen} = window as unknown as {seen: Seen};
      return seen.shown > 0 && performance.now() - Math.max(seen.shown, ...seen.tasks.map((task) => task.end)) > 1000;
    });
  }
}

/** What the page has said so far, since it was loaded or told to forget. */
export async function told(page: Page): Promise<Told> {
  return page.evaluate(() => {
    const {seen} = window as unknown as {seen: Seen};
    const interactive = Math.max(seen.shown, ...seen.tasks.map((task) => task.end));
    const loaded = performance.getEntriesByType("resource") as PerformanceResourceTiming[];
    return {
      now: performance.now(),
      bytes: loaded.filter(({name}) => /\.(js|css)$/.test(new URL(name).pathname)).reduce((sum, {encodedBodySize}) => sum + encodedBodySize, 0),
      painted: seen.painted,
      largest: seen.largest,
      interactive,
      blocked: seen.tasks.filter((task) => task.end > seen.painted).reduce((sum, {start, end}) => sum + Math.max(0, end - Math.max(start, seen.painted) - 50), 0),
      shifted: seen.shifted,
      tasks: seen.tasks,
      keys: seen.keys,
    };
  });
}

// Private

interface Seen {
  shown: number;
  painted: number;
  largest: number;
  shifted: number;
  tasks: {start: number; end: number}[];
  keys: number[];
}

// It is run in the page, before anything else.
function observe(): void {
  const seen: Seen = {shown: 0, painted: 0, largest: 0, shifted: 0, tasks: [], keys: []};
  const forget = () => {
    seen.tasks.length = seen.keys.length = seen.shifted = 0;
  };
  Object.assign(window, {seen, forget});
  const on = (type: string, note: (entry: PerformanceEntry) => void) => {
    new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({type, buffered: true, durationThreshold: 16} as PerformanceObserverInit);
  };
  on("longtask", ({startTime, duration}) => seen.tasks.push({start: startTime, end: startTime + duration}));
  on("paint", ({name, startTime}) => {
    if (name === "first-contentful-paint") {
      seen.painted = startTime;
    }
  });
  on("largest-contentful-paint", ({startTime}) => {
    seen.largest = startTime;
  });
  on("layout-shift", (entry) => {
    const {value, hadRecentInput} = entry as PerformanceEntry & {value: number; hadRecentInput: boolean};
    seen.shifted += hadRecentInput ? 0 : value;
  });
  on("event", ({name, duration}) => {
    if (name === "keydown") {
      seen.keys.push(duration);
    }
  });
  // A page is there when nothing of it is still on its way.
  let there = false;
  new MutationObserver(() => {
    const was = there;
    there = document.querySelector("h1") !== null && document.querySelector("nav a") !== null && document.querySelector("[data-state=loading]") === null;
    if (there && !was) {
      seen.shown = performance.now();
    }
  }).observe(document, {subtree: true, childList: true});
}
