# SPDX-License-Identifier: Apache-2.0
"""Expired passwords are changed at the form, and users are warned before they expire."""

import json
import re
import signal
import socket

import pytest

from lab import krbmsg
from lab.ad import Domain, PASSWORDS, REALM
from lab.exchange import DOMAINS, location
from lab.frontdoor import CHANGE, FORM, Visitor
from lab.gateway import MODULES
from lab.login_form import tag_of, texts_of
from lab.unique import unique_number, unique_path
from lab.wait import free_port, until

OLD, NEW = "Old-enough-to-go-1", "New-and-shiny-2"
DAY = 864_000_000_000       # in AD's ticks
TEXTS = texts_of("en")


@pytest.fixture
def user(domain):
    """user(must_change=True): the name of a new one."""
    def add(must_change=True):
        name = f"change{unique_number()}"
        domain.add_user(name, OLD, must_change=True)
        if not must_change:
            domain.modify(name, {"pwdLastSet": ["-1"]})
        return name
    return add


@pytest.fixture
def policy(domain):
    """policy(minPwdLength=20): the domain's, for the test."""
    def set_policy(**values):
        for name in values:
            before.setdefault(name, domain.read(None, name))
        domain.modify(None, {name: [str(value)] for name, value in values.items()})
    before = {}
    yield set_policy
    domain.modify(None, before)


@pytest.fixture
def door(gateway, backends):
    def start(conf="", **options):
        return gateway(DOMAINS + conf + location(backends("cas1").url), **options)
    return start


def change(visitor, name, old=OLD, new=NEW, again=None, headers=(), uri=None, **fields):
    """Fill in the form for a new password, and send it."""
    filled = visitor.fields(CHANGE) | {
        "username": name, "password": old, "new_password": new,
        "new_password_again": new if again is None else again, "destination": "/eas"} | fields
    return visitor.submit(filled, headers, uri or unique_path(CHANGE))


def text_of(answer):
    return re.sub(r"<[^>]*>", "", answer.body.decode())


def accepts(gw, name, password):
    return gw.get("/eas", name, password).status == 200


# --- the whole way ---------------------------------------------------------------------------

def test_person_changes_an_expired_password(door, browser, user):
    gw, name = door(), user()
    chromium = browser()
    chromium.open(gw, "/eas")
    chromium.log_on(name, OLD)
    assert chromium.where.startswith(f"{CHANGE}?reason=expired")
    assert chromium.message == TEXTS["must_change"]
    assert chromium.find("#username").get_attribute("value") == name
    assert chromium.driver.switch_to.active_element.get_attribute("id") == "password"
    for field, value in (("#password", OLD), ("#new_password", NEW), ("#new_password_again", NEW)):
        chromium.find(field).send_keys(value)
    chromium.find("button[type=submit]").click()
    chromium.arrive("/eas")
    assert f"{name}@{REALM}" in chromium.text
    assert chromium.violations() == []
    assert not accepts(gw, name, OLD)
    assert accepts(gw, name, NEW)
    assert gw.error_log.tags()[:4] == ["EAS1062", "EAS1033", "EAS1330", "EAS1094"]


def test_old_password_is_refused_at_once_and_sessions_end(door, user, domain):
    """Also where it was cached, and where the new one was typed too early."""
    gw, name = door(), user(must_change=False)
    other = Visitor(gw)
    other.log_on(name, OLD, "/eas")
    assert other.get("/eas").status == 200
    assert accepts(gw, name, OLD)
    assert gw.get("/eas", name, NEW).status == 401
    domain.modify(name, {"pwdLastSet": ["0"]})
    assert accepts(gw, name, OLD), "it is no longer cached"
    visitor = Visitor(gw)
    answer = change(visitor, name)
    assert (answer.status, answer.header("Location")) == (303, "/eas")
    assert visitor.get("/eas").json()["remote_user"] == f"{name}@{REALM}"
    assert other.get("/eas").status == 302
    assert not accepts(gw, name, OLD)
    assert accepts(gw, name, NEW)


def test_sessions_end_though_the_cache_is_silent(door, user, domain, redis, secret):
    """No change can be made again for the sessions' sake: the gateway keeps their end."""
    gw = door(f'EasKcdSecretFile "{secret()}"\nEasKcdCache redis:127.0.0.1:{redis.port}\n'
              "EasKcdPasswordCache off\nRedisTimeout 1\nEasKcdPasswordChange On\n",
              modules=(*MODULES, "socache_redis"))
    gw.allow("AH03478", "AH03479", "EAS1070", "EAS1071", "EAS1072", because="redis is silent")
    name, thief = user(must_change=False), Visitor(gw)
    thief.log_on(name, OLD, "/eas")
    assert thief.get("/eas").status == 200
    redis.daemon.signal(signal.SIGSTOP)
    try:
        change(Visitor(gw), name)
    finally:
        redis.daemon.signal(signal.SIGCONT)
    answer = until(lambda: (got := thief.get("/eas")).status != 503 and got, 20, "the cache's return")
    assert answer.status == 302
    line = until(lambda: [each for each in gw.error_log.text().splitlines() if "EAS1330" in each],
                 5, "the message")
    assert line[0].endswith("the sessions of the user may have ended at this gateway alone")


def test_event(door, user, domain):
    """It names the user as the message does, also where the salt has a name of before."""
    gw, name = door('EasKcdEventLog "events.log"\n'), f"renamed{unique_number()}"
    domain.modify(user(), {"sAMAccountName": [name]})
    change(Visitor(gw), name)
    log = gw.root / "events.log"
    lines = until(lambda: log.exists() and log.read_text().splitlines(), 5, "the events")
    event, = [each for each in map(json.loads, lines) if each["event"] == "password-changed"]
    assert (event["user"], event["status"]) == (f"{name}@{REALM}", 303)


# --- refusals --------------------------------------------------------------------------------

def test_domain_refuses_the_new_password(door, user, policy):
    gw, name = door(), user()
    policy(minPwdLength=20)
    visitor, uri = Visitor(gw), unique_path(CHANGE)
    answer = change(visitor, name, uri=uri)
    assert answer.status == 422
    assert TEXTS["password_not_accepted"] in text_of(answer)
    assert "at least 20 characters long." in text_of(answer)
    assert tag_of(gw, uri) == "EAS1165"
    assert visitor.session is None
    assert change(visitor, name, new="Twenty-characters-or-more").status == 303
    assert accepts(gw, name, "Twenty-characters-or-more")


def test_wrong_old_password_counts_once(door, user, domain):
    domain.lockout_policy(9)
    try:
        gw, name, uri = door(), user(), [unique_path(CHANGE) for _ in range(3)]
        visitor = Visitor(gw)
        for each in uri:
            answer = change(visitor, name, old="Not-mine-3", uri=each)
            assert answer.header("Location") == f"{CHANGE}?reason=wrong&destination=%2feas"
        assert [tag_of(gw, each) for each in uri] == ["EAS1030", "EAS1300", "EAS1300"]
        assert domain.bad_pwd_count(name) == 1
        assert TEXTS["wrong"] in text_of(visitor.get(answer.header("Location")))
    finally:
        domain.lockout_policy(0)


def test_throttle_holds(door, user, domain):
    """Guesses at both forms count together, and the right password changes nothing then."""
    gw, name, uri = door(), user(), unique_path(CHANGE)
    gw.allow("EAS1310", because="three wrong passwords lock the name")
    visitor = Visitor(gw)
    visitor.log_on(name, "guess-1")
    for n in (2, 3):
        change(visitor, name, old=f"guess-{n}")
    before = domain.read(name, "pwdLastSet")
    answer = change(visitor, name, uri=uri)
    assert (answer.status, tag_of(gw, uri)) == (503, "EAS1301")
    assert TEXTS["try_later"] in text_of(answer)
    assert domain.read(name, "pwdLastSet") == before == ["0"]


@pytest.mark.parametrize("headers, forged", [((("Origin", "https://evil.example"),), None),
                                            ((("Sec-Fetch-Site", "cross-site"),), None),
                                            ((), "forged")])
def test_another_site_changes_nothing(door, user, domain, headers, forged):
    gw, name, uri = door(), user(), unique_path(CHANGE)
    gw.expect("EAS1091")
    more = {"token": forged} if forged else {}
    answer = change(Visitor(gw), name, headers=headers, uri=uri, **more)
    assert (answer.status, tag_of(gw, uri)) == (403, "EAS1091")
    assert domain.read(name, "pwdLastSet") == ["0"]


@pytest.mark.parametrize("new, again", [(NEW, NEW + "x"), (NEW, ""), ("", "")])
def test_new_password_is_typed_twice(door, user, domain, new, again):
    gw, name, uri = door(), user(), unique_path(CHANGE)
    answer = change(Visitor(gw), name, new=new, again=again, uri=uri)
    assert (answer.status, tag_of(gw, uri)) == (422, "EAS1169")
    assert TEXTS["passwords_differ"] in text_of(answer)
    assert domain.read(name, "pwdLastSet") == ["0"]


def test_needs_tls(door, user, domain):
    gw = door(tls=False)
    gw.expect("EAS1096")
    answer = gw.request("POST", CHANGE, headers=[("Content-Type",
                                                  "application/x-www-form-urlencoded")], body=b"")
    assert (answer.status, gw.error_log.tags()) == (403, ["EAS1096"])


def test_closed_port(door, user, domain, lab_dir):
    """The KDC answers, and the port for changes does not: 503."""
    conf = Domain.write_krb5_conf(lab_dir / f"closed-{unique_number()}.conf", domain.port,
                                  kpasswd_port=free_port())
    gw, uri = door(krb5_conf=conf), unique_path(CHANGE)
    gw.expect("EAS1166")
    for _ in range(4):
        answer = change(Visitor(gw), user(), uri=uri)
        assert (answer.status, answer.header("Retry-After")) == (503, "30")
    assert tag_of(gw, uri) == "EAS1166"
    assert accepts(gw, "alice", PASSWORDS["alice"])


def test_KDC_that_lags_behind(door, user, domain, relay, lab_dir):
    """It refuses the new password once, which the user sees as no wrong one a moment later."""
    def is_log_on_anew(message):
        if message.client == name and "AS-REQ/timestamp" in message.labels():
            put.append(message)
            return len(put) == 2
        return False

    conf = Domain.write_krb5_conf(lab_dir / f"lagging-{unique_number()}.conf", relay.port,
                                  kpasswd_port=domain.kpasswd_port)
    gw = door("EasKcdPasswordChange On\nEasKcdArmor Off\n", krb5_conf=conf)
    name, uri, put, visitor = user(must_change=False), unique_path(CHANGE), [], Visitor(gw)
    relay.answer(is_log_on_anew, krbmsg.error(24, REALM))
    answer = change(visitor, name, uri=uri)
    assert (answer.status, tag_of(gw, uri)) == (303, "EAS1030")
    assert answer.header("Location") == f"{FORM}?reason=changed&destination=%2feas"
    assert visitor.session is None and len(put) == 2
    assert accepts(gw, name, NEW), "it was remembered as a wrong one"
    assert not accepts(gw, name, OLD)


def test_names_that_nobody_has(door, user, lab_dir):
    """They get the answers of a user's, also where another provider could know them."""
    (lab_dir / "no-users").write_text("")
    gw = door(f'EasKcdPasswordProvider kdc file\n<Location "/eas-kcd/">\n'
              f'AuthUserFile "{lab_dir}/no-users"\n</Location>\n',
              modules=(*MODULES, "authn_file"))
    gw.allow("EAS1310", because="three wrong passwords lock the name")
    seen = {}
    for name in user(), f"nobody{unique_number()}":
        uris = [unique_path(CHANGE) for _ in range(4)]
        answers = [change(Visitor(gw), name, old=f"guess-{n}", uri=uri)
                   for n, uri in enumerate(uris)]
        seen[name] = [(answer.status, answer.header("Location")) for answer in answers]
        assert tag_of(gw, uris[3]) == "EAS1301"
    known, unknown = seen.values()
    assert known == unknown and known[3] == (503, None)


@pytest.mark.parametrize("mode", ["expired", "On"])
def test_silent_port(door, user, domain, lab_dir, mode):
    """The log says it, and the password may have changed: no session of before goes on."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        conf = Domain.write_krb5_conf(lab_dir / f"silent-{unique_number()}.conf", domain.port,
                                      kpasswd_port=silent.getsockname()[1])
        gw = door(f"EasKcdKdcTimeout 3s\nEasKcdPasswordChange {mode}\n", krb5_conf=conf)
        gw.expect("EAS1166")
        name, uri, thief = user(must_change=False), unique_path(CHANGE), Visitor(gw)
        thief.log_on(name, OLD, "/eas")
        assert thief.get("/eas").status == 200
        domain.modify(name, {"pwdLastSet": ["0"]})
        answer = change(Visitor(gw), name, uri=uri)
        assert (answer.status, tag_of(gw, uri)) == (503, "EAS1166")
        assert thief.get("/eas").status == 302
        assert domain.read(name, "pwdLastSet") == ["0"]


# --- directives ------------------------------------------------------------------------------

def test_off(door, user):
    gw, name = door("EasKcdPasswordChange Off\n"), user()
    visitor = Visitor(gw)
    answer = visitor.log_on(name, OLD, "/eas")
    assert answer.header("Location") == f"{FORM}?reason=expired&destination=%2feas"
    assert TEXTS["expired"] in text_of(visitor.get(answer.header("Location")))
    assert visitor.get(CHANGE).status == 404
    assert visitor.submit({"username": name}, path=CHANGE).status == 404


def test_another_place(door, user):
    gw, name = door("EasKcdPasswordExpired https://id.example/change?a=1\n"), user()
    visitor = Visitor(gw)
    answer = visitor.log_on(name, OLD, "/eas")
    assert answer.header("Location") == "https://id.example/change?a=1"
    assert visitor.get(CHANGE).status == 404


@pytest.mark.parametrize("line", ["EasKcdPasswordExpired javascript:alert(1)",
                                  "EasKcdPasswordChange never", "EasKcdPasswordWarn soon"])
def test_directives_that_are_refused(gateway, line):
    code, text = gateway(line + "\n", start=False).check_config()
    assert code != 0 and line.split()[0] in text


def test_password_that_has_not_expired(door, user):
    """Only with EasKcdPasswordChange On, which shows a link."""
    name, uri = user(must_change=False), unique_path(CHANGE)
    gw = door()
    gw.expect("EAS1329")
    assert TEXTS["change_password"] not in Visitor(gw).get(FORM).body.decode()
    answer = change(Visitor(gw), name, uri=uri)
    assert (answer.status, tag_of(gw, uri)) == (403, "EAS1329")
    assert accepts(gw, name, OLD)
    gw = door("EasKcdPasswordChange On\n")
    assert f'<a href="{CHANGE}">{TEXTS["change_password"]}</a>' in \
        Visitor(gw).get(FORM).body.decode()
    assert change(Visitor(gw), name).status == 303
    assert accepts(gw, name, NEW)


# --- the warning -----------------------------------------------------------------------------

def test_warning(door, user, policy):
    policy(maxPwdAge=-10 * DAY)
    gw, name = door(), user(must_change=False)
    visitor = Visitor(gw)
    answer = visitor.log_on(name, OLD, "/eas")
    assert answer.header("Location") == f"{CHANGE}?reason=expires&destination=%2feas"
    page = visitor.get(answer.header("Location")).body.decode()
    assert TEXTS["password_expires"].replace("{{days}}", "9") in page
    assert f'<a class="button" href="/eas">{TEXTS["later"]}</a>' in page
    assert f'value="{name}@{REALM}"' in page
    assert visitor.get("/eas").status == 200, "later"
    assert change(visitor, f"{name}@{REALM}").status == 303, "now"
    assert accepts(gw, name, NEW)


@pytest.mark.parametrize("age, conf", [(30, ""), (10, "EasKcdPasswordWarn off\n"),
                                       (10, "EasKcdPasswordWarn 5d\n"),
                                       (10, "EasKcdPasswordChange Off\n")])
def test_no_warning(door, user, policy, age, conf):
    policy(maxPwdAge=-age * DAY)
    gw, name = door(conf), user(must_change=False)
    assert Visitor(gw).log_on(name, OLD, "/eas").header("Location") == "/eas"


def test_variable(door, user, policy):
    policy(maxPwdAge=-10 * DAY)
    gw, path = door(shown=("EAS_KCD_PASSWORD_EXPIRES", "EAS_KCD_ERROR")), unique_path("/eas")
    gw.get(path, user(must_change=False), OLD)
    assert gw.logged(path)["EAS_KCD_PASSWORD_EXPIRES"] == "9"
    path = unique_path("/eas")
    gw.get(path, "alice", PASSWORDS["alice"])
    assert gw.logged(path)["EAS_KCD_PASSWORD_EXPIRES"] == "-", "it never expires"
