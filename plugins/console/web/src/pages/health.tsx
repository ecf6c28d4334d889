// Whether the gateway itself is well: journal, store, holds, breakers; reload and a check of the ledger.
import { useState } from "preact/hooks";
import { call, useLoad, useRefresh } from "../api";
import { count } from "../format";
import { t } from "../i18n";
import { may } from "../session";
import { Badge, Button, ErrorNote, Page, Panel, Shown, toast, useAct } from "../ui";
import { Tree } from "./any";

type Fields = Record<string, unknown>;
const REFRESH_MS = 5000;

export function HealthPage() {
  const health = useLoad<Fields>("/console/internal/health");
  const metrics = useLoad<Fields>("/metrics/summary");
  useRefresh(health.reload, REFRESH_MS);
  useRefresh(metrics.reload, REFRESH_MS);
  return (
    <Page title={t("nav.health")} lead={t("health.lead")} actions={<Reload />}>
      <Shown from={health}>
        {(data) => {
          const { journal, store, applier, holds, upstreams, ...rest } = data;
          return (
            <>
              <div class="cards">
                <Tree title={t("health.process")} fields={rest} named />
                <Tree title={t("health.journal")} fields={asFields(journal)} named />
                <Tree title={t("health.applier")} fields={asFields(applier)} named />
                <Tree title={t("health.store")} fields={asFields(store)} named />
                <Tree title={t("health.holds")} fields={asFields(holds)} named />
              </div>
              <Tree title="" fields={{ [t("nav.upstreams")]: breakers(upstreams) }} named />
            </>
          );
        }}
      </Shown>
      {may("admin") && <Verify />}
      <Shown from={metrics}>{(data) => (
          <div class="cards">
            <Tree title={t("health.metrics")} fields={asFields(data)} named />
          </div>
        )}</Shown>
    </Page>
  );
}

/** One row for each upstream: what its breaker says stands beside its name. */
function breakers(upstreams: unknown): Fields[] {
  if (!Array.isArray(upstreams)) return [];
  return upstreams.map((upstream) => {
    const { breaker, ...rest } = asFields(upstream);
    const { last_error, ...state } = asFields(breaker);
    return { ...rest, ...state, last_error: asFields(last_error)["message"] ?? null };
  });
}

function asFields(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : value === undefined || value === null ? {} : { value };
}

export function Reload() {
  const { busy, error, run } = useAct();
  const [refused, setRefused] = useState<string[]>([]);
  const reload = () =>
    void run(
      () => call<{ status: string; errors?: unknown[] }>("POST", "/reload"),
      (answer) => {
        const errors = answer.errors?.map(String) ?? [];
        setRefused(errors);
        if (errors.length === 0) toast(t("health.reloaded"));
      },
    );
  return (
    <>
      <ErrorNote error={error} />
      {refused.length > 0 && (
        <div class="note danger" role="alert">
          {t("health.reloadRefused", { errors: refused.join("; ") })}
        </div>
      )}
      <Button busy={busy} onClick={reload}>
        {t("health.reload")}
      </Button>
    </>
  );
}

function Verify() {
  const { busy, error, run } = useAct();
  const [told, setTold] = useState<{ sound: boolean; findings: string[]; findings_count: number; notes: string[]; rows: number } | null>(null);
  return (
    <Panel
      title={t("health.ledger")}
      actions={
        <Button busy={busy} onClick={() => void run(() => call<NonNullable<typeof told>>("GET", "/ledger/verify"), setTold)}>
          {busy ? t("health.verifying") : t("health.verify")}
        </Button>
      }
    >
      <ErrorNote error={error} />
      {!told && !error && <p class="quiet">{t("health.verifyText")}</p>}
      {told && (
        <div role="status">
          <p>
            <Badge tone={told.sound ? "good" : "bad"}>{told.sound ? t("health.sound") : t("health.unsound")}</Badge> {t("health.rows", { count: count(told.rows) })}
            {told.findings_count > told.findings.length && <> · {t("health.found", { count: count(told.findings_count) })}</>}
          </p>
          {told.findings.length > 0 && (
            <ul class="findings">
              {told.findings.map((finding, at) => (
                <li key={at}>{finding}</li>
              ))}
            </ul>
          )}
          {told.notes.map((note, at) => (
            <p key={at} class="quiet small-text">
              {note}
            </p>
          ))}
        </div>
      )}
    </Panel>
  );
}
