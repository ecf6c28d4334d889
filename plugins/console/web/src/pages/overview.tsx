// What is spent, asked and failed over time, and by whom.
import { useMemo } from "preact/hooks";
import { useLoad, useRefresh } from "../api";
import { Chart } from "../chart";
import { count, dollars, ms, percent, short } from "../format";
import { t, type TextKey } from "../i18n";
import { NANOS_PER_USD, toBig, usd } from "../money";
import { Link, setQuery, usePlace, withQuery } from "../router";
import { may } from "../session";
import type { Overview, Top } from "../types";
import { Amount, Button, Empty, Page, Panel, Segments, Shown } from "../ui";

const REFRESH_MS = 30_000;
const RANGES = ["1h", "24h", "7d", "30d"] as const;

export function OverviewPage() {
  const asked = usePlace().query.get("range") ?? "24h";
  const range = RANGES.find((one) => one === asked) ?? "24h";
  const loaded = useLoad<Overview>(`/overview?range=${range}`);
  useRefresh(loaded.reload, REFRESH_MS);
  return (
    <Page
      title={t("nav.overview")}
      actions={
        <>
          <Segments label={t("overview.range")} value={range} set={(value) => setQuery({ range: value === "24h" ? null : value })} choices={RANGES.map((one) => [one, t(`range.${one}` as TextKey)] as const)} />
          <Button busy={loaded.loading} onClick={() => void loaded.reload()}>
            {t("action.reload")}
          </Button>
        </>
      }
    >
      <Shown from={loaded}>{(data) => (data.totals.requests === 0 ? <FirstSteps /> : <Figures data={data} range={range} />)}</Shown>
    </Page>
  );
}

/** Nothing was asked in this time: how to begin. */
function FirstSteps() {
  return (
    <Panel>
      <Empty title={t("overview.empty")} text={t("overview.emptyText")}>
        <Link class="button main" to="/keys?new=1">
          {t("keys.new")}
        </Link>
        <Link class="button plain" to="/playground">
          {t("nav.playground")}
        </Link>
        {may("operator") && (
          <Link class="button plain" to="/upstreams">
            {t("nav.upstreams")}
          </Link>
        )}
      </Empty>
    </Panel>
  );
}

function Figures({ data, range }: { data: Overview; range: string }) {
  const { totals, series } = data;
  // Only for drawing: a chart's line needs no last nano-dollar.
  const spend = useMemo(() => series.cost_nanos.map((nanos) => Number(toBig(nanos)) / Number(NANOS_PER_USD)), [series]);
  const chart = { at: series.at };
  return (
    <>
      <div class="figures">
        <Figure name={t("overview.spend")} value={usd(totals.cost_nanos)} />
        <Figure name={t("overview.requests")} value={count(totals.requests)} />
        <Figure name={t("overview.tokens")} value={short(totals.input_tokens + totals.output_tokens)} below={t("overview.inOut", { input: short(totals.input_tokens), output: short(totals.output_tokens) })} />
        <Figure name={t("overview.errors")} value={percent(totals.errors, totals.requests)} below={t("overview.failed", { count: count(totals.errors) })} />
        <Figure name={t("overview.latency")} value={ms(totals.p50_ms)} below={`p95 ${ms(totals.p95_ms)}`} />
        <Figure name={t("overview.ttft")} value={ms(totals.ttft_p50_ms)} />
      </div>
      <div class="charts">
        <Chart {...chart} title={t("overview.spend")} total={usd(totals.cost_nanos)} values={spend} color="--accent" format={dollars} />
        <Chart {...chart} title={t("overview.requests")} total={count(totals.requests)} values={series.requests} color="--blue" format={short} bars />
        <Chart {...chart} title={t("overview.tokens")} total={short(totals.input_tokens + totals.output_tokens)} values={series.tokens} color="--violet" format={short} />
        <Chart {...chart} title={t("overview.latencyMedian")} total={ms(totals.p50_ms)} values={series.p50_ms} color="--amber" format={ms} />
        <Chart {...chart} title={t("overview.errors")} total={count(totals.errors)} values={series.errors} color="--bad" format={short} bars />
      </div>
      <div class="tops">
        <TopList title={t("overview.topKeys")} rows={data.top.keys} filter="key" range={range} />
        <TopList title={t("overview.topModels")} rows={data.top.models} filter="model" range={range} />
        <TopList title={t("overview.topUpstreams")} rows={data.top.upstreams} filter="upstream" range={range} />
      </div>
    </>
  );
}

function Figure({ name, value, below }: { name: string; value: string; below?: string }) {
  return (
    <div class="figure">
      <span class="figure-name">{name}</span>
      <span class="figure-value">{value}</span>
      <span class="figure-below">{below ?? " "}</span>
    </div>
  );
}

function TopList({ title, rows, filter, range }: { title: string; rows: Top[]; filter: string; range: string }) {
  const most = rows.reduce((most, row) => (toBig(row.cost_nanos) > most ? toBig(row.cost_nanos) : most), 0n);
  return (
    <Panel title={title}>
      {rows.length === 0 ? (
        <p class="quiet">{t("state.none")}</p>
      ) : (
        <ol class="top-list">
          {rows.slice(0, 8).map((row) => (
            <li key={row.key_id ?? row.name}>
              <i class="top-bar" style={{ width: `${most > 0n ? Number((toBig(row.cost_nanos) * 100n) / most) : 0}%` }} />
              <Link to={withQuery("/logs", { [filter]: String(row.key_id ?? row.name), range })} title={row.key_id === undefined ? undefined : t("logs.keyNumber", { id: row.key_id })}>
                {row.name}
              </Link>
              <span class="quiet number">{short(row.requests)}</span>
              <Amount nanos={row.cost_nanos} />
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}
