import {expect, test} from "vitest";
import {running} from "../../test/deployment";
import {summed} from "./sum";

test("what is going back is said to be, however healthy or unknown it is", () => {
  expect(summed([running({state: "STATE_VERIFYING_ROLLBACK", health: "HEALTH_UNKNOWN"}), running({id: "2"})], [])).toEqual({text: "2 deployments running: 1 going back, 1 healthy", bad: true});
});

test("where nothing runs, what ended badly is said first", () => {
  expect(summed([], [running({state: "STATE_ROLLBACK_FAILED"})])).toEqual({text: "1 ended badly and needs a human; 0 deployments running", bad: true});
});

test("all that is well is no reason to look", () => {
  expect(summed([running()], [])).toEqual({text: "1 deployment running: 1 healthy", bad: false});
  expect(summed([running({waitsForHuman: true})], [])).toEqual({text: "1 deployment running: 1 needs a human, 1 healthy", bad: true});
});
