import {act, renderHook, waitFor} from "@testing-library/react";
import {beforeEach, expect, test, vi} from "vitest";
import {changed, forget} from "./ask";
import {type Page, useMore} from "./more";

beforeEach(forget);

const pages: Record<string, Page<string>> = {"": {rows: ["a", "b"], next: "2"}, "2": {rows: ["c"], next: "3"}, "3": {rows: ["d"], next: ""}};
const asked = () => vi.fn((token: string) => Promise.resolve(pages[token]!));

test("pages are put behind one another, until there are no more", async () => {
  const page = asked();
  const {result} = renderHook(() => useMore("letters", page));
  await waitFor(() => expect(result.current.data).toEqual(["a", "b"]));
  act(() => result.current.more!());
  await waitFor(() => expect(result.current.data).toEqual(["a", "b", "c"]));
  act(() => result.current.more!());
  await waitFor(() => expect(result.current.data).toEqual(["a", "b", "c", "d"]));
  expect(result.current.more).toBeUndefined();
  expect(page.mock.calls.map(([token]) => token)).toEqual(["", "2", "3"]);
});

test("when somebody has changed the list it begins again, without a gap between old pages and new ones", async () => {
  const {result} = renderHook(() => useMore("letters", asked()));
  await waitFor(() => expect(result.current.data).toHaveLength(2));
  act(() => result.current.more!());
  await waitFor(() => expect(result.current.data).toHaveLength(3));
  pages[""] = {rows: ["new", "a"], next: "2"};
  act(() => changed("letters"));
  await waitFor(() => expect(result.current.data).toEqual(["new", "a"]));
  pages[""] = {rows: ["a", "b"], next: "2"};
});

test("a page that does not come leaves what is there, and can be asked for again", async () => {
  const page = asked();
  const {result} = renderHook(() => useMore("letters", page));
  await waitFor(() => expect(result.current.data).toHaveLength(2));
  page.mockRejectedValueOnce(new Error("gone"));
  act(() => result.current.more!());
  await waitFor(() => expect(result.current.trouble).toEqual(new Error("gone")));
  expect(result.current.data).toEqual(["a", "b"]);
  act(() => result.current.more!());
  await waitFor(() => expect(result.current.data).toEqual(["a", "b", "c"]));
  expect(result.current.trouble).toBeUndefined();
});

test("while another list is on its way the one before is shown, so that nothing flickers", async () => {
  let answer = (_: Page<string>) => {};
  const page = (key: string) => () => (key === "one" ? Promise.resolve({rows: ["a"], next: ""}) : new Promise<Page<string>>((resolve) => (answer = resolve)));
  const {result, rerender} = renderHook(({key}) => useMore(key, page(key)), {initialProps: {key: "one"}});
  await waitFor(() => expect(result.current.data).toEqual(["a"]));
  rerender({key: "two"});
  expect(result.current.data).toEqual(["a"]);
  expect(result.current.loading).toBe(true);
  await act(async () => answer({rows: ["z"], next: ""}));
  await waitFor(() => expect(result.current.data).toEqual(["z"]));
});
