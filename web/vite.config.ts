import react from "@vitejs/plugin-react";
import {defineConfig} from "vitest/config";

// The bundle is committed, so the same source has to give the same bytes everywhere: no paths, no dates, no maps.
export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../internal/dashboard/dist",
    emptyOutDir: true,
    assetsInlineLimit: 0, // the policy of content allows no fonts and no scripts from data: addresses
    modulePreload: {polyfill: false},
    sourcemap: false,
    target: "es2022",
    chunkSizeWarningLimit: 800,
    // What two parts need is in one file, and not in twenty small ones: each request takes its time.
    rolldownOptions: {output: {codeSplitting: {groups: [{name: "shared", minShareCount: 2}]}}},
  },
  // For work on the pages: vite serves them, and hands the rest on to a server that runs already.
  server: {proxy: Object.fromEntries(["/v1", "/login", "/device"].map((path) => [path, process.env["ADG_SERVER"] ?? "http://127.0.0.1:8443"]))},
  test: {
    include: ["src/**/*.test.{ts,tsx}"],
    environment: "jsdom",
    setupFiles: ["src/test/setup.ts"],
    restoreMocks: true,
    testTimeout: 120_000,
  },
});
