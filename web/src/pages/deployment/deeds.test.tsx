import {MantineProvider} from "@mantine/core";
import {fireEvent, render, screen, waitFor} from "@testing-library/react";
import {afterEach, expect, test, vi} from "vitest";
import {KeyList} from "../../frame/keys";
import {Palette} from "../../frame/palette";
import {Deeds, offered} from "./deeds";
import {deployment, permit} from "./made";

const all = (["ACTION_APPROVE", "ACTION_REJECT", "ACTION_PROMOTE", "ACTION_HOLD", "ACTION_RESUME", "ACTION_ROLL_BACK", "ACTION_CANCEL"] as const).map((action) => permit(action, {allowed: false, whyNot: "not now"}));

afterEach(() => vi.unstubAllGlobals());

/** A server that answers all that is sent to it, and notes it. */
function heard(answer: () => Response): {path: string; body: Record<string, string>}[] {
  const all: {path: string; body: Record<string, string>}[] = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    if (request.method === "POST") {
      all.push({path: new URL(request.url).pathname, body: (await request.json()) as Record<string, string>});
    }
    return answer();
  });
  return all;
}

function shown(d: ReturnType<typeof deployment>) {
  return render(
    <MantineProvider>
      <Deeds deployment={d} />
    </MantineProvider>,
  );
}

test("what makes no sense where a deployment stands is not offered; what one may not do is, with why", () => {
  const words = (status: object) => offered(deployment({status: {permits: all, ...status}})).map((p) => p.action.replace("ACTION_", ""));
  expect(words({})).toEqual(["PROMOTE", "HOLD", "ROLL_BACK", "CANCEL"]);
  expect(words({state: "STATE_HELD", heldBy: "ada"})).toEqual(["PROMOTE", "RESUME", "ROLL_BACK", "CANCEL"]);
  expect(words({state: "STATE_GATED", outlook: {text: "", waitsFor: "approval"}})).toEqual(["APPROVE", "REJECT", "PROMOTE", "HOLD", "ROLL_BACK", "CANCEL"]);
  expect(words({state: "STATE_SUCCEEDED"})).toEqual([]);
});

test("a dangerous action is sent only with a reason and the service's name typed", async () => {
  const sent = heard(() => Response.json(deployment()));
  shown(deployment({status: {permits: [permit("ACTION_ROLL_BACK", {dangerous: true, consequence: "v2 gets all of the traffic again"})]}}));
  fireEvent.click(screen.getByRole("button", {name: "Roll back"}));
  const dialog = await screen.findByRole("dialog");
  expect(dialog.textContent).toContain("v2 gets all of the traffic again.");
  const go = () => fireEvent.submit(dialog.querySelector("form")!);
  go();
  expect(dialog.textContent).toContain("Say why");
  fireEvent.change(screen.getByLabelText(/^Why/), {target: {value: "errors"}});
  go();
  expect(sent).toEqual([]);
  fireEvent.change(screen.getByLabelText(/Type shop/), {target: {value: "shop"}});
  go();
  await waitFor(() => expect(sent).toHaveLength(1));
  expect(sent[0]).toMatchObject({path: "/v1/deployments/shop-v3:rollback", body: {reason: "errors"}});
  expect(sent[0]?.body["idempotencyKey"]).toHaveLength(32);
  expect(sent[0]?.body["etag"]).toBeUndefined();
});

test("a promotion is bound to what was looked at, and a refusal says why", async () => {
  const sent = heard(() => Response.json({message: "it has changed since"}, {status: 409}));
  shown(deployment({status: {permits: [permit("ACTION_PROMOTE")]}}));
  fireEvent.click(screen.getByRole("button", {name: "Promote"}));
  const dialog = await screen.findByRole("dialog");
  fireEvent.change(screen.getByLabelText(/^Why/), {target: {value: "looks good"}});
  fireEvent.submit(dialog.querySelector("form")!);
  await screen.findByText("It has changed since.");
  expect(sent[0]?.body).toMatchObject({etag: "e1", reason: "looks good"});
});

test("an action that became impossible while its dialog was open says so, and cannot be sent", async () => {
  const sent = heard(() => Response.json(deployment()));
  const {rerender} = shown(deployment({status: {permits: [permit("ACTION_HOLD")]}}));
  fireEvent.click(screen.getByRole("button", {name: "Hold"}));
  const dialog = await screen.findByRole("dialog");
  fireEvent.change(screen.getByLabelText(/^Why/), {target: {value: "wait"}});
  rerender(
    <MantineProvider>
      <Deeds deployment={deployment({status: {state: "STATE_ROLLED_BACK", permits: [permit("ACTION_HOLD", {allowed: false, whyNot: "the deployment has ended"})]}})} />
    </MantineProvider>,
  );
  await screen.findByText("This cannot be done any more: the deployment has ended.");
  fireEvent.submit(dialog.querySelector("form")!);
  expect(sent).toEqual([]);
});

test("a button that may not be used says why", () => {
  shown(deployment({status: {permits: [permit("ACTION_PROMOTE", {allowed: false, whyNot: "you may not command deployments of shop"})]}}));
  const button = screen.getByRole("button", {name: /^Promote/});
  expect(button.getAttribute("aria-disabled")).toBe("true");
  expect(button.textContent).toContain("You may not command deployments of shop.");
  fireEvent.click(button);
  expect(screen.queryByRole("dialog")).toBeNull();
});

test("what may be done is found in the palette, too, and what may not be is not", async () => {
  vi.stubGlobal("fetch", () => new Promise(() => undefined)); // nothing else is known
  const permits = [permit("ACTION_ROLL_BACK"), permit("ACTION_PROMOTE", {allowed: false, whyNot: "it is not healthy"})];
  render(
    <MantineProvider>
      <Deeds deployment={deployment({status: {permits}})} />
      <Palette opened close={() => undefined} />
    </MantineProvider>,
  );
  fireEvent.click(await screen.findByRole("option", {name: /Roll back shop v3 in production/}));
  await screen.findByRole("dialog", {name: /Roll back shop v3 in production\?/});
  expect(screen.queryByRole("option", {name: /Promote shop v3/})).toBeNull();
});

test("the list of keys has those that do something here", () => {
  const permits = [permit("ACTION_HOLD"), permit("ACTION_PROMOTE", {allowed: false, whyNot: "it is not healthy"})];
  render(
    <MantineProvider>
      <Deeds deployment={deployment({status: {permits}})} />
      <KeyList opened close={() => undefined} />
    </MantineProvider>,
  );
  screen.getByText("Hold this deployment");
  expect(screen.queryByText(/Promote this|Reject this/)).toBeNull();
});
