"""A real browser, and what it must never see: errors in the console, breaches of the policy, dialogs, other addresses."""
import re
import shutil
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

CHROMIUMS = ["chromium", "chromium-browser", "google-chrome"]
WATCH = """
window.__violations = [];
document.addEventListener('securitypolicyviolation', event => window.__violations.push(event.violatedDirective + ' ' + event.blockedURI));
"""
# What a refusal of the API leaves in the console: the browser's own line, not the page's.
EXPECTED = re.compile(r"Failed to load resource: the server responded with a status of (400|401|403|404|409|429)")


def chromium(path=None):
    found = path or next((shutil.which(name) for name in CHROMIUMS if shutil.which(name)), None)
    if not found:
        raise SystemExit("no chromium is installed: apt-get install chromium")
    return found


class Watched:
    """A page, with all that it did wrong."""

    def __init__(self, context, base):
        self.base, self.wrong = base, []
        self.page = context.new_page()
        self.page.set_default_timeout(15_000)
        self.page.on("console", lambda said: self.note(said) if said.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("dialog", self.dialog)
        self.page.on("request", self.request)

    def note(self, said):
        if not EXPECTED.search(said.text):
            self.wrong.append(f"console: {said.text}")

    def dialog(self, dialog):
        # Leaving a changed price file is asked about by the browser itself.
        if dialog.type != "beforeunload":
            self.wrong.append(f"dialog: {dialog.message}")
        dialog.accept()

    def request(self, request):
        if urlsplit(request.url).scheme in ("http", "https", "ws", "wss") and urlsplit(request.url).netloc != urlsplit(self.base).netloc:
            self.wrong.append(f"asked another address: {request.url}")

    def open(self, path):
        self.page.goto(f"{self.base}/console{path}")
        self.page.wait_for_selector("main h1")
        return self.page

    def check(self):
        """Fails when something was wrong since the last time."""
        ran, violations = self.page.evaluate("[window.__ran ?? null, window.__violations]")
        assert ran is None, "a script of a text ran"
        assert not violations, f"breaches of the policy: {violations}"
        wrong, self.wrong = self.wrong, []
        assert not wrong, "\n".join(wrong)


class Browser:
    def __init__(self, base, path=None):
        self.base, self.path = base, path

    def __enter__(self):
        self.playwright = sync_playwright().start()
        self.browser = self.playwright.chromium.launch(executable_path=chromium(self.path), args=["--no-sandbox"])
        return self

    def __exit__(self, *_):
        self.browser.close()
        self.playwright.stop()

    @contextmanager
    def visit(self, theme="light", language="en", state=None, width=1280):
        """A visitor of their own: cookies, theme and language. The language is only a beginning: it can be changed."""
        context = self.browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=theme, storage_state=state, reduced_motion="reduce", locale="zh-CN" if language == "zh" else "en-GB"
        )
        context.add_init_script(WATCH)
        watched = Watched(context, self.base)
        try:
            yield watched
            watched.check()
        finally:
            context.close()


def log_in(watched, name, password):
    """From the login page to the first page behind it, or to the one that asks for a password of one's own."""
    page = watched.open("/")
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_selector(".side, input[name=new], .field-error, .note", state="attached")
    return page


def ask(page, method, path, body=None):
    """The API, asked by the page itself. Gives status and document."""
    script = """async ([method, path, body]) => {
        const answer = await fetch('/console/api' + path, {method, headers: body ? {'content-type': 'application/json'} : {}, body: body ? JSON.stringify(body) : undefined});
        const text = await answer.text();
        return [answer.status, text ? JSON.parse(text) : null];
    }"""
    return page.evaluate(script, [method, path, body])


def rows(document):
    return document if isinstance(document, list) else document["items"]
