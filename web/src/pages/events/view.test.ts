import {expect, test} from "vitest";
import {type Event, afterOf, byWhom, kindOf, merged, moreOf, parted, streamQuery, wantedOf} from "./view";

const event = (cursor: number) => ({cursor: String(cursor)}) as Event;
const cursors = (events: readonly Event[]) => events.map((one) => Number(one.cursor));

test("what came is in front of what was there, the newest first", () => {
  expect(cursors(merged([event(3), event(1)], [event(5), event(9)], 10))).toEqual([9, 5, 3, 1]);
});

test("an event that comes again after an interruption is shown once", () => {
  expect(cursors(merged([event(3), event(1)], [event(3), event(4), event(4)], 10))).toEqual([4, 3, 1]);
});

test("when nothing is new nothing is drawn again", () => {
  const before = [event(3)];
  expect(merged(before, [event(2), event(3)], 10)).toBe(before);
});

test("cursors are compared as numbers, however long they are", () => {
  const long = {cursor: "9007199254740993"} as Event;
  const before = {cursor: "9007199254740992"} as Event;
  expect(merged([before], [long], 10)[0]).toBe(long);
  expect(cursors(merged([event(9)], [event(10)], 10))).toEqual([10, 9]);
});

test("a page that is open for a day holds no more than so many", () => {
  expect(merged([event(1)], Array.from({length: 50}, (_, i) => event(i + 2)), 20)).toHaveLength(20);
});

test("what stands in the address is asked for, of the list and of the stream", () => {
  const wanted = wantedOf(new URLSearchParams("service=shop,cart&kind=rolled_back,nonsense&urgent=yes"));
  expect(wanted).toMatchObject({services: ["shop", "cart"], kinds: ["FACT_KIND_ROLLED_BACK"], urgent: true});
  expect(streamQuery(wanted, "7")).toEqual({after: "7", services: ["shop", "cart"], kinds: ["FACT_KIND_ROLLED_BACK"], urgent: true});
});

test("who did it is said with how he asked for it", () => {
  expect(byWhom({actor: "user:ann", via: "cli"})).toBe("by user:ann through the command line");
  expect(byWhom({actor: "ann", via: ""})).toBe("by ann");
  expect(byWhom({actor: "ann", via: "carrier pigeon"})).toBe("by ann through carrier pigeon");
  expect(byWhom({actor: "", via: ""})).toBe("");
});

test("what was changed leads to where it is seen, and nothing leads to a deployment that is none", () => {
  const change = (action: string) => ({deployment: "", action, service: "shop", environment: "production"});
  expect(moreOf({...change(""), deployment: "d 1"})).toBe("/deployments/d%201");
  expect(moreOf(change("policy.put"))).toBe("/policies/shop/production");
  expect(moreOf(change("hold.lift"))).toBe("/services/shop");
  expect(moreOf(change("role.grant"))).toBe("/settings/roles");
  expect(moreOf(change("freeze.put"))).toBe("/settings/freezes");
  expect(moreOf(change("moon.landing"))).toBeUndefined();
  expect(kindOf("FACT_KIND_CHANGED").word).toBe("Changed");
});

test.each([
  ["shop v3 in demo: rolled back: v2 is live", {deployment: "d1", service: "shop", environment: "demo"}, "", "shop v3 in demo", ": rolled back: v2 is live"],
  ["a new version of the policy of shop in demo was stored", {service: "shop", environment: "demo", resource: "policy/shop/demo"}, "a new version of the policy of ", "shop in demo", " was stored"],
  ["the user ann@x.org was made", {resource: "user/ann@x.org"}, "the user ", "ann@x.org", " was made"],
  ["what is known of the service a was changed", {service: "a", resource: "service/a"}, "what is known of the service ", "a", " was changed"],
  ["the line was stopped for all services in all environments", {resource: "stop/*"}, "", "the line", " was stopped for all services in all environments"],
  ["", {}, "", "", ""],
])("of %j only what it is about is a link", (text, fact, before, subject, after) => {
  expect(parted({deployment: "", service: "", environment: "", resource: "", ...fact, text})).toEqual({before, subject, after});
});

test("a cursor that is none is none", () => {
  expect(afterOf(new URLSearchParams("after=12"))).toBe("12");
  expect(afterOf(new URLSearchParams("after=-1"))).toBeUndefined();
  expect(afterOf(new URLSearchParams(""))).toBeUndefined();
});
