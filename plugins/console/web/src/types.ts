// What the API sends. Fields that a page can do without are optional.
import type { Nanos } from "./money";

export type Role = "user" | "operator" | "admin";

export interface Person {
  id: number;
  name: string;
  role: Role;
  quota_nanos: Nanos | null;
  spent_nanos: Nanos;
  held_nanos: Nanos;
  budget: Budget | null;
}

export interface Session {
  person: Person;
  version?: string;
  features?: Record<string, unknown>;
}

export interface Budget {
  amount_nanos: Nanos;
  period: "daily" | "weekly" | "monthly";
  time_zone: string;
}

export interface User extends Person {
  enabled: boolean;
  has_password: boolean;
  created_at: string;
  last_login_at: string | null;
}

export interface Code {
  id: number;
  code?: string;
  hint?: string;
  amount_nanos: Nanos;
  created_at?: string;
  expires_at: string | null;
  redeemed_at?: string | null;
  redeemed_by?: string | null;
}

export interface Key {
  id: number;
  name: string;
  user: string | null;
  group: string;
  models: string[] | null;
  enabled: boolean;
  quota_nanos: Nanos | null;
  spent_nanos: Nanos;
  held_nanos: Nanos;
  expires_at: string | null;
  accessed_at: string | null;
  created_at?: string;
  rpm: number | null;
  tpm: number | null;
  concurrency: number | null;
}

export interface Group {
  name: string;
  upstreams: string[];
  models: string[];
  keys: number;
}

export interface Upstream {
  name: string;
  provider: string;
  dialect: string;
  base_url: string;
  groups: string[];
  models: { name: string; upstream_model: string; cooldown_ms: number }[];
  weight: number;
  priority: number;
  owner: string;
  breaker: {
    state: "closed" | "open" | "half_open";
    cooldown_ms: number | null;
    failures: number;
    last_error: { class?: string; status?: number | null; message?: string; at?: string } | null;
  };
  latency_ms: number | null;
  success_rate: number | null;
  key_set: boolean;
  weight_override: number | null;
}

export interface Trial {
  status: number | null;
  is_answer: boolean;
  duration_ms: number;
  body: unknown;
}

export type ClassPrices = Record<string, string>;

export interface TokenPrices {
  usd_per_million: ClassPrices;
  tiers: { above_prompt_tokens: number; usd_per_million: ClassPrices }[];
}

/** What a service tier or a part of the day does to token prices. */
export type PriceChange = { multiplier: string } | TokenPrices;

export interface PriceWindow {
  days: string[];
  from: string;
  to: string;
  time_zone: string;
  in_force: boolean;
}

/** What holds from some time on. */
export interface PriceOfTime extends TokenPrices {
  valid_from: string | null;
  in_force: boolean;
  currency: string | null;
  usd_per_unit: string | null;
  usd_per_request: string;
  usd_per_thousand_web_searches: string;
  /** Fees by their names: for each time, image or character, or an hour of audio. */
  usd_per_time: Record<string, string>;
  audio_seconds_min: number | null;
  service_tiers: Record<string, PriceChange>;
  inference_geo: Record<string, string>;
  windows: (PriceWindow & PriceChange)[];
}

export interface Price {
  model: string;
  provider: string | null;
  classes: ClassPrices;
  usd_per_request: string;
  usd_per_thousand_web_searches: string;
  /** What else there are prices for, in the API's words. */
  and_prices_of: string[];
  versions: PriceOfTime[];
  aliases: string[];
  owner: string;
}

export interface PriceFile {
  text: string;
  version: string | number;
  path: string;
}

/** What came of a new text; it may not be in force yet. */
export interface Replaced extends PriceFile {
  in_force: boolean;
  errors: string[];
}

export interface ChangedLine {
  change: "removed" | "added";
  number: number;
  text: string;
}

export interface PriceVersion {
  version: string;
  before: string | null;
  at: string;
  actor: string;
  source: "console" | "found";
  lines: ChangedLine[] | null;
  lines_left_out: number;
}

export interface PriceLine {
  what: string;
  how?: string;
  usd?: string;
}

export interface LogRecord {
  request_id: string;
  started_at: string;
  key_id: number | null;
  key_name: string | null;
  user: string | null;
  group: string | null;
  endpoint: string;
  dialect: string;
  model: string;
  upstream: string | null;
  upstream_model: string | null;
  stream: boolean;
  status: number;
  outcome: string;
  input_tokens: number;
  cached_input_tokens: number;
  cache_write_tokens: number;
  output_tokens: number;
  reasoning_tokens: number;
  usage_source: string;
  cost_nanos: Nanos;
  price_version: string | number | null;
  price_missing: boolean;
  held_nanos?: Nanos;
  overshoot?: boolean;
  attempts: number;
  ttft_ms: number | null;
  duration_ms: number;
  error_code: string | null;
}

export interface Attempt {
  upstream: string;
  upstream_model: string;
  started_ms: number;
  duration_ms: number;
  outcome: string;
  status: number | null;
  error: string | null;
}

export interface Candidate {
  upstream: string;
  taken: boolean;
  /** One word for why; the sentence is `why`. */
  code?: string;
  why: string;
}

export interface LogDetail {
  record: LogRecord;
  price_lines?: (PriceLine | string)[];
  attempts?: Attempt[];
  candidates?: Candidate[];
  candidates_left_out?: number;
  /** What the same usage costs by the prices in force now; null: there is no price. */
  price_now_nanos?: Nanos | null;
  price_is_the_same?: boolean;
  timings?: Record<string, number | null>;
}

export interface Top {
  name: string;
  /** Of keys: several may have had one name. */
  key_id?: number;
  requests: number;
  cost_nanos: Nanos;
}

export interface Overview {
  totals: {
    requests: number;
    cost_nanos: Nanos;
    input_tokens: number;
    output_tokens: number;
    errors: number;
    p50_ms: number | null;
    p95_ms: number | null;
    ttft_p50_ms: number | null;
  };
  series: {
    at: number[];
    requests: number[];
    cost_nanos: Nanos[];
    tokens: number[];
    errors: number[];
    p50_ms: (number | null)[];
  };
  top: { keys: Top[]; models: Top[]; upstreams: Top[] };
}

export interface AuditRow {
  id: number;
  at?: string;
  created_at?: string;
  actor?: string | null;
  who?: string | null;
  action: string;
  object: string;
  before: unknown;
  after: unknown;
}

export interface Model {
  model?: string;
  name?: string;
  id?: string;
  classes?: Record<string, string> | null;
  /** What it costs at each upstream that has it, each price once; with `per_request` and `web_search_per_thousand` where those cost anything. */
  prices?: ClassPrices[];
  and_prices_of?: string[];
  context_tokens?: number | null;
  max_output_tokens?: number | null;
}

export const modelName = (model: Model): string => model.model ?? model.name ?? model.id ?? "";
