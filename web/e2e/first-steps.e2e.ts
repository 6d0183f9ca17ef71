import {expect, test} from "vitest";
import {Server} from "./server";
import {api, look, world} from "./world";

const {open} = world();

test("the steps say what is done and what is next, with a command to begin with", async () => {
  const page = await open("/first-steps");
  await page.getByRole("status").filter({hasText: /of 6 steps done/}).waitFor();
  const next = page.getByRole("listitem").filter({hasText: "This is next."});
  expect(await next.textContent()).toContain("adg connection put"); // of a notifier: the demo has none
  await page.getByRole("listitem").filter({hasText: "Done."}).filter({hasText: "Start the first deployment"}).waitFor();
  await look(page, "first-steps");
});

test("who may not change settings is told so, and who could let him", async () => {
  const as = {name: "vera", password: "four or five words"};
  await api().POST("/v1/users", {body: {...as, displayName: "", email: "", idempotencyKey: "", reason: "a story"}});
  await api().POST("/v1/bindings", {body: {subject: "user:vera", role: "viewer", service: "*", environment: "*", idempotencyKey: "", reason: "a story"}});
  const page = await open("/first-steps", {as, allow: [/403/]});
  // What is left to do is told to those only who may change settings.
  await page.getByRole("alert").getByText("You may not see what is left to do.").waitFor();
  await look(page, "first-steps-forbidden");
});

test("on a server with nothing in it the first thing to do is said first, and no demo is promised that it has not", async () => {
  const server = await Server.empty();
  try {
    const page = await open("/", {served: server.served});
    await page.getByRole("link", {name: "the first steps"}).click();
    const next = page.getByRole("listitem").filter({hasText: "This is next."});
    await next.getByText("Register where measurements come from").waitFor();
    expect(await page.getByRole("button", {name: "Start the demo"}).count()).toBe(0);
    await look(page, "first-steps-empty");
    await page.close();
  } finally {
    await server.stop();
  }
}, 120_000);
