# SPDX-License-Identifier: Apache-2.0
"""Password providers: ours in mod_auth_basic, and httpd's own behind AuthType EasKcd."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.ad import PASSWORDS, REALM, UPN_SUFFIX
from lab.exchange import DOMAINS, UNGUARDED, location
from lab.fake_backend import response
from lab.frontdoor import FORM, PHONE, Visitor
from lab.gateway import MODULES
from lab.unique import unique_path
from lab.wait import until

CHALLENGE = 'Basic realm="Mail", charset="UTF-8"'
ALICE, BOB = f"alice@{REALM}", f"bob@{REALM}"
FILE_PASSWORD = "From-a-file-1"
AUTHN = (*MODULES, "authn_file", "authn_anon", "authn_dbm")
TRANSITION = "EasKcdProtocolTransition On"


def stored(user, password):
    done = subprocess.run(["htpasswd", "-nbB", "-C", "4", user, password], check=True, text=True,
                          stdout=subprocess.PIPE)
    return done.stdout.strip() + "\n"


@pytest.fixture(scope="module")
def htpasswd(lab_dir):
    """Names as files have them: bare ones, one that AD knows too, and some that spell a realm."""
    path = lab_dir / "providers.htpasswd"
    path.write_text("".join(stored(user, FILE_PASSWORD) for user in (
        "frank", "Administrator", "alice", ALICE, BOB, r"CORP\bob", f"bob.builder@{UPN_SUFFIX}",
        "bob@elsewhere.test", rf"CORP\bob.builder@{UPN_SUFFIX}", f"nobody@{REALM}", f"dirk@{REALM}", f"gateway$@{REALM}",
        f"HTTP/gateway@{REALM}", f"Administrator@{REALM}")))
    path.chmod(0o644)
    return path


def asked(backend):
    return {entry["uri"] for entry in backend.requests()}


def refused(gw, backend, user, password, status, tag, headers=(), visitor=None):
    """One request, refused in this way, of which the backend does not hear."""
    path = unique_path("/eas/x")
    ask = visitor.get if visitor else gw.get
    answer = ask(path, headers=headers, **(
        {} if visitor else {"user": user, "password": password}))
    assert answer.status == status
    entry = gw.logged(path)
    assert entry["EAS_KCD_ERROR"] == tag
    if entry["EAS_KCD_AUTH"] == "none":     # mod_auth_basic sets the user before it is proved
        assert (entry["user"], entry["EAS_KCD_USER"]) == ("-", "-")
    assert path.removeprefix("/eas") not in asked(backend)
    return answer


# --- AuthType Basic, AuthBasicProvider kdc -----------------------------------------------------

@pytest.fixture
def plain(gateway, backends, htpasswd, relay):
    """plain(providers, *lines): mod_auth_basic asks for the password; the KDC proves it."""
    cas1 = backends("cas1")

    def start(providers, *lines, **options):
        more = "\n    ".join(lines)
        made = gateway(f"""
<Location "/eas">
    AuthType Basic
    AuthName "Plain"
    AuthBasicProvider {providers}
    AuthUserFile "{htpasswd}"
    Require valid-user
    EasKcdDelegate On
    ProxyPass "{cas1.url}"
    {more}
</Location>
""", modules=AUTHN, krb5_conf=relay.krb5_conf, **options)
        return made, cas1
    return start


def test_plain_right(plain, relay):
    """The KDC's evidence of the password is as good for delegation as with AuthType EasKcd."""
    gw, _ = plain("kdc")
    relay.reset()
    answer = gw.get("/eas", "alice", PASSWORDS["alice"])
    assert answer.json()["remote_user"] == ALICE
    assert gw.logged("/eas")["user"] == ALICE
    assert relay.counts["TGS-REQ/s4u2self"] == 0 and relay.counts["TGS-REQ/s4u2proxy"] == 1


@pytest.mark.parametrize("user,password,tag", [
    ("alice", "nonsense", "EAS1030"), ("alice", "", "EAS1083"), ("nobody", "x", "EAS1031"),
    ("dirk", PASSWORDS["dirk"], "EAS1032"), ("mike", PASSWORDS["mike"], "EAS1033"),
    ("gateway$", "x", "EAS1002"), ("", "x", "EAS1001"), (r"EVIL\alice", "x", "EAS1003")])
def test_plain_wrong(plain, user, password, tag):
    gw, cas1 = plain("kdc")
    gw.expect("AH01618" if user == "nobody" else "AH01617")
    answer = refused(gw, cas1, user, password, 401, tag)
    assert answer.all("WWW-Authenticate") == ['Basic realm="Plain"']


def test_plain_without_credentials(plain):
    gw, cas1 = plain("kdc")
    assert gw.get("/eas").status == 401
    assert asked(cas1) == set()


def test_plain_unknown_user_falls_to_the_next_provider(plain):
    gw, cas1 = plain("kdc file", TRANSITION)
    gw.expect("EAS1008", "AH01617")
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).json()["remote_user"] == ALICE
    # AD knows alice: what the file says of her does not count.
    assert gw.get("/eas", "alice", FILE_PASSWORD).status == 401
    # AD does not know frank; the file does. But delegation needs a name of AD's.
    refused(gw, cas1, "frank", FILE_PASSWORD, 403, "EAS1008")
    assert gw.get("/eas", "frank", "nonsense").status == 401


def test_a_pair_wrong_at_the_kdc_alone_is_put_to_the_file_elsewhere(gateway, fake_backends, htpasswd):
    """AuthType EasKcd has no provider after the KDC, and AuthBasicProvider has."""
    backend = fake_backends(lambda _: response("200 OK"))
    gw = gateway(f"""
<Location "/mail">
    AuthType EasKcd
    AuthName "Mail"
    Require valid-user
    ProxyPass "{backend.url}/mail"
</Location>
<Location "/intranet">
    AuthType Basic
    AuthName "Intranet"
    AuthBasicProvider kdc file
    AuthUserFile "{htpasswd}"
    Require valid-user
    ProxyPass "{backend.url}/intranet"
</Location>
""", modules=AUTHN, processes=1)
    assert gw.get("/mail", "frank", FILE_PASSWORD).status == 401
    assert gw.logged("/mail")["EAS_KCD_ERROR"] == "EAS1031"
    assert gw.get("/intranet", "frank", FILE_PASSWORD).status == 200
    assert gw.get("/mail", "frank", FILE_PASSWORD).status == 401
    assert gw.logged("/mail")["EAS_KCD_ERROR"] == "EAS1300"
    assert gw.get("/intranet", "frank", FILE_PASSWORD).status == 200
    assert [request.path for request in backend.requests] == ["/intranet", "/intranet"]


def test_plain_file_first(plain):
    gw, cas1 = plain("file kdc", account="gateway2")
    gw.expect("EAS1008", "EAS2040", "AH01617")
    # The file's alice is nobody of AD's, whatever she is called ...
    refused(gw, cas1, "alice", FILE_PASSWORD, 403, "EAS1008")
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 401
    # ... and without protocol transition not even who spells a realm is delegated.
    refused(gw, cas1, ALICE, FILE_PASSWORD, 403, "EAS2040")
    # A name that is not in the file goes to the KDC.
    assert gw.get("/eas", "carol", PASSWORDS["carol"]).json()["remote_user"] == f"carol@{REALM}"


def test_plain_kdc_down(plain, relay):
    """mod_auth_basic has only a 500 for a provider's trouble (503 needs AuthType EasKcd)."""
    gw, cas1 = plain("kdc file")
    gw.expect("EAS1036")
    relay.refuse()
    answer = refused(gw, cas1, "alice", PASSWORDS["alice"], 500, "EAS1036")
    assert answer.all("WWW-Authenticate") == []


def test_plain_other_user_on_the_same_connection(plain):
    gw, _ = plain("kdc")
    gw.expect("AH01617")
    with gw.client() as client:
        for name, password, status in (("alice", PASSWORDS["alice"], 200),
                                       ("bob", PASSWORDS["alice"], 401), (None, None, 401),
                                       ("bob", PASSWORDS["bob"], 200)):
            answer = client.get("/eas", name, password)
            assert answer.status == status
            if status == 200:
                assert answer.json()["remote_user"] == f"{name}@{REALM}"


def test_plain_without_a_keytab(plain):
    gw, cas1 = plain("kdc", "EasKcdDelegate Off", account=None)
    gw.expect("EAS1061")
    refused(gw, cas1, "alice", PASSWORDS["alice"], 500, "EAS1061")


# --- EasKcdPasswordProvider ---------------------------------------------------------------------

@pytest.fixture
def provided(gateway, backends, htpasswd, relay):
    """provided(providers, *lines): AuthType EasKcd, where httpd's providers verify passwords."""
    cas1 = backends("cas1")

    def start(providers, *lines, before="", account="gateway2", domains="", **options):
        made = gateway(f"{domains}EasKcdPasswordProvider {providers}\n{before}"
                       + location(cas1.url, f'AuthUserFile "{htpasswd}"', *lines)
                       + f'<Location "/eas-kcd/">\nAuthUserFile "{htpasswd}"\n</Location>\n',
                       modules=AUTHN, krb5_conf=relay.krb5_conf, account=account, **options)
        return made, cas1
    return start


@pytest.mark.smoke
def test_file(provided, relay):
    gw, _ = provided("file", TRANSITION)
    relay.reset()
    answer = gw.get("/eas", BOB, FILE_PASSWORD)
    assert answer.json()["remote_user"] == BOB
    assert gw.logged("/eas")["user"] == BOB
    assert relay.counts["TGS-REQ/s4u2self"] == 1 and relay.counts["TGS-REQ/s4u2proxy"] == 1


@pytest.mark.parametrize("user,password,tag", [
    (BOB, "nonsense", "EAS1080"), (BOB, PASSWORDS["bob"], "EAS1080"), ("nobody", "x", "EAS1081"),
    ("carol", PASSWORDS["carol"], "EAS1081"), ("", "x", "EAS1081"), (BOB, "", "EAS1012"),
    (None, None, "EAS1062")])
def test_file_wrong(provided, relay, user, password, tag):
    """Identical from outside; and the KDC is nobody to ask.  A second time, the file is not asked."""
    gw, cas1 = provided("file", TRANSITION)
    relay.reset()
    again = "EAS1300" if tag in ("EAS1080", "EAS1081") else tag
    for agent, expected in (([], tag), (PHONE, again)):
        answer = refused(gw, cas1, user, password, 401, expected, agent)
        assert answer.all("WWW-Authenticate") == [CHALLENGE]
    assert {entry["EAS_KCD_AUTH"] for entry in gw.requests()} == {"none"}
    assert relay.counts["AS-REQ"] == 0


def test_file_without_transition(provided):
    """The file has proved the user, but not to AD: that is what protocol transition is for."""
    gw, cas1 = provided("file")
    gw.expect("EAS2040")
    answer = refused(gw, cas1, BOB, FILE_PASSWORD, 403, "EAS2040")
    assert answer.header("WWW-Authenticate") is None


NAMES = {
    "frank": "EAS1008",
    "Administrator": "EAS1008",
    "alice": "EAS1008",
    f"bob.builder@{UPN_SUFFIX}": "EAS1008",
    "bob@elsewhere.test": "EAS1008",
    r"CORP\bob": "EAS1003",
    f"gateway$@{REALM}": "EAS1002",
    f"HTTP/gateway@{REALM}": "EAS1002",
    f"nobody@{REALM}": "EAS2023",
    f"dirk@{REALM}": "EAS2023",
}


def test_names_of_a_file_are_not_ads(provided):
    gw, cas1 = provided("file", TRANSITION)
    for user, tag in NAMES.items():
        gw.expect(tag)
        answer = refused(gw, cas1, user, FILE_PASSWORD, 403, tag)
        assert answer.header("WWW-Authenticate") is None, user


@pytest.mark.parametrize("user", ["Administrator", "alice"])
def test_bare_names_never_reach_the_backend(provided, relay, user):
    """An htpasswd file's Administrator is not the domain's: with and without everything else on."""
    for lines in ([], [TRANSITION]):
        for providers in ("file", "file kdc"):
            gw, cas1 = provided(providers, *lines, domains=DOMAINS)
            gw.expect("EAS1008")
            relay.reset()
            refused(gw, cas1, user, FILE_PASSWORD, 403, "EAS1008")
            assert relay.counts["TGS-REQ/s4u2self"] == relay.counts["TGS-REQ/s4u2proxy"] == 0


def test_domains_make_names_ads(provided):
    gw, _ = provided("file", TRANSITION, domains=f"{DOMAINS}EasKcdDomain {UPN_SUFFIX} {REALM}\n")
    assert gw.get("/eas", r"CORP\bob", FILE_PASSWORD).json()["remote_user"] == BOB
    answer = gw.get("/eas", f"bob.builder@{UPN_SUFFIX}", FILE_PASSWORD)
    assert answer.json()["remote_user"].endswith(f"@{REALM}")
    # A suffix that nobody named is still nobody's.
    gw.expect("EAS1008")
    assert gw.get("/eas", "bob@elsewhere.test", FILE_PASSWORD).status == 403


def test_a_name_of_two_meanings_is_no_name_of_ads(provided):
    """A domain and a UPN: the file's user may be another than the KDC's of that domain."""
    gw, cas1 = provided("file", TRANSITION, domains=f"{DOMAINS}EasKcdDomain {UPN_SUFFIX} {REALM}\n")
    gw.expect("EAS1008")
    refused(gw, cas1, rf"CORP\bob.builder@{UPN_SUFFIX}", FILE_PASSWORD, 403, "EAS1008")


def test_blanks_around_a_name_count_as_one_user(provided, relay):
    """A directory may ignore them: one count of wrong passwords, and one REMOTE_USER."""
    gw, _ = provided("file", before="EasKcdLockout 3 30m\n")
    for n, name in enumerate(("frank", " frank", "frank\t", "  frank  ")):
        assert gw.get("/eas", name, f"guess-{n}").status == (401 if n < 3 else 503)


def test_file_users_need_no_delegation(gateway, fake_backends, htpasswd):
    """Without EasKcdDelegate the file's users are who they are, and no KDC is needed at all."""
    backend = fake_backends(lambda _: response("200 OK"))
    gw = gateway(f"""
EasKcdPasswordProvider file
<Location "/x">
    AuthType EasKcd
    AuthName "Mail"
    AuthUserFile "{htpasswd}"
    Require user frank
    ProxyPass "{backend.url}"
</Location>
""", modules=AUTHN, account=None)
    gw.expect("EAS1063", "AH01631")
    assert gw.get("/x", "frank", FILE_PASSWORD).status == 200
    assert gw.logged("/x")["user"] == "frank"
    assert gw.get("/x", "frank", "nonsense").status == 401
    assert gw.get("/x", "Administrator", FILE_PASSWORD).status == 403
    assert len(backend.requests) == 1 and backend.requests[0].authorization is None


def test_order_kdc_first(provided, relay):
    gw, cas1 = provided("kdc file", TRANSITION, account="gateway")
    gw.expect("EAS1008")
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).json()["remote_user"] == ALICE
    refused(gw, cas1, "alice", FILE_PASSWORD, 401, "EAS1030")
    refused(gw, cas1, "frank", FILE_PASSWORD, 403, "EAS1008")
    refused(gw, cas1, "frank", "nonsense", 401, "EAS1080")
    refused(gw, cas1, "nobody", "x", 401, "EAS1081")


def test_order_file_first(provided, relay):
    gw, cas1 = provided("file kdc")
    gw.expect("EAS2040")
    relay.reset()
    refused(gw, cas1, BOB, PASSWORDS["bob"], 401, "EAS1080")
    assert relay.counts.total() == 0, "the file knows him, so nobody else is asked"
    refused(gw, cas1, BOB, FILE_PASSWORD, 403, "EAS2040")
    assert gw.get("/eas", "bob", PASSWORDS["bob"]).json()["remote_user"] == BOB


def test_a_file_users_rights_are_no_others(provided):
    """The same principal by two providers: who was proved by the file does not get the evidence
    (or the cached ticket) of who was proved by the KDC."""
    gw, cas1 = provided("file kdc", processes=1)
    gw.expect("EAS2040")
    assert gw.get("/eas", "bob", PASSWORDS["bob"]).status == 200
    refused(gw, cas1, BOB, FILE_PASSWORD, 403, "EAS2040")


def test_guesses_at_a_file_user_are_counted(provided, relay):
    """As those at a user of AD, and at a name that nobody has; the user's own password goes on."""
    gw, cas1 = provided("kdc file", TRANSITION)
    gw.expect("EAS1008")
    gw.allow("EAS1310", because="names were locked")
    refused(gw, cas1, "frank", FILE_PASSWORD, 403, "EAS1008")
    for name, tag in (("frank", "EAS1080"), ("nobody", "EAS1081"), ("user17", "EAS1030")):
        for n in range(3):
            refused(gw, cas1, name, f"guess-{n}", 401, tag)
        for n in (3, 3, 4):
            answer = refused(gw, cas1, name, f"guess-{n}", 503, "EAS1301")
            assert answer.header("Retry-After") == "30"
            assert answer.header("WWW-Authenticate") is None
        refused(gw, cas1, name, "guess-0", 401, "EAS1300")
    relay.reset()
    refused(gw, cas1, "frank", FILE_PASSWORD, 403, "EAS1008")
    assert relay.counts.total() == 0, "AD did not know frank with this password lately"


def test_guesses_at_file_users_spend_a_budget(provided):
    gw, cas1 = provided("file", TRANSITION)
    gw.allow("EAS1310", "EAS1313", because="names and an address were locked")
    with ThreadPoolExecutor(10) as pool:
        pairs = [("frank", f"guess-{n}") for n in range(110)]
        statuses = list(pool.map(lambda pair: gw.get("/eas", *pair).status, pairs))
    assert sorted(statuses) == [401] * 3 + [503] * 107
    assert "EAS1313" in gw.error_log.tags()
    refused(gw, cas1, BOB, FILE_PASSWORD, 503, "EAS1303")


def test_kdc_down_does_not_fall_to_the_next(provided, relay):
    """Our trouble is nobody's wrong password: 503, and the file is not asked in the KDC's stead."""
    gw, cas1 = provided("kdc file", TRANSITION)
    gw.expect("EAS1036")
    relay.refuse()
    for user, password in ((BOB, FILE_PASSWORD), ("alice", PASSWORDS["alice"])):
        answer = refused(gw, cas1, user, password, 503, "EAS1036")
        assert answer.header("Retry-After") == "30"
        assert answer.header("WWW-Authenticate") is None


def test_provider_that_cannot_say(gateway, backends, lab_dir):
    """A file that is not there is our trouble, not the user's."""
    cas1 = backends("cas1")
    gw = gateway("EasKcdPasswordProvider file\n"
                 + location(cas1.url, f'AuthUserFile "{lab_dir}/no-such-file"'), modules=AUTHN)
    gw.expect("EAS1082", "AH01620")
    answer = refused(gw, cas1, "frank", FILE_PASSWORD, 503, "EAS1082")
    assert answer.header("Retry-After") == "30"


def test_anon(provided):
    gw, cas1 = provided("anon", 'Anonymous "*"', "Anonymous_MustGiveEmail Off", TRANSITION)
    gw.expect("EAS1008")
    assert gw.get("/eas", BOB, "x").json()["remote_user"] == BOB
    refused(gw, cas1, "guest", "x", 403, "EAS1008")
    refused(gw, cas1, BOB, "", 401, "EAS1012")


def test_dbm(provided, lab_dir):
    store = lab_dir / "providers-dbm"
    subprocess.run(["htdbm", "-cbB", "-TSDBM", "-C4", store, BOB, FILE_PASSWORD], check=True,
                   stderr=subprocess.DEVNULL)
    for suffix in (".pag", ".dir"):
        store.with_suffix(suffix).chmod(0o644)
    gw, cas1 = provided("dbm file", f'AuthDBMUserFile "{store}"', "AuthDBMType SDBM", TRANSITION)
    assert gw.get("/eas", BOB, FILE_PASSWORD).json()["remote_user"] == BOB
    refused(gw, cas1, BOB, "nonsense", 401, "EAS1080")
    refused(gw, cas1, "nobody", "x", 401, "EAS1081")


def test_no_file_password_is_cached(provided, htpasswd):
    """The KDC's result is cached; a file is read every time."""
    gw, cas1 = provided("file", TRANSITION, processes=1)
    before = htpasswd.read_text()
    try:
        assert gw.get("/eas", BOB, FILE_PASSWORD).status == 200
        htpasswd.write_text(before.replace(BOB, "robert"))
        refused(gw, cas1, BOB, FILE_PASSWORD, 401, "EAS1081")
    finally:
        htpasswd.write_text(before)


# --- the form ------------------------------------------------------------------------------------

def test_form_login_by_a_file_user(provided):
    gw, _ = provided("file", TRANSITION)
    visitor = Visitor(gw)
    done = visitor.log_on(BOB, FILE_PASSWORD, "/eas/x")
    assert (done.status, done.header("Location")) == (303, "/eas/x")
    answer = visitor.get("/eas/x")
    assert answer.json()["remote_user"] == BOB
    entry = gw.logged("/eas/x")
    assert (entry["EAS_KCD_AUTH"], entry["user"]) == ("session", BOB)


@pytest.mark.parametrize("user,password,tag", [(BOB, "nonsense", "EAS1080"),
                                               ("nobody", FILE_PASSWORD, "EAS1081")])
def test_form_login_refused(provided, user, password, tag):
    gw, cas1 = provided("file", TRANSITION)
    visitor = Visitor(gw)
    done = visitor.log_on(user, password, "/eas/x")
    assert done.status == 303
    assert done.header("Location") == FORM + "?reason=wrong&destination=%2feas%2fx"
    assert visitor.session is None
    entry = until(lambda: [e for e in gw.requests() if e["method"] == "POST"], 5, "the log")[0]
    assert (entry["EAS_KCD_ERROR"], entry["user"]) == (tag, "-")
    assert asked(cas1) == set()


@pytest.mark.parametrize("user,lines,tag", [
    ("Administrator", [TRANSITION], "EAS1008"), ("frank", [TRANSITION], "EAS1008"),
    (BOB, [], "EAS2040"), (f"gateway$@{REALM}", [TRANSITION], "EAS1002")])
def test_session_of_a_file_user_delegates_no_more_than_basic(provided, user, lines, tag):
    gw, cas1 = provided("file", *lines)
    gw.expect(tag)
    visitor = Visitor(gw)
    assert visitor.log_on(user, FILE_PASSWORD).status == 303
    assert visitor.session is not None
    refused(gw, cas1, None, None, 403, tag, visitor=visitor)


def test_session_of_a_kdc_user_beside_a_file(provided):
    gw, _ = provided("file kdc")
    visitor = Visitor(gw)
    assert visitor.log_on("alice", "nonsense").header("Location").startswith(FORM + "?reason=wrong")
    assert visitor.log_on("carol", PASSWORDS["carol"]).status == 303
    assert visitor.get("/eas").json()["remote_user"] == f"carol@{REALM}"


# --- start-up ------------------------------------------------------------------------------------

def test_names_of_certificates(gateway, fake_backends, lab_dir):
    """FakeBasicAuth lists them in a file, with a password that everybody knows."""
    users = lab_dir / "certificates.htpasswd"
    users.write_text(stored("/CN=frank", "password"))
    users.chmod(0o644)
    backend = fake_backends(lambda _: response("200 OK"))
    gw = gateway(UNGUARDED + "EasKcdPasswordProvider file\n"
                 + location(backend.url, f'AuthUserFile "{users}"', TRANSITION)
                 + f'<Location "/eas-kcd/">\nAuthUserFile "{users}"\n</Location>\n',
                 modules=AUTHN)
    assert gw.get("/eas", "/CN=frank", "password").status == 401
    assert gw.logged("/eas")["EAS_KCD_ERROR"] == "EAS1084"
    visitor = Visitor(gw)
    assert visitor.log_on("/CN=frank", "password").status == 303
    assert visitor.session is None
    # Two entries: the form shown, the form sent.
    until(lambda: gw.logged(FORM)["EAS_KCD_ERROR"] == "EAS1084", 5, "the refusal's entry")
    assert backend.requests == []


@pytest.mark.parametrize("providers", ["nosuch", "kdc nosuch", "file,kdc", "KDC"])
def test_unknown_provider_is_refused(gateway, providers):
    gw = gateway(f"EasKcdPasswordProvider {providers}\n", modules=AUTHN, start=False)
    status, said = gw.check_config()
    bad = providers.split()[-1]
    assert status != 0
    assert f"EasKcdPasswordProvider: there is no authn provider {bad} that checks passwords" in said


def test_provider_whose_module_is_not_loaded(gateway):
    status, said = gateway("EasKcdPasswordProvider file\n", start=False).check_config()
    assert status != 0
    assert "there is no authn provider file" in said and "mod_authn_file" in said


def test_unknown_provider_of_mod_auth_basic(gateway):
    status, said = gateway('<Location "/">\nAuthBasicProvider kdc nosuch\n</Location>\n',
                           start=False).check_config()
    assert status != 0 and "Unknown Authn provider: nosuch" in said
