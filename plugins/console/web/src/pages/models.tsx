// The models that this person may use, with their prices.
import { useState } from "preact/hooks";
import { items, useLoad, type Listing } from "../api";
import { t } from "../i18n";
import { Link, withQuery } from "../router";
import { modelName, type Model } from "../types";
import { Button, Empty, Page, Panel, Shown, Table, TextField } from "../ui";

const ROWS_MAX = 100;
const CLASSES = ["input", "cached_input", "cache_write", "output"] as const;

export const perMillion = (price: string | undefined) => (price === undefined ? "–" : `$${price}`);

export function ModelsPage() {
  const loaded = useLoad<Listing<Model> | Model[]>("/models");
  const [search, setSearch] = useState("");
  const [rows, setRows] = useState(ROWS_MAX);
  return (
    <Page title={t("nav.models")} lead={t("models.lead")}>
      <div class="filters">
        <TextField label={t("models.search")} name="search" value={search} set={(text) => (setSearch(text), setRows(ROWS_MAX))} input={{ type: "search", "data-search": true }} />
      </div>
      <Panel flush>
        <Shown from={loaded}>
          {(data) => {
            const found = items(data).filter((model) => modelName(model).toLowerCase().includes(search.toLowerCase()));
            if (found.length === 0) return <Empty title={search ? t("models.noneFound") : t("models.none")} text={search ? undefined : t("models.noneText")} />;
            return (
              <>
                <Table label={t("nav.models")} head={[t("logs.model"), ...CLASSES.map((name) => t(`class.${name}`)), ""].map((name, at) => <th key={at} class={at > 0 ? "right" : undefined}>{name || <span class="unseen">{t("field.actions")}</span>}</th>)}>
                  {found.slice(0, rows).map((model) => (
                    <tr key={modelName(model)}>
                      <td>{modelName(model)}</td>
                      {CLASSES.map((name) => (
                        <td key={name} class="right number">
                          {perMillion(model.classes?.[name])}
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
                {found.length > rows && (
                  <div class="pager">
                    <Button small onClick={() => setRows(rows + ROWS_MAX)}>
                      {t("state.more", { count: found.length - rows })}
                    </Button>
                  </div>
                )}
              </>
            );
          }}
        </Shown>
      </Panel>
    </Page>
  );
}
