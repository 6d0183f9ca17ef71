// What the stories have in common: a browser, a person who is logged in, and a look at a page that finds what is wrong
// with it, in both schemes, on a phone and on a laptop.
import {mkdirSync, readFileSync, readdirSync} from "node:fs";
import {createRequire} from "node:module";
import {join} from "node:path";
import {type Browser, type BrowserContext, type Locator, type Page, chromium} from "playwright-core";
import {afterAll, afterEach, beforeAll, expect, inject} from "vitest";
import {ApiError, connect, stream} from "../src/api/client";
import type {Served} from "./server";

export const phone = {width: 360, height: 740};
export const laptop = {width: 1280, height: 800};

/** The server's API, as the person that all stories share. */
export function api(served: Served = inject("served")) {
  return connect({url: served.url, token: served.token});
}

/** The demo's deployments, once the good release was promoted and the bad one has begun. On a machine with much else to do
 * the shop is sometimes slow enough for the good release to be rolled back: then the demo is begun anew. */
export async function demonstrated(served: Served = inject("served")): Promise<{good: string; bad: string}> {
  const asked = api(served);
  for (let tries = 0; tries < 5; tries++) {
    const good = await newest(served, "v2");
    if ((await ended(served, good)) === "STATE_SUCCEEDED") {
      return {good, bad: await newest(served, "v3")};
    }
    for (;;) {
      try {
        await asked.POST("/v1/system/demo:start", {body: {fault: "DEMO_FAULT_ERRORS", idempotencyKey: "", reason: "a story"}});
        break;
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 409)) {
          throw error; // else it is not over yet
        }
      }
    }
  }
  throw new Error("the demo's good release was never promoted");
}

/** The state that a deployment ends in. */
export async function ended(served: Served, id: string): Promise<string> {
  let state = "";
  for await (const {deployment} of stream({url: served.url, token: served.token}, `/v1/deployments/${id}:watch`)) {
    state = deployment?.status?.state ?? state;
  }
  return state;
}

/** The world of one file of stories: call it at its top. */
export function world(): {open: (path: string, options?: OpenOptions) => Promise<Page>} {
  let browser: Browser;
  const sessions = new Map<string, BrowserContext>(); // of the usual person, by server
  const open: {page: Page; complaints: string[]}[] = [];
  beforeAll(async () => {
    browser = await chromium.launch({executablePath: process.env["ADG_CHROMIUM"] ?? "/usr/bin/chromium", args: ["--no-sandbox"]});
  });
  afterAll(async () => {
    await browser.close();
  });
  afterEach(async () => {
    const all = open.splice(0);
    for (const {page} of all) {
      if (![...sessions.values()].includes(page.context())) {
        await page.context().close();
      } else {
        await page.close();
      }
    }
    expect(all.flatMap(({complaints}) => complaints)).toEqual([]);
  });
  return {
    async open(path, {served, viewport = laptop, as, allow = []} = {}) {
      const server = served ?? inject("served");
      const context = (as === undefined ? sessions.get(server.url) : undefined) ?? (await loggedIn(browser, server, as));
      if (as === undefined) {
        sessions.set(server.url, context);
      }
      const page = await context.newPage();
      page.setDefaultTimeout(60_000);
      await page.setViewportSize(viewport);
      const complaints: string[] = [];
      const complain = (text: string) => {
        if (!allow.some((pattern) => pattern.test(text))) {
          complaints.push(text);
        }
      };
      // What breaks the policy of content is an error of the console, too.
      page.on("console", (message) => ["error", "warning"].includes(message.type()) && complain(`${message.type()}: ${message.text()} (${message.location().url})`));
      page.on("pageerror", (error) => complain(`error: ${error.message}`));
      open.push({page, complaints});
      await page.goto(server.url + path);
      return page;
    },
  };
}

export interface OpenOptions {
  served?: Served; // another server than the shared one
  viewport?: {width: number; height: number};
  as?: {name: string; password: string}; // somebody else
  allow?: RegExp[]; // what the console may say, such as that a server that was stopped does not answer
}

/** Looks at a page in light and in dark, on a phone and on a laptop: axe finds nothing, nothing is wider than the screen,
 * and a picture of it is kept where ADG_SCREENSHOTS says, such as docs/dashboard, if a text shows it. The picture begins
 * where the page was scrolled to, or with what it is to be taken from. */
export async function look(page: Page, name: string, {from}: {from?: Locator} = {}): Promise<void> {
  const before = page.viewportSize();
  for (const scheme of ["light", "dark"] as const) {
    await page.emulateMedia({colorScheme: scheme, reducedMotion: "reduce"});
    // The login has no script: it follows the browser at once.
    await page.waitForSelector(`html[data-mantine-color-scheme=${scheme}], html:not([data-mantine-color-scheme])`);
    for (const [size, viewport] of Object.entries({phone, laptop})) {
      await page.setViewportSize(viewport);
      expect(await violations(page), `${name}, ${scheme}, on a ${size}`).toEqual([]);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      expect(wide, `${name} on a ${size}: pixels that one has to scroll sideways`).toBeLessThanOrEqual(0);
      await from?.evaluate((element) => window.scrollTo(0, element.getBoundingClientRect().top + window.scrollY - 64)); // below the head
      await keep(page, `${name}-${scheme}${size === "phone" ? "-phone" : ""}.png`);
    }
  }
  await page.emulateMedia({colorScheme: "light"});
  if (before !== null) {
    await page.setViewportSize(before);
  }
}

// Private

// keep keeps a picture that a text shows, in the folder of the pictures or beside it; where there is no text, all are.
async function keep(page: Page, file: string): Promise<void> {
  const folder = process.env["ADG_SCREENSHOTS"];
  if (folder === undefined) {
    return;
  }
  mkdirSync(folder, {recursive: true});
  const texts = [folder, join(folder, "..")].flatMap((dir) =>
    readdirSync(dir)
      .filter((name) => name.endsWith(".md"))
      .map((name) => readFileSync(join(dir, name), "utf8")),
  );
  if (texts.length === 0 || texts.some((text) => text.includes(file))) {
    await page.screenshot({path: join(folder, file), animations: "disabled"});
  }
}

// newest waits until there is a deployment of a version of the demo's, and gives the newest one.
async function newest(served: Served, version: string): Promise<string> {
  for await (const {changed} of stream({url: served.url, token: served.token}, "/v1/deployments:watch", {version})) {
    const [first] = changed.filter((row) => row.service === "shop").sort((a, b) => (b.createTime ?? "").localeCompare(a.createTime ?? ""));
    if (first !== undefined) {
      return first.id;
    }
  }
  throw new Error(`nobody deploys ${version}`);
}

const axePath = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

interface Axe {
  run: (root: Document, options: object) => Promise<{violations: {id: string; help: string; nodes: {target: unknown[]; failureSummary?: string}[]}[]}>;
}

async function violations(page: Page): Promise<string[]> {
  // The policy of content allows no script within the page; what is evaluated by the debugger is none.
  if (!(await page.evaluate(() => "axe" in window))) {
    await page.evaluate(readFileSync(axePath, "utf8"));
  }
  return page.evaluate(async () => {
    const axe = (window as unknown as {axe: Axe}).axe;
    const looked = () => axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]});
    const {violations} = await looked().catch(looked); // it cannot name what was taken off the page while it looked
    // What lies above the page for a moment, such as a word of explanation, is in no region of it.
    const above = (id: string, target: unknown[]) => id === "region" && String(target[0]).startsWith("div[data-portal");
    return violations.flatMap((v) => v.nodes.filter((node) => !above(v.id, node.target)).map((node) => `${v.id}: ${v.help}: ${node.target.join(" ")}: ${node.failureSummary ?? ""}`));
  });
}

async function loggedIn(browser: Browser, served: Served, as: {name: string; password: string} = served): Promise<BrowserContext> {
  const context = await browser.newContext({viewport: laptop, locale: "en-GB", timezoneId: "Europe/Berlin"});
  const page = await context.newPage();
  await page.goto(`${served.url}/login`);
  await page.getByLabel("Name").fill(as.name);
  await page.getByLabel("Password").fill(as.password);
  await page.getByRole("button", {name: "Log in"}).click();
  await page.waitForURL((url) => url.pathname === "/");
  await page.close();
  return context;
}
