import assert from "node:assert/strict";
import { test } from "node:test";
import { dollars, percent, short } from "../src/format";

test("a number is shortened to the unit that it has when it is shown", () => {
  const cases: [number, string][] = [
    [0, "0"], [7, "7"], [0.5, "0.5"], [999, "999"], [1000, "1k"], [1234, "1.23k"], [99_960, "100k"], [999_499, "999k"], [999_999, "1M"],
    [1_234_567, "1.23M"], [999_999_999, "1G"], [-999_999, "-1M"], [2e15, "2000T"],
  ];
  for (const [value, text] of cases) assert.equal(short(value), text);
});

test("some are never shown as none, nor nearly all as all", () => {
  const cases: [number, number, string][] = [
    [0, 0, "0%"], [0, 5, "0%"], [5, 5, "100%"], [1, 100_000, "<0.01%"], [99_960, 100_000, ">99.9%"], [999, 1000, "99.9%"], [1, 3, "33.3%"], [4, 100, "4.00%"], [1, 10_000, "0.01%"],
  ];
  for (const [part, whole, text] of cases) assert.equal(percent(part, whole), text);
});

test("a chart's amounts are decimal numbers, down to a nano-dollar", () => {
  const cases: [number, string][] = [[0, "$0"], [1e-9, "$0.000000001"], [1e-8, "$0.00000001"], [1.5e-8, "$0.000000015"], [0.00123, "$0.0012"], [0.5, "$0.5"], [1.25, "$1.25"], [12, "$12"], [999_999, "$1M"]];
  for (const [value, text] of cases) assert.equal(dollars(value), text);
});
