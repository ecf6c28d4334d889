// What each route of the API answers here: roles, origins and errors as the real one has them.
import { randomBytes } from "node:crypto";
import { detail, iso, KEY_NAMES, overview, PRICE_TEXT, priceHistory, prices, row, settings, START, upstreams } from "./fixtures.mjs";

export const PASSWORD = process.env.MOCK_PASSWORD ?? "abcdefghijkmnpqrstuvwxyz23456789";
const isEmpty = process.argv.includes("--empty");
const rowsAt = process.argv.indexOf("--rows");
const ROWS = isEmpty ? 0 : Number(rowsAt < 0 ? 1_000_000 : process.argv[rowsAt + 1]);
const RANKS = { user: 0, operator: 1, admin: 2 };

export class Refusal extends Error {
  constructor(status, code, message, more = {}) {
    super(message);
    Object.assign(this, { status, code, more });
  }
}
const invalid = (field, message) => new Refusal(400, "INVALID", message, { field });

const person = (id, name, role, more = {}) => ({ id, name, role, enabled: true, has_password: true, quota_nanos: null, spent_nanos: 0, held_nanos: 0, budget: null, created_at: iso(START - 8e8), last_login_at: null, password: "user-password", ...more });
const users = isEmpty
  ? [person(1, "admin", "admin", { password: PASSWORD })]
  : [
      person(1, "admin", "admin", { password: PASSWORD, spent_nanos: 18_204_512_250 }),
      person(2, "mira", "operator", { last_login_at: iso(START - 9e6), quota_nanos: "90071992547409931234", spent_nanos: 4_200_000_001 }),
      person(3, "jonas", "user", { quota_nanos: 50_000_000_000, spent_nanos: 44_100_000_000, held_nanos: 120_000_000, budget: { amount_nanos: 50_000_000_000, period: "monthly", time_zone: "Europe/Berlin" }, last_login_at: iso(START - 4e5) }),
      person(4, "yuki", "user", { enabled: false, has_password: false, quota_nanos: 5_000_000_000, spent_nanos: 5_000_000_003 }),
    ];
const key = (id, name, more = {}) => ({ id, name, user: "admin", group: "default", models: [], enabled: true, quota_nanos: null, spent_nanos: 0, held_nanos: 0, expires_at: null, accessed_at: null, created_at: iso(START - 7e8), rpm: null, tpm: null, concurrency: null, ...more });
const keys = isEmpty
  ? []
  : KEY_NAMES.map((name, at) => key(at + 1, name, [{ spent_nanos: 12_345_678_901, accessed_at: iso(START - 4000) }, { user: "mira", quota_nanos: 25_000_000_000, spent_nanos: 21_400_000_000, rpm: 120, tpm: 200_000 }, { enabled: false, user: "jonas" }, { user: "jonas", models: ["gpt-4o", "claude-sonnet-4-5", "fast"], quota_nanos: 10_000_000_000, spent_nanos: 2_000_000_375, expires_at: iso(START + 9e8) }, { user: "yuki", expires_at: iso(START - 1e7), quota_nanos: 1_000_000_000, spent_nanos: 1_000_000_000 }, { concurrency: 8 }][at] ?? {}));
const codes = isEmpty ? [] : [{ id: 1, amount_nanos: 10_000_000_000, created_at: iso(START - 9e7), expires_at: null, redeemed_at: iso(START - 8e7), redeemed_by: "jonas" }, { id: 2, amount_nanos: 25_000_000_000, created_at: iso(START - 9e7), expires_at: iso(START + 9e8), redeemed_at: null, redeemed_by: null }];
const ups = isEmpty ? [] : upstreams();
const audits = isEmpty ? [] : [{ id: 1, at: iso(START - 5e6), actor: "admin", action: "key.update", object: "key 2", before: { quota_nanos: 10_000_000_000, enabled: true }, after: { quota_nanos: 25_000_000_000, enabled: true } }, { id: 2, at: iso(START - 9e6), actor: "mira", action: "upstream.weight", object: "azure-backup", before: { weight: 20 }, after: { weight: 35 } }, { id: 3, at: iso(START - 9.5e6), actor: "tollgate key (root, uid 0)", action: "key.change", object: "key 3", before: { name: "batch", quota_nanos: 5_000_000_000 }, after: { name: "batch", quota_nanos: 5_000_000_000_000 } }, { id: 4, at: iso(START - 2e9), actor: "tollgate serve", action: "person.create", object: "person 1", before: null, after: { name: "admin", role: "admin" } }];
const file = { text: isEmpty ? "" : PRICE_TEXT, version: "7f3a91c2", path: "pricing.toml" };
const own = [];
const sessions = new Map();
const secrets = new Map();
const openCodes = new Map();
let nextId = 100;

const audit = (who, action, object, before, after) => audits.unshift({ id: nextId++, at: iso(Date.now()), actor: who.name, action, object, before, after });
const shown = ({ password, ...rest }) => rest;
const page = (list, url) => {
  const start = Number(url.searchParams.get("cursor") ?? 0);
  const limit = Number(url.searchParams.get("limit") ?? 50);
  return { items: list.slice(start, start + limit), next: start + limit < list.length ? String(start + limit) : null };
};
const only = (body, names) => {
  for (const name of Object.keys(body)) if (!names.includes(name)) throw invalid(name, `unknown field ${name}`);
};
const find = (list, id) => list.find((one) => String(one.id) === id) ?? (() => { throw new Refusal(404, "NOT_FOUND", "there is no such object"); })();
const named = (list, name, self) => {
  if (typeof name !== "string" || name === "" || name.length > 128) throw invalid("name", "expected 1 to 128 characters");
  if (list.some((one) => one.name === name && one !== self)) throw new Refusal(409, "CONFLICT", `the name is taken`, { field: "name" });
};
const own_or_all = (who) => (who.role === "user" ? keys.filter((one) => one.user === who.name) : keys);

function logs(url, who) {
  const asked = Object.fromEntries(url.searchParams);
  const start = Number(asked.cursor ?? 0);
  const limit = Number(asked.limit ?? 50);
  if (asked.status && !/^\d{3}$/.test(asked.status)) throw invalid("status", "expected a status such as 200");
  const test = (record) =>
    (!asked.key || record.key_name === asked.key || String(record.key_id) === asked.key) && (!asked.user || record.user === asked.user) && (!asked.model || record.model === asked.model) && (!asked.upstream || record.upstream === asked.upstream) && (!asked.outcome || record.outcome === asked.outcome) && (!asked.status || record.status === Number(asked.status)) && (!asked.q || record.request_id.startsWith(asked.q)) && (!asked.since || record.started_at >= asked.since) && (!asked.until || record.started_at < asked.until) && (who.role !== "user" || record.user === who.name);
  const found = [];
  let at = start;
  for (; at < own.length + ROWS && found.length < limit && at < start + 50_000; at++) {
    const record = at < own.length ? own[at] : row(at - own.length);
    if (test(record)) found.push(record);
  }
  return { items: found, next: found.length === limit && at < own.length + ROWS ? String(at) : null };
}

function oneLog(id) {
  const mine = own.find((record) => record.request_id === id);
  if (mine) return detail(mine);
  const at = parseInt(id.slice(-12), 16);
  if (!(at < ROWS) || row(at).request_id !== id) throw new Refusal(404, "NOT_FOUND", "there is no such record");
  return detail(row(at));
}

function findings(text) {
  const found = [];
  text.split("\n").forEach((line, at) => {
    if (/=\s*-/.test(line)) found.push({ line: at + 1, column: line.indexOf("-") + 1, key: line.split("=")[0].trim(), message: "a price is not negative" });
    else if (line.trim() !== "" && !/^\s*(#|\[\[model\]\]|\w+\s*=)/.test(line)) found.push({ line: at + 1, column: 1, key: "", message: "expected a key and a value" });
  });
  return found;
}

const KEY_FIELDS = ["name", "user", "group", "models", "quota_nanos", "expires_at", "rpm", "tpm", "concurrency", "enabled"];
const USER_FIELDS = ["role", "enabled", "quota_nanos", "budget", "password"];
const fresh = (one) => {
  const secret = `sk-tg-${randomBytes(32).toString("base64url")}`;
  secrets.set(secret, one);
  return { key: one, secret };
};

/** Method, path, least role, answer. */
const ROUTES = [
  ["GET", "session", "user", ({ who }) => ({ person: shown(who), version: "0.1.0", features: {} })],
  ["DELETE", "session", "user", ({ token }) => void sessions.delete(token)],
  ["PUT", "session/password", "user", ({ who, body }) => {
    if (body.current !== who.password) throw invalid("current", "this is not the current password");
    if (String(body.new).length < 8) throw invalid("new", "expected at least 8 characters");
    who.password = body.new;
    audit(who, "password.change", `user ${who.name}`, null, null);
  }],
  ["GET", "users", "admin", ({ url }) => page(users.map(shown), url)],
  ["POST", "users", "admin", ({ who, body }) => {
    only(body, ["name", ...USER_FIELDS]);
    named(users, body.name);
    const password = body.password || randomBytes(9).toString("base64url");
    const user = person(nextId++, body.name, body.role ?? "user", { ...body, password, created_at: iso(Date.now()) });
    users.push(user);
    audit(who, "user.create", `user ${user.name}`, null, shown(user));
    return { user: shown(user), ...(body.password ? {} : { password }) };
  }],
  ["GET", "users/:id", "admin", ({ id }) => shown(find(users, id))],
  ["PATCH", "users/:id", "admin", ({ who, id, body }) => {
    only(body, USER_FIELDS);
    const user = find(users, id);
    audit(who, "user.update", `user ${user.name}`, shown(user), body);
    return shown(Object.assign(user, body));
  }],
  ["DELETE", "users/:id", "admin", ({ who, id }) => {
    const user = find(users, id);
    if (user === who) throw new Refusal(409, "CONFLICT", "nobody deletes themselves");
    users.splice(users.indexOf(user), 1);
    audit(who, "user.delete", `user ${user.name}`, shown(user), null);
  }],
  ["POST", "users/:id/topup", "admin", ({ who, id, body }) => {
    const user = find(users, id);
    if (!body.amount_nanos) throw invalid("amount_nanos", "expected an amount; a negative one is taken back");
    if (user.quota_nanos !== null) user.quota_nanos = Number(user.quota_nanos) + body.amount_nanos;
    audit(who, "user.topup", `user ${user.name}`, null, body);
    return shown(user);
  }],
  ["GET", "codes", "admin", ({ url }) => page(codes, url)],
  ["POST", "codes", "admin", ({ body }) => {
    if (!(body.count >= 1 && body.count <= 1000)) throw invalid("count", "expected 1 to 1000");
    return {
      codes: Array.from({ length: body.count }, () => {
        const code = `TG-${randomBytes(10).toString("hex").toUpperCase()}`;
        const made = { id: nextId++, amount_nanos: body.amount_nanos, created_at: iso(Date.now()), expires_at: body.expires_at, redeemed_at: null, redeemed_by: null };
        codes.unshift(made);
        openCodes.set(code, made);
        return code;
      }),
    };
  }],
  ["DELETE", "codes/:id", "admin", ({ id }) => void codes.splice(codes.indexOf(find(codes, id)), 1)],
  ["POST", "codes/redeem", "user", ({ who, body }) => {
    const code = openCodes.get(body.code);
    if (!code || code.redeemed_at) throw invalid("code", "this code is unknown, used or past its end");
    Object.assign(code, { redeemed_at: iso(Date.now()), redeemed_by: who.name });
    if (who.quota_nanos !== null) who.quota_nanos = Number(who.quota_nanos) + code.amount_nanos;
    return { amount_nanos: code.amount_nanos, quota_nanos: who.quota_nanos };
  }],
  ["GET", "keys", "user", ({ who, url }) => page(own_or_all(who), url)],
  ["POST", "keys", "user", ({ who, body }) => {
    only(body, KEY_FIELDS);
    named(keys, body.name);
    const made = key(nextId++, body.name, { ...body, group: body.group ?? "default", user: body.user ?? who.name, created_at: iso(Date.now()) });
    keys.unshift(made);
    audit(who, "key.create", `key ${made.name}`, null, made);
    return fresh(made);
  }],
  ["GET", "keys/:id", "user", ({ who, id }) => find(own_or_all(who), id)],
  ["PATCH", "keys/:id", "user", ({ who, id, body }) => {
    only(body, KEY_FIELDS);
    const one = find(own_or_all(who), id);
    if (body.name !== undefined) named(keys, body.name, one);
    audit(who, "key.update", `key ${one.name}`, { ...one }, body);
    return Object.assign(one, body);
  }],
  ["DELETE", "keys/:id", "user", ({ who, id }) => void keys.splice(keys.indexOf(find(own_or_all(who), id)), 1)],
  ["POST", "keys/:id/rotate", "user", ({ who, id }) => fresh(find(own_or_all(who), id))],
  ["GET", "groups", "operator", () => [...new Set(ups.flatMap((one) => one.groups))].map((name) => ({ name, upstreams: ups.filter((one) => one.groups.includes(name)).map((one) => one.name), models: [...new Set(ups.filter((one) => one.groups.includes(name)).flatMap((one) => one.models.map((model) => model.name)))], keys: keys.filter((one) => one.group === name).length }))],
  ["GET", "models", "user", () => ({ items: isEmpty ? [] : prices().filter((one) => ups.some((up) => up.models.some((model) => model.name === one.model))).map((one, at) => ({ name: one.model, groups: ["default"], prices: at === 0 ? [one.classes, { ...one.classes, input: "2.75" }] : [one.classes], context_tokens: 128_000, max_output_tokens: 16_384 })), next: null })],
  ["GET", "upstreams", "operator", () => ups],
  ["POST", "upstreams/:id/test", "operator", async ({ id }) => {
    await new Promise((done) => setTimeout(done, 300));
    return id === "old-proxy" ? { status: null, is_answer: false, duration_ms: 3, body: "connection refused" } : { status: 200, is_answer: true, duration_ms: 388, body: { id: "chatcmpl-1", choices: [{ message: { role: "assistant", content: "Hello!" } }], usage: { prompt_tokens: 8, completion_tokens: 2 } } };
  }],
  ["PATCH", "upstreams/:id", "operator", ({ who, id, body }) => {
    const one = ups.find((up) => up.name === id) ?? find([], id);
    for (const name of Object.keys(body)) if (name !== "weight") throw new Refusal(409, "CONFLICT", "the config file owns this", { field: name });
    audit(who, "upstream.weight", id, { weight: one.weight_override ?? one.weight }, body);
    one.file_weight ??= one.weight;
    one.weight = one.weight_override = body.weight;
    return one;
  }],
  ["DELETE", "upstreams/:id/override", "operator", ({ id }) => {
    const one = ups.find((up) => up.name === id) ?? find([], id);
    Object.assign(one, { weight_override: null, weight: one.file_weight ?? one.weight });
  }],
  ["GET", "prices", "user", ({ url }) => page(isEmpty ? [] : prices().filter((one) => one.model.includes(url.searchParams.get("q") ?? "") || one.aliases.some((alias) => alias.includes(url.searchParams.get("q")))), url)],
  ["GET", "prices/file", "operator", () => ({ ...file })],
  ["PUT", "prices/file", "admin", ({ body }) => {
    if (body.version !== file.version) throw new Refusal(409, "CONFLICT", "another version is in force");
    const errors = findings(body.text);
    if (errors.length) throw new Refusal(400, "INVALID", "the price file has errors", { field: "text", errors });
    Object.assign(file, { text: body.text, version: randomBytes(4).toString("hex") });
    return { ...file, in_force: true, errors: [] };
  }],
  ["POST", "prices/validate", "operator", ({ body }) => {
    const errors = findings(body.text);
    if (errors.length) throw new Refusal(400, "INVALID", "the price file has errors", { field: "text", errors });
    return { models: 6 };
  }],
  ["POST", "prices/explain", "user", ({ body }) => {
    if (!prices().some((one) => one.model === body.model)) throw invalid("model", "there is no price for this model");
    return { lines: [{ what: "input", how: `${body.input_tokens} × $2.50 / 1M`, usd: String(body.input_tokens * 0.0000025) }, { what: "output", how: `${body.output_tokens} × $10 / 1M`, usd: String(body.output_tokens * 0.00001) }], cost_nanos: body.input_tokens * 2500 + body.output_tokens * 10000 };
  }],
  ["GET", "prices/history", "operator", ({ url }) => page(isEmpty ? [] : priceHistory(), url)],
  ["GET", "logs", "user", ({ url, who }) => logs(url, who)],
  ["GET", "logs/:id", "user", ({ id }) => oneLog(id)],
  ["GET", "overview", "user", ({ url }) => overview(url.searchParams.get("range"), isEmpty)],
  ["GET", "usage", "user", () => ({ items: [], next: null })],
  ["GET", "ledger/verify", "admin", () => ({ sound: true, findings: [], rows: ROWS })],
  ["POST", "reload", "operator", () => ({ status: "reloaded" })],
  ["GET", "metrics/summary", "operator", () => ({ in_flight: 12, drains: 0, open_holds: 3, journal_pending_records: 0, keys: keys.length, upstreams: ups.length, upstreams_available: ups.length - 1, price_version: "7f3a91c2" })],
  ["GET", "audit", "admin", ({ url }) => page(audits, url)],
  ["GET", "settings", "admin", settings],
  ["GET", "openapi.json", "user", () => ({ openapi: "3.1.0" })],
];
const HEALTH = () => ({ version: "0.1.0", uptime_s: 482_113, store: { healthy: true, error: null }, applier: { lag_records: 0, lag_bytes: 0 }, journal: { lag: 0, bytes: 1_203_440, healthy: true, error: null }, holds: { open: 3, inherited: 0, held_nanos: 41_230_000 }, upstreams: ups.map(({ name, breaker }) => ({ name, breaker })) });

function send(response, status, value, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(value === undefined ? "" : JSON.stringify(value).replace(/"quota_nanos":"(\d+)"/g, '"quota_nanos":$1'));
}

function logIn(body, response) {
  const user = users.find((one) => one.name === body.name && one.password === body.password && one.enabled);
  if (!user) throw new Refusal(401, "UNAUTHENTICATED", "the name or the password is wrong");
  const token = randomBytes(32).toString("hex");
  sessions.set(token, user);
  user.last_login_at = iso(Date.now());
  send(response, 200, { person: shown(user) }, { "set-cookie": `tollgate_session=${token}; HttpOnly; SameSite=Strict; Path=/console` });
}

export async function answer(request, response, url, path, text) {
  const { method } = request;
  if (method !== "GET" && method !== "HEAD") {
    const origin = request.headers.origin;
    const isSame = origin ? URL.canParse(origin) && new URL(origin).host === request.headers.host : request.headers["sec-fetch-site"] === "same-origin";
    if (!isSame) throw new Refusal(403, "FORBIDDEN", "the request comes from another site");
  }
  const body = text === "" ? {} : JSON.parse(text);
  if (method === "POST" && path === "api/session") return logIn(body, response);
  const token = /tollgate_session=(\w+)/.exec(request.headers.cookie ?? "")?.[1];
  const who = sessions.get(token);
  if (!who) throw new Refusal(401, "UNAUTHENTICATED", "log in first");
  if ((request.headers["x-tollgate-person"] ?? String(who.id)) !== String(who.id)) throw new Refusal(401, "UNAUTHENTICATED", "the page was made for somebody else");
  if (path === "internal/health") return send(response, 200, HEALTH());
  if (path === "api/logs/export") return exportLogs(response, url, who);
  const parts = path.slice("api/".length).split("/");
  for (const [routeMethod, pattern, role, act] of ROUTES) {
    const wanted = pattern.split("/");
    if (method !== routeMethod || wanted.length !== parts.length || !wanted.every((part, at) => part === ":id" || part === parts[at])) continue;
    if (wanted.includes(":id") && ROUTES.some(([other, exact]) => other === method && exact === parts.join("/") && exact !== pattern)) continue;
    if (RANKS[who.role] < RANKS[role]) throw new Refusal(403, "FORBIDDEN", `this needs the role ${role}`);
    const id = decodeURIComponent(parts[wanted.indexOf(":id")] ?? "");
    const value = await act({ who, token, url, body, id });
    return send(response, value === undefined ? 204 : 200, value);
  }
  throw new Refusal(404, "NOT_FOUND", "there is no such route");
}

function exportLogs(response, url, who) {
  url.searchParams.set("limit", "1000");
  const rows = logs(url, who).items;
  const isCsv = url.searchParams.get("format") === "csv";
  response.writeHead(200, { "content-type": isCsv ? "text/csv" : "application/jsonl", "content-disposition": `attachment; filename="logs.${isCsv ? "csv" : "jsonl"}"` });
  if (isCsv && rows[0]) response.write(`${Object.keys(rows[0]).join(",")}\n`);
  for (const record of rows) response.write(`${isCsv ? Object.values(record).join(",") : JSON.stringify(record)}\n`);
  response.end();
}

const WORDS = "Hello! This is the simulated provider. It answers piece by piece, so that the page can be seen to stream.".split(/(?<= )/);

export async function chatRoute(request, response, text) {
  const secret = (request.headers.authorization ?? "").replace(/^Bearer /, "");
  const used = secrets.get(secret);
  const refuse = (status, code, message) => send(response, status, { error: { message, type: "invalid_request_error", code, param: null } });
  if (!used || !used.enabled) return refuse(401, "AUTH_INVALID_TOKEN", "Invalid token");
  const asked = JSON.parse(text);
  const record = { ...row(7), request_id: `0193ffff-${randomBytes(2).toString("hex")}-7000-8000-${randomBytes(6).toString("hex")}`, started_at: iso(Date.now()), key_name: used.name, key_id: used.id, user: used.user, model: String(asked.model), upstream: "demo-openai", upstream_model: String(asked.model), stream: true, status: 200, outcome: "ok", attempts: 1, usage_source: "reported", input_tokens: 12, cached_input_tokens: 0, output_tokens: WORDS.length, reasoning_tokens: 0, cost_nanos: 220_000, error_code: null };
  response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": record.request_id, "x-tollgate-upstream": "demo-openai", "x-tollgate-attempts": "1" });
  for (const word of WORDS) {
    response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: word } }] })}\n\n`);
    await new Promise((done) => setTimeout(done, 15));
  }
  response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] })}\n\n`);
  response.write(`data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 12, completion_tokens: WORDS.length } })}\n\ndata: [DONE]\n\n`);
  own.unshift(record);
  response.end();
}
