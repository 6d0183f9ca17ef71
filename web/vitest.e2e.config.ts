import {defineConfig} from "vitest/config";

// Stories in a real browser against a real server: one file after the other, each a minute at most.
export default defineConfig({
  test: {
    include: [process.env["ADG_E2E"] ?? "e2e/**/*.e2e.ts"],
    exclude: process.env["ADG_E2E"] === undefined ? ["e2e/numbers.e2e.ts"] : [],
    environment: "node",
    globalSetup: ["e2e/server.ts"],
    fileParallelism: false,
    testTimeout: 90_000,
    hookTimeout: 90_000,
  },
});
