# SPDX-License-Identifier: Apache-2.0
"""FAST: the gateway's TGT armours the log-ons of users."""

import pytest

from lab import krbmsg
from lab.ad import PASSWORDS, REALM
from lab.client import assert_unavailable
from lab.exchange import UNGUARDED, location
from lab.keys import Keys
from lab.programs import compiled
from lab.unique import unique_number, unique_path

AES128, AES256, RC4 = 17, 18, 23
SALT = f"{REALM}alice"

POLICY, PREAUTH_REQUIRED, PREAUTH_FAILED, MODIFIED = 12, 25, 24, 41

# The account of a login name is asked for once, without armour, when the name is new.
FIRST_SIGHT = 1


@pytest.fixture
def keys(lab_dir):
    return Keys(lab_dir)


@pytest.fixture
def start(gateway, backends, relay):
    """start(conf): a gateway of one process, whose TGT a first user has paid for."""
    cas1 = backends("cas1")

    def make(conf="", warm=True, **options):
        gw = gateway(conf + location(cas1.url), krb5_conf=relay.krb5_conf, processes=1, **options)
        if warm:
            assert gw.get("/eas", "bob", PASSWORDS["bob"]).status == 200
        relay.reset()
        cas1.mark()
        return gw
    return make


def ask(relay, user, salts):
    """Have the KDC ask for the proof of a password with a key of one of these enctypes."""
    relay.answer(lambda message: message.client == user and message.labels() == ["AS-REQ"],
                 krbmsg.error(PREAUTH_REQUIRED, REALM, e_data=krbmsg.question(salts)))


def is_armored(message):
    return "AS-REQ/armored" in message.labels()


def users_messages(relay):
    """The messages of users' AS exchanges, by labels."""
    return [message.labels()[1:] for message in relay.messages
            if message.kind == "AS-REQ" and message.client != "gateway"]


@pytest.mark.smoke
def test_armour_costs_no_message(start, relay):
    gw = start()
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).json()["remote_user"] == f"alice@{REALM}"
    assert users_messages(relay) == [[], ["AS-REQ/armored"], ["AS-REQ/armored"]]
    assert relay.counts["AS-REQ"] + relay.counts["TGS-REQ"] == 4 + FIRST_SIGHT


def test_off(start, relay):
    gw = start("EasKcdArmor Off\n")
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    assert users_messages(relay) == [[], [], ["AS-REQ/timestamp"]]


@pytest.mark.parametrize("salts, made_by_libkrb5", [
    ({AES256: SALT}, 0),
    ({AES128: SALT}, 0),
    ({RC4: "unused", AES256: SALT}, 0),
    ({RC4: "unused"}, 1),
], ids=["AES256", "AES128", "AES before RC4", "RC4 is left to libkrb5"])
def test_key_of_the_password(start, relay, keys, salts, made_by_libkrb5):
    """It is made before libkrb5 wants it; the KDC names salt and enctype."""
    gw = start("EasKcdArmor Off\n", env=keys.env)
    ask(relay, "alice", salts)
    keys.reset()
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    assert users_messages(relay) == [[], [], ["AS-REQ/timestamp"]]
    assert keys.number() == made_by_libkrb5


@pytest.mark.parametrize("mode", ["Try", "Require"])
def test_key_of_the_password_with_armour(start, keys, mode):
    """FAST hides salt and enctype from all but libkrb5."""
    gw = start(f"EasKcdArmor {mode}\n", env=keys.env)
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    assert gw.get("/eas", "alice", "wrong").status == 401
    assert keys.number() == 0


@pytest.mark.parametrize("libdefaults, plugins, made_by_libkrb5", [
    ("default_tkt_enctypes = aes128-cts-hmac-sha1-96", "", False),
    ("default_tkt_enctypes = rc4-hmac", "", True),
    ("", "module = other:/nonexistent/other.so", False),
    ("", "disable = eas_kcd", True),
    ("", "enable_only = encrypted_timestamp\nenable_only = encrypted_challenge", True),
], ids=["AES128", "RC4", "another plugin", "disabled", "not enabled"])
def test_key_of_the_password_by_krb5_conf(gateway, backends, relay, domain, lab_dir, keys,
                                          libdefaults, plugins, made_by_libkrb5):
    """Where libkrb5 makes the key, all is the same but for the time."""
    path = domain.write_krb5_conf(lab_dir / f"keys-{unique_number()}.conf", relay.port, libdefaults)
    path.write_text(f"{path.read_text()}\n[plugins]\nclpreauth = {{\n{plugins}\n}}\n")
    gw = gateway(location(backends("cas1").url), krb5_conf=path, processes=1, env=keys.env)
    assert gw.get("/eas", "bob", PASSWORDS["bob"]).status == 200
    relay.reset()
    keys.reset()
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    assert users_messages(relay) == [[], ["AS-REQ/armored"], ["AS-REQ/armored"]]
    assert (keys.number() > 0) == made_by_libkrb5


# libkrb5 loads it into each context, and the real one makes its groups then.
PKINIT = """
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void note_load(void)
{
    int fd = open(getenv("EAS_T_LOADS"), O_WRONLY | O_APPEND);

    if (fd < 0 || write(fd, "l", 1) != 1) {
        abort();
    }
    close(fd);
}
"""


def test_plugin_of_pkinit_is_not_loaded(gateway, backends, relay, domain, lab_dir, keys):
    """A password or keytab has no use for it."""
    plugins = lab_dir / f"plugins-{unique_number()}"
    (plugins / "preauth").mkdir(parents=True)
    (plugins / "pkinit.c").write_text(PKINIT)
    compiled(plugins / "preauth" / "pkinit.so", plugins / "pkinit.c", options=("-shared", "-fPIC"))
    path = domain.write_krb5_conf(lab_dir / f"pkinit-{unique_number()}.conf", relay.port,
                                  f"plugin_base_dir = {plugins}")
    loads = keys.path("loads")
    gw = gateway(location(backends("cas1").url), krb5_conf=path, processes=1,
                 env={"EAS_T_LOADS": str(loads)})
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    assert loads.read_text() == ""


def test_libkrb5_wants_the_key_of_another_enctype(gateway, backends, relay, domain, lab_dir, keys):
    """Than the KDC's first one: that which it asks for is made."""
    aes128 = domain.write_krb5_conf(lab_dir / "aes128.conf", relay.port,
                                    "default_tkt_enctypes = aes128-cts-hmac-sha1-96")
    gw = gateway("EasKcdArmor Off\n" + location(backends("cas1").url), krb5_conf=aes128, processes=1,
                 env=keys.env)
    assert gw.get("/eas", "bob", PASSWORDS["bob"]).status == 200
    relay.reset()
    ask(relay, "alice", {AES256: "unused", AES128: SALT})
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    assert users_messages(relay) == [[], [], ["AS-REQ/timestamp"]]
    assert keys.number() == 0


def test_salt_of_another_name(start, relay, backends):
    """The key is the password's with the salt that the KDC names, and is tried once."""
    gw = start("EasKcdArmor Off\n", warm=False)
    ask(relay, "alice", {AES256: f"{REALM}bob"})
    path = unique_path("/eas")
    assert gw.get(path, "alice", PASSWORDS["alice"]).status == 401
    assert gw.logged(path)["EAS_KCD_ERROR"] == "EAS1030"
    assert users_messages(relay) == [[], [], ["AS-REQ/timestamp"]]
    assert backends("cas1", mark=False).requests() == []


def test_name_that_another_process_knows(start, relay):
    """Whether the KDC offers armour: one message more, once."""
    gw = start("EasKcdPasswordCache off\n")
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    gw.graceful()
    relay.reset()
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    assert users_messages(relay) == [[], ["AS-REQ/armored"], ["AS-REQ/armored"]]
    relay.reset()
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    assert users_messages(relay) == [["AS-REQ/armored"], ["AS-REQ/armored"]]


def forbid_messages_without_armour(relay, user):
    """As AD does where the user may log on from some devices alone."""
    relay.answer(lambda message: message.kind == "AS-REQ" and message.client == user
                 and not is_armored(message), krbmsg.error(POLICY, REALM))


@pytest.mark.parametrize("mode", ["Try", "Require"])
def test_user_of_some_devices(start, relay, mode):
    """The name is asked for again, with armour; and whether the KDC offers that, in each process."""
    gw = start(f"EasKcdPasswordCache off\nEasKcdArmor {mode}\n", warm=False)
    forbid_messages_without_armour(relay, "alice")
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).json()["remote_user"] == f"alice@{REALM}"
    assert users_messages(relay) == [[], *[["AS-REQ/armored"]] * 3]
    gw.graceful()
    relay.reset()
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    assert users_messages(relay) == [[], *[["AS-REQ/armored"]] * 2]


def test_user_of_some_devices_without_armour(start, relay, backends):
    gw = start("EasKcdArmor Off\n")
    forbid_messages_without_armour(relay, "alice")
    path = unique_path("/eas")
    assert gw.get(path, "alice", PASSWORDS["alice"]).status == 401
    assert gw.logged(path)["EAS_KCD_ERROR"] == "EAS1034"
    assert users_messages(relay) == [[]]
    assert backends("cas1", mark=False).requests() == []


@pytest.mark.parametrize("mode", ["Off", "Try", "Require"])
def test_one_guess_is_one_failure(start, relay, domain, backends, mode):
    gw = start(UNGUARDED + f"EasKcdArmor {mode}\n")
    cas1 = backends("cas1")     # start() has had one request served
    domain.lockout_policy(50)
    before = domain.bad_pwd_count("carol")
    for guess in range(1, 4):
        path = unique_path("/eas")
        assert gw.get(path, "carol", f"guess {guess}").status == 401
        assert gw.logged(path)["EAS_KCD_ERROR"] == "EAS1030"
        assert domain.bad_pwd_count("carol") == before + guess
        assert relay.counts[f"KRB-ERROR/{PREAUTH_FAILED}"] == guess
    domain.lockout_policy(0)
    domain.unlock("carol")
    assert cas1.requests() == []


@pytest.mark.parametrize("error", [PREAUTH_REQUIRED, MODIFIED],
                         ids=["KDC without FAST", "TGT of an old key"])
def test_armour_is_refused(start, relay, backends, error):
    """Tried: the log-on goes on without it. Required: it ends, and no password is sent."""
    relay.answer(is_armored, krbmsg.error(error, REALM))
    gw = start(warm=False)
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    assert users_messages(relay) == [[], ["AS-REQ/armored"], [], ["AS-REQ/timestamp"]]
    gw = start("EasKcdArmor Require\n", warm=False)
    gw.expect("EAS1045")
    path = unique_path("/eas")
    assert_unavailable(gw.get(path, "alice", PASSWORDS["alice"]))
    assert gw.logged(path)["EAS_KCD_ERROR"] == "EAS1045"
    assert users_messages(relay) == [[], ["AS-REQ/armored"]]
    assert backends("cas1", mark=False).requests() == []


@pytest.mark.parametrize("conf, account", [
    ("EasKcdArmor Off\n", "armored$"), ("", "armored")], ids=["off", "no computer"])
def test_domain_demands_armour(gateway, backends, relay, domain, conf, account):
    """By "Fail unarmored authentication requests": the password is sent once, and not called wrong."""
    name = f"{account.strip('$')}{unique_number()}{'$' * account.endswith('$')}"
    domain.add_gateway(name, f"HTTP/{name.strip('$')}.corp.example.test")
    cas1 = backends("cas1")
    gw = gateway(conf + location(cas1.url), account=name, krb5_conf=relay.krb5_conf, processes=1)
    gw.expect("EAS1045")
    relay.demand_armor()
    path = unique_path("/eas")
    assert_unavailable(gw.get(path, "alice", PASSWORDS["alice"]))
    assert gw.logged(path)["EAS_KCD_ERROR"] == "EAS1045"
    assert users_messages(relay).count(["AS-REQ/timestamp"]) == 1 + (not conf)
    assert cas1.requests() == []


def test_required_and_the_gateway_has_no_tgt(gateway, backends, relay, domain):
    """Its account's password was changed."""
    cas1 = backends("cas1")
    domain.add_gateway("armorless", "HTTP/armorless.corp.example.test")
    gw = gateway("EasKcdArmor Require\n" + location(cas1.url), account="armorless",
                 krb5_conf=relay.krb5_conf)
    domain.rotate_key("armorless")
    relay.reset()
    gw.expect("EAS1045")
    assert_unavailable(gw.get("/eas", "alice", PASSWORDS["alice"]))
    assert "the keytab's key is not the account's" in gw.error_log.text()
    assert all(message.client == "armorless" for message in relay.messages
               if "AS-REQ/timestamp" in message.labels())
    assert cas1.requests() == []
