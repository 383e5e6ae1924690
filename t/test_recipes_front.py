# SPDX-License-Identifier: Apache-2.0
"""Recipes for load balancers: the gateway knows each client's address, and when it leaves."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from lab.ad import PASSWORDS, REALM
from lab.client import Client
from lab.examples import block_with
from lab.fake_backend import response
from lab.pages import RECIPES, TEXT
from lab.wait import Daemon, answers, free_port, until

PATH = "/Microsoft-Server-ActiveSync"
GUESSER, OTHER = "127.0.0.7", "127.0.0.8"
NGINX = """
error_log {path}/error.log;
pid {path}/nginx.pid;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {path}/body;
    proxy_temp_path {path}/proxy;
    fastcgi_temp_path {path}/fastcgi;
    uwsgi_temp_path {path}/uwsgi;
    scgi_temp_path {path}/scgi;
{server}
}}
"""


@dataclass(frozen=True)
class Front:
    program: str        # the language of its block on the page
    mark: str           # which is in that block
    gateway: str        # in the gateway's block


FRONTS = (Front("haproxy", "send-proxy-v2", "RemoteIPProxyProtocol"),
          Front("haproxy", "option forwardfor", "RemoteIPInternalProxy"),
          Front("nginx", "proxy_ssl_verify", "RemoteIPInternalProxy"))
ids = ["haproxy-proxy-protocol", "haproxy-forwarded-for", "nginx-forwarded-for"]


def text_of(front: Front) -> str:
    blocks = re.findall(rf"^```{front.program}\n(.*?)^```$", TEXT[RECIPES], re.DOTALL | re.MULTILINE)
    text, = [block for block in blocks if front.mark in block]
    return text


def command_of(front: Front, text: str, path) -> list[str]:
    path.mkdir()
    conf = path / "front.conf"
    conf.write_text(NGINX.format(path=path, server=text) if front.program == "nginx" else text)
    if front.program == "nginx":
        return ["/usr/sbin/nginx", "-p", str(path), "-c", str(conf), "-g", "daemon off;"]
    return ["/usr/sbin/haproxy", "-db", "-f", str(conf)]


@pytest.fixture
def in_front(running, authority, lab_dir):
    """in_front(front, …): the minimal gateway with the recipe's lines, and client(address)."""
    started = []

    def start(front: Front, **more):
        gw, port = running(block_with("LoadModule eas_kcd").replace(
            "    SSLEngine On", block_with(front.gateway) + "    SSLEngine On"),
            more={"192.0.2.10": "127.0.0.1"} | more)
        path, own = lab_dir / f"front-{port}", free_port()
        certificate = authority.certificate("mail.example.test")
        text = text_of(front)
        for word, instead in {
                "bind :443": f"bind 127.0.0.1:{own}", "listen 443": f"listen 127.0.0.1:{own}",
                "192.0.2.21:443": f"127.0.0.1:{port}", "https://192.0.2.21": f"https://127.0.0.1:{port}",
                "    server gateway2 192.0.2.22:443 check send-proxy-v2\n": "",
                "mail.example.com": "mail.example.test", "/etc/haproxy/mail.pem": path / "mail.pem",
                "/etc/nginx/mail.pem": certificate.cert, "/etc/nginx/mail.key": certificate.key,
                f"/etc/{front.program}/corp-ca.pem": authority.ca_file}.items():
            text = text.replace(word, str(instead))
        daemon = Daemon(front.program, command_of(front, text, path), path / "output.log")
        (path / "mail.pem").write_text(certificate.cert.read_text() + certificate.key.read_text())
        daemon.start(lambda: answers(own))
        started.append(daemon)

        def client(address: str = OTHER) -> Client:
            return Client(own, True, authority.ca_file, source=address)
        return gw, client

    yield start
    for daemon in started:
        daemon.stop()


@pytest.mark.parametrize("front", FRONTS, ids=ids)
def test_each_client_has_its_address(in_front, front):
    """A guesser sends an address of its own choice each time, and uses up its own budget alone."""
    gw, client = in_front(front)
    gw.expect("EAS1031", "EAS1313", "EAS1303")

    def guess(number: int) -> int:
        with client(GUESSER) as guesser:
            return guesser.get(PATH, f"nobody-{number}", "guess",
                               [("X-Forwarded-For", f"198.51.100.{number}")]).status

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(guess, range(115))) == {401, 503}
    with client(GUESSER) as guesser:
        assert guesser.get(PATH, "alice", PASSWORDS["alice"]).status == 503
    with client() as user:
        answer = user.get(PATH, "alice", PASSWORDS["alice"], [("X-Forwarded-For", GUESSER)])
    assert answer.status == 200
    assert answer.json()["remote_user"] == f"alice@{REALM}"
    log = gw.error_log.text()
    assert f"EAS1313: too many log-ons from {GUESSER} have failed" in log
    assert "198.51.100." not in log
    assert re.search(rf"\[client {GUESSER}(:\d+)?\] EAS1031", log)


@pytest.mark.parametrize("front", FRONTS, ids=ids)
def test_client_that_leaves_ends_its_request(in_front, fake_backends, front):
    """The gateway learns of it, though another connection is between."""
    asked, over = threading.Event(), threading.Event()

    def slow(_):
        asked.set()
        over.wait(30)
        return response("200 OK")

    gw, client = in_front(front, **{
        "https://cas1.corp.example.com": fake_backends(slow, tls=True).url})
    with client() as phone:
        phone.send("POST", PATH + "?Cmd=Ping", "alice", PASSWORDS["alice"], body=b"\x03\x01")
        assert asked.wait(20)
    try:
        until(lambda: "EAS2080" in gw.error_log.text(), 20, "the end of the request")
    finally:
        over.set()
