import {type Page} from "playwright-core";
import {expect, inject, test} from "vitest";
import {api, look, world} from "./world";

const {open} = world();
const password = "correct-horse-battery";

async function confirm(page: Page, name: string): Promise<void> {
  await page.getByRole("dialog").getByRole("button", {name, exact: true}).click();
  await page.getByRole("dialog").waitFor({state: "detached"});
}

test.each(["own", "connections", "stops", "freezes", "users", "roles", "tokens", "sessions", "health", "server"])("the part %s has an address of its own, and nothing is wrong with it", async (part) => {
  const page = await open(`/settings/${part}`);
  await page.getByRole("heading", {level: 2}).waitFor();
  await expect.poll(() => page.locator("[data-state=loading]").count()).toBe(0);
  expect(await page.getByRole("alert").count()).toBe(0);
  await look(page, `settings-${part}`);
});

test("a user is made, disabled, enabled, given a role, and deleted", async () => {
  const page = await open("/settings/users");
  const user = async () => (await api().GET("/v1/users")).data?.users.find((one) => one.name === "ann");
  await page.getByRole("button", {name: "Add a user"}).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name", {exact: true}).fill("ann");
  await dialog.getByLabel("First password").fill(password);
  await confirm(page, "Add a user");
  await page.getByRole("button", {name: /Disable ann/}).click();
  await confirm(page, "Disable");
  await page.getByText("Not any more").waitFor();
  expect((await user())?.disabled).toBe(true);
  await page.getByRole("button", {name: /Enable ann/}).click();
  await confirm(page, "Enable");
  await expect.poll(async () => (await user())?.disabled).toBe(false);

  await page.getByRole("link", {name: "Roles of ann"}).click();
  await page.getByText("user:ann has no role.").waitFor();
  await page.getByRole("button", {name: "Give a role"}).click();
  await dialog.getByLabel("Role").selectOption("approver");
  await dialog.getByLabel("Service").fill("shop");
  await confirm(page, "Give a role");
  await page.getByText("shop in all environments").waitFor();
  const bindings = async () => (await api().GET("/v1/bindings", {params: {query: {subject: "user:ann"}}})).data?.bindings.map(({role, service}) => `${role} ${service}`);
  expect(await bindings()).toEqual(["approver shop"]);
  await page.getByRole("button", {name: /Take the role approver/}).click();
  await confirm(page, "Take");
  await expect.poll(bindings).toEqual([]);

  await page.goto(`${inject("served").url}/settings/users`);
  await page.getByRole("button", {name: /Delete ann/}).click();
  await dialog.getByLabel("Type ann to confirm").fill("ann");
  await confirm(page, "Delete");
  await expect.poll(user).toBeUndefined();
});

test("a token is shown once, works, and is ended", async () => {
  const page = await open("/settings/tokens");
  await page.getByRole("button", {name: "Make a token"}).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("What it is for").fill("pipeline");
  await dialog.getByRole("button", {name: "Make a token"}).click();
  const token = await dialog.getByLabel("Token pipeline").inputValue();
  const me = () => fetch(`${inject("served").url}/v1/me`, {headers: {authorization: `Bearer ${token}`}}).then((response) => response.status);
  expect(await me()).toBe(200);
  await page.keyboard.press("Escape");
  await dialog.waitFor({state: "detached"});
  expect(await page.content()).not.toContain(token);
  await page.getByRole("button", {name: /End the token pipeline/}).click();
  await confirm(page, "End");
  await expect.poll(me).toBe(401);
});

test("a connection is tried before it is saved, saved, tested, changed and dropped", async () => {
  const page = await open("/settings/connections");
  const {url} = inject("served");
  const stored = async () => (await api().GET("/v1/connections")).data?.connections.find((one) => one.name === "probe");
  await page.getByRole("button", {name: "Add a connection"}).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Type").selectOption("http");
  await dialog.getByLabel("Name", {exact: true}).fill("probe");
  await dialog.getByLabel("url", {exact: true}).fill(`${url}/login`);
  await dialog.getByLabel("bearer_token").fill("a-secret-of-ours");
  await dialog.getByRole("button", {name: "Test it as it is here"}).click();
  await dialog.getByText("It works").waitFor();
  expect(await stored()).toBeUndefined();
  await look(page, "settings-connection");
  await confirm(page, "Add a connection");
  await expect.poll(async () => (await stored())?.secretNames).toEqual(["bearer_token"]);
  expect(JSON.stringify(await stored())).not.toContain("a-secret-of-ours");

  await page.getByRole("button", {name: /^Test\s+probe$/}).click();
  await confirmKept(page, "Test", "It works");
  await page.getByRole("button", {name: /^Change\s+probe$/}).click();
  await dialog.getByLabel("Services that may use it").fill("shop");
  await confirm(page, "Change");
  await expect.poll(async () => (await stored())?.services).toEqual(["shop"]);
  expect((await stored())?.secretNames).toEqual(["bearer_token"]);
  await page.getByRole("button", {name: /^Drop\s+probe$/}).click();
  await dialog.getByLabel("Type probe to confirm").fill("probe");
  await confirm(page, "Drop");
  await expect.poll(stored).toBeUndefined();
});

async function confirmKept(page: Page, name: string, found: string): Promise<void> {
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", {name, exact: true}).click();
  await dialog.getByText(found).waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({state: "detached"});
}

test("the line is stopped where it is said, and resumed", async () => {
  const page = await open("/settings/stops");
  const stops = async () => (await api().GET("/v1/stops")).data?.stops.map((stop) => `${stop.scope?.service}/${stop.scope?.environment}: ${stop.reason}`);
  await page.getByText("ADG acts everywhere").waitFor();
  await page.getByRole("button", {name: "Stop the line"}).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Type everything to confirm").waitFor();
  await dialog.getByLabel("Environment").fill("staging");
  await dialog.getByLabel("Why").fill("the metrics are wrong");
  await confirm(page, "Stop the line");
  await page.getByText("all services in staging").first().waitFor();
  expect(await stops()).toEqual(["/staging: the metrics are wrong"]);
  await look(page, "settings-stopped");
  await page.getByRole("button", {name: /Resume/}).click();
  await dialog.getByLabel("Why").fill("they are right again");
  await confirm(page, "Resume");
  await expect.poll(stops).toEqual([]);
});

test("a viewer sees what he may not do, disabled and with why; and changes his own password", async () => {
  const name = "settings-viewer";
  await api().POST("/v1/users", {body: {name, password}});
  await api().POST("/v1/bindings", {body: {subject: `user:${name}`, role: "viewer", service: "*", environment: "*"}});
  const page = await open("/settings/stops", {as: {name, password}, allow: [/40[13]/]});
  const stop = page.getByRole("button", {name: /Stop the line/});
  await expect.poll(() => stop.getAttribute("aria-disabled")).toBe("true");
  await stop.hover();
  await page.getByRole("tooltip").waitFor();
  await page.mouse.move(0, 0);
  await page.getByRole("tooltip").waitFor({state: "detached"});
  await look(page, "settings-viewer");
  await page.getByRole("link", {name: "Your password"}).click();
  await page.getByLabel("Current password").fill(password);
  await page.getByLabel("New password", {exact: true}).fill(`${password}-2`);
  await page.getByLabel("New password again").fill(`${password}-2`);
  await page.getByRole("button", {name: "Change the password"}).click();
  await page.getByText("The password was changed").waitFor();
  const {url} = inject("served");
  const login = (secret: string) => fetch(`${url}/v1/login`, {method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify({name, password: secret})}).then((response) => response.status);
  expect(await login(password)).toBe(401);
});
