// Numbers and times for people.
import { language, t } from "./i18n";

const locale = () => (language.get() === "zh" ? "zh-CN" : "en-GB");

/** 1234567 → "1,234,567". */
export function count(value: number | null | undefined): string {
  return value == null ? "–" : value.toLocaleString("en-US");
}

const UNITS = [
  [1, ""],
  [1e3, "k"],
  [1e6, "M"],
  [1e9, "G"],
  [1e12, "T"],
] as const;

/** 1234567 → "1.23M". */
export function short(value: number): string {
  // The largest unit of which it is at least one, as it is shown: 999,999 are a million.
  const shown = UNITS.map(([size, unit]) => [trimmed(value / size), unit] as const).filter(([text], at) => at === 0 || Math.abs(Number(text)) >= 1);
  const [text, unit] = shown.find(([text]) => Math.abs(Number(text)) < 1000) ?? shown[shown.length - 1]!;
  return text + unit;
}

function trimmed(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return untailed(value.toFixed(digits));
}

/** Without zeros at its end. */
function untailed(text: string): string {
  return text.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

/** For a chart, in USD: two digits that count, down to a nano-dollar. */
export function dollars(value: number): string {
  if (value >= 1000) return `$${short(value)}`;
  const decimals = value >= 1 || value <= 0 ? 2 : Math.min(9, 1 - Math.floor(Math.log10(value)));
  return `$${untailed(value.toFixed(decimals))}`;
}

export function ms(value: number | null | undefined): string {
  if (value == null) return "–";
  if (value < 1000) return `${value < 10 ? Math.round(value * 10) / 10 : Math.round(value)} ms`;
  if (value < 60_000) return `${(value / 1000).toFixed(value < 10_000 ? 2 : 1)} s`;
  const seconds = Math.round(value / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

/** Some are never shown as none, nor nearly all as all. */
export function percent(part: number, whole: number): string {
  if (part === 0 || whole === 0) return "0%";
  if (part === whole) return "100%";
  const share = (part / whole) * 100;
  if (share < 0.01) return "<0.01%";
  if (share > 99.9) return ">99.9%";
  return `${share.toFixed(share >= 10 ? 1 : 2)}%`;
}

/** A moment in this browser's time zone. */
export function moment(at: string | null | undefined): string {
  if (!at) return "–";
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return at;
  const day = date.toLocaleDateString(locale(), { year: "numeric", month: "2-digit", day: "2-digit" });
  return `${day} ${clock(date)}`;
}

/** For tables: of today, the time alone. */
export function shortMoment(at: string): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return at;
  if (date.toDateString() === new Date().toDateString()) return clock(date);
  return `${date.toLocaleDateString(locale(), { month: "2-digit", day: "2-digit" })} ${clock(date)}`;
}

export function clock(date: Date): string {
  const two = (number: number) => String(number).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** "3 min ago"; what lies ahead is "in 3 days". */
export function ago(at: string | null | undefined, now = Date.now()): string {
  if (!at) return t("time.never");
  const time = new Date(at).getTime();
  if (Number.isNaN(time)) return at;
  const units = [[86_400_000, "day"], [3_600_000, "hour"], [60_000, "minute"], [1000, "second"]] as const;
  const away = time - now;
  const [size, unit] = units.find(([size]) => Math.abs(away) >= size) ?? [1000, "second"];
  return new Intl.RelativeTimeFormat(locale(), { numeric: "auto", style: "short" }).format(Math.round(away / size), unit);
}

/** For <input type=datetime-local>, and back. */
export function toLocalInput(at: string | null | undefined): string {
  const date = at ? new Date(at) : null;
  if (!date || Number.isNaN(date.getTime())) return "";
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export function fromLocalInput(text: string): string | null {
  const date = new Date(text);
  return text === "" || Number.isNaN(date.getTime()) ? null : date.toISOString().replace(".000Z", "Z");
}
