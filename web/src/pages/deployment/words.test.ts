import {expect, test} from "vitest";
import {sentence} from "./words";

test("a text becomes a sentence, and a version stays as it is written", () => {
  expect(["nothing is known", "v2 is live: good.", "1.4.2 goes on", "web-api is stopped", ""].map(sentence)).toEqual(["Nothing is known.", "v2 is live: good.", "1.4.2 goes on.", "web-api is stopped.", ""]);
});
