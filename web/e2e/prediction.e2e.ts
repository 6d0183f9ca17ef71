import {afterAll, beforeAll, expect, test} from "vitest";
import type {Page} from "playwright-core";
import {Server} from "./server";
import {api, look, world} from "./world";

const {open} = world();

// ADG_PAST is a folder of a server that remembers 120 deployments with what was expected of them.
let server: Server;

beforeAll(async () => {
  server = await Server.demo({dir: process.env["ADG_PAST"]!});
});
afterAll(() => server.stop());

const ask = () => api(server.served);

async function there(query = "", options: object = {}): Promise<Page> {
  const page = await open(`/predictions${query}`, {served: server.served, ...options});
  await page.getByRole("heading", {level: 1, name: "Predictions"}).waitFor();
  return page;
}

async function models() {
  const {data} = await ask().GET("/v1/models");
  return data!.models;
}

test("a server that has learned nothing says so, and what to do", async () => {
  const page = await open("/predictions");
  await page.getByText("No model is in use yet").waitFor();
  await page.getByText("no outcome of a prediction is known yet").waitFor();
  await page.getByRole("tab", {name: "Models"}).click();
  await page.getByText("No model was trained yet.").waitFor();
  await look(page, "predictions-empty");
});

test("whether they can be believed is said first, then shown", async () => {
  const page = await there();
  await page.getByText(/The predictions are (not yet )?better than your base rate \(120 outcomes/).waitFor();
  const plot = page.getByRole("figure", {name: "Did it fail as often as was said?"});
  await plot.getByText("120 predictions.").waitFor();
  await plot.getByRole("button", {name: "Table"}).click();
  await plot.getByRole("cell", {name: /on average$/}).first().waitFor();
  await plot.getByRole("button", {name: "Chart"}).click();
  await page.getByRole("figure", {name: /^Log-loss, per week/}).getByText(/against .* of the base rate/).waitFor();
  await look(page, "predictions");
  await page.getByLabel("Measured by").selectOption("auc");
  await page.getByRole("figure", {name: /^Order, per week/}).waitFor();
  await page.getByLabel("Service").selectOption("shop");
  await plot.getByText("40 predictions.").waitFor();
  const {search} = new URL(page.url());
  expect(search).toBe("?by=auc&service=shop");
  await page.reload();
  await plot.getByText("40 predictions.").waitFor(); // the address says what was chosen
});

test("the most wrong come first, with why they were expected; an outcome is corrected", async () => {
  const page = await there("?tab=wrong");
  const worst = page.getByRole("link", {name: "cart 1.100.0"});
  await worst.waitFor();
  expect(await page.locator('a[href^="/deployments/"]').first().getAttribute("href")).toBe("/deployments/past-100");
  await page.getByText("only 3 % were given to that").waitFor();
  await page.getByRole("button", {name: "Why it was expected"}).first().click();
  await page.getByText("2 files: +32 percentage points").waitFor();
  await look(page, "predictions-wrong");
  await page.getByRole("button", {name: "Correct the outcome"}).first().click();
  const dialog = page.getByRole("dialog", {name: "How cart 1.100.0 really came out"});
  await dialog.getByText("It is on record as “failed”").waitFor();
  await dialog.getByLabel("Reason").fill("the rollback was a drill");
  await look(page, "predictions-correct");
  await dialog.getByRole("button", {name: "Put it on record"}).click();
  await dialog.waitFor({state: "detached"});
  await page.getByText("only 3 % were given to that").waitFor({state: "detached"});
  const {data} = await ask().GET("/v1/predictions", {params: {query: {services: ["cart"], pageSize: 1000}}});
  expect(data!.predictions.find(({deployment}) => deployment === "past-100")).toMatchObject({outcome: "OUTCOME_SUCCEEDED", correctedBy: "demo"});
});

test("a model is trained, its progress seen, and what it learned is shown", async () => {
  const before = (await models()).length;
  const page = await there("?tab=models");
  await page.getByRole("button", {name: "Train a model"}).click();
  const dialog = page.getByRole("dialog", {name: "Train a model"});
  await dialog.getByLabel("Reason").fill("a correction");
  await dialog.getByRole("button", {name: "Train it"}).click();
  await dialog.waitFor({state: "detached", timeout: 60_000});
  await page.getByText(/^Trained: /).waitFor();
  const all = await models();
  expect(all.length).toBeGreaterThanOrEqual(Math.max(before, 1));
  expect(all.some(({reason}) => reason === "a correction")).toBe(true);
  await page.getByText("In use").first().waitFor();
  await look(page, "predictions-models");
  await page.getByRole("tab", {name: "What was learned"}).click();
  await page.getByText("files changed").first().waitFor();
  await page.getByText("more of it makes failure likelier").first().waitFor();
  await look(page, "predictions-learned");
});

test("a model is pinned, and unpinned", async () => {
  const page = await there("?tab=models");
  await page.getByRole("button", {name: "Pin it"}).first().click();
  const pin = page.getByRole("dialog", {name: "Pin the model"});
  await pin.getByLabel("Reason").fill("as it is known");
  await pin.getByRole("button", {name: "Pin it"}).click();
  await page.getByText("Pinned", {exact: true}).waitFor();
  expect((await models()).filter(({pinned}) => pinned).length).toBe(1);
  await page.getByRole("tabpanel", {name: "Models"}).getByRole("button", {name: "Unpin it"}).click();
  const unpin = page.getByRole("dialog", {name: "Unpin the model"});
  await unpin.getByLabel("Reason").fill("the newest again");
  await unpin.getByRole("button", {name: "Unpin it"}).click();
  await page.getByText("Pinned", {exact: true}).waitFor({state: "detached"});
  expect((await models()).some(({pinned}) => pinned)).toBe(false);
});

test("who may only look sees why the buttons are disabled", async () => {
  const password = "correct horse battery staple";
  await ask().POST("/v1/users", {body: {name: "looker", password, reason: "for a story"}});
  await ask().POST("/v1/bindings", {body: {subject: "user:looker", role: "viewer", service: "*", environment: "*", reason: "for a story"}});
  const page = await there("", {as: {name: "looker", password}});
  const train = page.getByRole("button", {name: /^Train a model/});
  await page.getByText(/The predictions are/).waitFor();
  await expect.poll(() => train.getAttribute("aria-disabled")).toBe("true");
  await train.focus();
  await page.getByRole("tooltip", {name: /learn\.write/}).waitFor();
});
