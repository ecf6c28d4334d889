import assert from "node:assert/strict";
import { test } from "node:test";
import { forget, kept } from "../src/kept";

test("what a session has made goes with it, what a person has begun when there is another", () => {
  const secret = kept("", "session");
  const begun = kept<string | null>(null, "person");
  const seen: string[] = [];
  secret.watch(() => seen.push(secret.get()));
  const both = () => [secret.get(), begun.get()];
  secret.set("sk-tg-1");
  begun.set("a text");
  forget("session");
  assert.deepEqual([...both(), seen], ["", "a text", ["sk-tg-1", ""]]);
  forget("person");
  assert.deepEqual(both(), ["", null]);
});
