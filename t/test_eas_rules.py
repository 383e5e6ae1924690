# SPDX-License-Identifier: Apache-2.0
"""Require eas-…: who may do what with which device, however the rules are combined."""

import pytest

from lab.activesync import FOLDER_SYNC, PATH, TYPE, blob, plain
from lab.ad import PASSWORDS, UPN_SUFFIX
from lab.exchange import DOMAINS, location
from lab.wait import until

IPHONE, SAMSUNG = plain("Sync"), plain("Sync", device="SEC1234", kind="SAMSUNGSMG")
BLOCKED = bytes.fromhex("03016a00 0007 56 4c 0331323900 01 01")


def all_of(*lines: str) -> str:
    return "\n".join(("<RequireAll>", "Require valid-user", *lines, "</RequireAll>"))


def none_of(*lines: str) -> str:
    return "\n".join(("<RequireNone>", *lines, "</RequireNone>"))


def any_of(*lines: str) -> str:
    return "\n".join(("<RequireAny>", *lines, "</RequireAny>"))


@pytest.fixture
def ruled(gateway, backends):
    """ruled(require, *lines): a gateway with these rules for ActiveSync, and the backend."""
    cas1 = backends("cas1")

    def start(require: str, *lines: str, before: str = "", **options):
        return gateway(DOMAINS + before + location(cas1.url, *lines, path=PATH, require=require),
                       **options, reuse=True), cas1
    return start


def status(gw, path: str, user: str | None = "alice", method: str = "POST") -> int:
    password = PASSWORDS[user.rpartition("\\")[2]] if user else None
    return gw.request(method, path, user, password).status


# rule, granted, refused, what the log says of the refused
RULES = [
    (all_of("Require eas-command sync Ping"), IPHONE, plain("GetAttachment"), "EAS1210"),
    (all_of("Require eas-command Ping"), blob("Ping"), blob("Sync"), "EAS1210"),
    (all_of("Require eas-command 200"), blob(200), blob(201), "EAS1210"),
    (all_of("Require eas-device-type iPhone iPad"), plain("Sync", kind="IPHONE"), SAMSUNG,
     "EAS1210"),
    (all_of("Require eas-device-id sec1234"), SAMSUNG, IPHONE, "EAS1210"),
    (all_of("Require eas-device-id FFFE"), blob("Sync", b"\xff\xfe"), blob("Sync", b"\xff\xfd"),
     "EAS1210"),
    (all_of('Require eas-device-type "Windows Mail"'), plain("Sync", kind="Windows%20Mail"), IPHONE,
     "EAS1210"),
    (all_of("Require eas-user-match"), IPHONE, plain("Sync", "bob"), "EAS1210"),
    (all_of("Require eas-device-type %{reqenv:EAS_DEVICE_TYPE}x iPhone"), IPHONE, SAMSUNG,
     "EAS1210"),
    (all_of("Require not eas-device-id SEC1234"), IPHONE, SAMSUNG, "EAS1210"),
    (all_of(none_of("Require eas-command GetAttachment", "Require eas-device-id SEC1234")), IPHONE,
     SAMSUNG, "EAS1210"),
    (all_of(any_of("Require eas-device-id x", "Require eas-device-type iPhone")), IPHONE, SAMSUNG,
     "EAS1210"),
    # A rule without its value refuses, also below a negation.
    (all_of("Require eas-device-type iPhone"), IPHONE, f"{PATH}?Cmd=Sync", "EAS1211"),
    (all_of("Require eas-device-type iPhone"), IPHONE, PATH, "EAS1211"),
    (all_of(none_of("Require eas-device-type x")), IPHONE, f"{PATH}?Cmd=Sync", "EAS1211"),
    (all_of(none_of("Require eas-device-id x")), IPHONE, f"{PATH}?Cmd=Sync", "EAS1211"),
    (all_of(none_of("Require eas-command Ping")), IPHONE, PATH, "EAS1211"),
    (all_of("Require not eas-command Ping"), IPHONE, PATH, "EAS1211"),
    (all_of(none_of("Require eas-user-match")), plain("Sync", "bob"), blob("Sync"), "EAS1211"),
    (all_of("Require eas-user-match"), IPHONE, blob("Sync"), "EAS1211"),
]


@pytest.mark.parametrize("require,granted,refused,tag", RULES)
def test_rules(ruled, require, granted, refused, tag):
    gw, cas1 = ruled(require)
    gw.expect(tag)
    gw.allow("AH01631", because="httpd reports the refusal, unless a negation made it")
    assert status(gw, granted) == 200
    until(lambda: cas1.requests() and gw.requests(), 5, "the access logs")
    cas1.mark()
    gw.mark()
    answer = gw.post(refused, b"", "alice", PASSWORDS["alice"])
    assert answer.status == 403
    assert answer.header("WWW-Authenticate") is None
    assert gw.logged()["EAS_KCD_ERROR"] == tag
    assert cas1.requests() == []


# Alone, beside something that grants, or negated: nobody is never let in by them.
FOR_NOBODY = [
    "Require eas-command Sync",
    "Require eas-device-type iPhone",
    "Require eas-device-id ApplDNPHTK1MF0KY",
    "Require eas-user-match",
    all_of("Require eas-command Sync"),
    "<RequireAll>\nRequire eas-command Sync\nRequire all granted\n</RequireAll>",
    "<RequireAll>\nRequire all granted\n" + none_of("Require eas-command Ping") + "\n</RequireAll>",
    "<RequireAll>\nRequire all granted\n" + none_of("Require eas-command Sync") + "\n</RequireAll>",
    "<RequireAll>\nRequire all granted\nRequire not eas-device-id x\n</RequireAll>",
    any_of("Require eas-command Sync", "Require all granted"),
]


@pytest.mark.parametrize("require", FOR_NOBODY)
def test_rules_that_ask_for_no_user(ruled, require):
    gw, cas1 = ruled(require)
    for path in (IPHONE, PATH):
        assert status(gw, path, None) == 401
    assert status(gw, PATH, None, "OPTIONS") == 401
    assert cas1.requests() == []


def test_several_lines_mean_any(ruled):
    """httpd's rule; none of them lets nobody in."""
    gw, _ = ruled("Require eas-command Ping\nRequire eas-device-type iPhone")
    gw.expect("EAS1210", "AH01631")
    assert [status(gw, path) for path in (IPHONE, blob("Ping", kind=b"x"), SAMSUNG)] \
        == [200, 200, 403]
    assert status(gw, IPHONE, None) == 401


def test_options_has_no_device(ruled):
    """It matches no list: so it is refused by those that let in, and passes those that keep out."""
    gw, _ = ruled(all_of("Require eas-device-type iPhone"))
    gw.expect("EAS1210", "AH01631")
    for path in (PATH, f"{PATH}?User=alice", f"{PATH}?User=alice&DeviceId=A1&DeviceType=WP8"):
        assert status(gw, path, method="OPTIONS") == 403
    assert status(gw, f"{PATH}?User=alice&DeviceId=A1&DeviceType=iPhone", method="OPTIONS") == 200
    for lines in (any_of("Require eas-device-type iPhone", "Require method OPTIONS"),
                  none_of("Require eas-device-type SAMSUNGSMG",
                          "Require eas-command GetAttachment")):
        gw, _ = ruled(all_of(lines))
        for path in (PATH, f"{PATH}?User=alice&DeviceId=A1"):
            assert status(gw, path, method="OPTIONS") == 200
            assert status(gw, path, None, "OPTIONS") == 401


@pytest.mark.parametrize("rule", [all_of("Require eas-command Sync"),
                                  all_of(none_of("Require eas-command Ping")),
                                  all_of("Require not eas-command Ping")])
def test_nothing_is_known_where_nothing_is_read(ruled, rule):
    gw, cas1 = ruled(rule, "EasKcdParseEas Off")
    gw.expect("EAS1211")
    gw.allow("AH01631", because="httpd reports the refusal, unless a negation made it")
    for method in ("POST", "OPTIONS"):
        assert status(gw, IPHONE, method=method) == 403
    assert cas1.requests() == []


ALIAS = """
<AuthzProviderAlias eas-device-id lost "SEC1234">
</AuthzProviderAlias>
"""


@pytest.mark.smoke
def test_aliases(ruled):
    gw, _ = ruled(all_of(none_of("Require lost")), before=ALIAS)
    gw.expect("EAS1210", "EAS1211", "AH01631")
    assert [status(gw, path) for path in (IPHONE, SAMSUNG, f"{PATH}?Cmd=Sync")] == [200, 403, 403]


@pytest.mark.parametrize("require", [all_of("Require eas-device-id %{env:NOWHERE}"),
                                     all_of(none_of("Require eas-device-id %{env:NOWHERE}")),
                                     all_of("Require not eas-command %{env:NOWHERE}")])
def test_a_list_that_came_out_empty(ruled, require):
    gw, cas1 = ruled(require)
    gw.expect("EAS1211")
    gw.allow("AH01631", because="httpd reports the refusal, unless a negation made it")
    assert status(gw, IPHONE) == 403
    assert cas1.requests() == []


@pytest.mark.parametrize("require", [all_of('Require eas-device-id "%{tolower:%{file:/nowhere}}"'),
                                     all_of('Require not eas-device-id "%{file:/nowhere}"')])
def test_an_expression_that_fails(ruled, require):
    gw, cas1 = ruled(require)
    assert status(gw, IPHONE) == 403
    assert {"EAS1211", "EAS1212"} <= set(gw.error_log.tags())
    assert cas1.requests() == []
    gw.error_log.mark()     # the expression's own complaint has no tag that could be expected


@pytest.mark.parametrize("require", [all_of("Require eas-command Ping"),
                                     all_of(none_of("Require eas-device-type iPhone")),
                                     all_of(none_of("Require eas-device-type iPhone",
                                                    "Require eas-device-id %{env:NOWHERE}"))])
def test_beside_another_authtype(gateway, backends, require):
    """403 with mod_auth_basic too, which has proved the user."""
    cas1 = backends("cas1")
    gw = gateway(location(cas1.url, path=PATH, require=require).replace(
        "AuthType EasKcd", "AuthType Basic\n    AuthBasicProvider kdc"))
    gw.expect("EAS1210", "AH01631", "AH01617")
    answer = gw.post(IPHONE, b"", "alice", PASSWORDS["alice"])
    assert (answer.status, answer.header("WWW-Authenticate")) == (403, None)
    assert gw.post(IPHONE, b"", "alice", "wrong").status == 401
    assert cas1.requests() == []


MATCHES = [("alice", "alice", 200), ("alice", "ALICE", 200), ("alice", "CORP%5Calice", 200),
           (r"CORP\alice", "alice", 200), ("alice", "alice%40CORP.EXAMPLE.TEST", 200),
           (f"bob.builder@{UPN_SUFFIX}", f"Bob.Builder%40{UPN_SUFFIX}", 200),
           (f"bob.builder@{UPN_SUFFIX}", "bob", 200), ("alice", "bob", 403),
           ("alice", "ELSEWHERE%5Calice", 403), ("alice", "alice%40elsewhere.test", 403),
           ("alice", "alic", 403), ("alice", "alice%20", 403)]


@pytest.mark.parametrize("typed,named,expected", MATCHES)
def test_user_match(ruled, typed, named, expected):
    gw, _ = ruled(all_of("Require eas-user-match"))
    if expected == 403:
        gw.expect("EAS1210", "AH01631")
    password = PASSWORDS["bob" if typed.startswith("bob") else "alice"]
    assert gw.post(plain("Sync", named), b"", typed, password).status == expected


def test_user_match_where_there_is_one(ruled):
    """The reference's example that accepts queries without a user."""
    gw, _ = ruled(all_of(any_of('Require expr "-z reqenv(\'EAS_USER\')"',
                                "Require eas-user-match")))
    gw.expect("EAS1210", "AH01631")
    assert [status(gw, path) for path in (IPHONE, blob("Sync"), plain("Sync", "bob"))] \
        == [200, 200, 403]
    assert status(gw, blob("Sync"), None) == 401


# --- 200 with ActiveSync's own status --------------------------------------------------------

TELL = "SetEnvIf Request_URI . eas-kcd-status-129"


def ask(gw, path: str, version: str = "14.1"):
    return gw.post(path, FOLDER_SYNC, "alice", PASSWORDS["alice"],
                   [("Content-Type", TYPE), ("MS-ASProtocolVersion", version)])


@pytest.mark.smoke
def test_status_129(ruled):
    gw, cas1 = ruled(all_of("Require eas-device-type iPhone"), TELL)
    gw.expect("EAS1210", "AH01631")
    folder_sync = plain("FolderSync", device="SEC1234", kind="SAMSUNGSMG")
    for path in (folder_sync, blob("FolderSync", kind=b"x"), blob("FolderSync", kind=b"x",
                                                                  version=161)):
        with gw.client() as client:     # the body is read, and the connection goes on
            for _ in range(2):
                gw.mark()
                answer = client.post(path, FOLDER_SYNC, "alice", PASSWORDS["alice"],
                                     [("MS-ASProtocolVersion", "14.0")])
                assert (answer.status, answer.header("Content-Type")) == (200, TYPE)
                assert answer.body == BLOCKED
                assert "private" in answer.header("Cache-Control")
                assert gw.logged()["EAS_KCD_ERROR"] == "EAS1210"
    assert cas1.requests() == []
    assert ask(gw, plain("FolderSync")).status == 200


def test_status_129_is_for_blocked_devices_that_understand_it(ruled):
    gw, cas1 = ruled(all_of("Require eas-device-type iPhone",
                            "Require eas-command FolderSync Sync"), TELL)
    gw.expect("EAS1210", "EAS1211", "AH01631")
    blocked = plain("FolderSync", kind="x")
    assert ask(gw, blocked).body == BLOCKED
    assert [ask(gw, blocked, version).status for version in ("12.1", "2.5", "x", "")] == [403] * 4
    assert ask(gw, blob("FolderSync", kind=b"x", version=121)).status == 403
    assert ask(gw, plain("Ping")).status == 403             # another rule's refusal
    assert ask(gw, plain("GetAttachment", kind="x")).status == 403   # no such answer
    assert ask(gw, f"{PATH}?Cmd=FolderSync").status == 403  # not known to be blocked
    assert gw.post(blocked, b"", "alice", "wrong").status == 401
    assert gw.post(blocked, b"").status == 401
    assert cas1.requests() == []


def test_no_status_129_unless_told(ruled):
    gw, _ = ruled(all_of("Require eas-device-type iPhone"))
    gw.expect("EAS1210", "AH01631")
    assert ask(gw, plain("FolderSync", kind="x")).status == 403


BAD_LINES = {
    "Require eas-command": "needs at least one word",
    "Require eas-device-id": "needs at least one word",
    'Require eas-device-type "%{"': "cannot parse the expression",
    "Require eas-user-match alice": "takes nothing beside it",
    "EasKcdParseEas yes": "none of auto, On and Off",
    "EasKcdCommandTimeout Ping soon": "is no duration",
    "EasKcdCommandTimeout Ping 500ms": "a second or more",
    "EasKcdCommandTimeout P!ng 30s": "'P!ng' is no ActiveSync command",
    "EasKcdCommandTimeout Pong 30s": "'Pong' is no ActiveSync command",
    "Require eas-command Ping Syncc": "'Syncc' is no ActiveSync command",
    "Require not eas-command Syncc": "'Syncc' is no ActiveSync command",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_refused_at_configtest(gateway, line):
    gw = gateway(f'<Location "/x">\n{line}\n</Location>', start=False)
    code, said = gw.check_config()
    assert code != 0
    assert line.split()[0] in said and BAD_LINES[line] in said


