// Texts of inputs to values of the API, and back. What cannot be read is told before anything is sent.
import { useState } from "preact/hooks";
import { t } from "./i18n";
import { parseSignedUsd, parseUsd, usdPlain, type Nanos } from "./money";

const AMOUNT_WRONG = { empty: "amount.empty", format: "amount.format", decimals: "amount.decimals", large: "amount.large" } as const;

/** Collects values and what is wrong with them, by the API's field names. */
export class Reading {
  readonly wrong: Record<string, string> = {};

  get isGood(): boolean {
    return Object.keys(this.wrong).length === 0;
  }

  amount(field: string, text: string, parse = parseUsd): bigint | null {
    if (text.trim() === "") return null;
    const read = parse(text);
    if (read.ok) return read.nanos;
    this.wrong[field] = t(AMOUNT_WRONG[read.why]);
    return null;
  }

  amountNeeded(field: string, text: string, parse = parseUsd): bigint {
    const amount = this.amount(field, text, parse);
    if (amount === null && !this.wrong[field]) this.wrong[field] = t("amount.empty");
    return amount ?? 0n;
  }

  /** What is given, or, with a minus before it, taken back. */
  amountEitherWay(field: string, text: string): bigint {
    return this.amountNeeded(field, text, parseSignedUsd);
  }

  whole(field: string, text: string): number | null {
    const plain = text.trim();
    if (plain === "") return null;
    if (/^\d{1,15}$/.test(plain)) return Number(plain);
    this.wrong[field] = t("number.whole");
    return null;
  }

  needed(field: string, text: string): string {
    if (text.trim() === "") this.wrong[field] = t("field.needed");
    return text.trim();
  }
}

/** What a form sends. What is left as it was is not even read: it cannot keep the rest from being saved. */
export function readChanged(reads: Record<string, () => unknown>, isChanged: (field: string) => boolean): Record<string, unknown> {
  const changed = Object.entries(reads).filter(([field]) => isChanged(field));
  return Object.fromEntries(changed.map(([field, read]) => [field, read()]));
}

/** "a, b" → ["a","b"]; nothing: all. */
export function names(text: string): string[] {
  return [...new Set(text.split(/[,\n]/).map((name) => name.trim()).filter((name) => name !== ""))];
}

export function amountText(nanos: Nanos | null | undefined): string {
  return nanos == null ? "" : usdPlain(nanos);
}

export function wholeText(value: number | null | undefined): string {
  return value == null ? "" : String(value);
}

/** The texts of a form's inputs by field name. */
export function useTexts<F extends Record<string, string>>(first: F) {
  const [texts, setTexts] = useState(first);
  const [wrong, setWrong] = useState<Record<string, string>>({});
  const set = (field: keyof F) => (text: string) => setTexts((before) => ({ ...before, [field]: text }));
  return { texts, set, wrong, setWrong };
}
