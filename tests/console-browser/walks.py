"""From the first login to the first proxied call and its record; the keyboard; roles; every page as it looks to everyone."""
import json
import re
from urllib.request import Request, urlopen

from browser import ask, log_in, rows

OWN_PASSWORD = "a password of one's own"
KEY_NAME = "walked"
PAGES = ["/", "/logs", "/playground", "/keys", "/users", "/codes", "/upstreams", "/groups", "/models", "/prices", "/prices?tab=explain", "/prices?tab=file", "/prices?tab=history", "/health", "/audit", "/settings", "/account"]
ROWS_MAX = 100


def first_login(run):
    with run.browser.visit() as visitor:
        page = log_in(visitor, run.name, "not the password")
        assert page.locator(".field-error").is_visible(), "what is wrong is said next to the password"
        page.fill("input[name=password]", run.password)
        page.click("button[type=submit]")
        page.wait_for_selector(".side, input[name=new]", state="attached")
        if not page.locator("input[name=new]").count():
            page = visitor.open("/account")
            page.fill("input[name=current]", run.password)
        page.fill("input[name=new]", "short")
        page.fill("input[name=again]", "short")
        page.click("button[type=submit]:has-text('Change password')")
        page.wait_for_selector(".field-error")
        for field in ("new", "again"):
            page.fill(f"input[name={field}]", OWN_PASSWORD)
        page.click("button[type=submit]:has-text('Change password')")
        page.wait_for_selector(".toast")
        page.wait_for_selector(".side")
        run.password = OWN_PASSWORD
        # The cookie went another way with the password; the old one is worth nothing.
        visitor.open("/keys").wait_for_selector(".side")
        page.click("text=Log out")
        page.wait_for_selector("input[name=password]")
        log_in(visitor, run.name, run.password).wait_for_selector(".side")
        run.state = page.context.storage_state()


def first_call(run):
    with run.browser.visit(state=run.state) as visitor:
        page = visitor.open("/keys")
        page.keyboard.press("n")
        page.wait_for_selector(f"#user-names option[value='{run.name}']", state="attached")
        page.fill("dialog input[name=name]", KEY_NAME)
        page.fill("dialog input[name=quota_nanos]", "5.0000000001")
        page.click("dialog button[type=submit]")
        page.wait_for_selector("dialog .field-error")
        page.fill("dialog input[name=quota_nanos]", "5.000000001")
        page.click("dialog button[type=submit]")
        secret = page.locator("dialog .copy-box input").input_value()
        assert re.fullmatch(r"sk-tg-[\w-]{40,80}", secret), secret
        made = next(key for key in rows(ask(page, "GET", "/keys?limit=1000")[1]) if key["name"] == KEY_NAME)
        assert made["quota_nanos"] == 5_000_000_001, made
        page.click("dialog .dialog-actions a")
        page.wait_for_selector("textarea[name=message]")
        page.wait_for_selector("select[name=model] option", state="attached")
        assert page.input_value("input[name=key]") == secret, "the new key is ready in the playground"
        page.select_option("select[name=model]", run.model)
        page.fill("textarea[name=message]", "Say hello")
        page.keyboard.press("Enter")
        page.wait_for_selector(".turn-foot a")
        assert page.locator(".turn.assistant .turn-text").last.inner_text().strip() not in ("", "…")
        page.click(".turn-foot a")
        record_appears(page)
        assert run.model in page.inner_text("main")
        request_id = page.locator(".copy-box input").input_value()
        page = visitor.open(f"/logs?key={KEY_NAME}")
        page.wait_for_selector("tbody tr")
        page.click("tbody tr a")
        page.wait_for_selector(".request-head")
        assert page.locator(".copy-box input").input_value() == request_id
        assert secret not in page.content() and secret not in str(page.evaluate("({...localStorage, ...sessionStorage})")), "the secret stays in memory"
        run.record, run.secret = f"/logs/{request_id}", secret


def live(run):
    with run.browser.visit(state=run.state) as visitor:
        page = visitor.open(f"/logs?key={KEY_NAME}")
        page.wait_for_selector("tbody tr")
        before = page.locator("tbody tr").count()
        page.click("button[role=switch]")
        assert "live=1" in page.url, "it is kept in the address"
        body = json.dumps({"model": run.model, "messages": [{"role": "user", "content": "Say hello"}]}).encode()
        request = Request(f"{run.base}/v1/chat/completions", body, {"Authorization": f"Bearer {run.secret}", "Content-Type": "application/json"})
        urlopen(request, timeout=30).read()
        page.wait_for_function("before => document.querySelectorAll('tbody tr').length > before", arg=before)
        # Another page than the first is not live, and does not say that it is.
        first = ask(page, "GET", f"/logs?key={KEY_NAME}")[1]
        page.route("**/api/logs?**", lambda route: route.fulfill(json={**first, "next": "1_1"}))
        page.get_by_role("button", name="Next").click()
        page.wait_for_selector(".pager:has-text('Page 2')")
        assert page.get_attribute("button[role=switch]", "aria-checked") == "false"
        page.get_by_role("button", name="Previous").click()
        page.wait_for_selector("button[role=switch][aria-checked=true]")
        page.unroute_all()
        # What does not exist finds nothing; a filter that is none is said next to its field.
        page.fill("input[name=model]", "no-such-model")
        page.keyboard.press("Enter")
        page.wait_for_selector(".empty")
        assert "model=no-such-model" in page.url
        page = visitor.open("/logs?status=abc")
        page.wait_for_selector(".filters .field-error, .note.danger")
        for form in ("csv", "jsonl"):
            with page.expect_download() as download:
                page.click(f"text={form.upper()} >> nth=0") if form == "jsonl" else visitor.open("/logs").click("text=CSV")
            text = open(download.value.path(), encoding="utf-8").read()
            assert run.record.split("/")[-1] in text, f"the {form} holds the record"


def weights(run):
    with run.browser.visit(state=run.state) as visitor:
        page = visitor.open("/upstreams")
        page.wait_for_selector(".upstream")
        name = page.locator(".upstream h2").first.inner_text()
        slider = page.locator(".upstream input[type=range]").first
        was = slider.input_value()
        slider.focus()
        for _ in range(6):
            page.keyboard.press("ArrowRight")
        page.wait_for_selector(".toast")
        # What is shown from here on, to behind the next time that all is loaded anew.
        page.evaluate(
            "window.__shown = []; new MutationObserver(() => __shown.push(document.querySelector('.upstream .weight').innerText))"
            ".observe(document.querySelector('.upstreams'), {subtree: true, childList: true, characterData: true})"
        )
        is_overridden = page.locator(".upstream").first.locator(".weight .badge")
        is_overridden.wait_for()
        assert page.evaluate("document.activeElement.name") == "weight", "the slider keeps the focus"
        found = lambda: next(one for one in rows(ask(page, "GET", "/upstreams")[1]) if one["name"] == name)
        assert found()["weight_override"] == int(was) + 6, found()
        for _ in range(2):
            page.wait_for_event("response", lambda answer: answer.url.endswith("/api/upstreams"))
        assert slider.input_value() == str(int(was) + 6)
        shown = page.evaluate("__shown")
        assert not [one for one in shown if str(int(was) + 6) not in one or "overridden" not in one], shown
        page.locator(".upstream .weight button").first.click()
        is_overridden.wait_for(state="detached")
        assert slider.input_value() == was
        assert found()["weight_override"] is None
        page.locator(".upstream header button").first.click()
        page.click("dialog button[type=submit]")
        page.wait_for_selector("dialog .badge")


def prices(run):
    with run.browser.visit(state=run.state) as visitor:
        page = settled(visitor.open("/prices?tab=file"))
        page.wait_for_selector("textarea")
        text = page.input_value("textarea")
        lines = len(text.rstrip("\n").split("\n"))
        page.fill("textarea", text.rstrip("\n") + '\n\n[[model]]\nname = "walked"\ninput = -1\noutput = 2\n')
        page.click("text=/^Validate$/")
        page.wait_for_selector(".findings li")
        assert f"line {lines + 4}:" in page.inner_text(".findings"), page.inner_text(".findings")
        page.wait_for_selector(".gutter .wrong", state="attached")
        page.fill("textarea", text.rstrip("\n") + '\n\n[[model]]\nname = "walked"\ninput = 1.25\noutput = 2\n')
        page.click("text=/^Validate$/")
        page.wait_for_selector(".note.good")
        page.click("text=/^Save$/")
        page.wait_for_selector(".toast")
        if run.is_mock:
            return
        page = settled(visitor.open("/prices?tab=history"))
        latest = page.locator(".versions > li").first
        assert run.name in latest.locator("summary").inner_text() and "input = 1.25" in latest.locator("tr.added").all_inner_texts()[-2], latest.inner_text()
        page = settled(visitor.open("/prices?tab=explain"))
        page.fill("input[name=model]", "walked")
        page.fill("input[name=input_tokens]", "1000")
        page.fill("input[name=output_tokens]", "500")
        page.click("main form button[type=submit]")
        page.wait_for_selector(".sum")
        assert page.inner_text(".sum strong") == "$0.00225", page.inner_text(".sum")


def money(run):
    """A code made here and redeemed by somebody whose quota grows by it, to the nano-dollar; and a top-up."""
    with run.browser.visit(state=run.state) as visitor:
        page = visitor.open("/users")
        page.keyboard.press("n")
        page.fill("dialog input[name=name]", "moneyed")
        page.fill("dialog input[name=quota_nanos]", "1.100000001")
        page.fill("dialog input[name=password]", OWN_PASSWORD)
        page.click("dialog button[type=submit]")
        page.wait_for_selector("dialog", state="detached")
        for amount in ("0.25", "-0.1"):
            page.locator("tr", has_text="moneyed").get_by_role("button", name="Top up").click()
            page.fill("dialog input[name=amount_nanos]", amount)
            page.click("dialog button[type=submit]")
            page.wait_for_selector("dialog", state="detached")
        page = visitor.open("/codes")
        page.keyboard.press("n")
        page.fill("dialog input[name=amount_nanos]", "2.5")
        page.click("dialog button[type=submit]")
        code = page.locator("dialog .copy-box input").first.input_value()
    with run.browser.visit() as visitor:
        log_in(visitor, "moneyed", OWN_PASSWORD).wait_for_selector(".side")
        page = visitor.open("/account")
        # What was refused before is not said of what is held back now.
        for current, new in (("not the password", OWN_PASSWORD), (OWN_PASSWORD, "short")):
            page.fill("input[name=current]", current)
            for field in ("new", "again"):
                page.fill(f"input[name={field}]", new)
            page.click("text=/^Change password$/ >> nth=-1")
            page.wait_for_selector(".field-error")
        page.wait_for_selector(".field-error:has-text('characters')")
        assert page.locator(".field-error").count() == 1, page.locator(".field-error").all_inner_texts()
        page.fill("input[name=code]", "no such code")
        page.click("text=/^Redeem$/")
        page.wait_for_selector("form .field-error, form .note.danger")
        page.fill("input[name=code]", code)
        page.click("text=/^Redeem$/")
        page.wait_for_selector(".toast")
        mine = ask(page, "GET", "/session")[1]["person"]
        assert mine["quota_nanos"] == 3_750_000_001
        assert "$3.75" in page.inner_text(".facts")
        # What others change meanwhile shows when the page is looked at again.
        with run.browser.visit(state=run.state) as admin:
            assert ask(admin.open("/users"), "POST", f"/users/{mine['id']}/topup", {"amount_nanos": 4_000_000_000})[0] == 200
        page.click(".side nav a:has-text('Overview')")
        page.click(".side nav a:has-text('Account')")
        page.wait_for_selector(".facts:has-text('$7.75')")


def emptied(run):
    """The last row of a list's last page is deleted: that is not a list without rows, and there is a way back."""
    with run.browser.visit(state=run.state) as visitor:
        page = visitor.open("/codes")
        there = len(rows(ask(page, "GET", "/codes?limit=1000")[1]))
        ask(page, "POST", "/codes", {"amount_nanos": 1, "count": 51 - there})
        page = settled(visitor.open("/codes"))
        page.get_by_role("button", name="Next").click()
        page.wait_for_function("() => document.querySelectorAll('tbody tr').length === 1")
        page.click("tbody button:has-text('Delete')")
        page.click("dialog button[type=submit]")
        page.wait_for_selector(".empty")
        assert "Nothing is on this page" in page.inner_text("main"), page.inner_text("main")
        page.get_by_role("button", name="Previous").click()
        page.wait_for_function("() => document.querySelectorAll('tbody tr').length === 50")
        assert not page.locator(".pager").count(), "that is all by now"


def deleted(run):
    """What is typed to confirm is what is seen: spaces in a row are one there. (At an end, a name has none.)"""
    with run.browser.visit(state=run.state) as visitor:
        page = visitor.open("/keys")
        assert ask(page, "POST", "/keys", {"name": "trailing "})[0] == 400
        ask(page, "POST", "/keys", {"name": "twofold  spaces"})
        page = settled(visitor.open("/keys"))
        page.locator("tr", has_text="twofold").get_by_role("button", name="Delete").click()
        shown = page.inner_text("dialog .field label")
        page.fill("dialog input[name=confirm]", "something else")
        assert page.locator("dialog button[type=submit]").is_disabled()
        page.fill("dialog input[name=confirm]", re.fullmatch(r"Type (.+?) ?to confirm", shown)[1])
        page.click("dialog button[type=submit]")
        page.wait_for_selector("dialog", state="detached")


def record_appears(page):
    """Within a second, says the contract; a page that was opened before says so, and is asked again."""
    for _ in range(20):
        page.wait_for_selector(".request-head, .empty")
        if page.locator(".request-head").count():
            return
        page.wait_for_timeout(250)
        page.reload()
    raise AssertionError("the record does not appear")


def keyboard(run):
    with run.browser.visit(state=run.state) as visitor:
        page = visitor.open("/")
        page.wait_for_selector(".side")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip", "the first stop skips the navigation"
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", "the focus is seen"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        for letter, path in (("l", "/logs"), ("k", "/keys"), ("o", "/")):
            page.keyboard.press("g")
            page.keyboard.press(letter)
            page.wait_for_url(f"**/console{path}")
        page.keyboard.press("?")
        page.wait_for_selector("dialog[open] kbd")
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog", state="detached")
        page.keyboard.press("g")
        page.keyboard.press("l")
        page.wait_for_selector("input[name=q]")
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.name") == "q"
        page.keyboard.type("gk")
        assert page.url.endswith("/console/logs"), "what is typed into a field is no shortcut"
        page = settled(visitor.open("/prices"))
        page.locator("[role=radio][aria-checked=true]").focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_url("**/prices?tab=explain")
        page.keyboard.press("ArrowLeft")
        page.wait_for_url("**/console/prices")
        assert page.locator("[role=radio][tabindex='0']").count() == 1, "one stop for all of them"
        # What is busy stays where the focus is.
        page = settled(visitor.open("/"))
        held = []
        page.route("**/api/overview**", lambda route: held.append(route))
        page.get_by_role("button", name="Refresh").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("main .button[aria-busy]")
        page.keyboard.press("Enter")
        page.wait_for_timeout(100)
        assert len(held) == 1, "what is busy is not asked again"
        held[0].continue_()
        page.wait_for_selector("main .button[aria-busy]", state="detached")
        assert page.evaluate("document.activeElement.innerText") == "Refresh"


def roles(run):
    with run.browser.visit(state=run.state) as visitor:
        page = visitor.open("/users")
        page.keyboard.press("n")
        page.fill("dialog input[name=name]", "ordinary")
        page.click("dialog button[type=submit]")
        page.wait_for_selector("dialog .copy-box input")
        password = page.locator("dialog .copy-box input").input_value()
    with run.browser.visit() as visitor:
        page = log_in(visitor, "ordinary", password)
        if page.locator("input[name=new]").count():
            page.click("text=Later")
        page.wait_for_selector(".side")
        shown = page.locator(".side nav a").all_inner_texts()
        assert "Keys" in shown and not {"Users", "Audit", "Settings", "Upstreams", "Health"} & set(shown), shown
        page = visitor.open("/users")
        assert not page.locator("table").count() and page.locator(".empty").count()
        assert ask(page, "GET", "/users")[0] == 403
        for path in ("/", "/logs", "/keys", "/models", "/prices", "/playground", "/account"):
            settled(visitor.open(path))
            assert not page.locator(".note.danger").count(), f"{path}: {page.inner_text('main')}"
        assert ask(page, "GET", "/logs")[1]["items"] == [], "the records are somebody else's"


def failures(run):
    """What the API refuses, or cannot answer, is said; the rest of the console stays within reach."""
    said = lambda code, message: {"status": 503, "json": {"error": {"code": code, "message": message}}}
    with run.browser.visit(state=run.state) as visitor:
        page = visitor.open("/models")
        page.wait_for_selector(".side")
        for answer, shown in ((said("UNAVAILABLE", "the store is away"), "the store is away"), ({"status": 200, "json": {}}, "cannot show"), ({"status": 200, "body": "<html>"}, "answered 200"), (None, "cannot be reached")):
            page.unroute_all()
            page.route("**/api/overview**", lambda route, _, answer=answer: route.fulfill(**answer) if answer else route.abort())
            page.click(".side nav a:has-text('Overview')")
            page.wait_for_selector(f"main :text('{shown}')")
            page.click(".side nav a:has-text('Models')")
            page.wait_for_selector("main table")
        page.unroute_all()
        for asked in ("**/api/keys?**", "**/api/session"):
            page.route(asked, lambda route: route.fulfill(status=401, json={"error": {"code": "UNAUTHENTICATED", "message": "nobody is signed in"}}))
        page.click(".side nav a:has-text('Keys')")
        page.wait_for_selector("input[name=password]")
        assert page.url.endswith("/console/keys"), "the next login leads back"
        visitor.wrong = [wrong for wrong in visitor.wrong if "503" not in wrong and "ERR_FAILED" not in wrong]


SUMS_NANOS = [12, 12_340, 12_345_000, 1_234_500_000_000, 12_345_670_000_000, 123_456_780_000_000, 1_234_567_890_000_000, 9_223_372_036_854_775_807]


def sums(run):
    """However long a figure is, it does not run into the next one."""
    at = [1_796_000_000 + hour * 3600 for hour in range(24)]
    flat = {name: [1] * 24 for name in ("requests", "cost_nanos", "tokens", "errors", "p50_ms")}
    beside = """() => [...document.querySelectorAll('.figure')].flatMap(figure => {
        const range = document.createRange();
        range.selectNodeContents(figure.querySelector('.figure-value'));
        return range.getBoundingClientRect().right > figure.getBoundingClientRect().right ? [figure.innerText] : [];
    })"""
    for width in (1440, 1280, 1024, 860, 390):
        with run.browser.visit(state=run.state, width=width) as visitor:
            for sum_nanos in SUMS_NANOS:
                totals = {"requests": 1_234_567, "cost_nanos": sum_nanos, "input_tokens": 1, "output_tokens": 0, "errors": 1, "p50_ms": 1, "p95_ms": 1, "ttft_p50_ms": 1}
                visitor.page.unroute_all()
                visitor.page.route("**/api/overview**", lambda route: route.fulfill(json={"totals": totals, "series": {"at": at, **flat}, "top": {"keys": [], "models": [], "upstreams": []}}))
                page = settled(visitor.open("/"))
                over = page.evaluate(beside)
                assert not over, f"{width}: {over}"
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{width}: wider than the window"


def refreshed(run):
    """All panels of the health page are of the same moment."""
    with run.browser.visit(state=run.state) as visitor:
        page = settled(visitor.open("/health"))
        with page.expect_response("**/internal/health"), page.expect_response("**/api/metrics/summary"):
            pass


def settings(run):
    """All that the API tells of the configuration is on its page."""
    with run.browser.visit(state=run.state) as visitor:
        page = settled(visitor.open("/settings"))
        document = ask(page, "GET", "/settings")[1]
        columns = page.locator("main th").all_inner_texts()
        missing = {name for row in document["upstream"] for name in row} - {column.strip() for column in columns}
        assert {"price_provider", "price_multiplier"} <= set(document["upstream"][0]) and not missing, f"{missing} of {columns}"


def settled(page):
    page.wait_for_selector(".loading", state="detached")
    page.wait_for_timeout(150)
    return page


def pages(run, theme, language, width):
    with run.browser.visit(theme, language, run.state, width) as visitor:
        page = visitor.open("/")
        page.wait_for_selector(".side", state="attached")
        for path in PAGES + [run.record]:
            settled(visitor.open(path))
            text = page.inner_text("main")
            assert page.evaluate("document.documentElement.lang") == ("zh-CN" if language == "zh" else "en")
            assert not page.locator(".note.danger[role=alert]").count(), f"{path}: {text}"
            # The audit's own words for what was done look like keys.
            assert path == "/audit" or not re.search(r"\b(nav|keys|logs|field|action|users|prices|request)\.[a-z]\w+", text), f"{path}: a key in place of its text"
            assert not (language == "zh" and "chosen first" in text), f"{path}: the API's English sentence in place of its word's"
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the window"
            assert page.locator("tbody tr").count() <= ROWS_MAX, path
            nameless = page.locator(":is(span, div, p)[aria-label]:not([role])")
            assert not nameless.count(), f"{path}: a label that is not read out: {nameless.first.evaluate('it => it.outerHTML')}"
            assert (re.search(r"[\u4e00-\u9fff]", page.inner_text("h1")) is not None) == (language == "zh"), path
            dark = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).every(part => part < 60)")
            assert dark == (theme == "dark"), path
            visitor.check()
            if run.shots:
                name = re.sub(r"\W+", "-", path).strip("-")[:24] or "overview"
                page.screenshot(path=f"{run.shots}/{theme}-{language}-{width}-{name}.png", full_page=True)


def switches(run):
    with run.browser.visit(state=run.state) as visitor:
        page = visitor.open("/account")
        page.wait_for_selector(".side")
        page.click(".side .chip:has-text('中文')")
        page.wait_for_selector("h1:has-text('账户')")
        page.click(".side .chip >> nth=0")
        page.click(".side .chip >> nth=0")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.reload()
        page.wait_for_selector("h1:has-text('账户')")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark", "both are remembered"


def walks(run):
    yield "first login, and a password of one's own", first_login
    yield "key, playground, record, request", first_call
    yield "live log, filters, export", live
    yield "weights by slider, and a test call", weights
    yield "prices: errors at their lines, saved, explained", prices
    yield "quota, top-up, code", money
    yield "a page of a list that is emptied", emptied
    yield "names with spaces are deleted", deleted
    yield "failures are said", failures
    yield "keyboard", keyboard
    yield "health is shown anew", refreshed
    yield "all settings are shown", settings
    yield "sums of any length", sums
    yield "a user sees their own", roles
    yield "theme and language are remembered", switches
    for theme in ("light", "dark"):
        for language in ("en", "zh"):
            yield f"every page, {theme}, {language}", lambda run, theme=theme, language=language: pages(run, theme, language, 1280)
    yield "every page, narrow", lambda run: pages(run, "light", "en", 380)
