# SPDX-License-Identifier: Apache-2.0
"""Where libkrb5 has a locator plugin, as SSSD's: it serves one realm, and leaves others to us."""

import subprocess
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import krbmsg
from lab.ad import PASSWORDS, REALM, Domain
from lab.client import assert_unavailable
from lab.dns import NameServer, bound, resolv_conf, using
from lab.exchange import location
from lab.unique import WORKER, unique_number

OTHER = "OTHER.EXAMPLE.TEST"
PLUGINS = Path("/usr/lib", sysconfig.get_config_var("MULTIARCH"), "krb5/plugins/libkrb5")
SHARE = 8       # threads for jobs of one realm
TIMEOUT = 2
AN_OUTAGE = "which message is the first to fail depends on the order of the threads"

PLUGIN = r"""
#include <krb5/krb5.h>
#include <krb5/locate_plugin.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static krb5_error_code begin(krb5_context context, void **data)
{
    *data = NULL;
    return 0;
}

static void end(void *data)
{
}

static krb5_error_code lookup(void *data, enum locate_service_type service, const char *realm,
                              int type, int family, int (*add)(void *, int, struct sockaddr *),
                              void *list)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(atoi(getenv("EAS_T_PORT"))),
                                   .sin_addr = { htonl(INADDR_LOOPBACK) } };

    return service != locate_service_kdc || strcmp(realm, getenv("EAS_T_REALM")) != 0
               ? KRB5_PLUGIN_NO_HANDLE
               : add(list, type, (struct sockaddr *)&address);
}

const krb5plugin_service_locate_ftable service_locator = { 0, begin, end, lookup };
"""


@pytest.fixture(scope="module")
def plugins(lab_dir):
    made = lab_dir / "plugins"
    made.mkdir()
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", made / "stub.so"],
                   input=PLUGIN, text=True, check=True)
    return made


@pytest.fixture
def server():
    made = NameServer(f"127.53.{WORKER}.250")
    yield made
    made.stop()


@pytest.fixture
def start(gateway, backends, lab_dir, plugins, relay, server):
    """start(realm): a gateway whose plugin serves that realm, by the relay. krb5.conf has no KDC, and
    libkrb5's own preference of UDP."""
    def make(realm):
        conf = Domain.write_krb5_conf(lab_dir / f"plugin-{unique_number()}.conf", 0,
                                      "    udp_preference_limit = 1465")
        conf.write_text(conf.read_text().replace("kdc = 127.0.0.1:0", "").replace(
            "dns_lookup_kdc = false", "dns_lookup_kdc = true"))
        gw = gateway(f"EasKcdRequireTLS Off\nEasKcdKdcTimeout {TIMEOUT}s\n"
                     f"EasKcdDomain OTHER {OTHER}\n" + location(backends("cas1").url), tls=False,
                     krb5_conf=conf, processes=1, threads=40, start=False,
                     env={"EAS_T_REALM": realm, "EAS_T_PORT": str(relay.port)})
        resolver = resolv_conf(lab_dir / f"resolv-{unique_number()}.conf", [server])
        gw.daemon.command = bound(plugins, PLUGINS, using(resolver, gw.daemon.command))
        return gw.start()
    return make


def log_on(gw, user):
    with gw.client(timeout=60) as client:
        return client.get("/eas", user, PASSWORDS.get(user, "secret"))


def test_realm_of_the_plugin(start, relay, server):
    gw = start(REALM)
    assert f"EAS3077: the KDCs of {REALM} are asked by libkrb5" in gw.error_log.text()
    assert log_on(gw, "user01").status == 200
    assert relay.counts["AS-REP"] and relay.counts["TGS-REP"]
    assert relay.datagrams == 0     # by which libkrb5 would repeat a password
    assert server.asked == 0


def test_realm_that_the_plugin_does_not_serve(start, relay, server):
    """The module asks DNS, once."""
    server.add_host("dc1.corp.example.test", relay.address)
    server.add_service(f"_kerberos._tcp.{REALM}", 0, relay.port, "dc1.corp.example.test")
    gw = start(OTHER)
    assert [log_on(gw, user).status for user in ("user01", "user02")] == [200, 200]
    assert server.questions == {("SRV", f"_kerberos._tcp.{REALM.lower()}"): 1,
                                ("A", "dc1.corp.example.test"): 1,
                                ("AAAA", "dc1.corp.example.test"): 1}


def test_silent_DNS_of_another_realm(start, relay, server):
    """As many users as one realm has threads are referred to it, and hold none beyond the time-out."""
    server.silent = True
    gw = start(REALM)
    gw.allow("EAS1036", "EAS1039", "EAS1250", "EAS1252", "EAS1254", because=AN_OUTAGE)
    assert log_on(gw, "user01").status == 200
    relay.answer(lambda message: message.client.startswith("away"),
                 krbmsg.error(68, REALM, OTHER))
    with ThreadPoolExecutor(SHARE) as pool:
        for answer in pool.map(lambda n: log_on(gw, f"away{n}"), range(SHARE)):
            assert_unavailable(answer)
    began = time.monotonic()
    assert log_on(gw, "user02").status == 200
    assert time.monotonic() - began < 1
