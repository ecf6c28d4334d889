// One request: what was tried and why, how long each part took, what was counted and what it cost.
import { useLoad } from "../api";
import { count, moment, ms } from "../format";
import { language, t, word } from "../i18n";
import { type Nanos, toBig, usdExact } from "../money";
import { Link, withQuery } from "../router";
import type { Attempt, Candidate, LogDetail, LogRecord, PriceLine } from "../types";
import { Table } from "../list";
import { Badge, CopyBox, Empty, Facts, Outcome, Page, Panel, Shown } from "../ui";

export function RequestPage({ id }: { id: string }) {
  const loaded = useLoad<LogDetail>(`/logs/${encodeURIComponent(id)}`);
  return (
    <Page title={t("request.title")} lead={<Link to="/logs">← {t("nav.logs")}</Link>}>
      {loaded.error?.status === 404 ? <Empty title={t("request.gone")} text={t("request.goneText")} /> : <Shown from={loaded}>{(detail) => <Detail detail={detail} />}</Shown>}
    </Page>
  );
}

function Detail({ detail }: { detail: LogDetail }) {
  const { record } = detail;
  return (
    <>
      <Panel>
        <div class="request-head">
          <Outcome outcome={record.outcome} />
          <strong class="request-model">{record.model}</strong>
          <span class="request-cost number">{usdExact(record.cost_nanos)}</span>
        </div>
        <CopyBox text={record.request_id} label={t("request.id")} />
        <Flags record={record} />
        <Facts rows={about(record)} />
      </Panel>
      <Attempts attempts={detail.attempts ?? []} total={record.duration_ms} />
      <Candidates candidates={detail.candidates ?? []} attempts={detail.attempts ?? []} leftOut={detail.candidates_left_out ?? 0} />
      <div class="two">
        <Usage record={record} />
        <Timings record={record} timings={detail.timings ?? {}} />
      </div>
      <Arithmetic detail={detail} />
    </>
  );
}

function Flags({ record }: { record: LogRecord }) {
  return (
    <p class="flags">
      {record.price_missing && <Badge tone="warn">{t("request.priceMissing")}</Badge>}
      {record.overshoot && <Badge tone="warn">{t("request.overshoot")}</Badge>}
      {record.usage_source !== "reported" && <Badge tone="warn">{word("source", record.usage_source)}</Badge>}
      {record.error_code && <Badge tone="bad">{record.error_code}</Badge>}
    </p>
  );
}

function about(record: LogRecord) {
  return [
    [t("request.started"), moment(record.started_at)],
    [t("logs.status"), record.status || "–"],
    [t("logs.key"), record.key_name ? <Link to={withQuery("/logs", { key: String(record.key_id ?? record.key_name) })}>{record.key_name}</Link> : "–"],
    [t("logs.user"), record.user ?? "–"],
    [t("field.group"), record.group ?? "–"],
    [t("request.endpoint"), `${record.endpoint} · ${record.dialect}${record.stream ? ` · ${t("request.stream")}` : ""}`],
    [t("logs.upstream"), record.upstream ?? "–"],
    [t("request.upstreamModel"), record.upstream_model ?? "–"],
    ...(record.held_nanos ? [[t("request.held"), usdExact(record.held_nanos)] as const] : []),
  ] as const;
}

function Attempts({ attempts, total }: { attempts: Attempt[]; total: number }) {
  const end = Math.max(total, 1, ...attempts.map((attempt) => attempt.started_ms + attempt.duration_ms));
  const share = (part: number) => `${Math.max(0.4, (part / end) * 100)}%`;
  return (
    <Panel title={t("request.attempts")} flush>
      {attempts.length === 0 ? (
        <Empty title={t("request.noAttempts")} text={t("request.noAttemptsText")} />
      ) : (
        <Table label={t("request.attempts")} columns={["#", t("logs.upstream"), t("logs.outcome"), t("request.when"), t("logs.duration"), t("request.error")]}>
          {attempts.map((attempt, index) => (
            <tr key={index}>
              <td class="quiet">{index + 1}</td>
              <td class="nowrap">
                {attempt.upstream} <span class="quiet">{attempt.upstream_model}</span>
              </td>
              <td class="nowrap">
                <Outcome outcome={attempt.outcome} /> <span class="status quiet">{attempt.status ?? "–"}</span>
              </td>
              <td class="timeline-cell">
                <span class="timeline" role="img" aria-label={`${ms(attempt.started_ms)} – ${ms(attempt.started_ms + attempt.duration_ms)}`}>
                  <i class={attempt.outcome === "ok" ? "good" : "bad"} style={{ left: `${(attempt.started_ms / end) * 99}%`, width: share(attempt.duration_ms) }} />
                </span>
              </td>
              <td class="number nowrap">{ms(attempt.duration_ms)}</td>
              <td>{attempt.error ?? "–"}</td>
            </tr>
          ))}
        </Table>
      )}
    </Panel>
  );
}

/** The API's sentence is English; in other languages its word has a shorter one, and the sentence is its title. */
function reason(candidate: Candidate, attempts: Attempt[], isOnly: boolean): string {
  const text = word("reason", isOnly && candidate.taken ? "only" : (candidate.code ?? ""));
  if (language.get() === "en" || !candidate.code || text === candidate.code) return candidate.why;
  const nth = attempts.findIndex((attempt) => attempt.upstream === candidate.upstream) + 1;
  return text.replace("{nth}", String(nth || 1));
}

function Candidates({ candidates, attempts, leftOut }: { candidates: Candidate[]; attempts: Attempt[]; leftOut: number }) {
  return (
    <Panel title={t("request.candidates")} flush>
      {candidates.length === 0 ? (
        <p class="quiet padded">{t("request.noCandidates")}</p>
      ) : (
        <Table label={t("request.candidates")} columns={[t("logs.upstream"), t("request.taken"), t("request.why")]}>
          {candidates.map((candidate, index) => (
            <tr key={index}>
              <td>{candidate.upstream}</td>
              <td>{candidate.taken ? <Badge tone="good">{t("request.isTaken")}</Badge> : <Badge tone="quiet">{candidate.code ? word("why", candidate.code) : t("request.passed")}</Badge>}</td>
              <td title={candidate.why}>{reason(candidate, attempts, candidates.length === 1)}</td>
            </tr>
          ))}
        </Table>
      )}
      {leftOut > 0 && <p class="quiet below-table">{t("state.more", { count: leftOut })}</p>}
    </Panel>
  );
}

function Usage({ record }: { record: LogRecord }) {
  return (
    <Panel title={t("request.usage")}>
      <Facts
        rows={[
          [t("tokens.input"), count(record.input_tokens)],
          [t("tokens.cached"), count(record.cached_input_tokens)],
          [t("tokens.cacheWrite"), count(record.cache_write_tokens)],
          [t("tokens.output"), count(record.output_tokens)],
          [t("tokens.reasoning"), count(record.reasoning_tokens)],
          [t("request.source"), word("source", record.usage_source)],
        ]}
      />
    </Panel>
  );
}

function Timings({ record, timings }: { record: LogRecord; timings: Record<string, number | null> }) {
  const known = new Set(["ttft_ms", "duration_ms"]);
  const rest = Object.entries(timings).filter(([name]) => !known.has(name));
  return (
    <Panel title={t("request.timings")}>
      <Facts
        rows={[
          [t("logs.ttft"), ms(record.ttft_ms)],
          [t("logs.duration"), ms(record.duration_ms)],
          ...rest.map(([name, value]) => [word("timing", name), typeof value === "number" ? ms(value) : "–"] as const),
        ]}
      />
    </Panel>
  );
}

export function PriceLines({ lines }: { lines: (PriceLine | string)[] }) {
  return (
    <div class="table-box">
      <table class="arithmetic">
        <tbody>
          {lines.map((line, index) =>
            typeof line === "string" ? (
              <tr key={index}>
                <td colSpan={3}>{line}</td>
              </tr>
            ) : (
              <tr key={index}>
                <td>{word("class", line.what)}</td>
                <td class="mono quiet">{line.how ?? ""}</td>
                <td class="right number">{line.usd ? `$${line.usd.replace(/^\$/, "")}` : ""}</td>
              </tr>
            ),
          )}
        </tbody>
      </table>
    </div>
  );
}

function otherPrices(record: LogRecord, now: Nanos | null | undefined): string {
  if (now == null) return t("request.noPriceNow");
  return toBig(now) === toBig(record.cost_nanos) ? t("request.sameCost") : t("request.otherPrices", { cost: usdExact(now) });
}

function Arithmetic({ detail }: { detail: LogDetail }) {
  const { record, price_lines: lines = [], price_now_nanos: now } = detail;
  return (
    <Panel title={t("request.arithmetic")} flush>
      {lines.length === 0 ? <p class="quiet padded">{t("request.noArithmetic")}</p> : <PriceLines lines={lines} />}
      {detail.price_is_the_same === false && <p class="quiet below-table">{otherPrices(record, now)}</p>}
      <p class="sum">
        <span class="quiet">{t("request.priceVersion", { version: record.price_version || "–" })}</span>
        <strong class="number">{usdExact(record.cost_nanos)}</strong>
      </p>
    </Panel>
  );
}
