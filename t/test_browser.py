# SPDX-License-Identifier: Apache-2.0
"""The login form in a real browser."""

import pytest

pytest.importorskip("selenium")

from lab.ad import CAS1, PASSWORDS, REALM
from lab.browser import url
from lab.exchange import location
from lab.fake_backend import response
from lab.frontdoor import COOKIE, FORM, LOGOUT
from lab.kerberos import kinit
from lab.names import GATEWAY
from lab.sanitizer import moves_clock
from lab.unique import unique_number
from lab.wait import until

INBOX = "/owa/?ae=Folder&id=a%2Bb"
TO_INBOX = FORM + "?destination=%2fowa%2f%3fae%3dFolder%26id%3da%252Bb"
WRONG = "That user name and password did not work. Please check them and try again."
ENDED = "Your session has ended. Please sign in again."
SIGNED_OUT = "You have signed out."
OTHER_SESSION = "Another session was open here. It has ended; please sign in again."
TITLE = '<Location "/">\nAuthName "Example Mail"\n</Location>\n'

# A Location that authenticates only: under another clock no ticket is good.
UNDELEGATED = TITLE + """
<Location "/owa">
    AuthType EasKcd
    Require valid-user
    ProxyPass "{url}"
</Location>
"""


def page(title, body=""):
    html = f"<!DOCTYPE html><title>{title}</title><h1>{title}</h1>{body}"
    return response("200 OK", [("Content-Type", "text/html; charset=utf-8")], html.encode())


@pytest.fixture
def titled(gateway, backends):
    """A gateway whose backend shows, as JSON, who asked for what."""
    gw = gateway(TITLE + location(backends("cas1").url, path="/owa"))
    return gw


@pytest.fixture
def evil(fake_backends):
    """evil(html): the address of another site's page."""
    def publish(html):
        return fake_backends(lambda _: page("Evil", html), "cas2", tls=True).url
    return publish


def reload(chromium):
    chromium.driver.refresh()


def signed_in(chromium, gw, user="alice", path="/owa/", **options):
    """Log on where the form is not the matter of the test."""
    chromium.open(gw, path)
    chromium.log_on(user, PASSWORDS[user], **options)
    chromium.arrive(path)


# --- the whole flow --------------------------------------------------------------------------

@pytest.mark.parametrize("javascript", [True, False], ids=["script", "noscript"])
def test_a_person_logs_on_works_and_signs_out(titled, backends, browser, javascript):
    cas1 = backends("cas1")
    chromium = browser(javascript=javascript)
    chromium.driver.get("data:text/html,<title>no</title><script>document.title='yes'</script>")
    assert chromium.driver.title == ("yes" if javascript else "no")

    chromium.open(titled, INBOX)
    assert chromium.where == TO_INBOX
    assert chromium.driver.title == "Sign in - Example Mail"
    assert chromium.message == ""
    assert chromium.driver.switch_to.active_element == chromium.find("#username")

    chromium.log_on("alice", "nonsense")
    assert chromium.message == WRONG
    assert chromium.find("[name=destination]").get_attribute("value") == INBOX
    assert chromium.find("#password").get_attribute("value") == ""
    assert cas1.requests() == []
    assert COOKIE not in chromium.cookies()

    chromium.log_on("alice", PASSWORDS["alice"])
    chromium.arrive(INBOX)
    assert f'"remote_user":"alice@{REALM}"' in chromium.text
    assert '"uri":"/?ae=Folder&id=a%2Bb"' in chromium.text

    chromium.open(titled, "/owa/second")
    assert chromium.where == "/owa/second"
    assert f'"remote_user":"alice@{REALM}"' in chromium.text

    chromium.sign_out(titled)
    chromium.arrive(FORM + "?reason=signed-out")
    assert chromium.message == SIGNED_OUT
    assert COOKIE not in chromium.cookies()
    assert chromium.violations() == []


def test_cookies(titled, browser):
    chromium = browser()
    signed_in(chromium, titled)
    assert set(chromium.cookies()) == {COOKIE, COOKIE + "-form"}
    for cookie in chromium.cookies().values():
        assert cookie["secure"] and cookie["httpOnly"] and cookie["sameSite"] == "Lax"
        assert cookie["path"] == "/" and cookie["domain"] == GATEWAY
        assert "expiry" not in cookie
    assert chromium.driver.execute_script("return document.cookie") == ""


def test_a_script_without_a_session_gets_no_password_box(titled, backends, browser):
    """fetch() sees 440; for a 401 with a challenge the browser would ask by itself."""
    cas1 = backends("cas1")
    chromium = browser()
    chromium.open(titled, "/not-there")
    seen = chromium.driver.execute_async_script("""
        const done = arguments[0];
        fetch("/owa/data", { headers: { Accept: "text/html" } })
            .then(r => done([r.status, r.headers.get("WWW-Authenticate")]), e => done("" + e));
        """)
    assert seen == [440, None]
    assert cas1.requests() == []


# --- back, and after the end -----------------------------------------------------------------

def test_back_button_after_sign_out(gateway, backends, browser):
    """The browser shows its own copy; the server sends no page any more."""
    cas1 = backends("cas1")
    gw = gateway(TITLE + location(cas1.url, path="/owa"))
    chromium = browser()
    signed_in(chromium, gw)
    chromium.sign_out(gw)
    chromium.arrive(FORM + "?reason=signed-out")
    cas1.mark()
    chromium.driver.execute_script("history.go(-2)")     # before the question
    chromium.wait(lambda: chromium.where in ("/owa/", FORM + "?destination=%2fowa%2f"))
    reload(chromium)
    chromium.arrive(FORM + "?destination=%2fowa%2f")
    assert chromium.shows_form and chromium.message == ""
    assert REALM not in chromium.text
    chromium.open(gw, "/owa/other")
    assert chromium.shows_form
    assert cas1.requests() == []


def test_back_button_where_the_backend_forbids_storing(gateway, fake_backends, browser):
    """no-store must come through: then even the browser's own store has nothing to show."""
    backend = fake_backends(lambda _: response("200 OK", [
        ("Content-Type", "text/html"), ("Cache-Control", "no-store")], b"<h1>Secret plan</h1>"))
    gw = gateway(UNDELEGATED.format(url=backend.url))
    chromium = browser(keeps_pages=False)
    signed_in(chromium, gw)
    assert chromium.text == "Secret plan"
    chromium.sign_out(gw)
    chromium.arrive(FORM + "?reason=signed-out")
    before = len(backend.requests)
    chromium.driver.execute_script("history.go(-2)")     # before the question
    chromium.wait(lambda: chromium.where.startswith(FORM + "?destination"))
    assert chromium.shows_form and "Secret" not in chromium.driver.page_source
    assert len(backend.requests) == before


def test_back_to_the_form_after_log_on(titled, browser):
    """The form, again; no question whether to send the password once more, no error."""
    chromium = browser()
    signed_in(chromium, titled)
    chromium.driver.back()
    chromium.wait(lambda: chromium.shows_form)
    assert chromium.find("#password").get_attribute("value") == ""
    chromium.log_on("bob", PASSWORDS["bob"])
    assert chromium.message == OTHER_SESSION
    chromium.log_on("bob", PASSWORDS["bob"])
    chromium.arrive("/owa/")
    assert f'"remote_user":"bob@{REALM}"' in chromium.text


@moves_clock
def test_public_session_times_out(gateway, fake_backends, browser):
    backend = fake_backends(lambda _: page("Inbox"))
    gw = gateway(UNDELEGATED.format(url=backend.url), clock=True)
    chromium = browser()
    signed_in(chromium, gw)
    gw.set_clock("+14m")
    reload(chromium)
    assert chromium.text == "Inbox"
    gw.set_clock("+28m")    # fourteen minutes of idling: the last request counts, not the log-on
    reload(chromium)
    assert chromium.text == "Inbox"
    gw.set_clock("+44m")
    before = len(backend.requests)
    reload(chromium)
    chromium.arrive(FORM + "?reason=timed-out&destination=%2fowa%2f")
    assert chromium.message == ENDED
    assert COOKIE not in chromium.cookies()
    assert len(backend.requests) == before
    gw.set_clock("+0")
    chromium.log_on("alice", PASSWORDS["alice"])
    chromium.arrive("/owa/")
    assert chromium.text == "Inbox"


@moves_clock
def test_private_session_lasts_longer(gateway, fake_backends, browser):
    backend = fake_backends(lambda _: page("Inbox"))
    gw = gateway(UNDELEGATED.format(url=backend.url), clock=True)
    chromium = browser()
    signed_in(chromium, gw, private=True)
    gw.set_clock("+7h")
    reload(chromium)
    assert chromium.text == "Inbox"
    gw.set_clock("+25h")    # whatever it was used for, there is an end
    before = len(backend.requests)
    reload(chromium)
    chromium.arrive(FORM + "?reason=timed-out&destination=%2fowa%2f")
    assert chromium.message == ENDED
    assert len(backend.requests) == before


# --- one user after another ------------------------------------------------------------------

@pytest.fixture
def remembering(fake_backends):
    """A backend that gives each browser a cookie for a part of its paths, and a page to keep."""
    def script(request):
        return response("200 OK", [
            ("Content-Type", "text/html"), ("Cache-Control", "private, max-age=3600"),
            ("Set-Cookie", "backend=session; Path=/owa; HttpOnly; Max-Age=3600")],
            f"<h1>Page {len(backend.requests)}</h1>".encode())
    backend = fake_backends(script)
    return backend


def assert_forgets(chromium, backend):
    """The first page of the next user: asked for anew, and without the first one's cookie."""
    *_, last = backend.requests
    assert chromium.text == f"Page {len(backend.requests)}"
    assert last.all("Cookie") == []


def cookies_at(backend):
    return backend.requests[-1].all("Cookie")


def test_next_user_after_a_sign_out(gateway, remembering, browser):
    gw = gateway(UNDELEGATED.format(url=remembering.url))
    chromium = browser()
    signed_in(chromium, gw)
    chromium.open(gw, "/owa/second")
    assert cookies_at(remembering) == ["backend=session"]
    chromium.sign_out(gw)
    chromium.arrive(FORM + "?reason=signed-out")
    signed_in(chromium, gw, "bob")
    assert_forgets(chromium, remembering)


def test_next_user_after_the_end_of_a_session(gateway, remembering, browser):
    gw = gateway(UNDELEGATED.format(url=remembering.url), clock=True)
    chromium = browser()
    signed_in(chromium, gw)
    gw.set_clock("+16m")
    chromium.open(gw, "/owa/another")
    chromium.arrive(FORM + "?reason=timed-out&destination=%2fowa%2fanother")
    gw.set_clock("+0")
    chromium.log_on("bob", PASSWORDS["bob"])
    chromium.arrive("/owa/another")
    assert_forgets(chromium, remembering)


def test_next_user_without_a_sign_out(gateway, remembering, browser):
    """The first session ends, its cookie is of no use, and the second user logs on twice."""
    gw = gateway(UNDELEGATED.format(url=remembering.url))
    chromium = browser()
    signed_in(chromium, gw)
    before = len(remembering.requests)
    chromium.open(gw, FORM + "?destination=%2fowa%2f")
    chromium.log_on("bob", PASSWORDS["bob"])
    chromium.arrive(FORM + "?reason=other-session&destination=%2fowa%2f")
    assert chromium.message == OTHER_SESSION
    assert "EAS1097" in gw.error_log.tags()
    assert COOKIE not in chromium.cookies()
    assert len(remembering.requests) == before
    chromium.log_on("bob", PASSWORDS["bob"])
    chromium.arrive("/owa/")
    assert_forgets(chromium, remembering)


def test_next_log_on_of_the_same_user(gateway, remembering, browser):
    """The backend's session goes on, as it does while the session here is renewed."""
    gw = gateway(UNDELEGATED.format(url=remembering.url))
    chromium = browser()
    signed_in(chromium, gw)
    chromium.open(gw, FORM + "?destination=%2fowa%2fanother")
    chromium.log_on("alice", PASSWORDS["alice"])
    chromium.arrive("/owa/another")
    assert cookies_at(remembering) == ["backend=session"]


def test_next_user_where_the_administrator_keeps_the_data(gateway, remembering, browser):
    gw = gateway("SetEnvIf Request_URI . eas-kcd-keep-site-data\n"
                 + UNDELEGATED.format(url=remembering.url))
    chromium = browser()
    signed_in(chromium, gw)
    chromium.sign_out(gw)
    chromium.arrive(FORM + "?reason=signed-out")
    assert COOKIE not in chromium.cookies()
    chromium.open(gw, "/owa/another")
    chromium.log_on("bob", PASSWORDS["bob"])
    chromium.arrive("/owa/another")
    assert cookies_at(remembering) == ["backend=session"]


# --- more than one page ----------------------------------------------------------------------

def test_two_tabs_with_a_form_each(titled, browser):
    """Both forms were fetched before either was sent; the last log-on counts."""
    chromium = browser()
    chromium.open(titled, "/owa/one")
    first = chromium.driver.current_window_handle
    chromium.driver.switch_to.new_window("tab")
    chromium.open(titled, "/owa/two")
    chromium.log_on("alice", PASSWORDS["alice"])
    chromium.arrive("/owa/two")
    assert f'"remote_user":"alice@{REALM}"' in chromium.text
    chromium.driver.switch_to.window(first)
    assert chromium.shows_form
    chromium.log_on("bob", PASSWORDS["bob"])
    assert chromium.message == OTHER_SESSION
    chromium.log_on("bob", PASSWORDS["bob"])
    chromium.arrive("/owa/one")
    assert f'"remote_user":"bob@{REALM}"' in chromium.text
    chromium.open(titled, "/owa/two")
    assert f'"remote_user":"bob@{REALM}"' in chromium.text


def test_another_site_cannot_log_on(titled, backends, browser, evil):
    """Its form is sent by the victim's browser, with a token that the attacker fetched."""
    titled.expect("EAS1091")
    cas1 = backends("cas1")
    chromium = browser()
    chromium.open(titled, FORM)       # the victim has a form cookie
    chromium.driver.get(evil(f"""
        <form method="post" action="{url(titled, FORM)}">
        <input name="username" value="alice"><input name="password" value="{PASSWORDS['alice']}">
        <input name="token" value="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA">
        <input name="destination" value="/owa/"><button>Win a prize</button></form>"""))
    chromium.find("button").click()
    chromium.wait(lambda: chromium.host == GATEWAY and chromium.shows_form)
    assert chromium.message.startswith("This form was incomplete or out of date.")
    assert COOKIE not in chromium.cookies()
    assert titled.logged()["status"] == "403"
    assert titled.logged()["EAS_KCD_ERROR"] == "EAS1091"
    assert cas1.requests() == []


def test_another_site_cannot_sign_out(titled, browser, evil):
    """By an image not at all; by a link it is asked for first."""
    chromium = browser()
    signed_in(chromium, titled)
    titled.mark()
    chromium.driver.get(evil(f"""<img src="{url(titled, LOGOUT)}?img">
        <a href="{url(titled, LOGOUT)}">your prize</a>"""))
    until(lambda: [r for r in titled.requests() if r["uri"] == LOGOUT + "?img"], 10, "the image")
    chromium.find("a").click()
    chromium.arrive(LOGOUT)
    assert "Do you want to sign out?" in chromium.text
    assert COOKIE in chromium.cookies()
    chromium.open(titled, "/owa/")
    assert f'"remote_user":"alice@{REALM}"' in chromium.text
    chromium.driver.back()
    chromium.arrive(LOGOUT)
    chromium.find("button").click()
    chromium.arrive(FORM + "?reason=signed-out")
    assert COOKIE not in chromium.cookies()
    chromium.open(titled, "/owa/")
    assert chromium.shows_form


def test_another_site_cannot_frame_the_form(titled, browser, evil):
    chromium = browser()
    chromium.driver.get(evil(f'<iframe src="{url(titled, FORM)}"></iframe>'))
    assert chromium.wait(chromium.violations)
    chromium.driver.switch_to.frame(0)
    assert not chromium.shows_form


def test_destination_may_lead_on_to_another_site(gateway, fake_backends, browser):
    """A mailbox that lives elsewhere: OWA itself redirects there, right after the log-on."""
    elsewhere = fake_backends(lambda _: page("Elsewhere"), "cas2", tls=True)
    backend = fake_backends(lambda _: response("302 Found", [("Location", elsewhere.url + "/")]))
    gw = gateway(UNDELEGATED.format(url=backend.url))
    chromium = browser()
    chromium.open(gw, "/owa/")
    chromium.log_on("alice", PASSWORDS["alice"])
    chromium.wait(lambda: chromium.text == "Elsewhere", "the page elsewhere")


# --- tickets of a member of the domain -------------------------------------------------------

@pytest.fixture
def negotiating(gateway, backends, domain):
    """The gateway is a service by the name that browsers know."""
    name = f"member{unique_number()}"
    domain.add_gateway(name, f"HTTP/{GATEWAY}")
    domain.allow_delegation(name, [CAS1])
    yield gateway(TITLE + location(backends("cas1").url, "EasKcdNegotiate On", path="/owa"),
                  account=name)
    domain.modify(name, {"servicePrincipalName": []})


def test_member_of_the_domain_sees_no_form(negotiating, domain, browser, tmp_path):
    done = kinit(domain.krb5_conf, tmp_path / "ccache", f"carol@{REALM}", PASSWORDS["carol"])
    assert done.returncode == 0, done.stderr
    chromium = browser(ccache=tmp_path / "ccache")
    for path in (INBOX, "/owa/second"):
        chromium.open(negotiating, path)
        chromium.arrive(path)
        assert f"carol@{REALM}" in chromium.text
    script = "return (await fetch('/owa/third', {method: 'POST', body: 'x'})).status"
    assert chromium.driver.execute_script(script) == 200
    assert COOKIE not in chromium.cookies()


def test_browser_without_a_ticket_comes_to_the_form(negotiating, browser):
    chromium = browser()
    chromium.open(negotiating, INBOX)
    chromium.arrive(TO_INBOX)
    chromium.log_on("alice", PASSWORDS["alice"])
    chromium.arrive(INBOX)
    assert f"alice@{REALM}" in chromium.text
