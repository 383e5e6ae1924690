# SPDX-License-Identifier: Apache-2.0
"""Require eas-group: groups of a user, as the domain controller has put them into the ticket."""

import re
from types import SimpleNamespace

import pytest

from lab.ad import DOMAIN_LOCAL, PASSWORDS, REALM, UNIVERSAL
from lab.exchange import DOMAINS, anybody_location, location
from lab.frontdoor import Visitor
from lab.gateway import MODULES
from lab.unique import unique_number, unique_path

REFUSES = "AH01631"
NOBODYS = "S-1-5-21-1-2-3-1105"


def all_of(*lines: str) -> str:
    return "\n".join(("<RequireAll>", "Require valid-user", *lines, "</RequireAll>"))


@pytest.fixture(scope="module")
def groups(domain):
    """alice is in direct, so in outer; in local and in everywhere; bob is in none of them."""
    made = SimpleNamespace(direct=domain.add_group("direct"), outer=domain.add_group("outer"),
                           local=domain.add_group("local", DOMAIN_LOCAL),
                           everywhere=domain.add_group("everywhere", UNIVERSAL),
                           users=f"{domain.sid(None)}-513")
    domain.join("direct", ["alice"])
    domain.join("outer", ["direct"])
    domain.join("local", ["outer"])
    domain.join("everywhere", ["alice"])
    yield made
    for group in ("direct", "outer", "local", "everywhere"):
        domain.join(group, [])


@pytest.fixture
def ruled(gateway, backends):
    """ruled(require, *lines): a gateway with these rules, and the backend."""
    cas1 = backends("cas1")

    def start(require, *lines, before="", **options):
        return gateway(DOMAINS + before + location(cas1.url, *lines, require=require), reuse=True,
                       **options), cas1
    return start


def check(gw, cas1, user, status, tag="-", password=None):
    path = unique_path("/eas")
    answer = gw.get(path, user, password or PASSWORDS[user])
    assert answer.status == status
    assert gw.logged(path)["EAS_KCD_ERROR"] == tag
    if status != 200:
        assert answer.header("WWW-Authenticate") is None
        assert path.removeprefix("/eas") not in {entry["uri"] for entry in cas1.requests()}
    return answer


@pytest.mark.smoke
@pytest.mark.parametrize("group", ["direct", "outer", "local", "everywhere"])
def test_sid(ruled, groups, group):
    """Directly, by way of another group, and of each scope."""
    gw, cas1 = ruled(f"Require eas-group {getattr(groups, group)}")
    gw.expect("EAS1323", REFUSES)
    check(gw, cas1, "alice", 200)
    check(gw, cas1, "bob", 403, "EAS1323")


def test_name(ruled, groups):
    """EasKcdGroup may come after the line, in any letter case; the line may name several groups."""
    gw, cas1 = ruled(f'Require eas-group {NOBODYS} "mail USERS"',
                     f'</Location>\nEasKcdGroup "Mail users" {groups.outer}\n<Location /eas>')
    gw.expect("EAS1323", REFUSES)
    check(gw, cas1, "alice", 200)
    check(gw, cas1, "bob", 403, "EAS1323")
    assert 'Require eas-group S-1-5-21-1-2-3-1105 "mail USERS"' in gw.error_log.text()


@pytest.mark.parametrize("group", ["Domain Users", "users"])
def test_primary_group(ruled, groups, group):
    gw, cas1 = ruled(f'Require eas-group "{group if group != "users" else groups.users}"')
    check(gw, cas1, "alice", 200)
    check(gw, cas1, "bob", 200)


def test_administrators(ruled, groups):
    gw, cas1 = ruled('Require eas-group "domain admins"')
    gw.expect("EAS1323", REFUSES)
    check(gw, cas1, "alice", 403, "EAS1323")
    check(gw, cas1, "Administrator", 200)


# rule, of alice, of bob
COMBINED = {
    "not": ("Require not eas-group {outer}", 403, 200),
    "not another": ("Require not eas-group {nobodys}", 200, 200),
    "none": ("<RequireNone>\nRequire eas-group {outer}\nRequire eas-group {nobodys}\n</RequireNone>",
             403, 200),
    "all": ("Require eas-group {direct}\nRequire eas-group {local}", 200, 403),
    "all, with another": ("Require eas-group {direct}\nRequire eas-group {nobodys}", 403, 403),
    "any": ("<RequireAny>\nRequire eas-group {nobodys}\nRequire eas-group {direct}\n</RequireAny>",
            200, 403),
    "any, with a user": (f"<RequireAny>\nRequire eas-group {{nobodys}}\nRequire user bob@{REALM}\n"
                         "</RequireAny>", 403, 200),
}


@pytest.mark.parametrize("what", COMBINED)
def test_combined(ruled, groups, what):
    rule, of_alice, of_bob = COMBINED[what]
    gw, cas1 = ruled(all_of(rule.format(nobodys=NOBODYS, **vars(groups))))
    gw.allow(REFUSES, because="httpd reports the refusal, unless a negation made it")
    for user, status in (("alice", of_alice), ("bob", of_bob)):
        if status == 403:
            gw.expect("EAS1323")
        check(gw, cas1, user, status, "-" if status == 200 else "EAS1323")


@pytest.mark.parametrize("require", [
    "Require eas-group {direct}",
    "<RequireAll>\nRequire all granted\nRequire not eas-group {nobodys}\n</RequireAll>",
    "<RequireAll>\nRequire all granted\n<RequireNone>\nRequire eas-group {nobodys}\n"
    "</RequireNone>\n</RequireAll>",
])
def test_nobody(ruled, groups, require):
    """A request without a user is challenged, also below a negation."""
    gw, cas1 = ruled(require.format(nobodys=NOBODYS, **vars(groups)))
    assert gw.get("/eas/nobody").status == 401
    assert cas1.requests() == []
    assert gw.get("/eas/x", "alice", PASSWORDS["alice"]).status == 200


def test_session(ruled, groups):
    gw, cas1 = ruled(f"Require eas-group {groups.outer}")
    gw.expect("EAS1323", REFUSES)
    for user, status in (("alice", 200), ("bob", 403)):
        visitor = Visitor(gw)
        assert visitor.log_on(user, PASSWORDS[user]).status == 303
        gw.graceful()
        path = unique_path("/eas")
        assert visitor.get(path).status == status
        assert gw.logged(path)["EAS_KCD_AUTH"] == "session"
    assert path.removeprefix("/eas") not in {entry["uri"] for entry in cas1.requests()}


def test_each_request_has_its_own_user(ruled, groups):
    """On one connection of the client, to one process."""
    gw, cas1 = ruled(f"Require eas-group {groups.direct}")
    gw.expect("EAS1323", REFUSES)
    with gw.client() as client:
        for _ in range(3):
            assert client.request("GET", "/eas/x", "alice", PASSWORDS["alice"]).status == 200
            assert client.request("GET", "/eas/y", "bob", PASSWORDS["bob"]).status == 403
    assert {entry["uri"] for entry in cas1.requests()} == {"/x"}


def test_change_of_groups(gateway, backends, domain):
    """A log-on has the groups of its time: a session keeps them, the next log-on has others."""
    group = f"late{unique_number()}"
    sid = domain.add_group(group)
    cas1 = backends("cas1")
    gw = gateway("EasKcdPasswordCache off\n" + location(cas1.url,
                                                        require=f"Require eas-group {sid}"))
    gw.expect("EAS1323", REFUSES)
    visitor = Visitor(gw)
    assert visitor.log_on("carol", PASSWORDS["carol"]).status == 303
    check(gw, cas1, "carol", 403, "EAS1323")
    domain.join(group, ["carol"])
    check(gw, cas1, "carol", 200)
    assert visitor.get(unique_path("/eas")).status == 403
    visitor = Visitor(gw)
    assert visitor.log_on("carol", PASSWORDS["carol"]).status == 303
    domain.join(group, [])
    check(gw, cas1, "carol", 403, "EAS1323")
    assert visitor.get(unique_path("/eas")).status == 200


# --- users without a ticket of their own ------------------------------------------------------

@pytest.fixture
def foreign(gateway, backends):
    """foreign(require, *lines): mod_auth_basic lets everybody be whom they say."""
    cas1 = backends("cas1")

    def start(require, *lines, account="gateway2"):
        return gateway(DOMAINS + anybody_location(cas1.url, *lines, require=require), account=account,
                       modules=(*MODULES, "authn_anon"), reuse=True), cas1
    return start


TRANSITION = "EasKcdProtocolTransition On"


def test_protocol_transition(foreign, groups):
    gw, cas1 = foreign(f"Require eas-group {groups.outer}", TRANSITION)
    gw.expect("EAS1323", REFUSES)
    for _ in range(2):
        check(gw, cas1, f"alice@{REALM}", 200, password="x")
        check(gw, cas1, f"bob@{REALM}", 403, "EAS1323", password="x")


def test_user_to_act_for(foreign, groups):
    """The groups are those of the user whom the request acts for, where no KDC knows another."""
    gw, cas1 = foreign(f"Require eas-group {groups.outer}", TRANSITION,
                       f"EasKcdDelegateUser %{{REMOTE_USER}}@{REALM}")
    gw.expect("EAS1323", REFUSES)
    check(gw, cas1, "alice", 200, password="x")
    check(gw, cas1, "bob", 403, "EAS1323", password="x")


def test_user_to_act_for_beside_a_log_on(ruled, groups):
    """The groups are those of the user with the password."""
    gw, cas1 = ruled(f"Require eas-group {groups.outer}", TRANSITION,
                     f"EasKcdDelegateUser alice@{REALM}", account="gateway2")
    gw.expect("EAS1323", REFUSES)
    check(gw, cas1, "alice", 200)
    check(gw, cas1, "bob", 403, "EAS1323")


# lines, user, tag
WITHOUT = {
    "off": ((), f"alice@{REALM}", "EAS1321"),
    "no name of AD's": ((TRANSITION,), "alice", "EAS1008"),
    "disabled": ((TRANSITION,), f"dirk@{REALM}", None),
    "unknown": ((TRANSITION,), f"nobody@{REALM}", None),
}


@pytest.mark.parametrize("require", ["Require eas-group {outer}", all_of("Require not eas-group {nobodys}")])
@pytest.mark.parametrize("what", WITHOUT)
def test_without_evidence(foreign, groups, what, require):
    """Nothing is known of the groups: refused, also below a negation, and not by delegation."""
    lines, user, tag = WITHOUT[what]
    gw, cas1 = foreign(require.format(nobodys=NOBODYS, **vars(groups)), *lines,
                       "EasKcdDelegate Off")
    gw.allow(REFUSES, because="httpd reports the refusal, unless a negation made it")
    path = unique_path("/eas")
    assert gw.get(path, user, "x").status == 403
    logged = gw.logged(path)["EAS_KCD_ERROR"]
    gw.expect(logged)
    assert logged == tag or tag is None and logged.startswith("EAS20")
    if tag is None:
        assert re.search(rf"{logged}: .* \(user {re.escape(user)}\)", gw.error_log.text())
    assert path.removeprefix("/eas") not in {entry["uri"] for entry in cas1.requests()}


def test_no_answer(foreign, groups, domain):
    """503, as for any trouble with the KDC, not 403."""
    gw, cas1 = foreign(f"Require eas-group {groups.direct}", TRANSITION)
    gw.expect(REFUSES)
    gw.allow("EAS2010", "EAS2021", "EAS1258", "EAS1259", "EAS1254", "EAS2013",
             because="the gateway may have its own TGT already")
    domain.stop()
    try:
        path = unique_path("/eas")
        answer = gw.get(path, f"carol@{REALM}", "x")
        assert (answer.status, answer.header("Retry-After")) == (503, "30")
    finally:
        domain.start()
    assert path.removeprefix("/eas") not in {entry["uri"] for entry in cas1.requests()}


# --- configuration ----------------------------------------------------------------------------

# what is refused, and the reason
REFUSED = {
    "unknown name": ("<Location /x>\nRequire eas-group Mail\n</Location>",
                     "EAS3122", "the group 'Mail' has no SID; add EasKcdGroup"),
    "unknown name of a virtual host": (
        "<VirtualHost *:1>\nEasKcdGroup Mail S-1-5-21-1\n</VirtualHost>\n"
        "<Location /x>\nRequire eas-group Mail\n</Location>", "EAS3122", "httpd.conf:"),
    "no group": ("<Location /x>\nRequire eas-group\n</Location>", "eas-group", "at least one"),
    "no SID": ("EasKcdGroup Mail CN=Mail,DC=corp", "EasKcdGroup", "is no SID"),
    "SID as a name": ("EasKcdGroup S-1-1-0 S-1-1-0", "EasKcdGroup", "is no free name"),
    "name of another": ('EasKcdGroup "Domain Users" S-1-1-0', "EasKcdGroup", "is no free name"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_at_configtest(gateway, what):
    conf, name, cure = REFUSED[what]
    code, said = gateway(conf + "\n", start=False).check_config()
    assert code != 0
    assert name in said and cure in said


def test_name_of_the_main_server(gateway):
    """Virtual hosts inherit it."""
    conf = ("EasKcdGroup Mail S-1-5-21-1-2-3-4\n<VirtualHost *:1>\nEasKcdGroup Two S-1-5-21-5\n"
            "<Location /x>\nRequire eas-group Mail Two\n</Location>\n</VirtualHost>\n")
    code, said = gateway(conf, start=False).check_config()
    assert code == 0, said
