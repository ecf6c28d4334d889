import { defineConfig } from "vite";

// The tests, as one file that plain node runs.
export default defineConfig({
  build: { ssr: "test/all.ts", outDir: ".tests", emptyOutDir: true, target: "es2022", minify: false },
});
