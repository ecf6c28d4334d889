// The frame around every page: who is logged in, navigation, shortcuts.
import { Component } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./api";
import { language, t, type TextKey } from "./i18n";
import { Icon, Mark } from "./icons";
import { PAGES, SECTIONS, type PageRow } from "./pages";
import { FirstPage, LoginPage } from "./pages/login";
import { RequestPage } from "./pages/request";
import { go, Link, usePlace } from "./router";
import { leave, Preferences } from "./preferences";
import { draft } from "./kept";
import { ended, instead, lookAgain, madeUp, may, refreshSession, session } from "./session";
import { useWatched } from "./store";
import { Dialog } from "./dialogs";
import { Button, Empty, ErrorNote, Loading, Page, toast, Toasts, type Children } from "./ui";

export function App() {
  const shown = useWatched(language);
  return (
    <div class="root" key={shown}>
      <Inside />
      <Toasts />
      <Unsaved />
    </div>
  );
}

/** What is not saved is kept in this tab's memory: closing it would lose that, so the browser asks. */
function Unsaved() {
  const isAny = useWatched(draft) !== null;
  useEffect(() => {
    if (!isAny) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [isAny]);
  return null;
}

/** Looks whether another tab has logged somebody else in, whenever this one is looked at again; and says so. */
function useOthers(): void {
  const name = useWatched(instead);
  useEffect(() => {
    if (name === null) return;
    toast(t("session.instead", { name }));
    instead.set(null);
  }, [name]);
  useEffect(() => {
    const look = () => void (document.hidden || !session.get() || lookAgain());
    addEventListener("focus", look);
    document.addEventListener("visibilitychange", look);
    return () => {
      removeEventListener("focus", look);
      document.removeEventListener("visibilitychange", look);
    };
  }, []);
}

function Inside() {
  const who = useWatched(session);
  const isFirst = useWatched(madeUp);
  const [failure, setFailure] = useState<ApiError | null>(null);
  useOthers();
  const load = () => {
    setFailure(null);
    refreshSession().catch((error: unknown) => {
      if (error instanceof ApiError && error.status === 401) ended();
      else setFailure(error instanceof ApiError ? error : new ApiError(0, "BROKEN", String(error), null, []));
    });
  };
  useEffect(() => {
    if (who === undefined) load();
  }, []);
  if (failure && !who) {
    return (
      <main class="alone">
        <ErrorNote error={failure} retry={load} />
      </main>
    );
  }
  if (who === undefined) return <Loading />;
  if (who === null) return <LoginPage />;
  if (isFirst !== null) return <FirstPage />;
  // Nothing that a page holds is for another person.
  return <Frame key={who.person.id} />;
}

function Frame() {
  const place = usePlace();
  const [isOpen, setOpen] = useState(false);
  const [isHelp, setHelp] = useState(false);
  const main = useRef<HTMLElement>(null);
  useShortcuts(() => setHelp(true), () => setOpen(false));
  useEffect(() => setOpen(false), [place.path]);
  return (
    <div class={isOpen ? "frame open" : "frame"}>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        {t("nav.skip")}
      </a>
      <header class="top">
        <button type="button" class="icon-button menu" aria-label={t("nav.menu")} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          ☰
        </button>
        <Mark />
        <strong>Tollgate</strong>
      </header>
      <Sidebar path={place.path} help={() => setHelp(true)} />
      <button type="button" class="shade" tabIndex={-1} aria-hidden="true" onClick={() => setOpen(false)} />
      <main id="main" ref={main} tabIndex={-1}>
        <Guarded key={place.path}>
          <Current path={place.path} />
        </Guarded>
      </main>
      {isHelp && <Shortcuts onClose={() => setHelp(false)} />}
    </div>
  );
}

/** A page that breaks says so; the others stay within reach. */
class Guarded extends Component<{ children: Children }, { failure: string | null }> {
  override state = { failure: null };

  static override getDerivedStateFromError(failure: unknown) {
    return { failure: String(failure) };
  }

  render() {
    return this.state.failure === null ? this.props.children : <Empty title={t("error.broken")} text={this.state.failure} />;
  }
}

function Current({ path }: { path: string }) {
  const request = /^\/logs\/([^/]+)$/.exec(path)?.[1];
  if (request) return <RequestPage key={request} id={decodeURIComponent(request)} />;
  const row = PAGES.find((page) => page.path === path);
  if (row && may(row.role)) return <row.page key={row.path} />;
  return (
    <Page title={t("lost.title")}>
      <Empty title={row ? t("lost.role") : t("lost.text")}>
        <Link class="button main" to="/">
          {t("nav.overview")}
        </Link>
      </Empty>
    </Page>
  );
}

const visible = (section: PageRow["section"]) => PAGES.filter((page) => page.section === section && may(page.role));

function Sidebar({ path, help }: { path: string; help: () => void }) {
  const who = useWatched(session);
  const isCurrent = (page: PageRow) => page.path === path || (page.path !== "/" && path.startsWith(`${page.path}/`));
  return (
    <aside class="side">
      <div class="brand">
        <Mark />
        <strong>Tollgate</strong>
        {who?.version && <span class="version">{who.version}</span>}
      </div>
      <nav aria-label={t("nav.label")}>
        {SECTIONS.filter((section) => visible(section).length > 0).map((section) => (
          <div class="nav-section" key={section}>
            <h2>{t(`nav.section.${section}` as TextKey)}</h2>
            <ul>
              {visible(section).map((page) => (
                <li key={page.path}>
                  <Link to={page.path} aria-current={isCurrent(page) ? "page" : undefined} title={`g ${page.shortcut}`}>
                    <Icon of={page.path} />
                    {t(page.title)}
                  </Link>
                </li>
              ))}
            </ul>
          </div>
        ))}
      </nav>
      <footer class="side-foot">
        <div class="who">
          <span class="who-name">{who?.person.name}</span>
          <span class="who-role">{who && t(`role.${who.person.role}` as TextKey)}</span>
        </div>
        <Preferences />
        <div class="side-links">
          <button type="button" class="link" onClick={help} title="?">
            {t("shortcuts.title")}
          </button>
          <button type="button" class="link" onClick={() => void leave()}>
            {t("action.logOut")}
          </button>
        </div>
      </footer>
    </aside>
  );
}

const CHORD_MS = 1500;

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** `g` and a letter go to a page, `/` to its search, `n` makes something new, `?` shows all of this. */
function useShortcuts(help: () => void, close: () => void): void {
  useEffect(() => {
    let chordAt = 0;
    const press = (event: KeyboardEvent) => {
      if (event.key === "Escape") {
        close();
        if (isTyping(event.target) && !document.querySelector("dialog[open]")) (event.target as HTMLElement).blur();
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
      const isChord = Date.now() - chordAt < CHORD_MS;
      chordAt = 0;
      const row = isChord ? PAGES.find((page) => page.shortcut === event.key && may(page.role)) : undefined;
      const target = event.key === "/" ? "[data-search]" : event.key === "n" ? "[data-new]" : null;
      if (row) go(row.path);
      else if (isChord) return;
      else if (event.key === "g") chordAt = Date.now();
      else if (event.key === "?") help();
      else if (target) {
        const element = document.querySelector<HTMLElement>(target);
        if (element instanceof HTMLButtonElement) element.click();
        else element?.focus();
      } else return;
      event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

function Shortcuts({ onClose }: { onClose: () => void }) {
  const rows = [
    ...PAGES.filter((page) => may(page.role)).map((page) => [["g", page.shortcut], t(page.title)] as const),
    [["/"], t("shortcuts.search")] as const,
    [["n"], t("shortcuts.new")] as const,
    [["?"], t("shortcuts.help")] as const,
    [["Esc"], t("shortcuts.close")] as const,
  ];
  return (
    <Dialog title={t("shortcuts.title")} onClose={onClose}>
      <ul class="shortcuts">
        {rows.map(([keys, what]) => (
          <li key={keys.join(" ")}>
            <span>{what}</span>
            <span>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </span>
          </li>
        ))}
      </ul>
      <div class="dialog-actions">
        <Button onClick={onClose}>{t("action.close")}</Button>
      </div>
    </Dialog>
  );
}
