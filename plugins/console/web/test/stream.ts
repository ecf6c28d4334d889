import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { BrokenOff, chat, Events } from "../src/stream";

test("events are the same wherever the stream is cut", () => {
  const text = ': ping\n\ndata: {"a":1}\n\nevent: x\r\ndata: b\r\ndata: c\r\n\r\ndata:d\n\n';
  for (let cut = 0; cut <= text.length; cut++) {
    const events = new Events();
    assert.deepEqual([...events.push(text.slice(0, cut)), ...events.push(text.slice(cut))], ['{"a":1}', "b\nc", "d"], String(cut));
  }
});

test("an answer that breaks off is told from a gateway that cannot be reached", async () => {
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": "r1" });
      response.write('data: {"choices":[{"delta":{"content":"Hel"}}]}\n\n', () => setTimeout(() => response.socket?.destroy(), 50));
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  // A page asks its own origin; here there is none.
  const byPath = globalThis.fetch;
  globalThis.fetch = (path, init) => byPath(`http://127.0.0.1:${port}${path}`, init);
  const texts: string[] = [];
  const ask = () => chat("sk-tg-x", { model: "m" }, new AbortController().signal, (text) => texts.push(text));
  try {
    await assert.rejects(ask, (failure) => failure instanceof BrokenOff && failure.requestId === "r1");
    assert.deepEqual(texts, ["Hel"]);
    await new Promise((done) => server.close(done));
    await assert.rejects(ask, (failure) => !(failure instanceof BrokenOff));
  } finally {
    globalThis.fetch = byPath;
  }
});
