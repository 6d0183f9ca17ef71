// The demo, once its story is over: v2 went live, v3 was bad and rolled back.
import {expect, vi} from "vitest";
import {api} from "./world";

/** Waits until the bad release has been rolled back. */
export async function demoEnded(): Promise<void> {
  await vi.waitFor(async () => expect((await api().GET("/v1/holds")).data?.holds.map((hold) => hold.identity)).toContain("v3"), {timeout: 85_000, interval: 500});
}
