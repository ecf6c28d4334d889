// Logging in, and the first thing after it: a password of one's own.
import { useEffect, useRef, useState } from "preact/hooks";
import { call } from "../api";
import { t } from "../i18n";
import { Mark } from "../icons";
import { leave, Preferences } from "../preferences";
import { madeUp, noteLogin, refreshSession } from "../session";
import { useWatched } from "../store";
import type { Session } from "../types";
import { Button, ErrorNote, Form, TextField, toast, useAct, type Children } from "../ui";

function Alone({ title, lead, children }: { title: string; lead?: string; children: Children }) {
  useEffect(() => {
    document.title = `${title} · Tollgate`;
  }, [title]);
  return (
    <main class="alone">
      <div class="alone-card">
        <div class="brand">
          <Mark />
          <strong>Tollgate</strong>
        </div>
        <h1>{title}</h1>
        {lead && <p class="lead">{lead}</p>}
        {children}
      </div>
      <Preferences />
    </main>
  );
}

export function LoginPage() {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const { busy, error, run, at } = useAct();
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => form.current?.querySelector("input")?.focus(), []);
  const enter = async () => {
    await call<Session>("POST", "/session", { name, password });
    noteLogin(password);
    await refreshSession();
  };
  const said = error?.code === "UNAUTHENTICATED" ? t("login.wrong") : null;
  return (
    <Alone title={t("login.title")} lead={t("login.lead")}>
      <form
        ref={form}
        onSubmit={(event) => {
          event.preventDefault();
          void run(enter);
        }}
      >
        <TextField label={t("field.name")} name="name" value={name} set={setName} error={at("name")} input={{ autocomplete: "username", required: true }} />
        <TextField label={t("field.password")} name="password" value={password} set={setPassword} error={said ?? at("password")} input={{ type: "password", autocomplete: "current-password", required: true }} />
        <ErrorNote error={said ? null : error} fields={["name", "password"]} />
        <Button type="submit" tone="main" busy={busy}>
          {t("action.logIn")}
        </Button>
      </form>
    </Alone>
  );
}

const PASSWORD_CHARACTERS_MIN = 8;

export function PasswordForm({ done, known }: { done: () => void; known?: string }) {
  const [current, setCurrent] = useState(known ?? "");
  const [fresh, setFresh] = useState("");
  const [again, setAgain] = useState("");
  const [tried, setTried] = useState(false);
  const act = useAct();
  const { busy, error, run, at } = act;
  const isShort = [...fresh].length < PASSWORD_CHARACTERS_MIN;
  const isOther = fresh !== again;
  const change = () => {
    setTried(true);
    if (isShort || isOther) return;
    void run(
      () => call("PUT", "/session/password", { current, new: fresh }),
      () => {
        setCurrent("");
        setFresh("");
        setAgain("");
        setTried(false);
        toast(t("password.changed"));
        done();
      },
    );
  };
  const input = { type: "password", required: true, autocomplete: "new-password" } as const;
  return (
    <Form class="narrow" act={act} submit={change}>
      {known === undefined && <TextField label={t("password.current")} name="current" value={current} set={setCurrent} error={at("current")} input={{ ...input, autocomplete: "current-password" }} />}
      <TextField label={t("password.new")} name="new" value={fresh} set={setFresh} hint={t("password.hint", { count: PASSWORD_CHARACTERS_MIN })} error={tried && isShort ? t("password.short", { count: PASSWORD_CHARACTERS_MIN }) : at("new")} input={input} />
      <TextField label={t("password.again")} name="again" value={again} set={setAgain} error={tried && isOther ? t("password.other") : null} input={input} />
      <ErrorNote error={error} fields={["current", "new"]} />
      <Button type="submit" tone="main" busy={busy}>
        {t("password.change")}
      </Button>
    </Form>
  );
}

export function FirstPage() {
  const known = useWatched(madeUp) ?? "";
  const done = () => madeUp.set(null);
  return (
    <Alone title={t("first.title")} lead={t("first.lead")}>
      <PasswordForm known={known} done={done} />
      <div class="side-links">
        <button type="button" class="link" onClick={done}>
          {t("first.later")}
        </button>
        <button type="button" class="link" onClick={() => void leave()}>
          {t("action.logOut")}
        </button>
      </div>
    </Alone>
  );
}
