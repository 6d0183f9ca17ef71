import {type Page} from "playwright-core";
import {expect, test} from "vitest";
import {api, look, world} from "./world";

const {open} = world();

const release = async (version: string) => (await api().GET("/v1/releases")).data?.releases.find((row) => row.release?.version === version);

async function confirm(page: Page, name: string, {why, sure}: {why?: string; sure?: string} = {}): Promise<void> {
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  if (why !== undefined) {
    await dialog.getByLabel("Why").fill(why);
  }
  if (sure !== undefined) {
    await dialog.getByLabel(`Type ${sure} to confirm`).fill(sure);
  }
  await dialog.getByRole("button", {name, exact: true}).click();
  await dialog.waitFor({state: "detached"});
}

test("the services are listed with what is live, and lead to each", async () => {
  const page = await open("/services");
  await page.getByText("v2 is live").waitFor();
  await look(page, "services");
  await page.getByLabel("Name").fill("nothing");
  await page.getByText("None of 1 service is named like that.").waitFor();
  expect(new URL(page.url()).searchParams.get("name")).toBe("nothing");
  await page.getByLabel("Name").fill("");
  await page.getByRole("link", {name: "shop", exact: true}).click();
  await page.getByRole("heading", {level: 1, name: "shop"}).waitFor();
});

test("a service shows its history, and where a rollback goes", async () => {
  const page = await open("/services/shop");
  await page.getByRole("link", {name: "v2 → v3"}).last().waitFor();
  const there = page.getByRole("region", {name: "demo"});
  expect(await there.getByText("1 on hold").count()).toBe(1);
  await look(page, "service");
});

test("a hold is lifted and put again, and a release is marked as good, each with a reason", async () => {
  const page = await open("/services/shop?part=releases");
  await page.getByRole("button", {name: /Lift the hold on v3/}).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("shop v3 may be deployed to demo again").waitFor();
  await look(page, "service-lift");
  await confirm(page, "Lift", {why: "fixed in the database"});
  await page.getByText("No release is on hold.").waitFor();
  expect((await release("v3"))?.hold).toBeUndefined();

  await page.getByRole("button", {name: /Hold v3 in demo/}).click();
  await confirm(page, "Hold", {why: "not fixed after all"});
  await page.getByRole("table", {name: "Holds"}).getByText("not fixed after all").waitFor();
  expect((await release("v3"))?.hold?.reason).toBe("not fixed after all");

  await page.getByRole("button", {name: "Mark another as good"}).click();
  await dialog.getByLabel("Version").fill("v0");
  await confirm(page, "Mark another as good", {why: "it was live for a year", sure: "shop"});
  await expect.poll(async () => (await release("v0"))?.standing).toBe("STANDING_GOOD");
  await page.getByRole("table", {name: "Releases"}).getByText("v0").first().waitFor();
  await look(page, "service-releases");
});

test("the figures are counted as they say, and the charts have tables", async () => {
  const page = await open("/services/shop?part=figures&days=7");
  await page.getByRole("region", {name: "Change failure rate"}).getByText("50 %").waitFor();
  await page.getByText("Rolled back divided by those of which something was done at the target.").waitFor();
  await page.getByRole("figure").first().getByRole("button", {name: "Table"}).click();
  await page.getByRole("table", {name: "Deployments that ended"}).waitFor();
  await look(page, "service-figures", {from: page.getByRole("tablist")});
});

test("baselines are shown, and the service is described", async () => {
  const page = await open("/services/shop?part=baselines");
  await page.getByRole("table", {name: "Baselines"}).getByText("latency").waitFor();
  await look(page, "service-baselines");
  await page.getByRole("button", {name: /Describe/}).click();
  await page.getByRole("dialog").getByLabel("Team").fill("sales");
  await confirm(page, "Describe");
  await page.getByText("Team sales.").waitFor();
  expect((await api().GET("/v1/services/{service}", {params: {path: {service: "shop"}}})).data?.team).toBe("sales");
});

test("a freeze is put and dropped", async () => {
  const page = await open("/services/shop?part=freezes");
  await page.getByRole("button", {name: "Freeze", exact: true}).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("weekends");
  await dialog.getByText("Every week").click();
  await dialog.getByLabel("By the clock of").selectOption("Europe/Berlin");
  await confirm(page, "Freeze", {why: "nobody is here"});
  await page.getByText("Every week from Fri 16:00 to Mon 06:00, Europe/Berlin").waitFor();
  await look(page, "service-freezes");
  const found = await api().GET("/v1/freezes/{name}", {params: {path: {name: "weekends"}}});
  expect(found.data).toMatchObject({service: "shop", reason: "nobody is here", weekly: {zone: "Europe/Berlin"}});
  await page.getByRole("button", {name: /Drop the freeze window weekends/}).click();
  await confirm(page, "Drop");
  await page.getByText("No freeze window covers shop").waitFor();
});

test("a service that is not there says so", async () => {
  const page = await open("/services/nothing", {allow: [/404/]});
  await page.getByRole("alert").waitFor();
});
