import {expect, test} from "vitest";
import {type Problem} from "./asks";
import {mended, ordered, stretch} from "./lint";

function problem(line: number, column: number, more: Partial<Problem> = {}): Problem {
  return {fatal: true, line, column, path: "", text: "", suggestion: "", ...more};
}

test("what is marked is the word at the place of the problem", () => {
  const text = "service: shop\nchecs: []\n  - {name: a, source: metricz}\n";
  const marked = (line: number, column: number) => {
    const {from, to} = stretch(text, problem(line, column));
    return text.slice(from, to);
  };
  expect(marked(2, 1)).toBe("checs");
  expect(marked(3, 23)).toBe("metricz");
  expect(marked(0, 0)).toBe("service: shop"); // of the text as a whole: its first line
  expect(marked(99, 1)).toBe(""); // there is no such line any more
});

test("characters that take two units count once", () => {
  const text = "service: '🚀🚀' # 🚀\nname: '🚀' , b";
  const {from, to} = stretch(text, problem(2, 13));
  expect(text.slice(from, to)).toBe("b");
});

test("what was probably meant takes the place of what is wrong", () => {
  const text = "service: shop\nchecs: []\n";
  expect(mended(text, problem(2, 1, {suggestion: "checks"}))).toBe("service: shop\nchecks: []\n");
  expect(mended('a: "x y"\n', problem(1, 4, {suggestion: "z"}))).toBe("a: z\n");
});

test("problems stand in the order of the text, the worse first at the same place", () => {
  const all = [problem(3, 1), problem(1, 5, {fatal: false, text: "doubt"}), problem(1, 5, {text: "wrong"}), problem(1, 2)];
  expect(ordered(all).map(({line, column, text}) => `${line}:${column} ${text}`)).toEqual(["1:2 ", "1:5 wrong", "1:5 doubt", "3:1 "]);
});
