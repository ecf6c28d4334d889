// The price file as text, with what is wrong in it at its lines.
import { useEffect, useRef, useState } from "preact/hooks";
import { call, findingsOf, useLoad, type Finding } from "../api";
import { t } from "../i18n";
import { draft } from "../kept";
import { may } from "../session";
import { useWatched } from "../store";
import type { PriceFile, Replaced } from "../types";
import { Button, ErrorNote, Panel, Shown, toast, useAct } from "../ui";

export function PriceFileEditor() {
  const loaded = useLoad<PriceFile>("/prices/file");
  const [said, say] = useState<string | null>(null);
  return (
    <Shown from={loaded}>
      {(file) => (
        <>
          {said && (
            <p class="note warn" role="alert">
              {said}
            </p>
          )}
          <Editor key={String(file.version)} file={file} take={loaded.take} reload={loaded.reload} say={say} />
        </>
      )}
    </Shown>
  );
}

interface EditorProps {
  file: PriceFile;
  take: (change: (file: PriceFile) => PriceFile) => void;
  reload: () => Promise<void>;
  /** What is worth saying longer than the editor of this version is there. */
  say: (text: string | null) => void;
}

/** What is changed is a draft, which outlives this page: it goes when it is saved, or taken back. */
function Editor({ file, take, reload, say }: EditorProps) {
  const begun = useWatched(draft);
  const { text, version } = begun ?? file;
  const [findings, setFindings] = useState<Finding[]>([]);
  const [isSound, setSound] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);
  const { busy, error, run, setError } = useAct();
  const isChanged = begun !== null;
  const isOvertaken = version !== file.version;
  useEffect(() => {
    if (error) setFindings(error.findings);
  }, [error]);

  const edit = (next: string) => {
    draft.set(next === file.text && !isOvertaken ? null : { text: next, version });
    setSound(false);
    setFindings([]);
    setError(null);
  };
  const validate = () =>
    void run(
      () => call<unknown>("POST", "/prices/validate", { text }),
      (answer) => {
        const found = findingsOf(answer);
        setFindings(found);
        setSound(found.length === 0);
      },
    );
  const save = () => {
    say(null);
    void run(
      () => call<Replaced>("PUT", "/prices/file", { text, version }),
      ({ in_force, errors, ...saved }) => {
        setFindings([]);
        // What was typed meanwhile is another draft, of what is saved now.
        const later = draft.get();
        draft.set(later === null || later.text === text ? null : { ...later, version: saved.version });
        take(() => saved);
        if (in_force) toast(t("prices.saved"));
        else say(t("prices.notInForce", { errors: errors.join("; ") || "–" }));
      },
    );
  };
  const discard = () => {
    draft.set(null);
    setSound(false);
    setFindings([]);
    setError(null);
  };
  const jump = (line: number) => {
    const element = area.current;
    if (!element) return;
    const start = text.split("\n").slice(0, line - 1).reduce((sum, part) => sum + part.length + 1, 0);
    const end = text.indexOf("\n", start);
    element.focus();
    element.setSelectionRange(start, end < 0 ? text.length : end);
    const rows = text.split("\n").length;
    element.scrollTop = Math.max(0, ((line - 4) / rows) * element.scrollHeight);
  };
  return (
    <Panel
      title={file.path}
      actions={
        <>
          <Button busy={busy} onClick={validate}>
            {t("prices.validate")}
          </Button>
          <Button disabled={!isChanged} onClick={discard}>
            {t("prices.revert")}
          </Button>
          {may("admin") && (
            <Button tone="main" busy={busy} disabled={!isChanged} onClick={save}>
              {t("action.save")}
            </Button>
          )}
        </>
      }
    >
      {!may("admin") && <p class="note quiet-note">{t("prices.readOnly")}</p>}
      {error?.status === 409 || isOvertaken ? (
        <div class="note danger" role="alert">
          <span>{t("prices.conflict")}</span>
          <Button small onClick={() => (discard(), void reload())}>
            {t("prices.loadNew")}
          </Button>
        </div>
      ) : (
        findings.length === 0 && <ErrorNote error={error} />
      )}
      {isSound && (
        <p class="note good" role="status">
          {t("prices.sound")}
        </p>
      )}
      {findings.length > 0 && (
        <ul class="findings" role="alert">
          {findings.map((finding, index) => (
            <li key={index}>
              {finding.line ? (
                <button type="button" class="link mono" onClick={() => jump(finding.line ?? 1)}>
                  {t("prices.line", { line: finding.line, column: finding.column ?? 1 })}
                </button>
              ) : null}{" "}
              {finding.key && <code>{finding.key}</code>} {finding.message}
            </li>
          ))}
        </ul>
      )}
      <Numbered text={text} edit={edit} area={area} wrong={new Set(findings.map((finding) => finding.line ?? 0))} isReadOnly={!may("admin")} />
      <p class="quiet small-text">
        {t("prices.version", { version })} {isChanged && t("prices.unsaved")}
      </p>
    </Panel>
  );
}

const LINE_PX = 20;

interface NumberedProps {
  text: string;
  edit: (text: string) => void;
  area: { current: HTMLTextAreaElement | null };
  wrong: Set<number>;
  isReadOnly: boolean;
}

/** A text area with line numbers; only the numbers in sight are in the page. */
function Numbered({ text, edit, area, wrong, isReadOnly }: NumberedProps) {
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(520);
  useEffect(() => {
    const element = area.current;
    if (!element) return;
    const watch = new ResizeObserver(() => setHeight(element.clientHeight));
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  const lines = text.split("\n").length;
  const first = Math.floor(top / LINE_PX);
  const last = Math.min(lines, first + Math.ceil(height / LINE_PX) + 1);
  const numbers = Array.from({ length: Math.max(0, last - first) }, (_, at) => first + at + 1);
  return (
    <div class="editor">
      <div class="gutter" aria-hidden="true">
        {numbers.map((line) => (
          <span key={line} class={wrong.has(line) ? "wrong" : undefined} style={{ top: `${(line - 1) * LINE_PX - top + 8}px` }}>
            {line}
          </span>
        ))}
      </div>
      <textarea ref={area} class="mono" name="prices" aria-label={t("prices.text")} wrap="off" spellcheck={false} readOnly={isReadOnly} value={text} onInput={(event) => edit(event.currentTarget.value)} onScroll={(event) => setTop(event.currentTarget.scrollTop)} />
    </div>
  );
}
