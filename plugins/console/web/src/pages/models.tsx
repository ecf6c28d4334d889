// The models that this person may use, with their prices.
import { useState } from "preact/hooks";
import { items, useLoad, type Listing } from "../api";
import { count, short } from "../format";
import { t } from "../i18n";
import { Link, withQuery } from "../router";
import { modelName, type Model } from "../types";
import { Pager, Table } from "../list";
import { Empty, Page, Panel, Shown, TextField } from "../ui";

const ROWS_MAX = 100;
const CLASSES = ["input", "cached_input", "cache_write", "output"] as const;

/** What a class costs, wherever it is sent to. */
function costs(model: Model, name: string): string {
  const prices = model.prices ?? (model.classes ? [model.classes] : []);
  return [...new Set(prices.map((price) => price[name]).filter((price) => price !== undefined))].map(perMillion).join(" / ") || "–";
}

/** "2.5" → "$2.50". */
export function perMillion(price: string | undefined): string {
  if (price === undefined) return "–";
  return `$${price.replace(/^(\d+\.\d)$/, "$10")}`;
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
                <Table label={t("nav.models")} columns={[t("logs.model"), [t("models.context"), "right"], ...CLASSES.map((name) => [t(`class.${name}`), "right"] as const), ""]}>
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
