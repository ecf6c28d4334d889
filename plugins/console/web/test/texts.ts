import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { LANGUAGES, TEXTS } from "../src/i18n";

const names = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1]).sort();

test("every text is there in every language, with the same places in it", () => {
  for (const [key, texts] of Object.entries(TEXTS)) {
    assert.equal(texts.length, LANGUAGES.length, key);
    for (const text of texts) assert.notEqual(text.trim(), "", key);
    assert.deepEqual(names(texts[0]), names(texts[1]), key);
  }
});

test("every key that the pages name is in the table, and every one of the table is used", () => {
  const folders = ["src", "src/pages", "src/i18n"];
  const text = folders.flatMap((folder) => readdirSync(folder).filter((name) => /tsx?$/.test(name)).map((name) => [folder, readFileSync(`${folder}/${name}`, "utf8")] as const));
  const code = text.filter(([folder]) => folder !== "src/i18n").map(([, text]) => text).join("\n");
  for (const found of code.matchAll(/\bt\("([^"]+)"/g)) assert.ok(Object.hasOwn(TEXTS, found[1]!), found[1]);
  const families = new Set([...code.matchAll(/t\(`([\w.]+)\.\$\{/g), ...code.matchAll(/word\("(\w+)"/g)].map((found) => found[1]));
  for (const key of Object.keys(TEXTS)) {
    const family = key.slice(0, key.lastIndexOf("."));
    assert.ok(code.includes(`"${key}"`) || families.has(family), `${key} is not used`);
  }
});
