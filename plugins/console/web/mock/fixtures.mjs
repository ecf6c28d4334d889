// Plausible contents for the pages to be looked at. Log rows are computed from their number: a million cost nothing.
const MODELS = [
  ["gpt-4o", "openai-main", "2.50", "10"],
  ["claude-sonnet-4-5", "anthropic-eu", "3", "15"],
  ["gemini-2.5-flash", "gemini", "0.30", "2.50"],
  ["deepseek-chat", "deepseek", "0.27", "1.10"],
  ["fast", "openai-main", "0.15", "0.60"],
  ["demo-gpt", "demo-openai", "2.50", "10"],
];
export const KEY_NAMES = ["checkout-assistant", "support-bot", "nightly-eval", "ide-plugins", "客服机器人", "batch-translate-eu-west-production-2"];
const USERS = ["admin", "mira", "jonas", "yuki"];
export const START = Date.now();
export const iso = (ms) => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");

/** The same pseudo-random number for the same row. */
const random = (n) => {
  let x = (n ^ 0x9e3779b9) >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x45d9f3b) >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x45d9f3b) >>> 0;
  return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
};

const STEP_MS = 9_000;

export function row(at) {
  const r = (salt) => random(at * 31 + salt);
  const [model, upstream, input, output] = MODELS[Math.floor(r(1) ** 1.7 * (MODELS.length - 1))];
  const fails = r(2) < 0.04;
  const left = !fails && r(3) < 0.02;
  const inputs = Math.floor(60 + r(4) ** 3 * 14_000);
  const outputs = fails ? 0 : Math.floor(10 + r(5) ** 2 * 1800);
  const cached = Math.floor(inputs * (r(6) < 0.4 ? r(7) * 0.9 : 0));
  const cost = Math.round((inputs - cached * 0.5) * Number(input) * 1000 + outputs * Number(output) * 1000);
  const duration = Math.floor(300 + outputs * 9 + r(8) * 900);
  const user = USERS[Math.floor(r(9) * USERS.length)];
  const tail = at.toString(16).padStart(12, "0");
  return {
    request_id: `0193${tail.slice(0, 4)}-${tail.slice(4, 8)}-7${tail.slice(1, 4)}-8a1b-${tail}`,
    started_at: iso(START - at * STEP_MS),
    key_id: 1 + (at % KEY_NAMES.length),
    key_name: KEY_NAMES[at % KEY_NAMES.length],
    user,
    group: "default",
    endpoint: "chat",
    dialect: model.startsWith("claude") ? "anthropic" : "openai",
    model,
    upstream,
    upstream_model: model === "fast" ? "gpt-4o-mini" : model,
    stream: r(10) < 0.7,
    status: fails ? [500, 502, 429][at % 3] : 200,
    outcome: fails ? "upstream_error" : left ? "client_aborted" : "ok",
    input_tokens: inputs,
    cached_input_tokens: cached,
    cache_write_tokens: 0,
    output_tokens: outputs,
    reasoning_tokens: r(11) < 0.2 ? Math.floor(outputs * 0.4) : 0,
    usage_source: fails ? "none" : left ? "estimated" : "reported",
    cost_nanos: fails ? 0 : cost,
    price_version: "7f3a91c2",
    price_missing: false,
    held_nanos: cost * 3,
    overshoot: false,
    attempts: r(12) < 0.06 ? 2 : 1,
    ttft_ms: fails ? null : Math.floor(180 + r(13) * 700),
    duration_ms: duration,
    error_code: fails ? "UPSTREAM_ERROR" : null,
  };
}

export function detail(record) {
  const first = record.attempts > 1;
  const attempts = [{ upstream: record.upstream, upstream_model: record.upstream_model, started_ms: first ? 412 : 3, duration_ms: record.duration_ms - (first ? 412 : 3), outcome: record.outcome, status: record.status, error: record.outcome === "upstream_error" ? "the upstream answered 500: overloaded" : null }];
  if (first) attempts.unshift({ upstream: "azure-backup", upstream_model: record.upstream_model, started_ms: 3, duration_ms: 405, outcome: "upstream_error", status: 503, error: "503 Service Unavailable before the first token" });
  const usd = (n) => (n / 1e9).toFixed(9).replace(/0+$/, "").replace(/\.$/, "");
  return {
    record,
    price_lines: record.cost_nanos
      ? [
          { what: "input", how: `${record.input_tokens - record.cached_input_tokens} × $2.50 / 1M`, usd: usd((record.input_tokens - record.cached_input_tokens) * 2500) },
          { what: "cached_input", how: `${record.cached_input_tokens} × $1.25 / 1M`, usd: usd(record.cached_input_tokens * 1250) },
          { what: "output", how: `${record.output_tokens} × $10 / 1M`, usd: usd(record.output_tokens * 10000) },
        ]
      : [],
    attempts,
    price_now_nanos: Math.round(record.cost_nanos * 0.9),
    price_is_the_same: record.attempts === 1,
    candidates_left_out: 0,
    candidates: [
      { upstream: record.upstream, taken: true, code: "taken", why: first ? "attempt 2" : "attempt 1" },
      { upstream: "azure-backup", taken: first, code: first ? "taken" : "weight", why: first ? "attempt 1" : "another one was chosen; its weight is 20 of 100" },
      { upstream: "old-proxy", taken: false, code: "breaker", why: "its breaker is open for another 21 s" },
      { upstream: "openai-eu", taken: false, code: "priority", why: "its priority 1 is tried when nothing before it is available" },
    ],
    timings: { routing_ms: first ? 412 : 3, ttft_ms: record.ttft_ms, streaming_ms: record.ttft_ms === null ? null : Math.max(0, record.duration_ms - record.ttft_ms), duration_ms: record.duration_ms },
  };
}

export function overview(range, isEmpty) {
  const span = { "1h": 3600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000 }[range] ?? 86_400;
  const points = 60;
  const now = Math.floor(START / 1000);
  const at = Array.from({ length: points }, (_, index) => now - span + Math.floor((span / points) * (index + 1)));
  const wave = (index, salt) => 0.55 + 0.4 * Math.sin((index / points) * Math.PI * 2 - 1.4) + 0.18 * random(index * 7 + salt);
  const scale = isEmpty ? 0 : span / 3600;
  const requests = at.map((_, index) => Math.round(wave(index, 1) * 40 * Math.sqrt(scale)));
  const cost = requests.map((count, index) => Math.round(count * 4_100_000 * (0.8 + random(index) * 0.5)));
  const errors = requests.map((count, index) => Math.round(count * 0.03 * (index === 41 ? 9 : random(index + 3))));
  const sum = (list) => list.reduce((a, b) => a + b, 0);
  const top = (names) => names.map((name, index) => ({ name, requests: Math.round(sum(requests) * [0.42, 0.25, 0.16, 0.09, 0.06, 0.02][index]), cost_nanos: Math.round(sum(cost) * [0.5, 0.22, 0.14, 0.08, 0.04, 0.02][index]) }));
  return {
    totals: { requests: sum(requests), cost_nanos: sum(cost), input_tokens: sum(requests) * 2913, output_tokens: sum(requests) * 402, errors: sum(errors), p50_ms: isEmpty ? null : 1340, p95_ms: isEmpty ? null : 8120, ttft_p50_ms: isEmpty ? null : 388 },
    series: { at, requests, cost_nanos: cost, tokens: requests.map((count) => count * 3315), errors, p50_ms: at.map((_, index) => (isEmpty ? null : Math.round(1100 + wave(index, 5) * 500))) },
    top: isEmpty ? { keys: [], models: [], upstreams: [] } : { keys: top(KEY_NAMES), models: top(MODELS.slice(0, 5).map(([name]) => name)), upstreams: top(["openai-main", "anthropic-eu", "gemini", "deepseek"]) },
  };
}

export const upstreams = () => [
  { name: "openai-main", provider: "openai", dialect: "openai", base_url: "https://api.openai.com/v1", groups: ["default", "premium"], models: [{ name: "gpt-4o", upstream_model: "gpt-4o", cooldown_ms: 0 }, { name: "fast", upstream_model: "gpt-4o-mini", cooldown_ms: 42_000 }], weight: 80, priority: 0, owner: "file", breaker: { state: "closed", cooldown_ms: 0, failures: 0, last_error: null }, latency_ms: 412, success_rate: 0.998, key_set: true, weight_override: null },
  { name: "azure-backup", provider: "azure", dialect: "openai", base_url: "https://tollgate-eu.openai.azure.com/openai/deployments/gpt-4o", groups: ["default"], models: [{ name: "gpt-4o", upstream_model: "gpt-4o", cooldown_ms: 0 }], weight: 20, priority: 0, owner: "file", breaker: { state: "half_open", cooldown_ms: 0, failures: 2, last_error: { class: "status", status: 503, message: "Service Unavailable", at: iso(START - 95_000) } }, latency_ms: 655, success_rate: 0.941, key_set: true, weight_override: 35 },
  { name: "anthropic-eu", provider: "anthropic", dialect: "anthropic", base_url: "https://api.anthropic.com", groups: ["default"], models: ["claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-1"].map((name) => ({ name, upstream_model: name, cooldown_ms: 0 })), weight: 1, priority: 0, owner: "file", breaker: { state: "closed", cooldown_ms: 0, failures: 0, last_error: { class: "timeout", status: null, message: "no first token within 120 s", at: iso(START - 7_200_000) } }, latency_ms: 731, success_rate: 0.991, key_set: true, weight_override: null },
  { name: "old-proxy", provider: "openai", dialect: "openai", base_url: "http://10.4.0.12:8080/v1", groups: ["internal"], models: Array.from({ length: 22 }, (_, index) => ({ name: `local-model-${index}`, upstream_model: `m${index}`, cooldown_ms: 21_400 })), weight: 5, priority: 1, owner: "file", breaker: { state: "open", cooldown_ms: 21_400, failures: 9, last_error: { class: "connect", status: null, message: "connection refused", at: iso(START - 9_000) } }, latency_ms: null, success_rate: null, key_set: false, weight_override: null },
  { name: "demo-openai", provider: "openai", dialect: "openai", base_url: "http://127.0.0.1:9/v1", groups: ["default"], models: [{ name: "demo-gpt", upstream_model: "demo-gpt", cooldown_ms: 0 }], weight: 1, priority: 0, owner: "file", breaker: { state: "closed", cooldown_ms: 0, failures: 0, last_error: null }, latency_ms: 12, success_rate: 1, key_set: true, weight_override: null },
];

const version = (classes, more = {}) => ({ valid_from: null, in_force: true, currency: null, usd_per_unit: null, usd_per_million: classes, tiers: [], usd_per_request: "0", usd_per_thousand_web_searches: "0", usd_per_time: {}, audio_seconds_min: null, service_tiers: {}, inference_geo: {}, windows: [], ...more });
const price = (model, classes, { now = {}, later = [], and_prices_of = [], ...more } = {}) => ({ model, provider: null, classes, usd_per_request: "0", usd_per_thousand_web_searches: "0", ...now, and_prices_of, versions: [version(classes, now), ...later], aliases: [], owner: "file", context_tokens: 128_000, max_output_tokens: 16_384, ...more });
export const prices = () => [
  ...MODELS.map(([model, , input, output]) => price(model, { input, cached_input: "0.50", output })),
  price("gpt-4o-audio", { input: "2.50", output: "10", input_audio: "40", output_audio: "80" }, { aliases: ["gpt-4o-audio-preview", "gpt-audio"], provider: "openai" }),
  price("claude-opus-4-1", { input: "15", cached_input: "1.50", cache_write: "18.75", cache_write_1h: "30", output: "75" }, { and_prices_of: ["cache writes", "long prompts", "web searches", "hours", "places", "other dates", "batch"], now: { usd_per_thousand_web_searches: "10", tiers: [{ above_prompt_tokens: 200_000, usd_per_million: { input: "30", output: "112.5" } }], service_tiers: { batch: { multiplier: "0.5" } }, inference_geo: { us: "1.1" }, windows: [{ days: ["mon", "fri"], from: "09:00:00", to: "12:00:00", time_zone: "Asia/Shanghai", in_force: false, multiplier: "2" }] }, later: [version({ input: "18", output: "90" }, { valid_from: "2030-01-01T00:00:00Z", in_force: false })] }),
  price("image-maker", { input: "0", output: "0" }, { and_prices_of: ["requests"], now: { usd_per_request: "0.04" } }),
  price("dall-e-3", { input: "0", output: "0" }, { and_prices_of: ["pieces"], now: { usd_per_time: { image: "0.04", image_hd_1024x1792: "0.12" } } }),
  price("whisper-large-v3", { input: "0", output: "0" }, { provider: "groq", and_prices_of: ["pieces"], now: { usd_per_time: { audio_hour: "0.111" }, audio_seconds_min: 10 } }),
  price("tts-1", { input: "0", output: "0" }, { and_prices_of: ["pieces"], now: { usd_per_time: { character: "0.000015" } } }),
  ...Array.from({ length: 130 }, (_, index) => price(`vendor/model-${index}`, { input: `${(index % 7) + 0.25}`, output: `${(index % 11) + 1}` })),
];

export const PRICE_TEXT = `# USD per million tokens.\n\n${MODELS.map(([model, , input, output]) => `[[model]]\nname = "${model}"\ninput = ${input}\noutput = ${output}\n`).join("\n")}`;

export const settings = () => ({
  config_file: "tollgate.toml",
  server: { listen: ["127.0.0.1:3000"], metrics_listen: "127.0.0.1:9464", threads: 0, request_body_bytes_max: 33554432, memory_bytes_max: 0, shutdown_ms: 30000, trusted_proxies: [] },
  console: { enabled: true, listen: null, session_hours: 12 },
  store: { url: "sqlite:data/tollgate.db" },
  ledger: { journal_dir: "data/journal", durability: "process" },
  pricing: { file: "pricing.toml", unknown_model: "reject_if_quota" },
  routing: { strategy: "weighted", attempts_max: 3, first_token_timeout_ms: 120000, response_timeout_ms: 600000, drain_ms_max: 10000 },
  breaker: { failures_to_open: 5, open_ms: 30000 },
  upstream: upstreams().map(({ name, provider, base_url, models, weight, priority, groups }) => ({ name, provider, api_key: "(set)", base_url, http_version: "1.1", models: models.map(({ cooldown_ms: _, ...model }) => model), weight, priority, groups, headers: {}, price_provider: null, price_multiplier: "1" })),
  plugins: { cors: { allowed_origins: ["https://app.example"] } },
});

export const priceHistory = () => [
  { version: "7f3a91c2", before: "11ce03d8", at: iso(START - 3e7), actor: "admin", source: "console", lines: [{ change: "removed", number: 4, text: "input = 2.5" }, { change: "added", number: 4, text: "input = 2.25" }, { change: "added", number: 9, text: "cached_input = 0.3" }], lines_left_out: 0 },
  { version: "11ce03d8", before: "0f1e2d3c", at: iso(START - 9e8), actor: "tollgate serve", source: "found", lines: null, lines_left_out: 0 },
  { version: "0f1e2d3c", before: null, at: iso(START - 2e9), actor: "tollgate serve", source: "found", lines: null, lines_left_out: 0 },
];
