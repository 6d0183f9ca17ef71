import {afterAll, beforeAll, describe, expect, inject, test} from "vitest";
import {Server} from "./server";
import {look, world} from "./world";

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
    await good.getByText("Healthy").waitFor({timeout: 60_000});
    await good.getByText(/Step \d of \d/).waitFor();
    await good.getByRole("img", {name: /values, now/}).waitFor();
    await good.getByText(/left if it stays healthy|due now/).waitFor();
    await look(page, "now-healthy");
    const bad = page.getByRole("article", {name: "shop v3 in demo"});
    await bad.getByText("Unhealthy").waitFor({timeout: 90_000});
    await bad.getByText("v2 →").waitFor(); // from where it came
    await page.getByRole("status").filter({hasText: "1 unhealthy"}).waitFor();
    await bad.getByText(/Rolling back|Verifying rollback/).waitFor({timeout: 60_000});
    await page.screenshot(); // it is drawn while it changes
    const ended = page.getByRole("region", {name: "Ended lately"});
    await ended.getByRole("row", {name: /shop v3.*Rolled back/}).waitFor({timeout: 60_000});
    await ended.getByRole("row", {name: /shop v2.*Succeeded/}).waitFor();
    await page.getByText("Nothing is being deployed.").waitFor();
    await look(page, "now-ended");
    expect(await page.evaluate(() => performance.getEntriesByType("navigation").length)).toBe(1);
  }, 240_000);

  test("a connection that is lost says since when, and comes back by itself", async () => {
    const page = await open("/", {served: server.served, allow: [/ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED|503|Failed to fetch/]});
    await page.getByText("Nothing is being deployed.").waitFor();
    const {host} = new URL(server.served.url);
    await server.stop({keep: true});
    const bar = page.getByRole("status").filter({hasText: /Not connected since \d\d:\d\d:\d\d/});
    await bar.getByText(/Trying again/).waitFor();
    await page.getByRole("row", {name: /shop v3.*Rolled back/}).waitFor(); // what was known stays
    await look(page, "lost");
    server = await Server.demo({dir: server.dir, listen: host});
    await bar.getByRole("button", {name: "Try now"}).click();
    await bar.waitFor({state: "detached"});
    await page.getByRole("article", {name: "shop v2 in demo"}).waitFor({timeout: 60_000}); // the demo has begun anew
  }, 120_000);
});

test("a person who may see nothing is told who could let him", async () => {
  const {url, token} = inject("served");
  const as = {name: "nobody", password: "a long enough password"};
  const made = await fetch(`${url}/v1/users`, {method: "POST", headers: {authorization: `Bearer ${token}`}, body: JSON.stringify({...as, reason: "a story"})});
  expect(made.status).toBe(200);
  const page = await open("/", {as, allow: [/403/]});
  await page.getByText(/You may not see/).first().waitFor();
  await look(page, "now-forbidden");
});
