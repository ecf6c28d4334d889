// Builds anew beside the committed assets and fails when the two differ: what is embedded is what the sources say.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

const BUILT = ".built";

function* files(folder, top = folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* files(path, top);
    else yield relative(top, path);
  }
}

const run = (name, ...args) => execFileSync("npm", ["run", "--silent", name, "--", ...args], { stdio: "inherit" });
run("types");
run("test");
run("build", "--outDir", BUILT, "--emptyOutDir", "--logLevel", "warn");
const [fresh, committed] = [BUILT, "../assets"].map((folder) => new Map([...files(folder)].map((name) => [name, readFileSync(join(folder, name))])));
const differing = [...new Set([...fresh.keys(), ...committed.keys()])].filter((name) => !fresh.get(name)?.equals(committed.get(name) ?? Buffer.alloc(0))).sort();
if (differing.length > 0) {
  console.error(`the committed assets are not what their sources build to: ${differing.join(", ")}\nrun \`npm run build\` in plugins/console/web and commit plugins/console/assets`);
  process.exit(1);
}
console.log(`${fresh.size} assets are what their sources build to`);
