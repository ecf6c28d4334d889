// Provider accounts: how they are, a test call, and a weight that can be overridden live.
import { useEffect, useState } from "preact/hooks";
import { call, items, useLoad, useRefresh, type Listing } from "../api";
import { ago, moment, ms } from "../format";
import { t, word } from "../i18n";
import { Rested } from "../rested";
import { Link, withQuery } from "../router";
import type { Trial, Upstream } from "../types";
import { Dialog } from "../dialogs";
import { Badge, Button, Empty, ErrorNote, Facts, Page, Panel, SelectField, Shown, toast, useAct, type Tone } from "../ui";

const BREAKER_TONES: Record<string, Tone> = { closed: "good", half_open: "warn", open: "bad" };
const REFRESH_MS = 5000;
const MODELS_SHOWN_MAX = 14;
const WEIGHT_MIN_SCALE = 100;

export function UpstreamsPage() {
  const loaded = useLoad<Listing<Upstream> | Upstream[]>("/upstreams");
  const [testing, setTesting] = useState<Upstream | null>(null);
  const { reload } = loaded;
  useRefresh(reload, REFRESH_MS);
  const take = (changed: Upstream) => loaded.take((data) => items(data).map((one) => (one.name === changed.name ? changed : one)));
  return (
    <Page title={t("nav.upstreams")} lead={t("upstreams.lead")}>
      <Shown from={loaded}>
        {(data) =>
          items(data).length === 0 ? (
            <Panel>
              <Empty title={t("upstreams.none")} text={t("upstreams.noneText")}>
                <pre class="code">{'[[upstream]]\nname = "openai-main"\nprovider = "openai"\napi_key = "${OPENAI_API_KEY}"\nmodels = ["gpt-4o"]'}</pre>
              </Empty>
            </Panel>
          ) : (
            <div class="upstreams">
              {items(data).map((upstream) => (
                <Card key={upstream.name} of={upstream} test={() => setTesting(upstream)} take={take} reload={reload} most={Math.max(WEIGHT_MIN_SCALE, ...items(data).map((one) => Math.max(one.weight, one.weight_override ?? 0)))} />
              ))}
            </div>
          )
        }
      </Shown>
      {testing && <Test of={testing} onClose={() => (setTesting(null), void reload())} />}
    </Page>
  );
}

interface WeightProps {
  of: Upstream;
  /** Takes over what a change has answered. */
  take: (changed: Upstream) => void;
  reload: () => Promise<void>;
  /** The end of the scale. */
  most: number;
}

function Card({ test, ...weight }: WeightProps & { test: () => void }) {
  const upstream = weight.of;
  const { breaker } = upstream;
  return (
    <section class="panel upstream" aria-label={upstream.name}>
      <header class="panel-head">
        <h2>{upstream.name}</h2>
        <Badge tone={BREAKER_TONES[breaker.state] ?? "quiet"}>{word("breaker", breaker.state)}</Badge>
        <span class="panel-actions">
          <Button small onClick={test} aria-label={t("upstreams.testOf", { name: upstream.name })}>
            {t("upstreams.test")}
          </Button>
        </span>
      </header>
      <p class="quiet mono cut-line" title={upstream.base_url}>
        {upstream.base_url}
      </p>
      <Facts
        rows={[
          [t("upstreams.provider"), `${upstream.provider} · ${upstream.dialect}`],
          [t("upstreams.success"), upstream.success_rate === null ? "–" : `${(upstream.success_rate * 100).toFixed(1)}%`],
          [t("upstreams.latency"), ms(upstream.latency_ms)],
          [t("upstreams.priority"), upstream.priority],
          [t("nav.groups"), upstream.groups.join(", ") || "–"],
          [t("upstreams.key"), upstream.key_set ? t("upstreams.keySet") : <Badge tone="warn">{t("upstreams.keyMissing")}</Badge>],
        ]}
      />
      <LastError of={upstream} />
      <Limited of={upstream} />
      <Weight {...weight} />
      <p class="tags">
        {upstream.models.slice(0, MODELS_SHOWN_MAX).map((model) => (
          <Link key={model.name} class="tag" title={model.upstream_model} to={withQuery("/logs", { upstream: upstream.name, model: model.name })}>
            {model.name}
          </Link>
        ))}
        {upstream.models.length > MODELS_SHOWN_MAX && (
          <span class="quiet" title={upstream.models.map((model) => model.name).join(", ")}>
            {t("state.more", { count: upstream.models.length - MODELS_SHOWN_MAX })}
          </span>
        )}
      </p>
      <p class="owner">{t("upstreams.owner", { owner: word("owner", upstream.owner) })}</p>
    </section>
  );
}

function LastError({ of: { breaker } }: { of: Upstream }) {
  const error = breaker.last_error;
  if (!error) return null;
  return (
    <div class={`note ${breaker.state === "closed" ? "quiet-note" : "danger"}`}>
      <span>
        {breaker.state === "open" && breaker.cooldown_ms ? <strong>{t("upstreams.cooldown", { time: ms(breaker.cooldown_ms) })} </strong> : null}
        {t("upstreams.lastError")} {error.status ? <code>{error.status}</code> : null} {error.message ?? error.class ?? ""}{" "}
        <span class="quiet" title={moment(error.at)}>
          {[error.at ? ago(error.at) : "", breaker.failures > 0 ? t("upstreams.failures", { count: breaker.failures }) : ""].filter(Boolean).join(" · ")}
        </span>
      </span>
    </div>
  );
}

/** Models that are rate-limited there, while the upstream serves others. */
function Limited({ of: { breaker, models } }: { of: Upstream }) {
  const limited = breaker.state !== "open" ? models.filter((model) => model.cooldown_ms > 0) : [];
  if (limited.length === 0) return null;
  const told = limited.map((model) => `${model.name} (${ms(model.cooldown_ms)})`).join(", ");
  return <div class="note warn">{t("upstreams.limited", { models: told })}</div>;
}

function Weight({ of: upstream, take, reload, most }: WeightProps) {
  const inForce = upstream.weight_override ?? upstream.weight;
  const [moved, setMoved] = useState<number | null>(null);
  const { busy, error, run } = useAct();
  const path = `/upstreams/${encodeURIComponent(upstream.name)}`;
  const [rested] = useState(
    () =>
      new Rested(async (weight: number, as) => {
        await run(
          () => call<Upstream>("PATCH", path, { weight }, undefined, as),
          (changed) => {
            toast(t("upstreams.weightSet", { name: upstream.name, weight }));
            take(changed);
          },
        );
        // From here on what is in force is shown, unless it was moved on meanwhile.
        setMoved((now) => (now === weight ? null : now));
      }),
  );
  useEffect(() => () => void rested.now(), []);
  const reset = () => void run(() => call("DELETE", `${path}/override`), reload);
  const shown = moved ?? inForce;
  return (
    <div class="weight">
      <label>
        <span>
          {t("upstreams.weight")}{" "}
          {upstream.weight_override !== null && <Badge tone="accent">{t("upstreams.overridden")}</Badge>}
        </span>
        <input type="range" name="weight" min={0} max={most} step={1} value={shown} aria-label={t("upstreams.weightOf", { name: upstream.name })} onInput={(event) => setMoved(Number(event.currentTarget.value))} onChange={(event) => rested.put(Number(event.currentTarget.value))} onBlur={() => void rested.now()} />
        <output class="number">{shown}</output>
      </label>
      {upstream.weight_override !== null && (
        <Button small busy={busy} onClick={reset}>
          {t("upstreams.reset")}
        </Button>
      )}
      <ErrorNote error={error} />
    </div>
  );
}

function Test({ of: upstream, onClose }: { of: Upstream; onClose: () => void }) {
  const [model, setModel] = useState(upstream.models[0]?.name ?? "");
  const [trial, setTrial] = useState<Trial | null>(null);
  const { busy, error, run } = useAct();
  const start = () => {
    setTrial(null);
    void run(() => call<Trial>("POST", `/upstreams/${encodeURIComponent(upstream.name)}/test`, model ? { model } : {}), setTrial);
  };
  return (
    <Dialog title={t("upstreams.testOf", { name: upstream.name })} onClose={onClose} wide>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          start();
        }}
      >
        <SelectField label={t("logs.model")} name="model" value={model} set={setModel} choices={upstream.models.map((one) => [one.name, one.name] as const)} hint={t("upstreams.testHint")} />
        <ErrorNote error={error} />
        {trial && (
          <div role="status">
            <p>
              <Badge tone={trial.is_answer ? "good" : "bad"}>{trial.is_answer ? t("upstreams.works") : t("upstreams.fails")}</Badge> {trial.status ?? "–"} · {ms(trial.duration_ms)}
            </p>
            <pre class="code tall">{typeof trial.body === "string" ? trial.body : JSON.stringify(trial.body, null, 2)}</pre>
          </div>
        )}
        <div class="dialog-actions">
          <Button onClick={onClose}>{t("action.close")}</Button>
          <Button type="submit" tone="main" busy={busy}>
            {busy ? t("upstreams.testing") : t("upstreams.testNow")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
