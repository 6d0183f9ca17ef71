import {expect, test} from "vitest";
import {assessment, at, deployment, judgement} from "./made";
import {grown, joined} from "./watched";

test("a course grows by what the checks say, once for each look", () => {
  const watches = [{check: "errors", last: judgement("errors", {value: 1})}];
  const one = deployment({status: {tickedTime: at(1), checks: watches}});
  const seen = grown([], one);
  expect(seen).toHaveLength(1);
  expect(grown(seen, one)).toBe(seen);
  expect(grown(seen, deployment({status: {tickedTime: at(2), checks: watches}}))).toHaveLength(2);
});

test("what is told twice is kept once, in order", () => {
  const [a, b, c] = [1, 2, 3].map((s) => assessment(s, []));
  expect(joined([a!, c!], [b!, c!]).map((x) => x.time)).toEqual([at(1), at(2), at(3)]);
});
