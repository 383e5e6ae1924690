# SPDX-License-Identifier: Apache-2.0
"""What the start says about the configuration."""

import re
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from lab.activesync import PATH, PING, plain
from lab.ad import CAS1, PASSWORDS, REALM
from lab.exchange import location
from lab.gateway import TOP
from lab.wait import until

NOTICE = "EAS3095"


def notices(gw):
    return [entry.text for entry in gw.error_log.entries()
            if entry.tag == NOTICE and entry.level == "notice"]


def test_notice_of_a_virtual_host(gateway, domain):
    gw = gateway(location("http://cas1.corp.example.test:8080/a")
                 + location("http://cas1.corp.example.test:8080/a", path="/again"))
    notice, = notices(gw)
    found = re.search(
        r"EAS3095: mod_eas_kcd [\d.]+ at localhost: account (\S+) \((.*)\); "
        r"realm (\S+), KDCs: (\S+); backends: (.*)$", notice)
    account, keys, realm, kdcs, backends = found.groups()
    assert (account, realm) == (f"gateway@{REALM}", REALM)
    assert re.search(r"\bkvno \d+: .*aes256-cts", keys)
    assert kdcs == f"127.0.0.1:{domain.port}"
    assert backends == f"http://cas1.corp.example.test:8080/a ({CAS1})"


def test_notices_of_virtual_hosts(gateway):
    """One for each, also after a reload."""
    gw = gateway("".join(f"<VirtualHost *:{port}>\nServerName {name}\n"
                         f"{location(f'http://cas{port}.corp.example.test/')}</VirtualHost>\n"
                         for port, name in ((1, "one.test"), (2, "two.test"))))
    for _ in range(2):
        assert sorted(re.search(r" at ([\w.]+): .* backends: (.*)", text).groups()
                      for text in notices(gw)) == [
            ("localhost", "none"),
            ("one.test", "http://cas1.corp.example.test/ (HTTP/cas1.corp.example.test)"),
            ("two.test", "http://cas2.corp.example.test/ (HTTP/cas2.corp.example.test)")]
        gw.mark()
        gw.graceful()


def test_notice_is_bounded(gateway):
    """httpd cuts its lines at 8 KB."""
    members = "".join(f"BalancerMember http://cas{n}.corp.example.test\n" for n in range(40))
    gw = gateway(f'<Proxy "balancer://cas">\n{members}</Proxy>\n' + location("balancer://cas/"))
    notice, = notices(gw)
    assert notice.endswith(", and 24 more") and notice.count("HTTP/cas") == 16


def test_without_a_keytab_there_is_no_notice(gateway):
    assert notices(gateway("", account=None)) == []


def test_test_of_the_configuration_has_no_notice(gateway):
    code, said = gateway(start=False).check_config()
    assert code == 0 and NOTICE not in said


# --- room for reloads ------------------------------------------------------------------------

def sized(gateway, conf, path=PATH, park="Off", **options):
    lines = (f"EasKcdPark {park}",) if park else ()
    return gateway(conf + location("http://cas1.corp.example.test/", *lines, path=path), **options)


PREFORK = "ServerLimit 20\nMaxRequestWorkers 12\n"


@pytest.mark.parametrize("mpm,conf,limit,park", [
    ("event", "ServerLimit 3\n", 6, "Off"), ("prefork", PREFORK, 36, "Off"),
    ("prefork", PREFORK, 36, "On")])
def test_too_few_places_for_a_reload(gateway, mpm, conf, limit, park):
    gw = sized(gateway, conf, park=park, mpm=mpm, processes=2)
    gw.expect("EAS3091")
    text, = [entry.text for entry in gw.error_log.entries() if entry.tag == "EAS3091"]
    assert text.endswith(f"set ServerLimit {limit}")


@pytest.mark.parametrize("conf,path,park", [
    ("ServerLimit 4\n", PATH, "Off"), ("ServerLimit 3\n", "/owa", "Off"),
    ("ServerLimit 3\n", PATH, "On"), ("ServerLimit 3\n", PATH, None)])
def test_enough_places_or_no_threads_of_phones(gateway, conf, path, park):
    assert "EAS3091" not in sized(gateway, conf, path, park, processes=2).error_log.text()


@pytest.mark.parametrize("path", ["/", "/microsoft-server-activesync"])
def test_sections_that_cover_activesync(gateway, path):
    gw = sized(gateway, "ServerLimit 3\n", path, processes=2)
    gw.expect("EAS3091")


def test_example_of_the_package(gateway):
    """httpd accepts it without a warning of its own or of ours."""
    example = (TOP / "build/package/mpm_event.conf").read_text()
    gw = sized(gateway, example, start=False)
    code, said = gw.check_config()
    assert code == 0 and "AH0" not in said.replace("AH00558", ""), said
    gw.start()
    assert "EAS3091" not in gw.error_log.text()
    limits = dict(re.findall(r"^ +(\w+) +(\d+)$", example, re.MULTILINE))
    assert int(limits["ServerLimit"]) == 3 * int(limits["MaxRequestWorkers"]) // int(
        limits["ThreadsPerChild"])


@pytest.mark.parametrize("limit,answered", [(1, False), (3, True)])
def test_reload_with_a_phone_connected(gateway, exchange, limit, answered):
    """The one process of before waits for its Ping, and keeps its place."""
    server, backend = exchange(60)
    gw = gateway(f"ServerLimit {limit}\n" + location(backend.url, "EasKcdPark Off", path=PATH),
                 processes=1, threads=8)
    gw.allow("EAS3091", "AH03490", because="they depend on the parameter")
    with ThreadPoolExecutor(2) as pool:
        ping = pool.submit(gw.post, plain("Ping"), PING, "alice", PASSWORDS["alice"])
        until(lambda: server.waiting == 1, 20, "the Ping to wait")
        gw.graceful()
        later = pool.submit(gw.request, "OPTIONS", PATH, "alice", PASSWORDS["alice"])
        wait([later], timeout=20 if answered else 3)
        assert later.done() == answered
        server.change()
        assert (ping.result(20).status, later.result(20).status) == (200, 200)
