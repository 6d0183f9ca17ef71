import {afterAll, beforeAll, beforeEach, describe, expect, test} from "vitest";
import type {Page} from "playwright-core";
import {Server} from "./server";
import {api, look, world} from "./world";

const {open} = world();

// A server of its own: what is saved here is in force for what others deploy.
let server: Server;
let number = 0; // so that names are new
const long = 600_000; // a demo takes a minute, and more on a machine that has other things to do as well
const path = {service: "shop", environment: "demo"};

beforeAll(async () => {
  server = await Server.demonstrated(); // its two deployments are what a policy can be tried on
}, long);
afterAll(() => server.stop());

const ask = () => api(server.served);
const there = (address: string, options: object = {}) => open(address, {served: server.served, ...options});

async function newest() {
  const {data} = await ask().GET("/v1/policies/{service}/{environment}/versions", {params: {path}});
  const version = data!.versions[0]!;
  const {data: full} = await ask().GET("/v1/policies/{service}/{environment}", {params: {path, query: {version: version.version}}});
  return full!;
}

/** Somebody with a role. */
async function person(role: string): Promise<{name: string; password: string}> {
  const name = `${role}-${++number}`;
  const password = "correct horse battery staple";
  await ask().POST("/v1/users", {body: {name, password, reason: "for a story"}});
  await ask().POST("/v1/bindings", {body: {subject: `user:${name}`, role, service: "*", environment: "*", reason: "for a story"}});
  return {name, password};
}

const editor = (page: Page) => page.getByRole("textbox", {name: "The policy of shop in demo, YAML"});

/** Opens the demo's policy, and waits for its text. */
async function opened(options: object = {}, query = ""): Promise<Page> {
  const page = await there(`/policies/shop/demo${query}`, options);
  await page.getByRole("heading", {level: 1, name: "Policy of shop in demo"}).waitFor();
  await editor(page).waitFor();
  return page;
}

/** Puts another text in the place of one, in the line that has it. */
async function retype(page: Page, before: string, after: string): Promise<void> {
  const line = page.locator(".cm-line", {hasText: before}).first();
  await line.click();
  const text = await line.innerText();
  await page.keyboard.press("Alt+l"); // the whole line, however often it is wrapped
  await page.keyboard.insertText(`${text.replace(before, after)}\n`);
}

test("the list says which version is in force, and finds a service", async () => {
  const page = await there("/policies");
  await page.getByRole("link", {name: "shop in demo"}).waitFor();
  await page.getByText("1 policy").waitFor();
  await look(page, "policies");
  await page.getByLabel("Service or environment").fill("nothing like it");
  await page.getByText("0 of 1 policy").waitFor();
  expect(new URL(page.url()).search).toBe("?q=nothing+like+it");
  await page.reload();
  await page.getByText("0 of 1 policy").waitFor(); // the address says what was asked for
  await page.getByLabel("Service or environment").fill("demo");
  await page.getByRole("link", {name: "shop in demo"}).click();
  await page.getByRole("heading", {level: 1, name: "Policy of shop in demo"}).waitFor();
});

test("a policy says in sentences what it does", async () => {
  const page = await opened();
  await page.getByText("A release goes up to 5 %, 25 %, 50 % and 100 %").waitFor();
  await page.getByText("ADG rolls back by itself.").waitFor();
  await look(page, "policy");
});

describe("the editor", () => {
  test("shows a mistake at its line while one types, with what was probably meant", async () => {
    const page = await opened();
    await retype(page, "promote: baked", "promot: baked");
    await page.getByText("1 mistake: it cannot be saved like this").waitFor();
    await page.locator(".cm-lint-marker-error").waitFor();
    await page.getByRole("button", {name: "Line 6"}).waitFor();
    const save = page.getByRole("button", {name: "Save …"});
    expect(await save.getAttribute("aria-disabled")).toBe("true");
    await look(page, "policy-mistake");
    await page.getByRole("button", {name: "Use “promote”"}).click();
    await page.getByText("It can be saved").waitFor();
    expect(await page.locator(".cm-line", {hasText: "promote: baked"}).count()).toBe(1);
    await page.getByRole("button", {name: "Throw my changes away"}).waitFor({state: "detached"}); // it is as it was
  });

  test("completes fields and values by the server's schema", async () => {
    const page = await opened();
    const line = page.locator(".cm-line", {hasText: "unknown_hold: 30s"});
    await line.click();
    await page.keyboard.press("End");
    await page.keyboard.type("\nat_dead");
    await page.getByRole("option", {name: /^at_deadline/}).click();
    await page.keyboard.type("pa");
    await page.getByRole("option", {name: /^page/}).waitFor();
    await look(page, "policy-completion");
    await page.keyboard.press("Enter");
    expect(await page.locator(".cm-line", {hasText: "at_deadline: page"}).count()).toBe(1);
  });

  test("Tab indents, and Escape and then Tab leaves", async () => {
    const page = await opened();
    const line = page.locator(".cm-line", {hasText: "unknown_hold: 30s"});
    await line.click();
    await page.keyboard.press("Tab");
    expect(await page.locator(".cm-line", {hasText: "unknown_hold: 30s"}).innerText()).toMatch(/^ {2}/);
    await page.keyboard.press("Escape");
    await page.keyboard.press("Tab");
    expect(await editor(page).evaluate((element) => element === document.activeElement)).toBe(false);
  });

  test("keeps what was not saved when the page is left", async () => {
    const page = await opened();
    await retype(page, "deadline: 5m", "deadline: 4m");
    await page.getByRole("button", {name: "Throw my changes away"}).waitFor();
    await page.getByRole("link", {name: "Predictions"}).click();
    await page.getByRole("heading", {level: 1, name: "Predictions"}).waitFor();
    await page.goBack();
    await page.locator(".cm-line", {hasText: "deadline: 4m"}).waitFor();
    await page.getByRole("button", {name: "Throw my changes away"}).click();
    await page.locator(".cm-line", {hasText: "deadline: 5m"}).waitFor();
  });
});

test("every query is asked, and its values are shown; one that nothing answers says so", async () => {
  const page = await opened({}, "?tab=queries");
  await page.getByRole("button", {name: "Ask every query"}).click();
  await page.getByText("4 checks: every query was answered with values.").waitFor();
  const errors = page.getByRole("region", {name: "Check errors"});
  await errors.getByText('router_requests_total{version="v2"}[1m]').waitFor();
  await errors.getByText("in the window").first().waitFor();
  await page.getByRole("region", {name: "The way back"}).waitFor();
  await look(page, "policy-queries");
  await retype(page, "app_heap_bytes", "app_heap_bites");
  await page.getByText("The text was changed since").waitFor();
  await page.getByRole("button", {name: "Ask every query"}).click();
  await page.getByText("3 of 4 checks got values; memory got none.").waitFor();
  await page.getByText("nothing matches the query").first().waitFor();
});

describe("saving", () => {
  beforeEach(async () => {
    expect((await newest()).pendingApproval).toBe(false);
  });

  test("what a text would have done with the past is seen before it is saved, and saved it is in force", async () => {
    const before = await newest();
    const page = await opened();
    await retype(page, "deadline: 5m", "deadline: 4m");
    await page.getByText("It can be saved").waitFor();
    await page.getByRole("button", {name: "Save …"}).click();
    const dialog = page.getByRole("dialog", {name: "Save as version 2"});
    await dialog.getByText("This text was not tried on past deployments.").waitFor();
    await dialog.getByRole("button", {name: "Try it first"}).click();
    await page.getByRole("button", {name: "Try it on the past"}).click();
    await page.getByText("Found 1 of 1 bad release").waitFor();
    await page.getByText("Would have rolled back 0 of 1 good release").waitFor();
    await page.getByRole("link", {name: "v3"}).waitFor();
    await look(page, "policy-backtest", {from: page.locator("main")});
    await page.getByRole("button", {name: "Save …"}).click();
    await dialog.getByRole("cell", {name: "deadline"}).waitFor();
    await look(page, "policy-save");
    await dialog.getByLabel("Reason").fill("no deployment takes longer");
    await dialog.getByRole("button", {name: "Save version 2"}).click();
    await dialog.waitFor({state: "detached"});
    await page.getByText("Version 2 is in force").waitFor();
    const {data} = await ask().GET("/v1/policies/{service}/{environment}", {params: {path}});
    expect(data).toMatchObject({version: "2", text: before.text.replace("deadline: 5m", "deadline: 4m"), reason: "no deployment takes longer"});
  });

  test("a version that guards less waits for another person, who sees in what, and approves", async () => {
    const page = await opened();
    await retype(page, "alpha: 1%", "alpha: 2%");
    await page.getByText("It can be saved").waitFor();
    await page.getByRole("button", {name: "Save …"}).click();
    const dialog = page.getByRole("dialog", {name: "Save as version 3"});
    await dialog.getByText("alpha goes from 0.01 to 0.02").waitFor();
    await dialog.getByText("somebody other than you has to approve it").waitFor();
    await dialog.getByLabel("Reason").fill("fewer false alarms are worth it");
    await dialog.getByRole("button", {name: "Save version 3"}).click();
    await dialog.waitFor({state: "detached"});
    await page.getByText("Version 3 by demo waits for a second person.").waitFor();
    const mine = page.getByRole("button", {name: "Approve version 3"}).first();
    expect(await mine.getAttribute("aria-disabled")).toBe("true");
    await mine.hover();
    await page.getByRole("tooltip", {name: /somebody else has to approve it/}).waitFor();
    expect((await newest()).pendingApproval).toBe(true);

    const other = await there("/policies?waits=1", {as: await person("admin")});
    await other.getByText("Version 3 waits for approval").waitFor();
    await other.getByRole("link", {name: "shop in demo"}).click();
    await other.getByRole("button", {name: "Approve version 3"}).first().waitFor();
    await look(other, "policy-waits");
    await other.getByRole("button", {name: "Approve version 3"}).first().click();
    const approval = other.getByRole("dialog", {name: "Approve version 3"});
    await approval.getByLabel("Reason").fill("I looked at it, too");
    await approval.getByRole("button", {name: "Approve it"}).click();
    await other.getByText("Version 3 is in force").waitFor();
    const {data} = await ask().GET("/v1/policies/{service}/{environment}", {params: {path}});
    expect(data).toMatchObject({version: "3", pendingApproval: false});
    expect(data!.approver).toMatch(/^admin-/);
  });

  test("versions say who changed what, and any two are compared by their address", async () => {
    const page = await opened({}, "?tab=versions&from=1&to=3");
    await page.getByRole("cell", {name: "alpha", exact: true}).waitFor();
    await page.getByRole("cell", {name: "guards less"}).waitFor();
    await page.getByText("no deployment takes longer").waitFor();
    await page.getByText(/admin-\d+ approved it/).waitFor();
    await page.getByRole("region", {name: "The difference, line by line"}).getByText("alpha: 2%").waitFor();
    await look(page, "policy-versions");
    await page.getByRole("button", {name: "What it changed"}).last().click();
    await page.getByRole("cell", {name: "deadline"}).waitFor();
    expect(new URL(page.url()).searchParams.get("to")).toBe("2");
    await page.getByRole("button", {name: "Put it into the editor"}).last().click();
    await page.locator(".cm-line", {hasText: "alpha: 1%"}).waitFor();
  });

  test("what somebody else saved meanwhile is not overwritten", async () => {
    const before = await newest();
    const page = await opened({allow: [/409/]});
    await retype(page, "history: 30s", "history: 40s");
    await page.getByText("It can be saved").waitFor();
    await page.getByRole("button", {name: "Save …"}).click();
    const next = Number(before.version) + 1;
    const dialog = page.getByRole("dialog", {name: `Save as version ${next}`});
    await dialog.getByLabel("Reason").fill("mine");
    await ask().PUT("/v1/policies/{service}/{environment}", {params: {path}, body: {text: `${before.text}# theirs\n`, etag: before.etag, reason: "theirs"}});
    await dialog.getByRole("button", {name: `Save version ${next}`}).click();
    await dialog.getByText("Somebody saved another version meanwhile.").waitFor();
    await dialog.getByRole("button", {name: "Cancel"}).click();
    expect((await newest()).reason).toBe("theirs");
    await page.locator(".cm-line", {hasText: "history: 40s"}).waitFor(); // nothing of mine is lost
  }, 90_000);
});

test("who may not write sees the policy, and why the buttons are disabled", async () => {
  const page = await there("/policies/shop/demo", {as: await person("viewer")});
  await page.getByRole("heading", {level: 1, name: "Policy of shop in demo"}).waitFor();
  await page.locator(".cm-line", {hasText: "service: shop"}).waitFor();
  const save = page.getByRole("button", {name: /^Save …/});
  expect(await save.getAttribute("aria-disabled")).toBe("true");
  expect(await page.locator(".cm-content").getAttribute("contenteditable")).toBe("false");
  await look(page, "policy-viewer");
});

test("a service without a policy begins with the least that guards", async () => {
  const page = await there("/policies");
  await page.getByRole("button", {name: "New policy"}).click();
  const dialog = page.getByRole("dialog", {name: "New policy"});
  await dialog.getByLabel("Service").fill("cart");
  await dialog.getByLabel("Environment").fill("production");
  await dialog.getByRole("button", {name: "Write it"}).click();
  await page.getByText("There is no policy yet").waitFor();
  await page.locator(".cm-line", {hasText: "service: cart"}).waitFor();
  await page.getByText(/mistakes?: it cannot be saved like this/).waitFor(); // no connection is registered for it
});
