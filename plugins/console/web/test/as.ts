import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { ApiError, call, showTo } from "../src/api";
import { download } from "../src/download";
import { REST_MS, Rested } from "../src/rested";

/** A gateway where this person is signed in: what it was asked for, and as whom. */
async function signedIn(person: string, act: (asked: string[]) => Promise<void>): Promise<void> {
  const asked: string[] = [];
  const fetched = mock.method(globalThis, "fetch", async (url: string, request: RequestInit) => {
    const as = new Headers(request.headers).get("x-tollgate-person");
    asked.push(`${request.method} ${url} ${String(request.body ?? "")} as ${as}`);
    return as === person ? new Response("{}") : new Response('{"error":{"code":"UNAUTHENTICATED"}}', { status: 401 });
  });
  try {
    await act(asked);
  } finally {
    fetched.mock.restore();
    showTo(null);
  }
}

test("what rests until somebody else has signed in is sent as whoever has set it", async () => {
  const refused: number[] = [];
  const slider = () =>
    new Rested<number>(async (weight, as) => {
      await call("PATCH", "/upstreams/a", { weight }, undefined, as).catch((error: ApiError) => refused.push(error.status));
    });
  await signedIn("2", async (asked) => {
    showTo(1);
    const [left, ended] = [slider(), slider()];
    left.put(5);
    showTo(2);
    await left.now();
    ended.put(6);
    showTo(null);
    await ended.now();
    assert.deepEqual(asked, ['PATCH /console/api/upstreams/a {"weight":5} as 1', 'PATCH /console/api/upstreams/a {"weight":6} as 1']);
    assert.deepEqual(refused, [401, 401]);
    showTo(2);
    const own = slider();
    own.put(7);
    await own.now();
    assert.deepEqual([asked[2], refused.length], ['PATCH /console/api/upstreams/a {"weight":7} as 2', 2]);
  });
});

test("only the value that rests is sent, and one at a time", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const sent: number[] = [];
    let answer = () => {};
    const rested = new Rested<number>((value) => (sent.push(value), new Promise<void>((done) => (answer = done))));
    rested.put(1);
    mock.timers.tick(REST_MS - 1);
    rested.put(2);
    mock.timers.tick(REST_MS - 1);
    assert.deepEqual(sent, []);
    mock.timers.tick(1);
    assert.deepEqual(sent, [2]);
    rested.put(3);
    rested.put(4);
    mock.timers.tick(REST_MS);
    void rested.now();
    assert.deepEqual(sent, [2], "the one before is not answered yet");
    answer();
    await Promise.resolve();
    await Promise.resolve();
    assert.deepEqual(sent, [2, 4]);
  } finally {
    mock.timers.reset();
  }
});

test("a file is saved as whoever the page is for, or not at all", async () => {
  const saved: string[] = [];
  const link = { href: "", download: null as string | null, click: () => void saved.push(`${link.href} ${link.download === ""}`) };
  Object.assign(globalThis, { document: { createElement: () => link } });
  try {
    await signedIn("2", async (asked) => {
      showTo(1);
      await assert.rejects(download("/logs/export?format=csv"), { status: 401 });
      assert.deepEqual([asked, saved], [["GET /console/api/session  as 1"], []]);
      showTo(2);
      await download("/logs/export?format=csv");
      assert.deepEqual(saved, ["/console/api/logs/export?format=csv true"]);
    });
  } finally {
    Reflect.deleteProperty(globalThis, "document");
  }
});
