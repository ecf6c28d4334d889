// The price book: search, the file itself, the arithmetic of one call, what it was before.
import { useState } from "preact/hooks";
import { call, usePages } from "../api";
import { fromLocalInput } from "../format";
import { Reading, useTexts } from "../forms";
import { t, word, type TextKey } from "../i18n";
import { List, Table } from "../list";
import { usdExact, type Nanos } from "../money";
import { setQuery, usePlace } from "../router";
import { may } from "../session";
import type { Price, PriceLine } from "../types";
import { Badge, Button, Empty, ErrorNote, Form, Page, Panel, Segments, SelectField, TextField, TimeField, useAct } from "../ui";
import { PriceFileEditor } from "./price_file";
import { alsoPrices, dollars, fee, isByThePiece, once, PriceInFull } from "./price_full";
import { PriceHistory } from "./price_history";
import { PriceLines } from "./request";

const TABS = ["search", "explain", "file", "history"] as const;

export function PricesPage() {
  const { query } = usePlace();
  const tabs = TABS.filter((tab) => tab === "search" || tab === "explain" || may("operator"));
  const tab = tabs.find((one) => one === query.get("tab")) ?? "search";
  return (
    <Page title={t("nav.prices")} lead={t("prices.lead")} actions={<Segments label={t("prices.views")} value={tab} set={(value) => setQuery({ tab: value === "search" ? null : value })} choices={tabs.map((one) => [one, t(`prices.tab.${one}` as TextKey)] as const)} />}>
      {tab === "search" && <Search />}
      {tab === "explain" && <Explain />}
      {tab === "file" && <PriceFileEditor />}
      {tab === "history" && <PriceHistory />}
    </Page>
  );
}

function Search() {
  const asked = usePlace().query.get("q") ?? "";
  const [text, setText] = useState(asked);
  const listing = usePages<Price>("/prices", { q: asked });
  return (
    <>
      <form
        class="filters"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          setQuery({ q: text });
        }}
      >
        <TextField label={t("prices.search")} name="q" value={text} set={setText} input={{ type: "search", "data-search": true, onChange: () => setQuery({ q: text }) }} />
        <div class="filter-actions">
          <Button type="submit">{t("action.filter")}</Button>
        </div>
      </form>
      <List from={listing} empty={<Empty title={asked ? t("models.noneFound") : t("prices.none")} text={asked ? undefined : t("prices.noneText")} />}>
        {(rows) => <Found rows={rows} />}
      </List>
    </>
  );
}

const SHOWN_CLASSES = ["input", "cached_input", "cache_write", "output", "reasoning"];

/** Classes with a price of their own (the others cost what input or output does), and what there is beside tokens. */
function others({ classes, usd_per_request, usd_per_thousand_web_searches, versions }: Price): string {
  const usual = (name: string) => (name.startsWith("output") ? [classes["output"]] : [classes["input"], classes["cached_input"]]);
  const own = Object.entries(classes).filter(([name, price]) => !SHOWN_CLASSES.includes(name) && !usual(name).includes(price));
  const fees = Object.entries(versions.find((version) => version.in_force)?.usd_per_time ?? {}).filter(([name]) => isByThePiece(name));
  const pieces = fees.map(([name, usd]) => (name.startsWith("image_") ? `${name} ${dollars(usd)}` : fee(name, usd)));
  return [...own.map(([name, price]) => `${word("class", name)} ${dollars(price)}`), ...once(usd_per_request, usd_per_thousand_web_searches), ...pieces].join(" · ");
}

function Found({ rows }: { rows: Price[] }) {
  const [open, setOpen] = useState<Price | null>(null);
  return (
    <>
      <Table label={t("nav.prices")} columns={[t("logs.model"), ...SHOWN_CLASSES.map((name) => [word("class", name), "right"] as const), t("prices.others"), ""]}>
        {rows.map((row, at) => (
          <tr key={at}>
            <td>
              {row.model} {row.provider && <Badge tone="quiet">{row.provider}</Badge>}
              {row.aliases?.length > 0 && <div class="quiet small-text">{t("prices.aliases", { names: row.aliases.join(", ") })}</div>}
            </td>
            {SHOWN_CLASSES.map((name) => (
              <td key={name} class="right number">
                {dollars(row.classes[name])}
              </td>
            ))}
            <td class="quiet small-text">
              {others(row) || "–"}
              {row.and_prices_of.length > 0 && <div>{t("prices.also", { what: alsoPrices(row.and_prices_of) })}</div>}
            </td>
            <td class="row-actions">
              <Button small onClick={() => setOpen(row)}>
                {t("prices.inFull")}
              </Button>
            </td>
          </tr>
        ))}
      </Table>
      {open && <PriceInFull of={open} onClose={() => setOpen(null)} />}
    </>
  );
}

const COUNTS = ["input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens", "web_searches"] as const;
const PIECES = ["images", "audio_seconds", "characters"] as const;
const TIERS = ["standard", "batch", "flex", "priority", "ultrafast"] as const;

interface Told {
  lines: PriceLine[];
  cost_nanos: Nanos;
  price_missing: boolean;
}

function Explain() {
  const { texts, set, wrong, setWrong } = useTexts({ model: usePlace().query.get("model") ?? "", input_tokens: "1000", cached_input_tokens: "", cache_write_tokens: "", output_tokens: "500", reasoning_tokens: "", web_searches: "", images: "", quality: "", size: "", audio_seconds: "", characters: "", tier: "standard", inference_geo: "", provider: "", at: "" });
  const act = useAct();
  const { busy, error, run, at } = act;
  const [told, setTold] = useState<Told | null>(null);
  const submit = () => {
    const read = new Reading();
    const body: Record<string, unknown> = { model: read.needed("model", texts.model), tier: texts.tier, provider: texts.provider.trim() || null, inference_geo: texts.inference_geo.trim() || null };
    for (const name of COUNTS) body[name] = read.whole(name, texts[name]) ?? 0;
    for (const name of ["images", "characters"] as const) body[name] = read.whole(name, texts[name]) ?? 0;
    body["audio_ms"] = (read.whole("audio_seconds", texts.audio_seconds) ?? 0) * 1000;
    for (const name of ["quality", "size"] as const) body[name] = texts[name].trim() || null;
    const moment = fromLocalInput(texts.at);
    if (moment) body["at"] = moment;
    setWrong(read.wrong);
    setTold(null);
    if (read.isGood) void run(() => call<Told>("POST", "/prices/explain", body), setTold);
  };
  return (
    <div class="two">
      <Panel title={t("prices.explain")}>
        <Form act={act} submit={submit}>
          <TextField label={t("logs.model")} name="model" value={texts.model} set={set("model")} error={wrong["model"] ?? at("model")} />
          <div class="form-grid">
            {COUNTS.map((name) => (
              <TextField key={name} label={t(`prices.${name}`)} name={name} value={texts[name]} set={set(name)} error={wrong[name] ?? at(name)} input={{ inputMode: "numeric", placeholder: "0" }} />
            ))}
            {PIECES.map((name) => (
              <TextField key={name} label={t(`prices.${name}`)} name={name} value={texts[name]} set={set(name)} error={wrong[name] ?? at(name)} input={{ inputMode: "numeric", placeholder: "0" }} />
            ))}
            <TextField label={t("prices.quality")} name="quality" value={texts.quality} set={set("quality")} error={at("quality")} hint={t("prices.qualityHint")} />
            <TextField label={t("prices.size")} name="size" value={texts.size} set={set("size")} error={at("size")} hint={t("prices.sizeHint")} />
            <SelectField label={t("prices.tier")} name="tier" value={texts.tier} set={set("tier")} error={at("tier")} choices={TIERS.map((tier) => [tier, t(`tier.${tier}`)] as const)} />
            <TextField label={t("prices.provider")} name="provider" value={texts.provider} set={set("provider")} error={at("provider")} hint={t("prices.providerHint")} />
            <TextField label={t("prices.place")} name="inference_geo" value={texts.inference_geo} set={set("inference_geo")} error={at("inference_geo")} hint={t("prices.placeHint")} />
            <TimeField label={t("prices.at")} name="at" error={at("at")} hint={t("prices.atHint")} value={texts.at} set={set("at")} />
          </div>
          <ErrorNote error={error} fields={["model", "tier", "provider", "inference_geo", "at", "quality", "size", ...PIECES, ...COUNTS]} />
          <Button type="submit" tone="main" busy={busy}>
            {t("prices.calculate")}
          </Button>
        </Form>
      </Panel>
      <Panel title={t("request.arithmetic")} flush>
        {told ? (
          <div role="status">
            <PriceLines lines={told.lines} />
            {told.price_missing && <p class="quiet below-table">{t("prices.notPriced")}</p>}
            <p class="sum">
              <span class="quiet">{t("logs.cost")}</span>
              <strong class="number">{usdExact(told.cost_nanos)}</strong>
            </p>
          </div>
        ) : (
          <Empty title={t("prices.explainNone")} text={t("prices.explainNoneText")} />
        )}
      </Panel>
    </div>
  );
}
