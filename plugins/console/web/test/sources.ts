import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

function* files(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* files(path);
    else if (/\.(ts|tsx|css|html|js)$/.test(entry.name)) yield path;
  }
}

const sources = [...files("src"), ...files("public"), "index.html"].map((path) => [path, readFileSync(path, "utf8")] as const);

test("text of models and people is only ever text", () => {
  const ways = /dangerouslySetInnerHTML|innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|\beval\(|new Function|javascript:/;
  for (const [path, text] of sources) assert.doesNotMatch(text, ways, path);
  assert.ok(sources.length > 30);
});

test("nothing is loaded from elsewhere", () => {
  for (const [path, text] of sources) assert.doesNotMatch(text.replaceAll("http://www.w3.org/2000/svg", ""), /https?:\/\//, path);
});

test("files hold one idea", () => {
  for (const [path, text] of sources) assert.ok(text.split("\n").length <= 600, path);
});
