// The models that this person may use, with their prices.
import { useState } from "preact/hooks";
import { items, useLoad, type Listing } from "../api";
import { count, short } from "../format";
import { t } from "../i18n";
import { Link, withQuery } from "../router";
import { modelName, type Model } from "../types";
import { alsoPrices, dollars, once } from "./price_full";
import { Pager, Table } from "../list";
import { Empty, Page, Panel, Shown, TextField } from "../ui";

const ROWS_MAX = 100;
const CLASSES = ["input", "cached_input", "cache_write", "output"] as const;

/** What a class costs, wherever it is sent to. */
function costs(model: Model, name: string): string {
  const prices = model.prices ?? (model.classes ? [model.classes] : []);
  return [...new Set(prices.map((price) => price[name]).filter((price) => price !== undefined))].map(dollars).join(" / ") || "–";
}

/** What it costs beside tokens, wherever it is sent to. */
function beside(model: Model): string[] {
  return [...new Set((model.prices ?? []).flatMap((price) => once(price["per_request"], price["web_search_per_thousand"])))];
}

export function ModelsPage() {
  const loaded = useLoad<Listing<Model> | Model[]>("/models");
  const [search, setSearch] = useState("");
  const [from, setFrom] = useState(0);
  return (
    <Page title={t("nav.models")} lead={t("models.lead")}>
      <div class="filters">
        <TextField label={t("models.search")} name="search" value={search} set={(text) => (setSearch(text), setFrom(0))} input={{ type: "search", "data-search": true }} />
      </div>
      <Panel flush>
        <Shown from={loaded}>
          {(data) => {
            const found = items(data).filter((model) => modelName(model).toLowerCase().includes(search.toLowerCase()));
            if (found.length === 0) return <Empty title={search ? t("models.noneFound") : t("models.none")} text={search ? undefined : t("models.noneText")} />;
            return (
              <>
                <Table label={t("nav.models")} columns={[t("logs.model"), [t("models.context"), "right"], ...CLASSES.map((name) => [t(`class.${name}`), "right"] as const), t("prices.others"), ""]}>
                  {found.slice(from, from + ROWS_MAX).map((model) => (
                    <tr key={modelName(model)}>
                      <td>{modelName(model)}</td>
                      <td class="right number" title={count(model.context_tokens)}>
                        {model.context_tokens == null ? "–" : short(model.context_tokens)}
                      </td>
                      {CLASSES.map((name) => (
                        <td key={name} class="right number">
                          {costs(model, name)}
                        </td>
                      ))}
                      <td class="quiet small-text">
                        {beside(model).join(" · ") || "–"}
                        {model.and_prices_of?.length ? <div>{t("prices.also", { what: alsoPrices(model.and_prices_of) })}</div> : null}
                      </td>
                      <td class="row-actions">
                        <Link class="button plain small" to={withQuery("/playground", { model: modelName(model) })}>
                          {t("models.try")}
                        </Link>
                      </td>
                    </tr>
                  ))}
                </Table>
                <Pager from={{ page: from / ROWS_MAX + 1, back: from > 0 ? () => setFrom(from - ROWS_MAX) : null, forward: from + ROWS_MAX < found.length ? () => setFrom(from + ROWS_MAX) : null }} />
              </>
            );
          }}
        </Shown>
      </Panel>
    </Page>
  );
}
