import {expect, test} from "vitest";
import {running} from "../test/deployment";
import {unsettled} from "./unsettled";

const at = (minute: number) => new Date(Date.UTC(2026, 0, 2, 3, minute)).toISOString();
const failed = running({id: "failed", state: "STATE_ROLLBACK_FAILED", createTime: at(10), endTime: at(12), paging: true});

function ids(rows: Parameters<typeof unsettled>[0]): string[] {
  return unsettled(rows).map((row) => row.id);
}

test("a rollback that failed is unsettled until a later deployment of the same place went well, or went back well", () => {
  const later = running({id: "later", createTime: at(20), endTime: at(22)});
  expect(ids([failed])).toEqual(["failed"]);
  expect(ids([failed, {...later, state: "STATE_SUCCEEDED"}])).toEqual([]);
  expect(ids([failed, {...later, state: "STATE_ROLLED_BACK"}])).toEqual([]);
  expect(ids([failed, {...later, state: "STATE_SUCCEEDED", environment: "staging"}])).toEqual(["failed"]);
  expect(ids([failed, {...later, state: "STATE_SUCCEEDED", createTime: at(1)}])).toEqual(["failed"]);
});

test("of one place the last failure is told, and what nobody could decide is one", () => {
  const again = running({id: "again", state: "STATE_UNDECIDED", createTime: at(30), endTime: at(32)});
  expect(ids([failed, again])).toEqual(["again"]);
});

test("the last failure comes first", () => {
  const other = running({id: "other", service: "cart", state: "STATE_ROLLBACK_FAILED", createTime: at(5), endTime: at(40)});
  expect(ids([failed, other])).toEqual(["other", "failed"]);
});
