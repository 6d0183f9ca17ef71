// The demo, once its story is over: v2 went live, v3 was bad and rolled back.
import {expect} from "vitest";
import {api} from "./world";

/** Waits until the bad release has been rolled back. */
export async function demoEnded(): Promise<void> {
  await expect.poll(async () => (await api().GET("/v1/holds")).data?.holds.map((hold) => hold.identity), {timeout: 80_000, interval: 500}).toEqual(["v3"]);
}
