import {expect, test} from "vitest";
import {covers} from "./permission";

test.each([
  ["*", "shop", true],
  ["*", "", true],
  ["shop", "shop", true],
  ["shop", "shop-2", false],
  ["shop-*", "shop-2", true],
  ["shop-*", "shop", false],
  ["shop", "", false], // the whole server is more than a service
  ["shop-*", "", false],
])("a grant on %s covers %s: %s", (pattern, name, is) => {
  expect(covers(pattern, name)).toBe(is);
});
