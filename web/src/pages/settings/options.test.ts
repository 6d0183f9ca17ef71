import {expect, test} from "vitest";
import {fieldsOf, filled, writtenOptions} from "./options";

const secret = {type: "object", properties: {env: {type: "string"}, file: {type: "string"}}};
const schema = {
  type: "object",
  properties: {
    url: {type: "string", description: "Address of the server."},
    timeout: {type: "string", default: "10s"},
    max_bytes: {type: "integer", default: 16777216},
    names: {type: "array", items: {type: "string"}},
    scrape: {type: "array", items: {type: "object", properties: {job: {type: "string"}}}},
    headers: {type: "object", additionalProperties: secret},
    bearer_token: secret,
    basic_auth: {type: "object", properties: {username: {type: "string"}, password: secret}},
    tls: {type: "object", properties: {insecure_skip_verify: {type: "boolean", default: false}}},
  },
};
const fields = fieldsOf(schema, ["bearer_token", "basic_auth.password"]);
const field = (path: string) => fields.find((one) => one.path === path);

test("each option is a field, those within others by their path", () => {
  expect(fields.map((one) => `${one.path} ${one.kind}`)).toEqual([
    "url text",
    "timeout text",
    "max_bytes number",
    "names lines",
    "scrape json",
    "headers json",
    "bearer_token secret",
    "basic_auth.username text",
    "basic_auth.password secret",
    "tls.insecure_skip_verify flag",
  ]);
});

test("what has a default or is seldom needed waits behind the rest", () => {
  expect(field("url")).toMatchObject({more: false, text: "Address of the server."});
  expect(field("timeout")).toMatchObject({more: true, otherwise: "10s"});
  expect(field("headers")!.more).toBe(true);
  expect(field("bearer_token")!.more).toBe(false);
});

test("a form that is filled and written again says the same", () => {
  const options = {url: "http://prometheus:9090", names: ["a", "b"], scrape: [{job: "x"}], basic_auth: {username: "adg"}, tls: {insecure_skip_verify: true}, max_bytes: 5};
  expect(writtenOptions(fields, filled(fields, options))).toEqual({options, secrets: {}, problems: new Map()});
});

test("secrets go apart, and one that is not written is not sent", () => {
  const written = writtenOptions(fields, {url: "http://x", bearer_token: "s3cret", "basic_auth.password": ""});
  expect(written.options).toEqual({url: "http://x"});
  expect(written.secrets).toEqual({bearer_token: "s3cret"});
});

test("a secret that is known elsewhere is never filled in", () => {
  expect(filled(fields, {bearer_token: {env: "TOKEN"}})).toEqual({});
});

test("what cannot be read is said where it is written", () => {
  const {problems} = writtenOptions(fields, {max_bytes: "many", scrape: "{"});
  expect([...problems.keys()]).toEqual(["max_bytes", "scrape"]);
});

test("a flag that is as it would be anyway is left out", () => {
  expect(writtenOptions(fields, {"tls.insecure_skip_verify": "false"}).options).toEqual({});
});
