import {expect, test} from "vitest";
import {places, placeOf, to} from "../places";
import {match} from "./router";

test.each([
  ["/", "/", {}],
  ["/deployments/:id", "/deployments/shop-v2", {id: "shop-v2"}],
  ["/deployments/:id", "/deployments/a%2Fb", {id: "a/b"}],
  ["/deployments/:id", "/deployments", undefined],
  ["/deployments/:id", "/deployments/a/b", undefined],
  ["/deployments/:id", "/deployments/%E0%A4%A", undefined],
  ["/settings/:part?", "/settings", {}],
  ["/settings/:part?", "/settings/users/", {part: "users"}],
])("%s, %s", (pattern, path, params) => {
  expect(match(pattern, path)).toEqual(params);
});

test("every address that is made leads to the page that it is for, with what it was made of", () => {
  const strange = "a b/c?d#e%";
  expect(placeOf(to.deployment(strange))).toMatchObject({place: {name: "deployment"}, params: {id: strange}});
  expect(placeOf(to.service(strange))).toMatchObject({place: {name: "service"}, params: {service: strange}});
  expect(placeOf(to.policy(strange, "prod"))).toMatchObject({place: {name: "policy"}, params: {service: strange, environment: "prod"}});
  expect(placeOf(to.settings("users"))).toMatchObject({place: {name: "settings"}, params: {part: "users"}});
});

test("every page has a name and a key of its own", () => {
  for (const field of ["name", "key", "menu"] as const) {
    const said = places.map((place) => place[field]).filter((one) => one !== undefined);
    expect(new Set(said).size).toBe(said.length);
  }
});
