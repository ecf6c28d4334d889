// The ledger's records, newest first: filters in the address, one page at a time, live when switched on.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { usePages, type ApiError } from "../api";
import { download } from "../download";
import { ago, count, fromLocalInput, moment, ms, short, shortMoment, toLocalInput } from "../format";
import { t, type TextKey } from "../i18n";
import { List, Table } from "../list";
import { Link, setQuery, usePlace } from "../router";
import { may } from "../session";
import type { LogRecord } from "../types";
import { Amount, Badge, Button, Empty, ErrorNote, Field, Outcome, Page, saying, SelectField, TextField, Toggle, useAct } from "../ui";

const LIVE_MS = 2000;
const RANGES: Record<string, number> = { "1h": 3_600_000, "24h": 86_400_000, "7d": 604_800_000, "30d": 2_592_000_000 };
const OUTCOMES = ["ok", "client_aborted", "upstream_error", "interrupted"] as const;
const TEXT_FILTERS = ["key", "user", "model", "upstream", "status", "q"] as const;
const FILTERS = [...TEXT_FILTERS, "outcome", "since", "until"] as const;
const MORE_FILTERS = ["since", "until", "user", "upstream", "status"] as const;

/** The address's filters as the API takes them; a range is counted back from when it was chosen. */
function useFilters(): Record<string, string> {
  const { query } = usePlace();
  const text = query.toString();
  return useMemo(() => {
    const filters: Record<string, string> = {};
    for (const name of FILTERS) {
      const value = query.get(name);
      if (value) filters[name] = value;
    }
    const back = RANGES[query.get("range") ?? ""];
    if (back && !filters["since"]) filters["since"] = new Date(Date.now() - back).toISOString();
    return filters;
  }, [text]);
}

export function LogsPage() {
  const { query } = usePlace();
  const filters = useFilters();
  const listing = usePages<LogRecord>("/logs", filters);
  const isLive = query.get("live") === "1";
  const fresh = useLive(isLive && listing.page === 1, listing.rows, listing.reload);
  const search = new URLSearchParams(filters).toString();
  const { busy, error, run } = useAct();
  const exportAs = (format: string) => {
    // One request is no export.
    const { q: _, ...rest } = filters;
    void run(() => download(`/logs/export?${new URLSearchParams({ format, ...rest })}`));
  };
  return (
    <Page
      title={t("nav.logs")}
      actions={
        <>
          <Toggle label={t("logs.live")} on={isLive && listing.page === 1} set={(on) => (listing.first(), setQuery({ live: on ? "1" : null }))} />
          <Button busy={busy} onClick={() => exportAs("csv")}>
            CSV
          </Button>
          <Button busy={busy} onClick={() => exportAs("jsonl")}>
            JSONL
          </Button>
          <Button busy={listing.loading && !isLive} onClick={() => void listing.reload()}>
            {t("action.reload")}
          </Button>
        </>
      }
    >
      <ErrorNote error={error} />
      <Filters error={listing.error} keyName={/^\d+$/.test(filters["key"] ?? "") ? (listing.rows?.[0]?.key_name ?? null) : null} />
      <List from={listing} empty={<Nothing isFiltered={search !== ""} />}>
        {(rows) => <Rows rows={rows} fresh={fresh} />}
      </List>
    </Page>
  );
}

/** Loads anew every two seconds while the page is seen, and tells which rows came with the last time. */
function useLive(isOn: boolean, rows: LogRecord[] | null, reload: () => Promise<void>): Set<string> {
  const seen = useRef<Set<string> | null>(null);
  const [fresh, setFresh] = useState<Set<string>>(new Set());
  useEffect(() => {
    if (!isOn) return;
    let timer = 0;
    let isOver = false;
    const tick = async () => {
      if (!document.hidden) await reload();
      if (!isOver) timer = setTimeout(() => void tick(), LIVE_MS);
    };
    timer = setTimeout(() => void tick(), LIVE_MS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [isOn, reload]);
  useEffect(() => {
    if (!rows) return;
    const before = seen.current;
    seen.current = new Set(rows.map((row) => row.request_id));
    setFresh(isOn && before ? new Set(rows.filter((row) => !before.has(row.request_id)).map((row) => row.request_id)) : new Set());
  }, [rows && rows.map((row) => row.request_id).join(), isOn]);
  return fresh;
}

/** The filters of every day in one row; the others below, open when one of them is set. A key that is asked for by its number has its name below. */
function Filters({ error, keyName }: { error: ApiError | null; keyName: string | null }) {
  const { query } = usePlace();
  const asked = () => Object.fromEntries(TEXT_FILTERS.map((name) => [name, query.get(name) ?? ""]));
  const [texts, setTexts] = useState<Record<string, string>>(asked);
  useEffect(() => setTexts(asked()), [query.toString()]);
  const isAny = FILTERS.some((name) => query.has(name)) || query.has("range");
  const apply = () => setQuery(texts);
  const text = (name: (typeof TEXT_FILTERS)[number]) => (
    <TextField
      key={name}
      label={t(`logs.filter.${name}`)}
      name={name}
      value={texts[name] ?? ""}
      set={(value) => setTexts({ ...texts, [name]: value })}
      error={error?.field === name ? saying(error) : null}
      hint={name === "key" && keyName !== null ? keyName : undefined}
      input={{ type: "search", onChange: apply, ...(name === "q" ? { "data-search": true } : {}), ...(name === "status" ? { inputMode: "numeric" } : {}) }}
    />
  );
  const isMore = MORE_FILTERS.some((name) => query.has(name));
  return (
    <form
      role="search"
      class="filter-form"
      onSubmit={(event) => {
        event.preventDefault();
        apply();
      }}
    >
      <div class="filters">
        <SelectField label={t("logs.range")} name="range" value={query.get("range") ?? ""} set={(range) => setQuery({ range, since: null, until: null })} choices={[["", t("range.all")], ...Object.keys(RANGES).map((range) => [range, t(`range.${range}` as TextKey)] as const)]} />
        <SelectField label={t("logs.outcome")} name="outcome" value={query.get("outcome") ?? ""} set={(outcome) => setQuery({ outcome })} choices={[["", t("logs.any")], ...OUTCOMES.map((outcome) => [outcome, t(`outcome.${outcome}`)] as const)]} />
        {text("model")}
        {text("key")}
        {text("q")}
        <div class="filter-actions">
          <Button type="submit">{t("action.filter")}</Button>
          {isAny && <Button onClick={() => setQuery(Object.fromEntries([...FILTERS, "range"].map((name) => [name, null])))}>{t("action.clear")}</Button>}
        </div>
      </div>
      <details class="more" open={isMore}>
        <summary>{t("logs.more")}</summary>
        <div class="filters">
          <Time name="since" />
          <Time name="until" />
          {may("operator") && text("user")}
          {may("operator") && text("upstream")}
          {text("status")}
        </div>
      </details>
    </form>
  );
}

function Time({ name }: { name: "since" | "until" }) {
  const { query } = usePlace();
  return (
    <Field label={t(`logs.${name}`)} name={name}>
      {(attributes) => <input {...attributes} type="datetime-local" value={toLocalInput(query.get(name))} onChange={(event) => setQuery({ [name]: fromLocalInput(event.currentTarget.value), range: null })} />}
    </Field>
  );
}

function Nothing({ isFiltered }: { isFiltered: boolean }) {
  return (
    <Empty title={isFiltered ? t("logs.noneFiltered") : t("logs.none")} text={isFiltered ? t("logs.noneFilteredText") : t("logs.noneText")}>
      {!isFiltered && (
        <Link class="button main" to="/playground">
          {t("nav.playground")}
        </Link>
      )}
    </Empty>
  );
}

function Rows({ rows, fresh }: { rows: LogRecord[]; fresh: Set<string> }) {
  const showUser = may("operator");
  return (
    <Table
      label={t("nav.logs")}
      columns={[
        t("logs.time"),
        t("logs.outcome"),
        t("logs.model"),
        t("logs.key"),
        ...(showUser ? [t("logs.user")] : []),
        t("logs.upstream"),
        ...[t("logs.tokens"), t("logs.ttft"), t("logs.duration"), t("logs.cost")].map((name) => [name, "right"] as const),
      ]}
    >
      {rows.map((row) => (
        <tr key={row.request_id} class={fresh.has(row.request_id) ? "fresh" : undefined}>
          <td class="nowrap" title={`${moment(row.started_at)} · ${ago(row.started_at)}`}>
            <Link to={`/logs/${encodeURIComponent(row.request_id)}`} aria-label={t("logs.open", { time: moment(row.started_at) })}>
              {shortMoment(row.started_at)}
            </Link>
          </td>
          <td class="nowrap">
            <Outcome outcome={row.outcome} /> <span class={row.status >= 400 ? "status bad-text" : "status quiet"}>{row.status || "–"}</span>
          </td>
          <td class="cut" title={row.model}>{row.model}</td>
          <td class="cut" title={row.key_name ?? ""}>{row.key_name ?? "–"}</td>
          {showUser && <td class="cut">{row.user ?? "–"}</td>}
          <td class="cut" title={row.upstream ?? ""}>
            {row.upstream ?? "–"}
            {row.attempts > 1 && (
              <span title={t("logs.attempts", { count: row.attempts })}>
                {" "}
                <Badge tone="warn">×{row.attempts}</Badge>
              </span>
            )}
          </td>
          <td class="right number" title={`${count(row.input_tokens)} → ${count(row.output_tokens)}`}>
            {short(row.input_tokens)} → {short(row.output_tokens)}
          </td>
          <td class="right number">{ms(row.ttft_ms)}</td>
          <td class="right number">{ms(row.duration_ms)}</td>
          <td class="right">
            <Amount nanos={row.cost_nanos} />
          </td>
        </tr>
      ))}
    </Table>
  );
}
