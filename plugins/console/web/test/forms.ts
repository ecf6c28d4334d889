import assert from "node:assert/strict";
import { test } from "node:test";
import { readChanged, Reading, wholeText } from "../src/forms";

test("what was not changed is not read, and keeps nothing from being saved", () => {
  const first: Record<string, string> = { name: "a", tpm: wholeText(2 ** 60), quota_nanos: "90071992547409.93" };
  const texts: Record<string, string> = { ...first, name: "b" };
  const read = new Reading();
  const reads = {
    name: () => read.needed("name", texts["name"]!),
    tpm: () => read.whole("tpm", texts["tpm"]!),
    quota_nanos: () => read.amount("quota_nanos", texts["quota_nanos"]!),
  };
  assert.deepEqual([readChanged(reads, (field) => texts[field] !== first[field]), read.wrong], [{ name: "b" }, {}]);
  // All of them are, of what is new.
  readChanged(reads, () => true);
  assert.deepEqual(Object.keys(read.wrong), ["tpm", "quota_nanos"]);
});

test("whole numbers are read as the gateway counts", () => {
  const read = new Reading();
  assert.deepEqual(["", " 7 ", "2000000000", "999999999999999"].map((text) => read.whole("tpm", text)), [null, 7, 2_000_000_000, 999_999_999_999_999]);
  assert.ok(read.isGood);
  for (const text of ["1000000000000000", "-1", "1.5", "1e3"]) {
    const read = new Reading();
    assert.deepEqual([read.whole("tpm", text), read.isGood], [null, false], text);
  }
});
