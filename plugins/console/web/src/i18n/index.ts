// Texts by key, in English and Chinese.
import { Watched, remember, remembered } from "../store";
import { access } from "./access";
import { common } from "./common";
import { routing } from "./routing";
import { traffic } from "./traffic";

/** Each key has its text in every language, in the order of LANGUAGES. */
export const TEXTS = { ...common, ...traffic, ...access, ...routing };
export const LANGUAGES = ["en", "zh"] as const;

export type Language = (typeof LANGUAGES)[number];
export type TextKey = keyof typeof TEXTS;

function firstLanguage(): Language {
  const chosen = remembered("language");
  if (chosen === "en" || chosen === "zh") return chosen;
  const asked = typeof navigator === "undefined" ? "en" : navigator.language;
  return asked.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export const language = new Watched<Language>(firstLanguage());

/** Says to the browser what language the page is in. */
export function announceLanguage(): void {
  document.documentElement.lang = language.get() === "zh" ? "zh-CN" : "en";
}

export function setLanguage(chosen: Language): void {
  remember("language", chosen);
  language.set(chosen);
  announceLanguage();
}

export function t(key: TextKey, values?: Record<string, string | number>): string {
  // A key may be made of a word of the API, which may be a new one.
  const text: string = TEXTS[key]?.[language.get() === "zh" ? 1 : 0] ?? key;
  return values ? text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole)) : text;
}

/** A text for one of the API's words (`ok`, `half_open`), or the word itself when it is a new one. */
export function word(kind: string, value: string): string {
  const key = `${kind}.${value}`;
  return Object.hasOwn(TEXTS, key) ? t(key as TextKey) : value;
}
