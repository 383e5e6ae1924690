# SPDX-License-Identifier: Apache-2.0
"""An ActiveSync query shows in variables; a malformed one is 400."""

import pytest

from lab.activesync import PATH, PING, TYPE, blob, plain
from lab.ad import PASSWORDS, REALM
from lab.exchange import location
from lab.fake_backend import response
from lab.wait import until

E2 = "oBEJBBBOaW5lMkVDN0VDMEJCNTREBAGJpmIHQW5kcm9pZAcBAA=="
E3 = "eQIJBBCuTs0Z9ZK6Vldwb/dM8JusBHVeHIQDUFBDBwEBAwYxMTkyODEBBUlOQk9Y"
HEADERS = [("Content-Type", TYPE), ("MS-ASProtocolVersion", "14.1"), ("X-MS-PolicyKey", "4711")]

NAMES = ("EAS_COMMAND", "EAS_USER", "EAS_DEVICE_ID", "EAS_DEVICE_TYPE", "EAS_PROTOCOL_VERSION",
         "EAS_POLICY_KEY")

SHOWN = {
    plain("ping", r"CORP%5Calice"):
        ("Ping", r"CORP\\alice", "ApplDNPHTK1MF0KY", "iPhone", "14.1", "4711"),
    f"{PATH}?{E2}": ("Settings", "-", "Nine2EC7EC0BB54D", "Android", "16.0", "1655081217"),
    f"{PATH}?{E2.rstrip('=')}": ("Settings", "-", "Nine2EC7EC0BB54D", "Android", "16.0",
                                 "1655081217"),
    # It has no policy key of its own, and the header is another form's.
    blob("Ping", user=b"bob"): ("Ping", "bob", "ApplDNPHTK1MF0KY", "iPhone", "14.1", "-"),
    f"{PATH}?{E3}": ("SmartForward", "-", "AE4ECD19F592BA5657706FF74CF09BAC", "PPC", "12.1",
                     "2216451701"),
    f"{PATH}?Cmd=Novelty": ("Novelty", "-", "-", "-", "14.1", "4711"),
    blob(200): ("200", "-", "ApplDNPHTK1MF0KY", "iPhone", "14.1", "-"),
    PATH: ("-",) * 6,
}

MALFORMED = {
    f"{PATH}?Cmd=Sync&User=%4": "EAS1200",
    f"{PATH}?Cmd=Sync&User=a%0d%0a": "EAS1200",
    f"{PATH}?Cmd=Sync&cmd=Ping": "EAS1201",
    f"{PATH}?User=alice&DeviceId=x": "EAS1202",
    f"{PATH}?Cmd=&User=alice": "EAS1202",
    f"{PATH}?Cmd=Sync1&User=alice": "EAS1208",
    f"{PATH}?****": "EAS1203",
    f"{PATH}?{E2}=": "EAS1203",
    f"{PATH}?{E3[:36]}": "EAS1204",
    # A client in the field that swaps policy key and device type.
    f"{PATH}?jQAJBAp2MTQwRGV2aWNlClNtYXJ0UGhvbmUKMTY1NTA4MTIxNw": "EAS1204",
    f"{PATH}?{E3[:52]}": "EAS1205",
    blob("Sync", kind=b"iPh\nne"): "EAS1207",
}


@pytest.fixture
def mailbox(gateway, backends):
    """mailbox(*lines): a gateway before cas1, with ActiveSync's directory."""
    cas1 = backends("cas1")

    def start(*lines: str, **options: str):
        return gateway(location(cas1.url, *lines, path=PATH, **options)), cas1
    return start


def variables(gw) -> tuple[str, ...]:
    entry = gw.logged()
    return tuple(entry[name] for name in NAMES)


@pytest.mark.smoke
def test_variables(mailbox):
    """And the query reaches the backend as it came, without them."""
    gw, cas1 = mailbox()
    with gw.client() as client:
        for path, shown in SHOWN.items():
            gw.mark()
            answer = client.post(path, PING, "alice", PASSWORDS["alice"], HEADERS)
            assert answer.status == 200
            assert (path, variables(gw)) == (path, shown)
            seen = answer.json()
            assert seen["uri"].endswith(path[len(PATH):])
            assert not [name for name, _ in seen["headers"] if name.upper().startswith("EAS")]


@pytest.mark.parametrize("path", MALFORMED)
def test_malformed(mailbox, path):
    """Without a user, with a user, and with a wrong password."""
    gw, cas1 = mailbox()
    for user, password in ((None, None), ("alice", PASSWORDS["alice"]), ("alice", "wrong")):
        gw.mark()
        answer = gw.post(path, PING, user, password, HEADERS)
        assert answer.status == 400
        assert answer.header("WWW-Authenticate") is None
        assert gw.error_log.tags() == [MALFORMED[path]]
        assert gw.logged()["EAS_KCD_ERROR"] == MALFORMED[path]
    assert cas1.requests() == []


@pytest.mark.parametrize("lines,path,parsed", [
    ((), "/Microsoft-Server-ActiveSync", True),
    ((), "/microsoft-server-activesync", True),
    ((), "/MICROSOFT-SERVER-ACTIVESYNC/default.eas", True),
    ((), "/Microsoft-Server-ActiveSyncX", False),
    ((), "/owa", False),
    (("EasKcdParseEas auto",), "/Microsoft-Server-ActiveSync", True),
    (("EasKcdParseEas Off",), "/Microsoft-Server-ActiveSync", False),
    (("EasKcdParseEas On",), "/owa", True),
])
def test_where_it_is_read(gateway, backends, lines, path, parsed):
    gw = gateway(location(backends("cas1").url + "/", *lines, path="/"))
    answer = gw.post(f"{path}?Cmd=Ping&Cmd=Ping", b"", "alice", PASSWORDS["alice"])
    assert answer.status == (400 if parsed else 200)
    gw.post(f"{path}?Cmd=Ping", b"", "alice", PASSWORDS["alice"])
    served = until(lambda: [entry for entry in gw.requests() if entry["uri"].endswith("Cmd=Ping")
                            and "&" not in entry["uri"]], 5, "the access log")
    assert served[0]["EAS_COMMAND"] == ("Ping" if parsed else "-")


def test_inner_sections_inherit_and_override(gateway, backends):
    gw = gateway("EasKcdParseEas Off\n" + location(
        backends("cas1").url + "/", "EasKcdParseEas On", path="/")
        + '\n<Location "/owa">\nEasKcdParseEas auto\n</Location>\n'
        + '<Location "/x">\nEasKcdDelegate On\n</Location>')
    for path, status in (("/a", 400), ("/owa", 200), ("/x", 400)):
        assert gw.get(f"{path}?Cmd=", "alice", PASSWORDS["alice"]).status == status


def test_malformed_is_not_served_by_way_of_the_error_page(gateway, fake_backends):
    """An ErrorDocument that is itself proxied: nobody's request goes to the backend."""
    backend = fake_backends(lambda request: response("200 OK", body=b"mail"))
    gw = gateway(location(backend.url, path=PATH) + f"ErrorDocument 400 {PATH}/error\n")
    answer = gw.post(f"{PATH}?Cmd=", b"", "alice", PASSWORDS["alice"])
    assert answer.status == 400
    assert backend.requests == []


def test_control_characters_do_not_reach_the_log(mailbox):
    """httpd escapes the control characters of a value."""
    gw, _ = mailbox()
    gw.post(f'{PATH}?Cmd=Sync&User=a%22b%ff', b"", "alice", PASSWORDS["alice"])
    assert gw.logged()["EAS_USER"] == r'a\"b\xff'


def test_user_of_the_query_is_not_the_user(mailbox):
    """It is logged, and never believed."""
    gw, cas1 = mailbox()
    answer = gw.post(plain("Sync", "bob"), b"", "alice", PASSWORDS["alice"])
    assert answer.json()["remote_user"] == f"alice@{REALM}"
    assert gw.post(plain("Sync", "bob"), b"").status == 401
