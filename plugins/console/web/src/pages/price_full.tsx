// A model's price in full: what holds when, for whom, and at which hours; and what is still to come.
import type { ComponentChildren } from "preact";
import { Dialog } from "../dialogs";
import { count, moment } from "../format";
import { t, word } from "../i18n";
import type { ClassPrices, Price, PriceChange, PriceOfTime, PriceWindow, TokenPrices } from "../types";
import { Badge, Facts } from "../ui";

/** As the price file has them: the prompt's classes first. */
const CLASSES = ["input", "cached_input", "cache_write", "cache_write_1h", "input_audio", "cached_audio", "input_image", "output", "reasoning", "output_audio", "output_image"];

type Fact = readonly [string, ComponentChildren];

/** "2.5" → "$2.50". */
export function dollars(price: string | undefined): string {
  return price === undefined ? "–" : `$${price.replace(/^(\d+\.\d)$/, "$10")}`;
}

/** What a price beside those of tokens is called, where there is one. */
export function once(usd_per_request: string | undefined, usd_per_thousand_web_searches: string | undefined): string[] {
  const there = (usd: string | undefined): usd is string => usd !== undefined && usd !== "0";
  return [
    ...(there(usd_per_request) ? [t("prices.eachRequest", { usd: dollars(usd_per_request) })] : []),
    ...(there(usd_per_thousand_web_searches) ? [t("prices.eachThousandSearches", { usd: dollars(usd_per_thousand_web_searches) })] : []),
  ];
}

/** What a fee is for, by its name. */
export function fee(name: string, usd: string): string {
  const said = { usd: dollars(usd) };
  if (name === "audio_hour") return t("prices.anHour", said);
  if (name === "character") return t("prices.aCharacter", said);
  return isOfImages(name) ? t("prices.eachImage", said) : t("prices.eachTime", said);
}

/** Fees that are not for each time that something was done. */
export function isByThePiece(name: string): boolean {
  return name === "audio_hour" || name === "character" || isOfImages(name);
}

function isOfImages(name: string): boolean {
  return name === "image" || name.startsWith("image_");
}

/** The API's words for what else there are prices for. */
export function alsoPrices(words: readonly string[]): string {
  return words.map((one) => word("also", one)).join(", ");
}

/** Only what is another price. */
function difference(prices: ClassPrices, base: ClassPrices): string {
  const other = CLASSES.filter((name) => prices[name] !== undefined && prices[name] !== base[name]);
  return other.length === 0 ? t("prices.same") : other.map((name) => `${word("class", name)} ${dollars(prices[name])}`).join(", ");
}

function changed(name: string, change: PriceChange, standard: TokenPrices): Fact[] {
  if ("multiplier" in change) return [[name, t("prices.times", { multiplier: change.multiplier })]];
  const above = change.tiers.map((tier) => [`${name}, ${t("prices.above", { count: count(tier.above_prompt_tokens) })}`, difference(tier.usd_per_million, change.usd_per_million)] as const);
  return [[name, difference(change.usd_per_million, standard.usd_per_million)], ...above];
}

function hours(window: PriceWindow): string {
  const days = window.days.length === 7 ? t("prices.everyDay") : window.days.map((day) => word("day", day)).join(" ");
  return `${days} ${window.from}–${window.to} ${window.time_zone}${window.in_force ? ` (${t("prices.now")})` : ""}`;
}

/** All that a version says; what is not there is left out. */
function facts(version: PriceOfTime): Fact[] {
  const base = version.usd_per_million;
  return [
    ...(version.currency && version.usd_per_unit ? [[t("prices.writtenIn"), t("prices.rate", { currency: version.currency, usd: dollars(version.usd_per_unit) })] as const] : []),
    ...CLASSES.filter((name) => base[name] !== undefined).map((name) => [word("class", name), dollars(base[name])] as const),
    ...(version.usd_per_request !== "0" ? [[word("class", "per_request"), dollars(version.usd_per_request)] as const] : []),
    ...(version.usd_per_thousand_web_searches !== "0" ? [[t("prices.thousandSearches"), dollars(version.usd_per_thousand_web_searches)] as const] : []),
    ...Object.entries(version.usd_per_time).map(([name, usd]) => [word("class", name), fee(name, usd)] as const),
    ...(version.audio_seconds_min ? [[t("prices.audioMin"), t("prices.seconds", { count: count(version.audio_seconds_min) })] as const] : []),
    ...version.tiers.map((tier) => [t("prices.above", { count: count(tier.above_prompt_tokens) }), difference(tier.usd_per_million, base)] as const),
    ...Object.entries(version.service_tiers).flatMap(([name, change]) => changed(word("tier", name), change, version)),
    ...Object.entries(version.inference_geo).map(([place, multiplier]) => [t("prices.inPlace", { place }), t("prices.times", { multiplier })] as const),
    ...version.windows.flatMap((window) => changed(hours(window), window, version)),
  ];
}

export function PriceInFull({ of, onClose }: { of: Price; onClose: () => void }) {
  return (
    <Dialog title={of.provider ? `${of.model} · ${of.provider}` : of.model} onClose={onClose} wide>
      <p class="quiet">{t("prices.lead")}</p>
      {of.versions.map((version, at) => (
        <section key={at}>
          {(of.versions.length > 1 || version.valid_from) && (
            <h3>
              {version.valid_from ? t("prices.validFrom", { when: moment(version.valid_from) }) : t("prices.fromTheBeginning")} {version.in_force && <Badge tone="good">{t("prices.inForce")}</Badge>}
            </h3>
          )}
          <Facts rows={facts(version)} />
        </section>
      ))}
    </Dialog>
  );
}
