"""What others may try: requests from another site, and texts that would run."""
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from browser import ask, rows
from strings import texts
from walks import PAGES, settled

AT_ONCE = 4
# What no page of the console has, unless a text became a part of it.
STRANGE = "body :is(iframe, object, embed, img, base, style, link, meta, script, video, audio, marquee, template, form[action], [onerror], [onload], [onfocus], [onclick], a[href^='javascript' i], a[href^='data' i])"


class Elsewhere:
    """Another site, with a page that asks the console for something as soon as it is opened."""

    def __init__(self, page):
        body = page.encode()

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        # Another site than 127.0.0.1, to a browser.
        return f"http://localhost:{self.server.server_port}/"

    def __exit__(self, *_):
        self.server.shutdown()


def names(page):
    return sorted(key["name"] for key in rows(ask(page, "GET", "/keys?limit=1000")[1]))


def other_sites(run):
    target = f"{run.base}/console/api/keys"
    form = f"""<form id=f method=post enctype=text/plain action="{target}"><input name='{{"name":"forged","x":"' value='"}}'></form><script>f.submit()</script>"""
    fetch = f"""<script>fetch("{target}", {{method: "POST", credentials: "include", mode: "no-cors", body: '{{"name":"forged"}}'}}).finally(() => document.title = "asked")</script>"""
    with run.browser.visit(state=run.state) as visitor:
        page = visitor.open("/keys")
        before = names(page)
        for attack in (form, fetch):
            with Elsewhere(attack) as address:
                other = page.context.new_page()
                other.goto(address)
                other.wait_for_function("document.title === 'asked' || location.pathname.startsWith('/console')")
                other.close()
        assert names(page) == before, "nothing was made"
        token = next(cookie for cookie in page.context.cookies(f"{run.base}/console/") if cookie["name"] == "tollgate_session")
        assert token["httpOnly"] and token["sameSite"] == "Strict" and token["path"] == "/console", token
        refused_by_origin(run, f"tollgate_session={token['value']}")
        assert names(page) == before
        # Not to be shown inside another page.
        head = page.context.request.get(f"{run.base}/console/").headers
        assert "frame-ancestors 'none'" in head["content-security-policy"] and "unsafe" not in head["content-security-policy"]
        assert head["x-content-type-options"] == "nosniff" and head["cache-control"] == "no-store" and head["referrer-policy"] == "no-referrer"
        # The form's page was the console's own answer; its 403 is expected.
        visitor.wrong.clear()


def refused_by_origin(run, cookie):
    """With a real cookie, as a client that is no browser can send it."""
    import http.client

    address = urlsplit(run.base)
    host = address.netloc
    heads = [{}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": f"http://{host}.evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}]
    for head in heads:
        for method, path in (("POST", "/console/api/keys"), ("DELETE", "/console/api/session"), ("PUT", "/console/api/session/password")):
            connection = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
            connection.request(method, path, '{"name":"forged"}', {"Host": host, "Cookie": cookie, "Content-Type": "application/json", **head})
            status = connection.getresponse().status
            connection.close()
            assert status == 403, f"{method} {path} with {head}: {status}"


def looked_at(visitor, what):
    """Nothing ran, nothing became a part of the page."""
    visitor.check()
    strange = visitor.page.evaluate("selector => [...document.querySelectorAll(selector)].map(found => found.outerHTML.slice(0, 200))", STRANGE)
    assert not strange, f"{what}: {strange}"


def stored_texts(run):
    """As names, through the API; then every page and dialog that shows them."""
    with run.browser.visit(state=run.state) as visitor:
        page = visitor.open("/keys")
        made = 0
        for text in run.texts:
            status, answer = ask(page, "POST", "/keys", {"name": text, "models": [text]})
            made += status in (200, 201)
            assert status < 500, f"{text!r}: {status} {answer}"
        for text in run.texts[:: max(1, len(run.texts) // run.people)]:
            status, answer = ask(page, "POST", "/users", {"name": text, "role": "user", "password": "a long password"})
            assert status < 500, f"{text!r}: {status} {answer}"
        assert made >= len(run.texts) * 0.7, f"only {made} names were taken"
        for path in PAGES + [run.record]:
            settled(visitor.open(path))
            looked_at(visitor, path)
        page = settled(visitor.open("/keys"))
        shown = page.inner_text("main")
        assert "<img src=x onerror=" in shown or "<script>" in shown, "a text is shown as it is"
        for path, buttons in (("/keys", ("Edit", "Rotate", "Delete")), ("/users", ("Edit", "Top up", "Delete")), ("/audit", ("Show",))):
            for button in buttons:
                page = settled(visitor.open(path))
                for row in range(min(8, page.locator("tbody tr").count())):
                    wanted = page.locator("tbody tr").nth(row).get_by_role("button", name=button, exact=True)
                    if wanted.count() and wanted.is_enabled():
                        wanted.click()
                        page.wait_for_selector("dialog[open]")
                        looked_at(visitor, f"{path} {button}")
                        page.keyboard.press("Escape")
                        page.wait_for_selector("dialog", state="detached")


FILL = """([scope, text]) => {
    const fields = [...document.querySelectorAll(`${scope} :is(input, textarea)`)].filter(field => !['range', 'number', 'datetime-local', 'checkbox'].includes(field.type) && !field.readOnly);
    for (const field of fields) {
        const set = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value').set;
        set.call(field, text);
        field.dispatchEvent(new Event('input', {bubbles: true}));
        field.dispatchEvent(new Event('change', {bubbles: true}));
    }
    return fields.length;
}"""
# Page, how its fields are come by, where they are, whether they are sent.
FORMS = [
    ("/keys", "n", "dialog", True),
    ("/users", "n", "dialog", False),
    ("/codes", "n", "dialog", True),
    ("/logs", None, "main", True),
    ("/models", None, "main", False),
    ("/prices", None, "main", True),
    ("/prices?tab=explain", None, "main", True),
    ("/prices?tab=file", None, "main", False),
    ("/playground", None, "main", True),
    ("/account", None, "main form:first-of-type", True),
]


def typed_texts(run):
    """Into every text field of every form."""
    with run.browser.visit(state=run.state) as visitor:
        for path, key, scope, is_sent in FORMS:
            page = settled(visitor.open(path))
            for text in run.texts:
                if key and not page.locator("dialog[open]").count():
                    page.keyboard.press(key)
                    page.wait_for_selector("dialog[open]")
                filled = page.evaluate(FILL, [scope, text])
                assert filled > 0 or "file" in path, f"{path} has no field"
                if is_sent:
                    page.evaluate("scope => { const form = document.querySelector(`${scope} form, form${scope.startsWith('main form') ? '' : '.none'}`) ?? document.querySelector('main form'); form?.requestSubmit(); }", scope)
                    page.wait_for_timeout(15)
                ran = page.evaluate("window.__ran ?? null")
                assert ran is None, f"{path}: {text}"
                # A text that the form takes makes something, which is shown in its place.
                if key and page.locator("dialog .copy-box").count():
                    page.keyboard.press("Escape")
                    page.wait_for_selector("dialog", state="detached")
            settled(page)
            looked_at(visitor, path)


def addressed_texts(run):
    """In the address: filters, tabs, ids, models."""
    with run.browser.visit(state=run.state) as visitor:
        page = visitor.open("/")
        for text in run.texts:
            page.evaluate(
                """text => {
                    const part = encodeURIComponent(text);
                    for (const path of [`/logs?model=${part}&q=${part}&key=${part}&status=${part}&range=${part}&since=${part}`, `/playground?model=${part}`, `/prices?q=${part}&tab=${part}`, `/?range=${part}`, `/logs/${part}`, `/${part}`]) {
                        history.pushState(null, '', '/console' + path);
                        dispatchEvent(new PopStateEvent('popstate'));
                    }
                }""",
                text,
            )
            page.wait_for_timeout(10)
            assert page.evaluate("window.__ran ?? null") is None, text
        for text in run.texts[::10]:
            from urllib.parse import quote

            for path in (f"/logs?model={quote(text)}&status={quote(text)}", f"/logs/{quote(text, safe='')}", f"/prices?q={quote(text)}"):
                settled(visitor.open(path))
                looked_at(visitor, path)


def attacks(run):
    run.texts = texts(run.count)
    yield "another site's requests do nothing", other_sites
    yield f"{run.count} texts as names", stored_texts
    yield f"{run.count} texts in every field", typed_texts
    yield f"{run.count} texts in the address", addressed_texts
