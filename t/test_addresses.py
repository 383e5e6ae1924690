# SPDX-License-Identifier: Apache-2.0
"""Addresses of a backend: one look-up in DNS for all of its connections, and changes of DNS."""

import time

import pytest

from lab.ad import CAS1
from lab.dns import NameServer, resolv_conf, using
from lab.exchange import ask, location
from lab.parking import wait
from lab.unique import unique_number

HOST = "cas9.corp.example.test"
NAME_SERVER, OLD, NEW = "127.0.9.53", "127.0.9.1", "127.0.9.2"
USERS = [f"user{n:02}" for n in range(1, 13)]
MAX_AGE = 10    # seconds, of an address that a new connection pool gets


@pytest.fixture
def dns():
    server = NameServer(NAME_SERVER)
    server.add_host(HOST, OLD)
    yield server
    server.stop()


@pytest.fixture
def published(gateway, fake_backends, per_request, dns, lab_dir):
    """published(line, parameters): the gateway, started, and a backend that only DNS knows."""
    def start(line="", parameters=""):
        backend = fake_backends(per_request, "cas9", proves=False, address=OLD)
        gw = gateway(line + "\n" + location(backend.url, f"EasKcdSPN {CAS1}", parameters=parameters),
                     processes=1, start=False)
        conf = resolv_conf(lab_dir / f"resolv-{unique_number()}.conf", [dns])
        gw.daemon.command = using(conf, gw.daemon.command)
        return gw.start(), backend
    return start


def looked_up(dns):
    return dns.questions["A", HOST]


@pytest.mark.parametrize("line,parameters,second,shares", [
    ("", "", None, True),
    ("", "addressttl=60", None, False),
    ("ProxyRemote http://elsewhere.example.test http://127.0.0.1:9", "", None, False),
    ("", "", OLD, False),
], ids=["default", "addressttl", "ProxyRemote", "two addresses"])
def test_look_ups(published, dns, line, parameters, second, shares):
    """Of several addresses, each connection pool has its own: the backends share the load."""
    if second:
        dns.add_host(HOST, second)
    gw, backend = published(line, parameters)
    assert ask(gw, "/eas", USERS[0]).status == 200
    once, began = looked_up(dns), time.monotonic()
    assert once > 0
    assert [ask(gw, "/eas", user).status for user in USERS[1:]] == [200] * len(USERS[1:])
    assert backend.connections == len(USERS)
    if shares:
        ages = (time.monotonic() - began) // MAX_AGE
        assert looked_up(dns) <= (2 + ages) * once      # one more each time
    else:
        assert looked_up(dns) >= len(USERS) * once


def moved(dns, fake_backends, backend, script):
    """The backend's name is that of another one by now."""
    dns.forget()
    dns.add_host(HOST, NEW)
    return fake_backends(script, "cas9", proves=False, address=NEW, port=backend.port)


def test_change_of_dns_as_the_backend_ends(published, dns, fake_backends, per_request):
    gw, backend = published()
    gw.expect("AH00957")
    for user in USERS[:6]:
        assert ask(gw, "/eas", user).status == 200
    new = moved(dns, fake_backends, backend, per_request)
    backend.stop()
    for user in USERS[:8]:
        assert ask(gw, "/eas", user).status == 200
    assert len(new.requests) == 8


def test_change_of_dns_beside_the_old_backend(published, dns, fake_backends, per_request):
    """A user's connection is kept, and another user's leads to the new backend."""
    gw, backend = published()
    assert ask(gw, "/eas", USERS[0]).status == 200
    new = moved(dns, fake_backends, backend, per_request)
    wait(MAX_AGE)
    for user in USERS[:2]:
        assert ask(gw, "/eas", user).status == 200
    assert (len(backend.requests), len(new.requests)) == (2, 1)


def test_change_of_dns_within_addressttl(published, dns, fake_backends, per_request):
    gw, backend = published(parameters="addressttl=1")
    for user in USERS[:3]:
        assert ask(gw, "/eas", user).status == 200
    new = moved(dns, fake_backends, backend, per_request)
    wait(2)
    for user in USERS[:3]:
        assert ask(gw, "/eas", user).status == 200
    assert len(new.requests) == 3
