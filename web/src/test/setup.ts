// What browsers have and jsdom has not.
import {cleanup, configure} from "@testing-library/react";
import {afterEach} from "vitest";

window.matchMedia ??= (query: string) => ({matches: false, media: query, onchange: null, addEventListener: () => undefined, removeEventListener: () => undefined, addListener: () => undefined, removeListener: () => undefined, dispatchEvent: () => false});
window.ResizeObserver ??= class {
  observe() {}
  unobserve() {}
  disconnect() {}
};
window.scrollTo = () => undefined;
Element.prototype.scrollIntoView ??= () => undefined;

// On a busy machine a dialog takes longer than the usual second.
configure({asyncUtilTimeout: 60_000});
afterEach(cleanup);
