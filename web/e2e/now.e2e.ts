import {afterAll, beforeAll, describe, expect, test} from "vitest";
import {Server} from "./server";
import {api, demonstrated, ended, look, world} from "./world";

const {open} = world();

describe("while the demo deploys a good release and a bad one", () => {
  let server: Server;
  beforeAll(async () => {
    server = await Server.demo();
  });
  afterAll(() => server.stop({keep: false}));

  test("the page shows the good one going up, the bad one going bad and being rolled back, without being loaded again", async () => {
    const page = await open("/", {served: server.served});
    const good = page.getByRole("article", {name: "shop v2 in demo"});
    // How they go is seen for moments: all that the page ever shows of them is noted.
    await page.evaluate(() => {
      const shown = ((window as unknown as {shown: Record<string, string[]>}).shown = {v2: [], v3: []}) as Record<string, string[]>;
      const note = () => {
        for (const [version, texts] of Object.entries(shown)) {
          const card = document.querySelector(`article[aria-label="shop ${version} in demo"]`);
          const text = [card?.textContent, ...Array.from(card?.querySelectorAll("[role=img]") ?? [], (image) => image.getAttribute("aria-label"))].join("\n");
          if (card !== null && text !== texts.at(-1)) {
            texts.push(text);
          }
        }
      };
      note();
      new MutationObserver(note).observe(document.body, {subtree: true, childList: true, characterData: true});
    });
    await good.getByText(/^(Healthy|Degraded|Unhealthy) \d+$/).waitFor({timeout: 120_000});
    await look(page, "now-healthy");
    const {bad} = await demonstrated(server.served);
    expect(await ended(server.served, bad)).toBe("STATE_ROLLED_BACK");
    const over = page.getByRole("region", {name: "Ended lately", exact: true});
    await over.getByRole("row", {name: /shop v3.*Rolled back.*rule \d+: /}).first().waitFor();
    const shown = await page.evaluate(() => (window as unknown as {shown: Record<string, string[]>}).shown);
    const [up, back] = [shown["v2"]!.join("\n"), shown["v3"]!.join("\n")];
    expect(up).toMatch(/Step \d of \d/);
    expect(up).toMatch(/values, now/);
    expect(up).toMatch(/left if it stays healthy|due now/);
    expect(back).toContain("v2 → v3"); // from where it came
    expect(back).toMatch(/Rolling back|Verifying rollback/);
    await over.getByRole("row", {name: /shop v2.*Succeeded/}).first().waitFor();
    await page.getByText("Nothing is being deployed.").waitFor();
    await look(page, "now-ended");
    expect(await page.evaluate(() => performance.getEntriesByType("navigation").length)).toBe(1);
  }, 480_000);

  test("when both have ended it is started again by one click, and says why it cannot be while it runs", async () => {
    const page = await open("/first-steps", {served: server.served, allow: [/409/]});
    const begin = page.getByRole("button", {name: "Start the demo"});
    await begin.click();
    await page.waitForURL(`${server.served.url}/`);
    await page.getByRole("article", {name: "shop v2 in demo"}).waitFor();
    await page.goBack();
    await begin.click();
    await page.getByRole("alert").getByText(/under way/).waitFor();
  });
});

test("a rollback that failed is told above all that runs, and its page says what is left to do", async () => {
  const server = await Server.demo({fault: "none"});
  try {
    await demonstrated(server.served);
    const path = {service: "shop", environment: "demo"};
    const to = api(server.served);
    const {data: policy} = await to.GET("/v1/policies/{service}/{environment}", {params: {path}});
    const bad = "\n  - {name: always, source: demo-metrics, query: 'shop_restarts_total{version=\"$version\"}', fail: '>= 0', critical: true, blame_preexisting: true}\nstrategy:";
    const text = policy!.text.replace("\nstrategy:", bad).replace("within: 30s", "within: 5s");
    await to.PUT("/v1/policies/{service}/{environment}", {params: {path}, body: {etag: policy!.etag, reason: "whatever is live is bad", text}});
    const page = await open("/", {served: server.served});
    const {data} = await to.POST("/v1/deployments", {body: {environment: "demo", release: {service: "shop", version: "v1"}, reason: "a story"}});
    expect(await ended(server.served, data!.id)).toBe("STATE_ROLLBACK_FAILED");
    const alert = page.getByRole("alert", {name: "Ended badly, and needs a human"});
    await alert.getByText("Rollback failed").waitFor();
    await page.getByRole("status").filter({hasText: "1 ended badly and needs a human"}).waitFor();
    await page.getByLabel("1 need a look").waitFor();
    await look(page, "now-failed");
    await alert.getByRole("link", {name: "shop"}).click();
    await page.getByRole("alert").getByText(/see what is live.*Deploy v\d again/).waitFor();
    await page.getByRole("button", {name: /^Rollback failed.*bad/}).waitFor();
    await look(page, "deployment-failed");
    await page.close(); // before the server goes
  } finally {
    await server.stop({keep: false});
  }
}, 480_000);

test("a connection that is lost says since when, and comes back by itself with what has happened meanwhile", async () => {
  let server = await Server.empty();
  try {
    const page = await open("/", {served: server.served, allow: [/ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING|NETWORK_IO_SUSPENDED)|503/]});
    await page.getByText("Nothing is being deployed.").waitFor();
    const {host} = new URL(server.served.url);
    await server.stop({keep: true});
    const bar = page.getByRole("status").filter({hasText: /Not connected since \d\d:\d\d:\d\d/});
    await bar.getByText(/Trying again/).waitFor();
    await page.getByText("Nothing is being deployed.").waitFor(); // what was known stays
    await look(page, "lost");
    server = await server.again(host);
    await bar.waitFor({state: "detached", timeout: 60_000});
    await page.close();
  } finally {
    await server.stop({keep: false});
  }
}, 240_000);

test("a person who may see nothing is told who could let him", async () => {
  const as = {name: "erin", password: "four or five words"};
  await api().POST("/v1/users", {body: {...as, displayName: "", email: "", idempotencyKey: "", reason: "a story"}});
  const page = await open("/", {as, allow: [/403/]});
  await page.getByText(/You may not see/).first().waitFor();
  await look(page, "now-forbidden");
});

// ADG_MANY is a folder of a server with 10,000 deployments that have not ended.
test("ten thousand deployments are found, grouped and scrolled through", async () => {
  const server = await Server.demo({dir: process.env["ADG_MANY"]!});
  try {
    const page = await open("/", {served: server.served});
    await page.getByRole("status").filter({hasText: /10,00\d deployments running/}).waitFor({timeout: 60_000}); // a server that has just begun with so many takes its time
    const drawn = () => page.getByRole("listitem").count();
    expect(await drawn()).toBeLessThan(60);
    await page.getByText(/^Unhealthy \d+$/).first().waitFor(); // the worst come first
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    expect(await page.locator("[data-chosen]").count()).toBe(1);
    expect(await page.evaluate(() => document.activeElement?.getAttribute("data-row"))).toMatch(/^many-/);
    await look(page, "now-many");

    await page.getByLabel("Words to look for").fill("images-0778");
    await page.locator('[data-rows="1"]').waitFor();
    await page.getByRole("article", {name: "images-0778 2.1.0 in production"}).waitFor();
    expect(new URL(page.url()).search).toBe("?q=images-0778");
    await page.getByRole("button", {name: "Show all"}).click();

    await page.getByLabel("Group by").selectOption("environment");
    await page.getByRole("listitem").filter({hasText: /^production 5,000 deployments, 1,000 in trouble$/}).first().waitFor();
    await page.reload(); // what was chosen stands in the address
    await page.getByRole("listitem").filter({hasText: /^production 5,000/}).first().waitFor();

    await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight / 2));
    await page.getByRole("article").first().waitFor();
    expect(await drawn()).toBeLessThan(60);
    await page.close();
  } finally {
    await server.stop({keep: true});
  }
}, 240_000);
