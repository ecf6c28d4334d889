// What opens over a page: a form, a question, something that is shown once.
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { t } from "./i18n";
import { Button, type Children, CopyBox, ErrorNote, Form, TextField, useAct } from "./ui";

/** The browser's own dialog: it keeps the focus inside and closes with Esc. */
export function Dialog({ title, onClose, children, wide }: { title: string; onClose: () => void; children: Children; wide?: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    element?.showModal();
    return () => {
      element?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      class={wide ? "wide-dialog" : undefined}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <header class="dialog-head">
        <h2 id={id}>{title}</h2>
        <button type="button" class="icon-button" aria-label={t("action.close")} onClick={onClose}>
          ×
        </button>
      </header>
      <div class="dialog-body">{children}</div>
    </dialog>
  );
}

interface FormProps {
  title: string;
  onClose: () => void;
  submit: () => void;
  /** What the button says that sends it. */
  action: string;
  tone?: "main" | "danger";
  act: Pick<ReturnType<typeof useAct>, "busy" | "error" | "setError">;
  /** Fields that say themselves what is wrong with them. */
  fields?: readonly string[];
  disabled?: boolean;
  wide?: boolean;
  children: Children;
}

/** A form that is sent by its button or by Enter, and says what is wrong above the buttons. */
export function FormDialog({ title, onClose, submit, action, tone = "main", act, fields, disabled, wide, children }: FormProps) {
  return (
    <Dialog title={title} onClose={onClose} wide={wide === true}>
      <Form act={act} submit={submit}>
        {children}
        <ErrorNote error={act.error} fields={fields ?? []} />
        <div class="dialog-actions">
          <Button onClick={onClose}>{t("action.cancel")}</Button>
          <Button type="submit" tone={tone} busy={act.busy} disabled={disabled === true}>
            {action}
          </Button>
        </div>
      </Form>
    </Dialog>
  );
}

interface ConfirmProps {
  title: string;
  text: Children;
  action: string;
  /** Must be typed before it can be confirmed. */
  typed?: string;
  act: () => Promise<unknown>;
  onClose: () => void;
}

/** A page shows spaces in a row as one, and none at an end. */
function asSeen(text: string): string {
  return text.trim().replace(/\s+/g, " ");
}

export function Confirm({ title, text, action, typed, act, onClose }: ConfirmProps) {
  const [entered, setEntered] = useState("");
  const asked = useAct();
  return (
    <FormDialog title={title} onClose={onClose} submit={() => void asked.run(act, onClose)} action={action} tone="danger" act={asked} disabled={typed !== undefined && asSeen(entered) !== asSeen(typed)}>
      <p>{text}</p>
      {typed && <TextField label={t("confirm.type", { name: typed })} name="confirm" value={entered} set={setEntered} />}
    </FormDialog>
  );
}

interface OnceProps {
  title: string;
  warning: string;
  texts: readonly string[];
  /** What each of them is. */
  label: string;
  onClose: () => void;
  children?: Children;
  /** Beside the button that closes it. */
  actions?: Children;
}

/** Secrets that cannot be shown again. */
export function Once({ title, warning, texts, label, onClose, children, actions }: OnceProps) {
  return (
    <Dialog title={title} onClose={onClose} wide>
      <p class="note warn">{warning}</p>
      <div class="code-list">
        {texts.map((text) => (
          <CopyBox key={text} text={text} label={label} />
        ))}
      </div>
      {children}
      <div class="dialog-actions">
        {actions}
        <Button tone="main" onClick={onClose}>
          {t("keys.stored")}
        </Button>
      </div>
    </Dialog>
  );
}
