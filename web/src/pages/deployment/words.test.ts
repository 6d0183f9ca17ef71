import {expect, test} from "vitest";
import {decision, deployment} from "./made";
import {decided, leftTo, sentence, whyBack, wouldFail} from "./words";

test("a text becomes a sentence, and a version stays as it is written", () => {
  expect(["nothing is known", "v2 is live: good.", "1.4.2 goes on", "web-api is stopped", "tried: v1", "http://x is gone", ""].map(sentence)).toEqual(["Nothing is known.", "v2 is live: good.", "1.4.2 goes on.", "web-api is stopped.", "Tried: v1.", "http://x is gone.", ""]);
});

test("a rollback that failed leaves to people what to do, and one that went well leaves nothing", () => {
  expect(leftTo(deployment({status: {state: "STATE_ROLLBACK_FAILED"}}))[0]).toMatch(/see what is live.*Deploy v2 again/);
  expect(leftTo(deployment({status: {state: "STATE_UNDECIDED"}, more: {lastGood: undefined}}))[0]).toMatch(/Deploy a release that is good\.$/);
  expect(leftTo(deployment({status: {state: "STATE_ROLLED_BACK"}}))).toEqual([]);
});

test("why a release goes back is what it was condemned for, not what was found afterwards", () => {
  const condemned = decision(40, {to: "STATE_ROLLBACK_PENDING", reasons: ["errors fails"]});
  const back = decision(41, {from: "STATE_ROLLBACK_PENDING", to: "STATE_ROLLING_BACK", reasons: ["approved"]});
  const over = decision(60, {from: "STATE_VERIFYING_ROLLBACK", to: "STATE_ROLLED_BACK", reasons: ["v2 is live and verified"]});
  expect(whyBack([decision(1, {}), condemned, back, over])).toEqual({reasons: ["Errors fails."], by: "ADG"});
  expect(whyBack([decision(1, {})])).toBeUndefined();
});

test("only what would make a rollback fail for sure is told at once", () => {
  const obstacles = [{name: "disk", text: "it is nearly full", final: false}, {name: "access", text: "the token was refused", final: true}];
  expect(wouldFail(deployment({status: {obstacles}}))).toEqual(["A rollback would fail (access): the token was refused."]);
  expect(wouldFail(deployment())).toEqual([]);
});

test("a release that is back is not said to be verified before it is", () => {
  expect(decided(decision(41, {from: "STATE_ROLLING_BACK", to: "STATE_VERIFYING_ROLLBACK"}), [])).toBe("The last good release is back: now it has to prove itself");
});
