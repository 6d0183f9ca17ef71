import {readFileSync} from "node:fs";
import {expect, inject, test} from "vitest";
import {api, look, world} from "./world";

const {open} = world();

test("the log says who did what, why and from where", async () => {
  const page = await open("/audit");
  const row = page.getByRole("row").filter({hasText: "policy.put"});
  await row.waitFor();
  for (const text of ["user:demo", "policy/shop/demo", "adg demo --serve", "127.0.0.1"]) {
    await row.getByText(text, {exact: true}).waitFor();
  }
  await look(page, "audit");
});

test("filters stand in the address, and are those of the API", async () => {
  const page = await open("/audit?action=deployment.");
  await page.getByRole("row").filter({hasText: "deployment.start"}).first().waitFor();
  expect(await page.getByRole("row").filter({hasText: "policy.put"}).count()).toBe(0);
  await page.getByLabel("How it ended").selectOption("denied");
  await page.getByText("No entry is like that.").waitFor();
  expect(new URL(page.url()).searchParams.get("outcome")).toBe("denied");
});

test("the chain is verified, with a digest to note", async () => {
  const page = await open("/audit");
  await page.getByRole("button", {name: "Verify the chain"}).click();
  await page.getByText("The log is as it was written").waitFor();
  const digest = await page.getByLabel(/Digest of entry/).inputValue();
  const entries = (await api().GET("/v1/audit", {params: {query: {pageSize: 1000}}})).data?.entries ?? [];
  expect(entries.map((entry) => entry.digest)).toContain(digest);
  await look(page, "audit-verified");
});

test("what is shown is exported as JSON lines, the oldest first", async () => {
  const page = await open("/audit?action=connection.");
  const saved = page.waitForEvent("download");
  await page.getByRole("button", {name: "Export as JSON lines"}).click();
  const file = await (await saved).path();
  const entries = readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line) as {seq: string; action: string});
  expect(entries.length).toBeGreaterThan(1);
  expect(entries.every((entry) => entry.action.startsWith("connection."))).toBe(true);
  expect(Number(entries[0]!.seq)).toBeLessThan(Number(entries.at(-1)!.seq));
});

test("whoever is no admin is told why he sees nothing", async () => {
  const name = "audit-viewer";
  const password = "correct-horse-battery";
  await api().POST("/v1/users", {body: {name, password}});
  await api().POST("/v1/bindings", {body: {subject: `user:${name}`, role: "viewer", service: "*", environment: "*"}});
  const page = await open("/audit", {as: {name, password}, served: inject("served"), allow: [/403/]});
  await page.getByText("You may not see the audit log.").waitFor();
  await look(page, "audit-forbidden");
});
