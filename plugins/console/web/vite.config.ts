import { readFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vite";

/** What is built in of others, with the licences that ask to go along. */
const licences: Plugin = {
  name: "licences",
  generateBundle() {
    const texts = ["preact", "uplot"].map((name) => `${name}\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim()}\n`);
    this.emitFile({ type: "asset", fileName: "licences.txt", source: texts.join("\n\n") });
  },
};

// Built into ../assets, which is committed and embedded into the binary. Everything is a file of our own: the pages run under
// a policy that allows no inline script or style.
export default defineConfig({
  base: "/console/",
  plugins: [licences],
  build: {
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    outDir: "../assets",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: false,
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  server: { proxy: { "/console/api": "http://127.0.0.1:3999", "/console/internal": "http://127.0.0.1:3999", "/v1": "http://127.0.0.1:3999" } },
});
