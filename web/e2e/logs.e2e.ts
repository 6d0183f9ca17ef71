// A release whose numbers are all fine and whose log is not: whoever is woken by it sees on its page what it writes.
import {afterAll, beforeAll, expect, test} from "vitest";
import {stream} from "../src/api/client";
import {Server} from "./server";
import {api, look, phone, world} from "./world";

const {open} = world();
const long = 300_000;

let server: Server;
let id: string;
beforeAll(async () => {
  ({server, id} = await condemned());
}, 3 * long);
afterAll(() => server.stop());

/** A server whose demo is over: its good release was promoted, and the one that loses payments has ended. On a machine with
 * much else to do the good one is sometimes too slow: then another server is started. */
async function condemned(): Promise<{server: Server; id: string}> {
  for (let tries = 0; tries < 3; tries++) {
    const server = await Server.demo({fault: "log"});
    const {url, token} = server.served;
    for await (const {changed} of stream({url, token}, "/v1/deployments:watch", {}, AbortSignal.timeout(long))) {
      const over = changed.find(({version, state, endTime}) => endTime !== undefined && (version === "v3" || state !== "STATE_SUCCEEDED"));
      if (over?.version === "v3") {
        return {server, id: over.id};
      }
      if (over !== undefined) {
        break;
      }
    }
    await server.stop();
  }
  throw new Error("the demo's good release was never promoted");
}

test("the pattern that condemned a release stands on its page, with its counts and a line of it", async () => {
  const {data} = await api(server.served).GET("/v1/deployments/{id}", {params: {path: {id}}});
  expect(data!.status?.state).toBe("STATE_ROLLED_BACK");
  const page = await open(`/deployments/${id}`, {served: server.served});
  const state = page.getByRole("region", {name: "shop v2 → v3"});
  await state.getByText("Rolled back", {exact: true}).waitFor();
  await page.getByRole("region", {name: "Rollback to v2"}).getByText(/log \(critical\) fails .*payment of order <n> is lost/).first().waitFor();
  const first = page.locator("[data-check]").first();
  expect(await first.getAttribute("data-check")).toBe("log");
  await first.getByText("v3, before the rollback:").waitFor();
  const patterns = first.getByRole("list", {name: "Log patterns of v3 by log"});
  const lost = patterns.getByRole("listitem").filter({has: page.getByText("new, worse by it")});
  expect(await lost.count()).toBe(1);
  await lost.getByText("payment of order <n> is lost, try <n>: ledger has no account <n>").waitFor();
  await lost.getByText(/^First seen/).waitFor();
  const [release, baseline] = await lost.getByRole("definition").allTextContents();
  expect(release).toMatch(/^[1-9]\d* lines, in ([1-9]\d*) of \d+ moments$/);
  expect(baseline).toMatch(/^0 lines, in 0 of [1-9]\d* moments$/);
  await lost.getByText(/"payment of order \d+ is lost, try \d"/).waitFor();
  // The numbers were fine: no other check says otherwise.
  expect(await page.locator("[data-check]").filter({hasText: "v3, before the rollback: Fail"}).count()).toBe(1);
  await first.getByText(/^Before the deployment: [\d,]+ lines\./).waitFor();
  await first.locator("canvas").first().waitFor(); // the evidence, and how it rose
  await look(page, "deployment-log", {from: first});
});

test("on a phone the pattern and its counts are read without scrolling sideways", async () => {
  const page = await open(`/deployments/${id}`, {served: server.served, viewport: phone});
  const lost = page.getByRole("listitem").filter({has: page.getByText("new, worse by it")});
  for (const part of [lost.getByText("new, worse by it"), lost.locator("code").first(), lost.getByRole("definition").first(), lost.locator("code").last()]) {
    await part.scrollIntoViewIfNeeded();
    const box = (await part.boundingBox())!;
    expect(box.x).toBeGreaterThanOrEqual(0);
    expect(box.x + box.width).toBeLessThanOrEqual(phone.width);
  }
});

test("its report and the draft of its post-mortem name the pattern", async () => {
  const page = await open(`/deployments/${id}?tab=about`, {served: server.served});
  const reports = page.getByRole("region", {name: "Its story, to keep and to send"});
  for (const name of ["Report as Markdown", "Draft of a post-mortem"]) {
    const found = await page.request.get(new URL((await reports.getByRole("link", {name}).getAttribute("href"))!, server.served.url).href);
    expect(await found.text(), name).toMatch(/payment of order &lt;n&gt; is lost, try &lt;n&gt;: ledger has no account &lt;n&gt;.*new, decisive/);
  }
});
