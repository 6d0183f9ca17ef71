import {expect, test} from "vitest";
import {api, look, phone, world} from "./world";

const {open} = world();

test("events are live: what happens now is in front at once", async () => {
  const page = await open("/events");
  const first = page.getByRole("listitem").first();
  await first.waitFor();
  await page.getByText("Live", {exact: true}).waitFor();
  await look(page, "events");
  await api().POST("/v1/holds", {body: {service: "cart", environment: "demo", identity: "v7", idempotencyKey: "", reason: "to see it here"}});
  await expect.poll(() => first.textContent(), {timeout: 60_000}).toContain("release v7 of cart in demo was put on hold");
});

test("filters stand in the address, and hold for what was and what comes", async () => {
  const page = await open("/events?kind=rolled_back");
  await page.getByText("rolled back: v2 is live").first().waitFor();
  expect(await page.getByText("deployment started by").count()).toBe(0);
  await page.getByLabel("Only what wakes people").check();
  await page.getByText("Nothing has happened yet that is like that.").waitFor();
  expect(new URL(page.url()).searchParams.get("urgent")).toBe("yes");
});

test("on a phone the first event is on the first screen, the filters are behind a button, and its subject is the link", async () => {
  const page = await open("/events?kind=rolled_back", {viewport: phone});
  const first = page.getByRole("listitem").first();
  await first.getByRole("link", {name: /^shop v\d in demo$/}).waitFor();
  expect((await first.boundingBox())!.y).toBeLessThan(phone.height / 2);
  expect(await page.getByLabel("Only what wakes people").isVisible()).toBe(false);
  await page.getByRole("button", {name: "Filters (1)"}).click();
  await page.getByLabel("Only what wakes people").check();
  await page.getByRole("button", {name: "Filters (2)"}).waitFor();
});

test("from a cursor on everything is shown that came after it, and nothing before", async () => {
  const events = (await api().GET("/v1/events", {params: {query: {pageSize: 1000}}})).data?.events ?? [];
  const [, second] = events;
  const page = await open(`/events?after=${second!.cursor}`);
  // The oldest is the last, and what is not seen is not drawn.
  await expect
    .poll(async () => {
      await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
      return page.getByText(`event ${events[2]!.cursor}`, {exact: true}).count();
    }, {timeout: 60_000})
    .toBe(1);
  expect(await page.getByText(`event ${second!.cursor}`, {exact: true}).count()).toBe(0);
  await page.getByText("Go on from here elsewhere").click();
  await expect.poll(() => page.getByLabel("The same on the command line").inputValue()).toMatch(/adg events --follow --after \d+/);
});

test("whoever pauses misses nothing", async () => {
  const page = await open("/events");
  await page.getByText("Live", {exact: true}).waitFor();
  await page.getByRole("button", {name: "Pause"}).click();
  await page.getByText("Paused: what happens is shown when you go on").waitFor();
  await page.getByRole("button", {name: "Go on"}).click();
  await page.getByText("Live", {exact: true}).waitFor();
});

test("a delivery that was given up is listed with why, or it is said that there is none", async () => {
  const page = await open("/events?part=dead");
  await page.getByText("Every event was told to everybody who wanted to know, or is on its way.").waitFor();
  await look(page, "events-dead");
});
