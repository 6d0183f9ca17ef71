import {expect, test} from "vitest";
import {type Action, found} from "./palette";

const action = (name: string, kind = "Page"): Action => ({name, kind, icon: "box", run: () => undefined});
const names = (text: string) => found([action("Predictions"), action("Policies"), action("shop v2 in production", "Deployment"), action("shop", "Service")], text).map((one) => one.name);

test("all words have to fit, whatever their order and case", () => {
  expect(names("V2 shop")).toEqual(["shop v2 in production"]);
  expect(names("shop nothing")).toEqual([]);
});

test("what begins with the letters comes before what has them somewhere", () => {
  expect(names("p")).toEqual(["Predictions", "Policies", "shop v2 in production", "shop"]);
  expect(names("prod")).toEqual(["shop v2 in production"]);
});

test("what kind it is can be asked for", () => {
  expect(names("service")).toEqual(["shop"]);
});
