import {defineConfig} from "vitest/config";
import {BaseSequencer, type TestSpecification} from "vitest/node";

/** The same order everywhere: the usual one depends on what was run before on this machine. */
class ByName extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files.toSorted((a, b) => a.moduleId.localeCompare(b.moduleId));
  }
}

// Stories in a real browser against a real server: one file after the other, each three minutes at most.
export default defineConfig({
  test: {
    include: [process.env["ADG_E2E"] ?? "e2e/**/*.e2e.ts"],
    exclude: process.env["ADG_E2E"] === undefined ? ["e2e/numbers.e2e.ts"] : [],
    environment: "node",
    globalSetup: ["e2e/server.ts"],
    fileParallelism: false,
    sequence: {sequencer: ByName},
    testTimeout: 180_000,
    hookTimeout: 180_000,
    expect: {poll: {timeout: 60_000}},
  },
});
