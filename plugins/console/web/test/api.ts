import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError, knownOf } from "../src/api";

test("what came from one path is never shown for another", () => {
  const error = new ApiError(503, "UNAVAILABLE", "", null, []);
  const rows = { items: ["old"], next: "5_1" };
  const asked = { path: "/logs?key=1", data: rows, error: null, loading: false };
  assert.equal(knownOf("/logs?key=1", asked), asked);
  assert.deepEqual(knownOf("/logs?key=2", asked), { path: "/logs?key=2", data: null, error: null, loading: true });
  assert.deepEqual(knownOf("/logs?key=2", { ...asked, error }), { path: "/logs?key=2", data: null, error: null, loading: true });
  assert.deepEqual(knownOf(null, asked), { path: null, data: null, error: null, loading: false });
});
