// Numbers and times for people.
import { language, t } from "./i18n";

const locale = () => (language.get() === "zh" ? "zh-CN" : "en-GB");

/** 1234567 → "1,234,567". */
export function count(value: number | null | undefined): string {
  return value == null ? "–" : value.toLocaleString("en-US");
}

/** 1234567 → "1.23M". */
export function short(value: number): string {
  for (const [size, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]] as const) {
    if (Math.abs(value) >= size) return `${trimmed(value / size)}${unit}`;
  }
  return Number.isInteger(value) ? String(value) : trimmed(value);
}

function trimmed(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(digits).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
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

export function percent(part: number, whole: number): string {
  if (whole === 0) return "0%";
  const share = (part / whole) * 100;
  return `${share >= 10 || share === 0 ? share.toFixed(share >= 99.95 || share === 0 ? 0 : 1) : share.toFixed(2)}%`;
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
