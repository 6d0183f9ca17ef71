// The page of one deployment: a bad release is seen going bad and being rolled back, and people decide about others.
import {type Page} from "playwright-core";
import {afterAll, beforeAll, expect, test} from "vitest";
import {type Schemas, connect, stream} from "../src/api/client";
import {Server} from "./server";
import {api, look, world} from "./world";

const {open} = world();
const long = 300_000; // a demo takes a minute, and more on a machine that has other things to do as well
const patience = 150_000;

let server: Server;
beforeAll(async () => {
  server = await Server.demonstrated(); // of its own: its policy is changed
}, 2 * long);
afterAll(() => server.stop({keep: false}));

/** The row of the first deployment that is as it is wanted. */
async function until(wanted: (row: Schemas["adg.v1.DeploymentSummary"]) => boolean): Promise<Schemas["adg.v1.DeploymentSummary"]> {
  const {url, token} = server.served;
  const seen = new Map<string, string>(); // the state of each, to say what there was instead
  try {
    for await (const {changed} of stream({url, token}, "/v1/deployments:watch", {}, AbortSignal.timeout(patience))) {
      const found = changed.find(wanted);
      if (found !== undefined) {
        return found;
      }
      changed.forEach((row) => seen.set(row.id, row.state));
    }
  } catch (error) {
    throw new Error(`no deployment is as it is wanted: ${JSON.stringify([...seen])}`, {cause: error});
  }
  throw new Error("the watch ended");
}

async function deploymentOf(version: string): Promise<string> {
  return (await until((row) => row.version === version)).id;
}

async function read(id: string): Promise<Schemas["adg.v1.Deployment"]> {
  const {data} = await api(server.served).GET("/v1/deployments/{id}", {params: {path: {id}}});
  return data!;
}

function heading(page: Page) {
  return page.getByRole("heading", {level: 1});
}

/** Starts a deployment that waits for people: the policy wants an approval, and bakes for a minute. */
async function slow(reason: string, version = "v1"): Promise<string> {
  await until((row) => row.version === "v3" && row.endTime !== undefined); // the demo is over
  const to = api(server.served);
  const path = {service: "shop", environment: "demo"};
  const {data: policy} = await to.GET("/v1/policies/{service}/{environment}", {params: {path}});
  if (!policy!.policy!.approve) {
    const text = policy!.text.replace("bake: 2s", "bake: 60s").replace("\nchecks:", "\napprove: true\nchecks:");
    await to.PUT("/v1/policies/{service}/{environment}", {params: {path}, body: {etag: policy!.etag, reason: "people decide", text}});
  }
  const {data} = await to.POST("/v1/deployments", {body: {environment: "demo", release: {service: "shop", version}, author: "ada", reason, features: {files: 14}}});
  return data!.id;
}

/** Lets a version be deployed again that was rolled back. */
async function lift(version: string): Promise<void> {
  await until((row) => row.version === version && row.endTime !== undefined);
  await api(server.served).POST("/v1/holds:lift", {body: {service: "shop", environment: "demo", identity: version, reason: "again"}});
}

/** Does what a button says, with a reason, and the service's name where it is asked for. */
async function deed(page: Page, button: string, reason: string, {dangerous = false} = {}): Promise<void> {
  await page.getByRole("group", {name: "What you can do"}).getByRole("button", {name: button, exact: true}).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Why").fill(reason);
  const confirm = dialog.getByLabel("Type shop to confirm");
  expect(await confirm.count()).toBe(dangerous ? 1 : 0);
  if (dangerous) {
    await dialog.getByRole("button", {name: button, exact: true}).click();
    await dialog.getByText(/this is not easily taken back/).waitFor();
    await confirm.fill("shop");
  }
  await dialog.getByRole("button", {name: button, exact: true}).click();
  await dialog.waitFor({state: "detached"});
}

test("a bad release is seen going bad and being rolled back, without anybody reloading the page", {timeout: long}, async () => {
  await lift("v3");
  const id = await slow("is it bad again?", "v3");
  const page = await open(`/deployments/${id}`, {served: server.served});
  page.setDefaultTimeout(60_000);
  await heading(page).filter({hasText: "shop v2 → v3"}).waitFor();
  await deed(page, "Approve", "let us see");
  const state = page.getByRole("region", {name: "shop v2 → v3"});
  await state.getByText(/^(Rolling|Rolling back|Verifying rollback|Rolled back)$/).first().waitFor();
  const protocol = page.getByRole("region", {name: "Rollback to v2"});
  await protocol.waitFor();
  await protocol.getByText("the target reports that v2 has all of the traffic").waitFor();
  await state.getByText("Rolled back", {exact: true}).waitFor();
  await protocol.getByText(/unhealthy for .*errors \(critical\) fails/i).first().waitFor(); // why, also once it is over
  await state.getByRole("link", {name: "Draft of a post-mortem"}).waitFor();
  expect(await protocol.getByText("done", {exact: true}).count()).toBe(2);
  // The strip says where it turned bad, and what was never reached.
  const strip = page.getByRole("region", {name: "Steps and phases"});
  await strip.getByRole("button", {name: /^5 %.*bad/}).click();
  expect(new URL(page.url()).searchParams.get("at")).toBe("step-1");
  await strip.getByRole("button", {name: /^25 %.*not run/}).waitFor();
  await strip.getByRole("button", {name: /^Rollback/}).click();
  await strip.getByText(/unhealthy for .*errors \(critical\) fails/i).waitFor();
  // The check that condemned it is the first, and says what it said then.
  const first = page.locator("[data-check]").first();
  expect(await first.getAttribute("data-check")).toBe("errors");
  await first.getByText("v3, before the rollback:").waitFor();
  expect((await read(id)).status?.state).toBe("STATE_ROLLED_BACK");
  await look(page, "deployment-rolled-back");
});

test("each check is a chart with its values, which are zoomed together, and the zoom stands in the address", async () => {
  const id = await deploymentOf("v3");
  const page = await open(`/deployments/${id}`, {served: server.served});
  const errors = page.locator("[data-check=errors]");
  const chart = errors.locator(".u-over").first();
  await chart.scrollIntoViewIfNeeded();
  const over = async (part: number) => {
    const box = (await chart.boundingBox())!; // what comes above it moves it
    await page.mouse.move(box.x + part * box.width, box.y + box.height / 2);
  };
  const under: string[] = []; // what the legend says of v3 at each place
  for (const part of [...Array.from({length: 40}, (_, i) => 0.01 + 0.02 * i), 0.1]) {
    await over(part);
    under.push((await errors.locator(".u-legend").first().locator(".u-value").nth(1).textContent()) ?? "");
  }
  expect(under.some((text) => /[\d.]+ %/.test(text)), under.join()).toBe(true);
  await page.mouse.down();
  await over(0.6);
  await page.mouse.up();
  await page.waitForURL(/[?&]from=\d+&to=\d+/);
  const all = page.getByRole("button", {name: "All of the time"});
  await all.first().waitFor();
  expect(await all.count()).toBeGreaterThan(4); // every chart of the page
  await page.reload();
  await all.first().click();
  await page.waitForURL((url) => !url.searchParams.has("from"));
  await look(page, "deployment-checks", {from: page.getByRole("tablist")});
  await errors.getByRole("button", {name: "Table"}).first().click();
  await errors.getByRole("columnheader", {name: "v2, brought back"}).waitFor();
  await look(page, "deployment-check", {from: page.getByRole("tablist")});
});

test("the timeline says who decided what, and a decision shows what it was made from", async () => {
  const id = await deploymentOf("v3");
  const page = await open(`/deployments/${id}`, {served: server.served});
  await page.getByRole("tab", {name: "Timeline"}).click();
  expect(new URL(page.url()).searchParams.get("tab")).toBe("story");
  const story = page.getByRole("tabpanel");
  await story.getByText("Told the target to go back: v2 100 %, v3 0 %").waitFor();
  await look(page, "deployment-timeline", {from: page.getByRole("tablist")});
  await story.getByText("What people were told").click();
  await story.getByText("Told people").waitFor({state: "detached"});
  await story.getByRole("button", {name: "From what: The rollback began"}).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText(/router_bad_requests_total\{version="v3"\}/).first().waitFor();
  await look(page, "deployment-evidence");
  await page.keyboard.press("Escape");
  await dialog.waitFor({state: "detached"});
});

test("what a deployment is, its report, and whether it would be decided the same again", async () => {
  const id = await deploymentOf("v2");
  const page = await open(`/deployments/${id}?tab=about`, {served: server.served});
  const reports = page.getByRole("region", {name: "Its story, to keep and to send"});
  const link = reports.getByRole("link", {name: "Report", exact: true});
  const report = await page.request.get(new URL((await link.getAttribute("href"))!, server.served.url).href);
  expect(report.headers()["content-type"]).toContain("text/html");
  expect(await report.text()).toContain("v2");
  for (const name of ["Report as Markdown", "Draft of a post-mortem"]) {
    const found = await page.request.get(new URL((await reports.getByRole("link", {name}).getAttribute("href"))!, server.served.url).href);
    expect(found.headers()["content-type"]).toContain("text/markdown");
  }
  await page.getByRole("button", {name: "Decide again"}).click();
  await page.getByText(/decisions came out the same/).waitFor();
  await look(page, "deployment-about", {from: page.getByRole("tablist")});
  await page.getByRole("tab", {name: "Way back"}).click();
  await page.getByRole("heading", {name: "There is nothing left to roll back"}).waitFor();
  await page.getByRole("tab", {name: "Prediction"}).click();
  await page.getByText(/likely to succeed|Nobody predicted/).first().waitFor();
});

test("people approve, hold, resume, promote and roll back, and the timeline has their names and reasons", {timeout: long}, async () => {
  const id = await slow("back to what we know");
  const page = await open(`/deployments/${id}`, {served: server.served});
  page.setDefaultTimeout(60_000);
  await page.getByRole("alert").getByText("It waits for somebody who approves or rejects it.").waitFor();
  await page.getByRole("button", {name: "Approve", exact: true}).click();
  await page.getByRole("dialog").getByText("The deployment of v1 begins as soon as the gates are open.").waitFor();
  await look(page, "deployment-approve");
  await page.keyboard.press("Escape");
  await deed(page, "Approve", "looked at it");
  const state = page.getByRole("region", {name: "shop v2 → v1"});
  await state.getByText("Rolling", {exact: true}).waitFor();
  await page.getByRole("button", {name: "Approve", exact: true}).waitFor({state: "detached"});

  await deed(page, "Hold", "lunch");
  await page.getByRole("alert").getByText(/It is held by /).waitFor();
  expect((await read(id)).status?.state).toBe("STATE_HELD");
  await look(page, "deployment-held");

  await deed(page, "Resume", "back from lunch");
  await state.getByText("Rolling", {exact: true}).waitFor();
  expect((await read(id)).status?.state).toBe("STATE_ROLLING");

  // What is not healthy for sure is promoted with a second confirmation only, so it is waited for.
  await state.getByText(/^Healthy/).waitFor();
  await deed(page, "Promote", "it is fine");
  await page.getByRole("listitem").filter({has: page.getByRole("button", {name: /^25 %.*now/})}).waitFor();
  expect((await read(id)).status?.step).toBe(1);

  await page.getByRole("tab", {name: "Way back"}).click();
  await page.getByRole("heading", {name: "A rollback would bring v2 back"}).waitFor();
  await look(page, "deployment-way-back", {from: page.getByRole("tablist")});
  await page.getByRole("tab", {name: "Prediction"}).click();
  await page.getByRole("table", {name: "What makes it differ from the usual"}).waitFor();
  await look(page, "deployment-prediction", {from: page.getByRole("tablist")});

  await deed(page, "Roll back", "customers complain", {dangerous: true});
  await state.getByText("Rolled back", {exact: true}).waitFor();
  expect((await read(id)).status?.state).toBe("STATE_ROLLED_BACK");
  await page.getByRole("tab", {name: "Timeline"}).click();
  for (const reason of ["looked at it", "lunch", "back from lunch", "it is fine", "customers complain"]) {
    await page.getByRole("tabpanel").getByText(`because: ${reason}.`).first().waitFor();
  }
});

test("people reject and cancel", {timeout: long}, async () => {
  await lift("v1"); // what was rolled back is on hold
  const rejected = await slow("once more");
  const page = await open(`/deployments/${rejected}`, {served: server.served});
  page.setDefaultTimeout(60_000);
  const state = page.getByRole("region", {name: "shop v2 → v1"});
  await page.getByRole("alert").getByText(/approves or rejects/).waitFor();
  await deed(page, "Reject", "not on a Friday");
  await state.getByText("Blocked", {exact: true}).waitFor();
  expect((await read(rejected)).status?.state).toBe("STATE_BLOCKED");

  const cancelled = await slow("and again");
  await page.goto(`${server.served.url}/deployments/${cancelled}`);
  await page.getByRole("alert").getByText(/approves or rejects/).waitFor();
  await page.keyboard.press("c"); // the key does what the button does
  const dialog = page.getByRole("dialog");
  await dialog.getByText("The deployment ends, and v1 is not deployed.").waitFor();
  await dialog.getByLabel("Why").fill("wrong version");
  await dialog.getByRole("button", {name: "Cancel", exact: true}).click();
  await state.getByText("Cancelled", {exact: true}).waitFor();
  expect((await read(cancelled)).status?.state).toBe("STATE_CANCELLED");
});

test("who may only look sees every button, disabled, and why", {timeout: long}, async () => {
  const id = await slow("somebody watches");
  const to = api(server.served);
  await to.POST("/v1/users", {body: {name: "vera", password: "looks but does not touch"}});
  await to.POST("/v1/bindings", {body: {subject: "user:vera", role: "viewer", service: "*", environment: "*"}});
  const page = await open(`/deployments/${id}`, {served: server.served, as: {name: "vera", password: "looks but does not touch"}});
  const approve = page.getByRole("button", {name: "Approve"});
  await approve.waitFor();
  expect(await approve.getAttribute("aria-disabled")).toBe("true");
  await approve.focus();
  await page.getByRole("tooltip").waitFor();
  expect(await page.getByRole("tooltip").textContent()).toContain("deployment.approve");
  await page.getByRole("button", {name: "Approve"}).click({force: true});
  expect(await page.getByRole("dialog").count()).toBe(0);
  await approve.blur();
  await page.mouse.move(0, 0); // what is pointed at says why, too
  await page.getByRole("tooltip").waitFor({state: "detached"});
  await look(page, "deployment-viewer");
  await connect({url: server.served.url, token: server.served.token}).POST("/v1/deployments/{id}:cancel", {params: {path: {id}}, body: {reason: "seen"}});
});

test("a deployment that there is not is said to be missing", async () => {
  const page = await open("/deployments/nothing", {served: server.served, allow: [/404/]});
  await page.getByText("There is no deployment nothing.").waitFor();
  await look(page, "deployment-missing");
});

test("when the server is gone what is shown is said to be old, and it comes back by itself", {timeout: long}, async () => {
  const id = await deploymentOf("v2");
  const page = await open(`/deployments/${await slow("the server goes away")}`, {served: server.served, allow: [/ERR_/, /Failed to fetch/, /401|503/]});
  await page.getByRole("alert").getByText(/approves or rejects/).waitFor();
  const {url} = server.served;
  const {dir} = server;
  await server.stop({keep: true});
  await page.locator("[data-state=stale]").waitFor();
  await heading(page).filter({hasText: "shop v2 → v1"}).waitFor(); // it is still there to be read
  // Also who reads the charts far below sees that they are old.
  const bar = page.locator("[data-state=lost]");
  await bar.waitFor();
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
  expect(await page.evaluate(() => window.scrollY)).toBeGreaterThan(100);
  expect((await bar.boundingBox())!.y).toBeGreaterThanOrEqual(52);
  server = await Server.demo({dir, listen: new URL(url).host});
  await page.locator("[data-state=stale]").waitFor({state: "detached", timeout: 60_000});
  expect((await read(id)).status?.state).toBe("STATE_SUCCEEDED");
});
