import assert from "node:assert/strict";
import { test } from "node:test";
import { parseJson, parseSignedUsd, parseUsd, permille, toJson, usd, usdExact, usdPlain } from "../src/money";

const nanos = (text: string) => {
  const read = parseUsd(text);
  return read.ok ? read.nanos : read.why;
};

test("amounts are read to the last nano-dollar", () => {
  const cases: [string, bigint | string][] = [
    ["12.50", 12_500_000_000n],
    ["0.000000001", 1n],
    [" $3 ", 3_000_000_000n],
    ["0", 0n],
    ["00012", 12_000_000_000n],
    ["999999999.999999999", 999_999_999_999_999_999n],
    ["0.1", 100_000_000n],
    ["0.3", 300_000_000n],
    ["", "empty"],
    ["0.0000000001", "decimals"],
    ["1000000000", 1_000_000_000_000_000_000n],
    ["9223372036.854775807", 2n ** 63n - 1n],
    ["9223372036.854775808", "large"],
    ["9".repeat(40), "large"],
    ["-1", "format"],
    ["1e3", "format"],
    [".5", "format"],
    ["1.", "format"],
    ["1,5", "format"],
    ["1,000", "format"],
    ["0x10", "format"],
    ["NaN", "format"],
    ["１２", "format"],
  ];
  for (const [text, wanted] of cases) assert.equal(nanos(text), wanted, text);
});

test("what is taken back has a minus before it", () => {
  const read = (text: string) => {
    const amount = parseSignedUsd(text);
    return amount.ok ? amount.nanos : amount.why;
  };
  assert.deepEqual(["-3", " −0.000000001 ", "-$2.5", "25", "--1", "- ", "-1e3"].map(read), [-3_000_000_000n, -1n, -2_500_000_000n, 25_000_000_000n, "format", "empty", "format"]);
});

test("what is shown for editing is read back as the same amount", () => {
  for (const amount of [0n, 1n, 375n, 12_500_000_000n, 999_999_999_999_999_999n, 100_000_000n]) assert.equal(nanos(usdPlain(amount)), amount);
});

test("amounts are shown", () => {
  const cases: [bigint | number | string, string, string][] = [
    [0, "$0", "$0.00"],
    [375, "$0.000000375", "$0.000000375"],
    [12_500_000_000, "$12.50", "$12.50"],
    ["90071992547409931234", "$90,071,992,547.41", "$90071992547.409931234"],
    [15_000_000, "$0.015", "$0.015"],
    [1_231_240, "$0.001231", "$0.00123124"],
    [1_999_999_999n, "$2.00", "$1.999999999"],
    [-2_500_000_000n, "−$2.50", "−$2.50"],
  ];
  for (const [amount, short, exact] of cases) assert.deepEqual([usd(amount), usdExact(amount)], [short, exact]);
});

test("a meter's share stays within its bounds", () => {
  assert.deepEqual([permille(1, 2), permille(3, 2), permille(0, 0), permille(-1, 5)], [500, 1000, 1000, 0]);
});

test("large amounts pass through JSON unharmed", () => {
  const read = parseJson('{"a_nanos":9007199254740993,"b":{"quota_nanos" : 90071992547409931234},"c_nanos":12,"text":"\\"x_nanos\\":9007199254740993"}');
  assert.deepEqual(read, { a_nanos: "9007199254740993", b: { quota_nanos: "90071992547409931234" }, c_nanos: 12, text: '"x_nanos":9007199254740993' });
  assert.equal(toJson({ quota_nanos: 9_007_199_254_740_993n, name: 'a"b', none: undefined, list: [1n, null, true] }), '{"quota_nanos":9007199254740993,"name":"a\\"b","list":[1,null,true]}');
});
