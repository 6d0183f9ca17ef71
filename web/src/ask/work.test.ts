import {expect, test} from "vitest";
import {ApiError, type Server, work} from "../api/client";

function answering(status: number, ...lines: object[]): Server {
  return {url: "http://adg.test", fetch: () => Promise.resolve(new Response(lines.map((line) => `${JSON.stringify(line)}\n`).join(""), {status}))};
}

const detail = {"@type": "type.googleapis.com/adg.v1.ErrorDetail", code: "ERROR_CODE_INVALID", sentence: "the text is no policy", wayOut: "correct it", requestId: "R1"};

test("what takes its time tells how far it has come, and then what came of it", async () => {
  const came: unknown[] = [];
  for await (const message of work(answering(200, {result: {done: 1, all: 2}}, {result: {done: 2, all: 2, model: {id: "m"}}}), "/v1/models", {})) {
    came.push(message);
  }
  expect(came).toEqual([{done: 1, all: 2}, {done: 2, all: 2, model: {id: "m"}}]);
});

test.each([
  ["before it begins", answering(400, {error: {message: "plain", details: [detail]}})],
  ["on its way", answering(200, {result: {done: 1, all: 2}}, {error: {message: "plain", details: [detail]}})],
])("a refusal %s says why, and what to do", async (_, server) => {
  const all = async () => {
    for await (const message of work(server, "/v1/policies/shop/demo:backtest", {})) {
      expect(message.done).toBe(1);
    }
  };
  const error = await all().catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({message: "the text is no policy", wayOut: "correct it", requestId: "R1"});
});
