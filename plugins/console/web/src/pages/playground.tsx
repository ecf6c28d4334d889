// A chat against any model that the person may use, through the gateway as an application would.
import { useEffect, useRef, useState } from "preact/hooks";
import { items, useLoad, type Listing } from "../api";
import { count, ms } from "../format";
import { t } from "../i18n";
import { kept } from "../kept";
import { Link, usePlace } from "../router";
import { freshKeys } from "../session";
import { useWatched } from "../store";
import { BrokenOff, chat, ChatError, type Answered, type Turn } from "../stream";
import { modelName, type Model } from "../types";
import { Button, Empty, Field, Page, SelectField, TextField } from "../ui";

interface Said extends Turn {
  reasoning?: string;
  told?: Answered & { firstMs: number | null; totalMs: number };
  error?: { code: string; message: string; requestId: string | null };
  stopped?: boolean;
}

interface Conversation {
  secret: string;
  turns: Said[];
  model: string;
  /** The question that is being answered, whatever page is looked at. */
  running: AbortController | null;
}
const conversation = kept<Conversation>({ secret: "", turns: [], model: "", running: null }, "session");
const change = (changes: Partial<Conversation>) => conversation.set({ ...conversation.get(), ...changes });

async function ask(question: string, wanted: Wanted): Promise<void> {
  // What failed, or has no word in it, is not sent along: there are providers that refuse an empty one.
  const before: Said[] = [...conversation.get().turns.filter((turn) => !turn.error && turn.content !== ""), { role: "user", content: question }];
  const running = new AbortController();
  change({ running, turns: before });
  const isThere = () => conversation.get().running === running;
  const unwatch = conversation.watch(() => isThere() || running.abort());
  const show = (said: Said, more: Partial<Conversation> = {}) => void (isThere() && change({ turns: [...before, said], ...more }));
  const answer = await converse(before, wanted, running.signal, show);
  unwatch();
  show(answer, { running: null });
}

export function PlaygroundPage() {
  const models = useLoad<Listing<Model> | Model[]>("/models");
  const fresh = useWatched(freshKeys);
  const asked = usePlace().query.get("model");
  const { secret, turns, model, running } = useWatched(conversation);
  const [system, setSystem] = useState("");
  const [temperature, setTemperature] = useState("");
  const [most, setMost] = useState("");
  const [text, setText] = useState("");
  const busy = running !== null;
  const setModel = (model: string) => change({ model });
  const setSecret = (secret: string) => change({ secret });
  const list = items(models.data).map(modelName);
  useEffect(() => change({ model: asked ?? model, secret: secret || (fresh[0]?.secret ?? "") }), []);
  useEffect(() => {
    if (conversation.get().model === "" && list[0]) setModel(list[0]);
  }, [list[0]]);

  const send = () => {
    const question = text.trim();
    if (question === "" || secret === "" || model === "" || busy) return;
    setText("");
    void ask(question, { secret, model, system, temperature, most });
  };
  return (
    <Page
      title={t("nav.playground")}
      lead={t("playground.lead")}
      actions={
        <Button disabled={turns.length === 0 || busy} onClick={() => change({ turns: [] })}>
          {t("playground.clear")}
        </Button>
      }
    >
      <div class="playground">
        <section class="panel play-settings" aria-label={t("playground.settings")}>
          {list.length > 0 ? (
            <SelectField label={t("logs.model")} name="model" value={model} set={setModel} choices={[...new Set([...(model && !list.includes(model) ? [model] : []), ...list])].map((name) => [name, name] as const)} />
          ) : (
            <TextField label={t("logs.model")} name="model" value={model} set={setModel} />
          )}
          {fresh.length > 0 && <SelectField label={t("playground.freshKey")} name="fresh" value={fresh.some((key) => key.secret === secret) ? secret : ""} set={setSecret} choices={[["", t("playground.pasted")], ...fresh.map((key) => [key.secret, key.name] as const)]} />}
          <TextField label={t("playground.key")} name="key" value={secret} set={(value) => setSecret(value.trim())} hint={t("playground.keyHint")} input={{ type: "password", placeholder: "sk-tg-…" }} />
          <Field label={t("playground.system")} name="system">
            {(attributes) => <textarea {...attributes} rows={3} value={system} onInput={(event) => setSystem(event.currentTarget.value)} />}
          </Field>
          <div class="form-grid">
            <TextField label={t("playground.temperature")} name="temperature" value={temperature} set={setTemperature} input={{ type: "number", min: 0, max: 2, step: 0.1 }} />
            <TextField label={t("playground.most")} name="max_tokens" value={most} set={setMost} input={{ type: "number", min: 1 }} />
          </div>
        </section>
        <section class="panel play-chat" aria-label={t("nav.playground")}>
          <Turns turns={turns} hasKey={secret !== ""} />
          <form
            class="ask"
            onSubmit={(event) => {
              event.preventDefault();
              send();
            }}
          >
            <textarea
              name="message"
              rows={2}
              aria-label={t("playground.message")}
              placeholder={t("playground.placeholder")}
              data-search
              value={text}
              onInput={(event) => setText(event.currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
                  event.preventDefault();
                  send();
                }
              }}
            />
            {busy ? (
              <Button tone="danger" onClick={() => running?.abort()}>
                {t("playground.stop")}
              </Button>
            ) : (
              <Button type="submit" tone="main" disabled={text.trim() === "" || secret === "" || model === ""}>
                {t("playground.send")}
              </Button>
            )}
          </form>
        </section>
      </div>
    </Page>
  );
}

interface Wanted {
  secret: string;
  model: string;
  system: string;
  temperature: string;
  most: string;
}

/** Asks, and tells each state of the answer; a failure is an answer too. */
async function converse(before: Said[], wanted: Wanted, signal: AbortSignal, show: (said: Said) => void): Promise<Said> {
  const said: Said = { role: "assistant", content: "" };
  const start = performance.now();
  let firstMs: number | null = null;
  let isDue = false;
  const body: Record<string, unknown> = { model: wanted.model, messages: [...(wanted.system ? [{ role: "system", content: wanted.system }] : []), ...before.map(({ role, content }) => ({ role, content }))] };
  if (wanted.temperature !== "") body["temperature"] = Number(wanted.temperature);
  if (wanted.most !== "") body["max_tokens"] = Number(wanted.most);
  show(said);
  try {
    const told = await chat(wanted.secret, body, signal, (piece, kind) => {
      firstMs ??= performance.now() - start;
      if (kind === "content") said.content += piece;
      else said.reasoning = (said.reasoning ?? "") + piece;
      if (isDue) return;
      // One drawing a frame, however fast the pieces come.
      isDue = true;
      requestAnimationFrame(() => {
        isDue = false;
        if (!signal.aborted && !said.told) show({ ...said });
      });
    });
    said.told = { ...told, firstMs, totalMs: performance.now() - start };
  } catch (failure) {
    if (signal.aborted) said.stopped = true;
    else if (failure instanceof ChatError) said.error = { code: failure.code, message: failure.message, requestId: failure.requestId };
    else if (failure instanceof BrokenOff) said.error = { code: "", message: t("playground.brokenOff"), requestId: failure.requestId };
    else said.error = { code: "", message: t("playground.unreachable"), requestId: null };
  }
  return { ...said };
}

function Turns({ turns, hasKey }: { turns: Said[]; hasKey: boolean }) {
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => end.current?.scrollIntoView({ block: "nearest" }), [turns]);
  if (turns.length === 0) {
    return (
      <div class="turns">
        <Empty title={t("playground.none")} text={hasKey ? t("playground.noneText") : t("playground.noKey")}>
          {!hasKey && (
            <Link class="button main" to="/keys?new=1">
              {t("keys.new")}
            </Link>
          )}
        </Empty>
      </div>
    );
  }
  return (
    <div class="turns" role="log" aria-live="polite">
      {turns.map((turn, at) => (
        <article key={at} class={`turn ${turn.role}`}>
          <h3>{turn.role === "user" ? t("playground.you") : t("playground.model")}</h3>
          {turn.reasoning && <p class="turn-text reasoning">{turn.reasoning}</p>}
          <p class="turn-text">{turn.content || (!turn.told && !turn.error && !turn.stopped ? "…" : "")}</p>
          {turn.error && (
            <p class="note danger" role="alert">
              <span>
                {turn.error.code && <code>{turn.error.code}</code>} {turn.error.message}
              </span>
            </p>
          )}
          {turn.stopped && <p class="turn-foot">{t("playground.stopped")}</p>}
          {turn.told && <Foot told={turn.told} />}
        </article>
      ))}
      <div ref={end} />
    </div>
  );
}

function Foot({ told }: { told: NonNullable<Said["told"]> }) {
  const parts = [
    told.upstream,
    told.usage && t("overview.inOut", { input: count(told.usage.prompt_tokens), output: count(told.usage.completion_tokens) }),
    told.firstMs !== null && t("playground.first", { time: ms(told.firstMs) }),
    ms(told.totalMs),
    told.finish,
  ].filter(Boolean);
  return (
    <p class="turn-foot">
      {parts.join(" · ")} {told.requestId && <Link to={`/logs/${encodeURIComponent(told.requestId)}`}>{t("playground.record")}</Link>}
    </p>
  );
}
