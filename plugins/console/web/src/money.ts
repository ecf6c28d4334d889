// Amounts are whole nano-dollars. They pass 2^53 long before a large company's bill does, so nothing here is a float.

export type Nanos = number | string | bigint;

export const NANOS_PER_USD = 1_000_000_000n;
const DECIMALS = 9;
/** The largest amount that the gateway keeps. */
const NANOS_MAX = 2n ** 63n - 1n;

export type ParsedUsd = { ok: true; nanos: bigint } | { ok: false; why: "empty" | "format" | "decimals" | "large" };

/** "-12.50" → -12500000000. */
export function parseSignedUsd(text: string): ParsedUsd {
  const unsigned = text.trim().replace(/^[-−]/, "");
  const read = parseUsd(unsigned);
  return read.ok && unsigned !== text.trim() ? { ok: true, nanos: -read.nanos } : read;
}

/** "12.50" → 12500000000. More than nine decimals would be rounded, so they are refused. */
export function parseUsd(text: string): ParsedUsd {
  const plain = text.trim().replace(/^\$\s*/, "");
  if (plain === "") return { ok: false, why: "empty" };
  const parts = /^(\d+)(?:\.(\d+))?$/.exec(plain);
  if (!parts) return { ok: false, why: "format" };
  const fraction = parts[2] ?? "";
  if (fraction.length > DECIMALS) return { ok: false, why: "decimals" };
  const nanos = BigInt(parts[1]!) * NANOS_PER_USD + BigInt(fraction.padEnd(DECIMALS, "0"));
  return nanos > NANOS_MAX ? { ok: false, why: "large" } : { ok: true, nanos };
}

/** What `parseUsd` reads back as the same amount. */
export function usdPlain(nanos: Nanos): string {
  const amount = toBig(nanos);
  const size = amount < 0n ? -amount : amount;
  const fraction = (size % NANOS_PER_USD).toString().padStart(DECIMALS, "0").replace(/0+$/, "");
  const shown = fraction.length < 2 ? fraction.padEnd(2, "0") : fraction;
  return `${amount < 0n ? "-" : ""}${size / NANOS_PER_USD}.${shown}`;
}

/** To the last nano-dollar: "$0.000000375". */
export function usdExact(nanos: Nanos): string {
  return signed(usdPlain(nanos));
}

/** For tables: two decimals from a dollar on, four from a cent on, six down to a tenth of one, below that up to nine. */
export function usd(nanos: Nanos): string {
  const amount = toBig(nanos);
  const size = amount < 0n ? -amount : amount;
  if (size === 0n) return "$0";
  const decimals = size >= NANOS_PER_USD ? 2 : size >= 10_000_000n ? 4 : size >= 100_000n ? 6 : DECIMALS;
  const step = 10n ** BigInt(DECIMALS - decimals);
  const rounded = (size + step / 2n) / step;
  const unit = 10n ** BigInt(decimals);
  let fraction = (rounded % unit).toString().padStart(decimals, "0");
  if (decimals > 2) fraction = fraction.replace(/0+$/, "").padEnd(2, "0");
  return signed(`${amount < 0n ? "-" : ""}${grouped(rounded / unit)}.${fraction}`);
}

/** How much of a whole is spent, in thousandths, for a meter. */
export function permille(part: Nanos, whole: Nanos): number {
  const all = toBig(whole);
  if (all <= 0n) return 1000;
  const share = (toBig(part) * 1000n) / all;
  return Number(share < 0n ? 0n : share > 1000n ? 1000n : share);
}

export function toBig(nanos: Nanos): bigint {
  if (typeof nanos === "bigint") return nanos;
  if (typeof nanos === "number") return BigInt(Math.trunc(nanos));
  return /^-?\d+$/.test(nanos) ? BigInt(nanos) : 0n;
}

function signed(plain: string): string {
  return plain.startsWith("-") ? `−$${plain.slice(1)}` : `$${plain}`;
}

function grouped(whole: bigint): string {
  return whole.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

/** JSON whose amounts are too large for a float keeps them as digits. */
export function parseJson(text: string): unknown {
  // Inside a string a quote is escaped, so `_nanos":` stands nowhere but after a field's name.
  return JSON.parse(text.replace(/(_nanos"\s*:\s*)(-?\d{16,})(?=\s*[,}\]])/g, '$1"$2"'));
}

/** JSON in which a bigint is a number, to its last digit. Undefined fields are left out. */
export function toJson(value: unknown): string {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map(toJson).join(",")}]`;
  if (value && typeof value === "object") {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined);
    return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${toJson(field)}`).join(",")}}`;
  }
  return JSON.stringify(value ?? null);
}
