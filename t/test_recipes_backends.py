# SPDX-License-Identifier: Apache-2.0
"""Recipes for other backends than Exchange. `make check-backends` runs these tests."""

import pytest

from lab.ad import CAS1, PASSWORDS, REALM
from lab.app_servers import SERVERS, AppServer
from lab.client import Client
from lab.exchange import location
from lab.fake_backend import FakeBackend, response
from lab.unique import unique_number

pytestmark = pytest.mark.app_servers("packages of other backends")
GROUPS = 1000     # a user of Windows can have fifteen more
TOO_LONG = {"tomcat": 400, "jetty": 431, "nginx": 400}
USER = {"alice": PASSWORDS["alice"], "bob": PASSWORDS["bob"]}


@pytest.fixture(scope="module")
def member_of_many(domain):
    """A user whose token is longer than 8 KB."""
    for number in range(GROUPS):
        domain.add_group(f"many-{number}")
        domain.join(f"many-{number}", ["bob"])
    return "bob"


@pytest.fixture(scope="module")
def program(lab_dir):
    """A program behind nginx, which answers with the user that nginx names."""
    def script(request):
        assert request.authorization is None
        return response("200 OK", body=dict(request.headers)["X-Remote-User"].encode())
    made = FakeBackend(script, "127.0.0.1", None, None)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def servers(lab_dir, domain, program):
    """servers(kind, …): started when first asked for."""
    made = {}

    def get(kind, raised=True, more={}):
        key = (kind, raised, repr(more))
        if key not in made:
            number = unique_number()
            keytab = domain.export_keytab(lab_dir / f"{kind}-{number}.keytab", [CAS1])
            made[key] = AppServer(kind, lab_dir / f"{kind}-{number}", keytab, domain.krb5_conf,
                                  program.url, raised, more).start()
        return made[key]
    yield get
    for server in made.values():
        server.stop()


def is_served_as(answer, kind, user):
    """Jetty drops the realm."""
    name = user if kind == "jetty" else f"{user}@{REALM}"
    return (answer.status, answer.body.decode().strip()) == (200, name)


each = pytest.mark.parametrize("kind", SERVERS)


@each
def test_users(gateway, servers, kind):
    """Each request authenticates both sides; the users of one gateway do not mix."""
    gw = gateway(location(f"{servers(kind).url}/", path="/"))
    for _ in range(3):
        for user, password in USER.items():
            assert is_served_as(gw.get("/", user, password), kind, user)
    with gw.client() as client:
        for user in ("alice", "alice", "bob", "alice"):
            assert is_served_as(client.request("GET", "/", user, USER[user]), kind, user)


@each
def test_without_a_token(servers, kind):
    """Negotiate alone, and nobody is served."""
    with Client(servers(kind).port) as client:
        answer = client.get("/")
        assert answer.status == 401
        assert answer.all("WWW-Authenticate") == ["Negotiate"]
        wrong = client.get("/", headers=[("Authorization", "Negotiate YII=")])
        assert wrong.status in ((500,) if kind == "jetty" else (401, 403))
        assert REALM.encode() not in wrong.body


@each
def test_own_session(gateway, servers, kind):
    """Its cookie, sent with the next request, decides about no user."""
    gw = gateway(location(f"{servers(kind).url}/", path="/"))
    first = gw.get("/", "alice", USER["alice"])
    cookie = (first.header("Set-Cookie") or "none=none").partition(";")[0]
    for user in ("alice", "bob"):
        answer = gw.get("/", user, USER[user], headers=[("Cookie", cookie)])
        assert is_served_as(answer, kind, user)


@each
def test_long_token(gateway, servers, member_of_many, kind):
    gw = gateway(location(f"{servers(kind).url}/", path="/"))
    answer = gw.get("/", member_of_many, USER[member_of_many])
    assert is_served_as(answer, kind, member_of_many)


@pytest.mark.parametrize("kind", TOO_LONG)
def test_limit_of_its_own(gateway, servers, member_of_many, kind):
    gw = gateway(location(f"{servers(kind, raised=False).url}/", path="/"))
    gw.expect("EAS2090")
    assert gw.get("/", "alice", USER["alice"]).status == 200
    assert gw.get("/", member_of_many, USER[member_of_many]).status == TOO_LONG[kind]


def test_user_whom_jetty_does_not_know(gateway, servers):
    """The ticket is right, and the user has no line in Jetty's file."""
    gw = gateway(location(f"{servers('jetty').url}/", path="/"))
    gw.expect("EAS2074")
    assert gw.get("/", "carol", PASSWORDS["carol"]).status == 403


def test_older_authenticator_of_jetty(gateway, servers):
    """It sends no AP-REP: why the example names the other one."""
    name = "authentication.ConfigurableSpnegoAuthenticator"
    older = servers("jetty", more={name: "authentication.SpnegoAuthenticator"})
    gw = gateway(location(f"{older.url}/", path="/"))
    gw.expect("EAS2052")
    assert gw.get("/", "alice", USER["alice"]).status == 502
