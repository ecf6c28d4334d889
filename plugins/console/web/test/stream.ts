import assert from "node:assert/strict";
import { test } from "node:test";
import { Events } from "../src/stream";

test("events are the same wherever the stream is cut", () => {
  const text = ': ping\n\ndata: {"a":1}\n\nevent: x\r\ndata: b\r\ndata: c\r\n\r\ndata:d\n\n';
  for (let cut = 0; cut <= text.length; cut++) {
    const events = new Events();
    assert.deepEqual([...events.push(text.slice(0, cut)), ...events.push(text.slice(cut))], ['{"a":1}', "b\nc", "d"], String(cut));
  }
});
