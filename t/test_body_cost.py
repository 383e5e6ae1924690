# SPDX-License-Identifier: Apache-2.0
"""What a request body costs: its octets, and not the square of the pieces that it comes in."""

import hashlib
import ssl
import subprocess
from pathlib import Path

import pytest

from benchmark.cost import cpu_seconds
from lab.ad import PASSWORDS
from lab.client import basic, connect
from lab.exchange import ask, location, open_location, trusting
from lab.fake_backend import response
from lab.gateway import MODULES
from lab.names import GATEWAY
from lab.sanitizer import measures_memory

PIECES = 30_000     # below EasKcdRetryBody, so that all of them are kept
BODY = bytes(n % 251 for n in range(PIECES))
NODE = """
const http2 = require("http2");
const [port, path, authorization, pieces] = process.argv.slice(1);
const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false,
                                                             servername: process.env.HOST });
const headers = { ":method": "POST", ":path": path, ":authority": process.env.HOST, authorization };
const request = session.request(headers);
request.on("response", answer => { console.log(answer[":status"]); session.close(); });
let sent = 0;
function next() {
    if (sent == pieces) return request.end();
    request.write(Buffer.from([sent++ % 251]), () => setImmediate(next));
}
next();
"""


def digest(request):
    return response("200 OK", [("X-Digest", hashlib.sha1(request.body).hexdigest())])


def head(path, *lines):
    return "\r\n".join([f"POST {path} HTTP/1.1", f"Host: {GATEWAY}", "Connection: close",
                        f"Authorization: {basic('alice', PASSWORDS['alice'])}", *lines, "",
                        ""]).encode()


def send(gw, pieces):
    with connect(gw.port) as client:
        for piece in pieces:
            client.sendall(piece)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert hashlib.sha1(BODY).hexdigest().encode() in answer


def chunks(gw, path):
    """One octet each."""
    body = b"".join(b"1\r\n%c\r\n" % octet for octet in BODY) + b"0\r\n\r\n"
    send(gw, [head(path, "Transfer-Encoding: chunked") + body])


def tls_records(gw, path):
    """As OpenSSL makes them: a record for each write."""
    send(gw, [head(path, f"Content-Length: {PIECES}"), *(bytes([octet]) for octet in BODY)])


def http2_frames(gw, path):
    authorization = basic("alice", PASSWORDS["alice"])
    done = subprocess.run(["node", "-e", NODE, str(gw.port), path, authorization, str(PIECES)],
                          env={"HOST": GATEWAY, "PATH": "/usr/bin:/bin"}, text=True, timeout=60,
                          stdout=subprocess.PIPE)
    assert done.stdout == "200\n"


@pytest.mark.parametrize("post", [chunks, tls_records, http2_frames])
def test_pieces_of_one_octet(gateway, fake_backends, post):
    """Kept for a repetition, they cost no more than twice what mod_proxy spends by itself."""
    backend = fake_backends(digest)
    gw = gateway("Protocols h2 http/1.1\n" + location(backend.url) + open_location(backend.url),
                 modules=(*MODULES, "http2"), processes=1, log_level="notice eas_kcd:debug")
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    spent = {}
    for path in ("/open", "/eas"):
        before = cpu_seconds(gw.daemon.process.pid)
        post(gw, path)
        spent[path] = cpu_seconds(gw.daemon.process.pid) - before
    assert spent["/eas"] < 2 * spent["/open"] + 0.3, spent
    assert backend.requests[-1].body == BODY


class Counted:
    """A certificate whose server notes the lengths of the TLS records that it reads."""

    def __init__(self, certificate):
        self.certificate = certificate
        self.lengths = []

    def server_context(self):
        lengths = self.lengths

        class Socket(ssl.SSLSocket):
            def recv_into(self, buffer, nbytes=None, flags=0):
                lengths.append(super().recv_into(buffer, nbytes, flags))
                return lengths[-1]
        context = self.certificate.server_context()
        context.sslsocket_class = Socket
        return context

    def channel_binding(self):
        return self.certificate.channel_binding()


@pytest.mark.parametrize("size,records", [(0, 1), (100, 1), (4000, 1), (100_000, 14)])
def test_records_of_head_and_body(gateway, fake_backends, authority, size, records):
    """A head and a short body leave in one record of TLS, and long bodies in few."""
    counted = Counted(authority.certificate("cas1.corp.example.test"))
    backend = fake_backends(digest, tls=counted)
    gw = gateway(trusting(authority) + location(backend.url), processes=1)
    body = bytes(n % 251 for n in range(size))
    with gw.client() as client:
        for number in (1, 2):
            counted.lengths.clear()
            answer = ask(client, "/eas", "alice", "POST", body=body)
            assert answer.status == 200
            assert answer.header("X-Digest") == hashlib.sha1(body).hexdigest()
            assert len(backend.requests) == number
            assert 1 <= len(counted.lengths) <= records
            assert sum(counted.lengths) > size


def peak_memory(gw):
    """Of the one child, in KB."""
    child = Path(f"/proc/{gw.daemon.process.pid}/task/{gw.daemon.process.pid}/children").read_text().split()[-1]
    status = Path(f"/proc/{child}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


@measures_memory
def test_spooled_body_stays_in_its_file(gateway, fake_backends):
    """A body of unknown length goes into a file if the backend wants its length, and ping= sends
    the head before it."""
    backend = fake_backends(lambda request: response("200 OK", [("X-Size", str(len(request.body)))]),
                            early=lambda head: b"HTTP/1.1 100 Continue\r\n\r\n"
                            if head.all("Expect") else b"")
    gw = gateway("SetEnv proxy-sendcl 1\n" + location(backend.url, parameters="ping=5"),
                 processes=1, log_level="notice eas_kcd:debug")
    assert gw.get("/eas", "alice", PASSWORDS["alice"]).status == 200
    before, size = peak_memory(gw), 64 << 20
    piece = b"%x\r\n%s\r\n" % (1 << 20, bytes(1 << 20))
    with connect(gw.port) as client:
        client.sendall(head("/eas", "Transfer-Encoding: chunked"))
        for _ in range(size >> 20):
            client.sendall(piece)
        client.sendall(b"0\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ") and b"X-Size: %d\r\n" % size in answer
    assert peak_memory(gw) - before < 16 << 10
