import {expect, inject, test} from "vitest";
import {look, phone, world} from "./world";

const {open} = world();

const pages: Record<string, string> = {
  "/": "Now",
  "/deployments/none": "Deployment",
  "/services": "Services",
  "/policies": "Policies",
  "/predictions": "Predictions",
  "/events": "Events",
  "/audit": "Audit",
  "/settings": "Settings",
  "/first-steps": "First steps",
};

test.each(Object.entries(pages))("the page at %s has an address of its own, and a title", async (path, title) => {
  const page = await open(path, {allow: [/404/]}); // there is no deployment of that name
  await page.getByRole("heading", {level: 1}).waitFor();
  expect(await page.title()).toBe(`${title} – ADG`);
});

test("who is not logged in comes to the login, and from there to where he wanted to go", async () => {
  const {url, name, password} = inject("served");
  const page = await open("/", {allow: [/401/]}); // what the page asks for when its session is gone
  await page.getByRole("heading", {level: 1, name: "Now"}).waitFor();
  await page.context().clearCookies();
  await page.goto(`${url}/services?q=shop`);
  expect(new URL(page.url()).pathname).toBe("/login");
  await look(page, "login");
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", {name: "Log in"}).click();
  await expect.poll(() => page.url(), {timeout: 60_000}).toBe(`${url}/services?q=shop`);
  await page.getByRole("heading", {level: 1, name: "Services"}).waitFor();
});

test("the keys are listed, and lead from page to page", async () => {
  const page = await open("/");
  await page.getByRole("heading", {level: 1, name: "Now"}).waitFor();
  await page.keyboard.press("?");
  await page.getByRole("dialog").getByText("Go to Events").waitFor();
  await look(page, "keys");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({state: "detached"});
  await Promise.all([page.keyboard.press("g"), page.keyboard.press("e")]); // the second has to come within 1.5 s
  await page.getByRole("heading", {level: 1, name: "Events"}).waitFor();
  expect(new URL(page.url()).pathname).toBe("/events");
  await page.goBack();
  await page.getByRole("heading", {level: 1, name: "Now"}).waitFor();
});

test("the palette finds pages and actions by a few letters", async () => {
  const page = await open("/", {as: inject("served")});
  await page.getByRole("heading", {level: 1, name: "Now"}).waitFor();
  await page.keyboard.press("Control+k");
  const field = page.getByRole("combobox", {name: "Go to or do"});
  await field.fill("predic pa");
  await page.getByRole("option", {name: "Predictions"}).waitFor();
  await look(page, "palette");
  await field.press("Enter");
  await page.getByRole("heading", {level: 1, name: "Predictions"}).waitFor();
  await page.keyboard.press("Control+k");
  await field.fill("dark");
  await field.press("Enter"); // an action
  await page.waitForSelector("html[data-mantine-color-scheme=dark]");
});

test("on a phone the pages are behind a button", async () => {
  const page = await open("/", {viewport: phone});
  await page.getByRole("heading", {level: 1, name: "Now"}).waitFor();
  await page.getByRole("button", {name: "Menu"}).click();
  await page.getByRole("link", {name: "Services"}).click();
  await page.getByRole("heading", {level: 1, name: "Services"}).waitFor();
});

test("a person sees who he is, chooses the scheme and the zone, and logs out", async () => {
  const page = await open("/", {as: inject("served")});
  await page.getByRole("button", {name: /who you are/}).click();
  const menu = page.getByRole("dialog", {name: /who you are/});
  await menu.getByText("admin: all services, all environments").waitFor();
  await look(page, "person");
  await menu.getByText("Dark", {exact: true}).click();
  await page.waitForSelector("html[data-mantine-color-scheme=dark]");
  await page.reload();
  await page.waitForSelector("html[data-mantine-color-scheme=dark]"); // it was kept
  await page.getByRole("button", {name: /who you are/}).click();
  await page.getByRole("button", {name: "Log out"}).click();
  await page.waitForURL(/\/login$/);
  await page.goto(`${inject("served").url}/`);
  expect(new URL(page.url()).pathname).toBe("/login");
});

test("an address that leads nowhere says so, and where to go instead", async () => {
  const page = await open("/settings/users/more/than/that");
  await page.getByRole("heading", {level: 1, name: "There is no such page"}).waitFor();
  await look(page, "nowhere");
});
