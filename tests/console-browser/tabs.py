"""Who is logged in, and what is theirs: after a log-out, beside another tab, on another page than the one it was begun on."""
from browser import ask, log_in, rows

PASSWORD = "a password of somebody"
# Looks for a request, of 20 ms each.
PUMPS_MAX = 500


def enter(page, name, password):
    """Logs in where the login page is shown already."""
    page.wait_for_selector("input[name=name]")
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_selector(".side")


def leave(page):
    page.click(".side-links button:has-text('Log out')")
    page.wait_for_selector("input[name=name]")


def turn_to(page, name):
    page.click(f".side nav a:has-text('{name}')")
    page.wait_for_selector(f"h1:has-text('{name}')")


def person(page, name, role="user"):
    status, made = ask(page, "POST", "/users", {"name": name, "role": role, "password": PASSWORD})
    assert status in (200, 201), made


def forgotten(run):
    """The next one to log in at this tab finds neither the key nor the conversation of the one before."""
    with run.browser.visit() as visitor:
        page = log_in(visitor, run.name, run.password)
        page.wait_for_selector(".side")
        person(page, "next-one")
        turn_to(page, "Playground")
        page.wait_for_selector("select[name=model] option", state="attached")
        page.fill("input[name=key]", "sk-tg-of-the-one-before")
        page.fill("textarea[name=message]", "a question of the one before")
        page.keyboard.press("Enter")
        page.wait_for_selector(".turn.assistant .note")
        turn_to(page, "Models")
        turn_to(page, "Playground")
        assert page.locator(".turn").count() == 2 and page.input_value("input[name=key]"), "both outlive the page"
        leave(page)
        enter(page, "next-one", PASSWORD)
        turn_to(page, "Playground")
        assert page.input_value("input[name=key]") == "", "the key outlives the log-out"
        assert not page.locator(".turn").count(), page.inner_text(".turns")


def answering(run):
    """A question is answered whatever page is looked at meanwhile; one that was given up, or broke off, says so."""
    with run.browser.visit(state=run.state) as visitor:
        page = visitor.open("/playground")
        page.wait_for_selector("select[name=model] option", state="attached")
        page.fill("input[name=key]", run.secret)
        page.select_option("select[name=model]", run.model)
        held, bodies = [], []

        def say(text):
            page.fill("textarea[name=message]", text)
            page.keyboard.press("Enter")
            for _ in range(PUMPS_MAX):
                if held:
                    break
                page.wait_for_timeout(20)
            bodies.append(held[0].request.post_data_json)
            return held.pop()

        page.route("**/v1/chat/completions", lambda route: held.append(route))
        asked = say("Say hello")
        turn_to(page, "Models")
        page.click(".side .chip:has-text('中文')")
        page.click(".side nav a:has-text('试用')")
        page.wait_for_selector(".ask .button.danger")
        asked.continue_()
        page.wait_for_selector(".turn-foot a")
        assert page.locator(".turn.assistant .turn-text").last.inner_text().strip() not in ("", "…")
        page.click(".side .chip:has-text('English')")
        # Given up before its first word: it is not sent along as an empty answer.
        given_up = say("Say nothing")
        page.click(".ask .button.danger")
        page.wait_for_selector(".turn-foot:has-text('Stopped')")
        given_up.abort()
        say("Say hello again").continue_()
        page.wait_for_selector(".turn:last-of-type .turn-foot a")
        assert all(turn["content"] for turn in bodies[-1]["messages"]), bodies[-1]
        page.unroute_all()


def beside(run):
    """All tabs share who is logged in: one that was opened by somebody else does nothing in another's name, and says who it is."""
    with run.browser.visit() as visitor:
        page = log_in(visitor, run.name, run.password)
        page.wait_for_selector(".side")
        person(page, "beside")
        leave(page)
        enter(page, "beside", PASSWORD)
        turn_to(page, "Keys")
        page.keyboard.press("n")
        page.fill("dialog input[name=name]", "of-beside")
        other = page.context.new_page()
        other.goto(f"{run.base}/console/")
        other.wait_for_selector(".side")
        leave(other)
        enter(other, run.name, run.password)
        page.click("dialog button[type=submit]")
        page.wait_for_selector(f".who-name:has-text('{run.name}')")
        assert page.locator(".side nav a:has-text('Settings')").count(), "its pages are those of the one who is logged in"
        page.wait_for_selector(f".toast:has-text('{run.name} is logged in')")
        made = [key for key in rows(ask(other, "GET", "/keys?limit=1000")[1]) if key["name"] == "of-beside"]
        assert not made, f"a key was made in another's name: {made}"
        # A tab that is only looked at again sees it, too.
        leave(other)
        enter(other, "beside", PASSWORD)
        page.evaluate("dispatchEvent(new Event('focus'))")
        page.wait_for_selector(".who-name:has-text('beside')")
        assert not page.locator(".side nav a:has-text('Settings')").count()
        # One that logs out of what is another's by now ends nobody's session.
        leave(other)
        enter(other, run.name, run.password)
        page.click(".side-links button:has-text('Log out')")
        page.wait_for_selector(f".who-name:has-text('{run.name}')")
        assert ask(other, "GET", "/session")[1]["person"]["name"] == run.name


def pending(run):
    """What one person has set, and the log that they see, is theirs to the end: neither is sent or saved as whoever is signed in by now."""
    with run.browser.visit() as visitor:
        page = log_in(visitor, run.name, run.password)
        page.wait_for_selector(".side")
        person(page, "of-weights", "operator")
        leave(page)
        enter(page, "of-weights", PASSWORD)
        mine = str(ask(page, "GET", "/session")[1]["person"]["id"])
        turn_to(page, "Upstreams")
        page.wait_for_selector(".upstream")
        before = rows(ask(page, "GET", "/upstreams")[1])[0]["weight_override"]
        other = page.context.new_page()
        other.goto(f"{run.base}/console/")
        other.wait_for_selector(".side")
        leave(other)
        enter(other, run.name, run.password)
        sent, saved = [], []
        page.on("request", lambda request: request.method == "PATCH" and sent.append(request.headers.get("x-tollgate-person")))
        page.on("download", lambda download: saved.append(download.url))
        page.evaluate(
            """() => {
                const slider = document.querySelector(".upstream input[type=range]");
                slider.value = Number(slider.value) === 7 ? 8 : 7;
                for (const name of ["input", "change"]) slider.dispatchEvent(new Event(name, { bubbles: true }));
                dispatchEvent(new Event("focus"));
            }"""
        )
        page.wait_for_selector(f".who-name:has-text('{run.name}')")
        page.wait_for_timeout(1000)
        assert sent == [mine], f"sent as {sent}, set by {mine}"
        assert rows(ask(other, "GET", "/upstreams")[1])[0]["weight_override"] == before
        turn_to(page, "Logs")
        leave(other)
        enter(other, "of-weights", PASSWORD)
        page.click("text=CSV")
        page.wait_for_selector(".who-name:has-text('of-weights')")
        page.wait_for_timeout(1000)
        assert not saved, saved
        with page.expect_download():
            page.click("text=CSV")


def demoted(run):
    """Whose role is another by now is shown that role's pages as soon as something is refused."""
    with run.browser.visit(state=run.state) as admin, run.browser.visit() as visitor:
        page = admin.open("/users")
        person(page, "demoted", "operator")
        log_in(visitor, "demoted", PASSWORD).wait_for_selector(".side")
        turn_to(visitor.page, "Upstreams")
        mine = next(one for one in rows(ask(page, "GET", "/users?limit=1000")[1]) if one["name"] == "demoted")
        assert ask(page, "PATCH", f"/users/{mine['id']}", {"role": "user"})[0] == 200
        visitor.page.click(".side nav a:has-text('Groups')")
        visitor.page.wait_for_selector(".who-role:text-is('User')")
        assert not visitor.page.locator(".side nav a:has-text('Upstreams')").count()
        assert visitor.page.locator("main .empty").count(), visitor.page.inner_text("main")


def draft(run):
    """What is changed in the price file and not saved is kept on the way to other pages, in another language, and through the session's end."""
    with run.browser.visit() as visitor:
        page = log_in(visitor, run.name, run.password)
        page.wait_for_selector(".side")
        page = visitor.open("/prices?tab=file")
        page.wait_for_selector("textarea[name=prices]")
        saved = page.input_value("textarea[name=prices]")
        begun = f"# Begun.\n{saved}"
        page.fill("textarea[name=prices]", begun)

        def is_there(after):
            page.wait_for_selector("textarea[name=prices]")
            assert page.input_value("textarea[name=prices]") == begun, f"lost {after}"

        turn_to(page, "Keys")
        page.go_back()
        is_there("on another page")
        page.get_by_role("radio", name="History").click()
        page.wait_for_selector("textarea[name=prices]", state="detached")
        page.get_by_role("radio", name="File").click()
        is_there("on another tab of the page")
        page.click(".side .chip:has-text('中文')")
        page.wait_for_selector("h1:has-text('价格')")
        is_there("in another language")
        page.click(".side .chip:has-text('English')")
        page.wait_for_selector("h1:has-text('Prices')")
        page.context.clear_cookies()
        page.click("text=/^Validate$/")
        enter(page, run.name, run.password)
        is_there("with the session's end")
        # Another version came into force meanwhile: it is said, and nothing of it is overwritten.
        status, file = ask(page, "GET", "/prices/file")
        status, put = ask(page, "PUT", "/prices/file", {"text": f"{saved}\n# Of somebody else.\n", "version": file["version"]})
        assert status == 200, put
        turn_to(page, "Keys")
        page.go_back()
        is_there("when another version came")
        page.wait_for_selector(".note.danger:has-text('changed since')")
        page.click("text=/^Save$/")
        page.wait_for_function("() => !document.querySelector('main .button[aria-busy]')")
        assert "# Of somebody else." in ask(page, "GET", "/prices/file")[1]["text"], "it was overwritten"
        is_there("when it was refused")
        page.click("text=/^Load the new one$/")
        page.wait_for_function("() => document.querySelector('textarea[name=prices]')?.value.includes('# Of somebody else.')")
        # Saved, or taken back, it is no draft any more.
        page.fill("textarea[name=prices]", saved)
        page.click("text=/^Save$/")
        page.wait_for_selector(".toast")
        page.wait_for_function("() => !document.querySelector('main').innerText.includes('not saved')")
        assert page.input_value("textarea[name=prices]") == saved
        page.fill("textarea[name=prices]", begun)
        page.click("text=/^Revert$/")
        assert page.input_value("textarea[name=prices]") == saved
        # Nobody else finds one.
        page.fill("textarea[name=prices]", begun)
        person(page, "of-prices", "operator")
        leave(page)
        enter(page, "of-prices", PASSWORD)
        turn_to(page, "Prices")
        page.get_by_role("radio", name="File").click()
        page.wait_for_selector("textarea[name=prices]")
        assert page.input_value("textarea[name=prices]") == saved


def tabs(run):
    yield "a log-out forgets what was somebody's", forgotten
    yield "a question is answered on whatever page", answering
    yield "another tab logs somebody else in", beside
    yield "what rests while another logs in", pending
    yield "a role that was taken away", demoted
    yield "a draft of the price file is kept", draft
