// The few parts that every page is made of.
import type { ComponentChildren, JSX, RefObject } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ApiError } from "./api";
import { language, t, word } from "./i18n";
import { type Nanos, permille, usd, usdExact } from "./money";
import { Watched, useWatched } from "./store";

export type Children = ComponentChildren;

/** What a failure is called in the reader's language, with what the API says. */
export function saying(error: ApiError): string {
  if (error.code === "OFFLINE") return t("error.offline");
  // The API speaks English; in other languages its word is said first.
  const kind = word("code", error.code);
  if (error.message) return language.get() === "en" || kind === error.code ? error.message : `${kind}：${error.message}`;
  return t("error.status", { status: error.status || error.code });
}

export function Page({ title, lead, actions, children }: { title: string; lead?: Children; actions?: Children; children: Children }) {
  useEffect(() => {
    document.title = `${title} · Tollgate`;
  }, [title]);
  return (
    <>
      <header class="page-head">
        <div>
          <h1>{title}</h1>
          {lead && <p class="lead">{lead}</p>}
        </div>
        {actions && <div class="page-actions">{actions}</div>}
      </header>
      {children}
    </>
  );
}

export function Panel({ title, actions, children, flush }: { title?: string; actions?: Children; children: Children; flush?: boolean }) {
  return (
    <section class={flush ? "panel flush" : "panel"} aria-label={title}>
      {(title || actions) && (
        <header class="panel-head">
          {title && <h2>{title}</h2>}
          {actions && <div class="panel-actions">{actions}</div>}
        </header>
      )}
      {children}
    </section>
  );
}

type ButtonProps = { tone?: "main" | "danger" | "plain"; busy?: boolean; small?: boolean } & Omit<JSX.IntrinsicElements["button"], "size">;

/** One that is busy does nothing, but stays what it is: a disabled one would lose the focus. */
export function Button({ tone = "plain", busy, small, type = "button", disabled, onClick, children, ...rest }: ButtonProps) {
  const isBusy = busy === true && !disabled;
  return (
    <button {...rest} type={type} class={`button ${tone}${small ? " small" : ""}`} disabled={disabled} aria-disabled={isBusy || undefined} aria-busy={isBusy || undefined} onClick={isBusy ? (event) => event.preventDefault() : onClick}>
      {children}
    </button>
  );
}

interface FieldProps {
  label: string;
  name: string;
  hint?: Children;
  error?: string | null | undefined;
  children: (attributes: { id: string; name: string; "aria-invalid"?: true; "aria-describedby"?: string }) => Children;
}

/** A label, its input, and what is wrong with it, next to it. */
export function Field({ label, name, hint, error, children }: FieldProps) {
  const id = useId();
  const below = error || hint;
  return (
    <div class={error ? "field wrong" : "field"}>
      <label for={id}>{label}</label>
      {children({ id, name, ...(error ? { "aria-invalid": true as const } : {}), ...(below ? { "aria-describedby": `${id}-below` } : {}) })}
      {below && (
        <p id={`${id}-below`} class={error ? "field-error" : "field-hint"} role={error ? "alert" : undefined}>
          {error || hint}
        </p>
      )}
    </div>
  );
}

type TextProps = Omit<FieldProps, "children"> & {
  value: string;
  set: (value: string) => void;
  /** Further attributes of the input. */
  input?: Record<string, unknown>;
};

export function TextField({ value, set, input, ...field }: TextProps) {
  return (
    <Field {...field}>
      {(attributes) => <input autocomplete="off" spellcheck={false} {...input} {...attributes} value={value} onInput={(event) => set(event.currentTarget.value)} />}
    </Field>
  );
}

/** A point in time, in the browser's own zone. */
export function TimeField({ value, set, ...field }: Omit<TextProps, "input">) {
  return <Field {...field}>{(attributes) => <input {...attributes} type="datetime-local" value={value} onInput={(event) => set(event.currentTarget.value)} />}</Field>;
}

type Choice = readonly [value: string, label: string];
type SelectProps = Omit<FieldProps, "children"> & { value: string; set: (value: string) => void; choices: readonly Choice[] };

export function SelectField({ value, set, choices, ...field }: SelectProps) {
  return (
    <Field {...field}>
      {(attributes) => (
        <select {...attributes} value={value} onChange={(event) => set(event.currentTarget.value)}>
          {choices.map(([choice, label]) => (
            <option key={choice} value={choice} selected={choice === value}>
              {label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** One of a few, as buttons in a row. */
export function Segments({ label, value, set, choices }: { label: string; value: string; set: (value: string) => void; choices: readonly Choice[] }) {
  // One stop for Tab, arrows between the choices: as the browser's own radio buttons do.
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const at = choices.findIndex(([choice]) => choice === value);
    const next = (at + step + choices.length) % choices.length;
    set(choices[next]![0]);
    (event.currentTarget as HTMLElement).querySelectorAll("button")[next]?.focus();
  };
  return (
    <div class="segments" role="radiogroup" aria-label={label} onKeyDown={move}>
      {choices.map(([choice, text]) => (
        <button key={choice} type="button" role="radio" aria-checked={choice === value} tabIndex={choice === value ? 0 : -1} onClick={() => set(choice)}>
          {text}
        </button>
      ))}
    </div>
  );
}

export function Toggle({ label, on, set }: { label: string; on: boolean; set: (on: boolean) => void }) {
  return (
    <button type="button" class="toggle" role="switch" aria-checked={on} onClick={() => set(!on)}>
      <i aria-hidden="true" />
      {label}
    </button>
  );
}

/** Runs a change: busy while it runs, its error afterwards. */
export function useAct() {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const run = async <T,>(act: () => Promise<T>, then?: (result: T) => void) => {
    setBusy(true);
    setError(null);
    try {
      const result = await act();
      setBusy(false);
      then?.(result);
    } catch (failure) {
      setBusy(false);
      setError(failure instanceof ApiError ? failure : new ApiError(0, "BROKEN", String(failure), null, []));
    }
  };
  const at = (field: string) => (error?.field === field ? saying(error) : null);
  return { busy, error, setError, run, at };
}

type Act = ReturnType<typeof useAct>;

interface FormProps {
  act: Pick<Act, "busy" | "setError">;
  submit: () => void;
  class?: string;
  children: Children;
}

/** A form that is sent by its button or by Enter. What was refused before says nothing of what is sent now, or held back. */
export function Form({ act, submit, children, ...rest }: FormProps) {
  return (
    <form
      {...rest}
      onSubmit={(event) => {
        event.preventDefault();
        if (act.busy) return;
        act.setError(null);
        submit();
      }}
    >
      {children}
    </form>
  );
}

/** An error that belongs to none of the named fields. */
export function ErrorNote({ error, fields = [], retry }: { error: ApiError | null; fields?: readonly string[]; retry?: () => void }) {
  if (!error || (error.field !== null && fields.includes(error.field))) return null;
  return (
    <div class="note danger" role="alert">
      <span>
        {error.field && <code>{error.field}</code>} {saying(error)}
      </span>
      {retry && (
        <Button small onClick={retry}>
          {t("action.retry")}
        </Button>
      )}
    </div>
  );
}

/** Nothing is here yet, and what to do about it. */
export function Empty({ title, text, children }: { title: string; text?: Children; children?: Children }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {text && <p>{text}</p>}
      {children && <div class="empty-actions">{children}</div>}
    </div>
  );
}

export function Loading() {
  return (
    <div class="loading" role="status">
      <span class="bar" aria-hidden="true" />
      <span class="unseen">{t("state.loading")}</span>
    </div>
  );
}

/** What is loaded, or that it is being loaded, or why it cannot be. */
export function Shown<T>({ from, children }: { from: { data: T | null; error: ApiError | null; reload: () => Promise<void> }; children: (data: T) => Children }) {
  if (from.data !== null) {
    return (
      <>
        <ErrorNote error={from.error} retry={() => void from.reload()} />
        {children(from.data)}
      </>
    );
  }
  return from.error ? <ErrorNote error={from.error} retry={() => void from.reload()} /> : <Loading />;
}

export type Tone = "good" | "bad" | "warn" | "quiet" | "accent";

export function Badge({ tone, children }: { tone: Tone; children: Children }) {
  return <span class={`badge ${tone}`}>{children}</span>;
}

/** All others are failures: of a request, or of an attempt. */
const OUTCOME_TONES: Record<string, Tone> = { ok: "good", client_aborted: "warn" };

export function Outcome({ outcome }: { outcome: string }) {
  return <Badge tone={OUTCOME_TONES[outcome] ?? "bad"}>{word("outcome", outcome)}</Badge>;
}

/** An amount, with its last nano-dollar in the title. */
export function Amount({ nanos }: { nanos: Nanos }) {
  return (
    <span class="number" title={usdExact(nanos)}>
      {usd(nanos)}
    </span>
  );
}

/** What is spent and held of a quota. */
export function Quota({ quota, spent, held }: { quota: Nanos | null; spent: Nanos; held: Nanos }) {
  const label = `${usd(spent)} / ${quota === null ? t("quota.unlimited") : usd(quota)}`;
  const share = quota === null ? 0 : permille(spent, quota);
  const tone = share >= 1000 ? "full" : share >= 800 ? "high" : "";
  return (
    <div class="quota" title={t("quota.exact", { spent: usdExact(spent), held: usdExact(held), quota: quota === null ? t("quota.unlimited") : usdExact(quota) })}>
      <span class="number">{label}</span>
      {quota !== null && (
        <span class={`meter ${tone}`} aria-hidden="true">
          <i style={{ width: `${share / 10}%` }} />
        </span>
      )}
    </div>
  );
}

/** A secret or a code, to be copied. */
export function CopyBox({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without https there is no clipboard: selected, it can be copied by hand or by the old command.
      input.current?.select();
      if (!document.execCommand("copy")) return;
    }
    setCopied(true);
    toast(t("state.copied"));
  };
  return (
    <div class="copy-box">
      <input ref={input as RefObject<HTMLInputElement>} readOnly value={text} aria-label={label} class="mono" onFocus={(event) => event.currentTarget.select()} />
      <Button tone="main" onClick={() => void copy()}>
        {copied ? t("state.copied") : t("action.copy")}
      </Button>
    </div>
  );
}

const toasts = new Watched<{ id: number; text: string }[]>([]);
const TOAST_MS = 4000;
let lastToast = 0;

export function toast(text: string): void {
  const id = ++lastToast;
  toasts.set([...toasts.get(), { id, text }].slice(-3));
  setTimeout(() => toasts.set(toasts.get().filter((shown) => shown.id !== id)), TOAST_MS);
}

export function Toasts() {
  const shown = useWatched(toasts);
  return (
    <div class="toasts" role="status" aria-live="polite">
      {shown.map((entry) => (
        <div key={entry.id} class="toast">
          {entry.text}
        </div>
      ))}
    </div>
  );
}

/** A value of any shape, as text. */
export function plain(value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  if (typeof value === "object") return JSON.stringify(value);
  return String(value);
}

/** Fields and values. */
export function Facts({ rows }: { rows: readonly (readonly [string, Children])[] }) {
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
