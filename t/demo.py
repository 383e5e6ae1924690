# SPDX-License-Identifier: Apache-2.0
"""The demonstration of build/demo, on the lab's servers. Run by build/demo, as root.

One process, the keeper, starts all the others and ends them with itself: at `stop`, or after some
hours. It holds a lock on the file with its process id, so that the id is believed only while it is
the keeper's.
"""

import fcntl
import os
import shlex
import shutil
import signal
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TextIO

from lab.activesync import FOLDER_SYNC, PATH, TYPE, blob, plain
from lab.ad import PASSWORDS, REALM, Domain
from lab.backend import GssBackend
from lab.client import Client, Response
from lab.frontdoor import LOGOUT, Visitor
from lab.gateway import Gateway
from lab.names import GATEWAY, ensure_names
from lab.tls import Authority
from lab.wait import answers, until

DEFAULT_DIR = Path("/tmp/eas-kcd-demo")
DIR = Path(os.environ.get("EAS_DEMO_DIR", DEFAULT_DIR)).absolute()
KEEPER = DIR / "keeper.pid"
HOURS = 8
PORT = 8443                     # of the gateway, unless somebody else listens there
ASKED = plain("FolderSync", None, "demo", "curl")
OWA = "/owa/"
BACKENDS = ("cas1", "cas2")

# The README's whole Exchange host, with two backends instead of one.
OTHER_SERVERS = (r"EWS/mrsproxy\.svc|EWS/exchange\.asmx/wssecurity|Autodiscover/autodiscover\.svc"
                 "|Autodiscover/metadata/json")
PUBLISHED = "Microsoft-Server-ActiveSync|owa|ecp|EWS|OAB|Autodiscover"
CONF = """
{listen}
EasKcdDomain CORP {realm}
SSLProxyEngine On
SSLProxyVerify require
SSLProxyCACertificateFile "{ca_file}"
<Proxy "balancer://cas">
    BalancerMember "{cas1}" timeout=300
    BalancerMember "{cas2}" timeout=300
</Proxy>
ProxyPassMatch "(?i)^/(({published})(/.*)?)$" "balancer://cas/$1"
ProxyPassReverse "/" "balancer://cas/"
Proxy100Continue Off
<LocationMatch "(?i)^/({published})(/|$)">
    AuthType EasKcd
    AuthName "Mail"
    Require valid-user
    EasKcdDelegate On
</LocationMatch>
<LocationMatch "(?i)^/Microsoft-Server-ActiveSync(/|$)">
    <RequireAll>
        Require valid-user
        <RequireNone>
            Require eas-device-id LOST-PHONE
        </RequireNone>
    </RequireAll>
</LocationMatch>
<LocationMatch "(?i)^/owa/logoff\\.owa$">
    Require all granted
    Redirect "/eas-kcd/logout"
</LocationMatch>
<Location "/eas-kcd/">
    AuthName "Mail"
</Location>
<LocationMatch "(?i)^/({other_servers})(/|$)">
    AuthType None
    Require all granted
    EasKcdDelegate Off
</LocationMatch>
<LocationMatch "(?i)^/Autodiscover/autodiscover\\.json">
    Require all denied
</LocationMatch>
"""


class Demo:
    """The servers, and what they are asked."""

    def __init__(self, servers: ExitStack) -> None:
        """Start everything; *servers* ends it."""
        ensure_names()
        authority = Authority(DIR / "tls")
        domain = servers.enter_context(closing(Domain(DIR / "ad")))
        domain.create()
        self.ca_file = authority.ca_file
        self.backends = [backend(short, domain, authority) for short in BACKENDS]
        self.port = None if answers(PORT) else PORT
        self.gateway = gateway(self.port, self.backends, domain, authority)
        self.port = self.port or self.gateway.port
        for server in (*self.backends, self.gateway):
            servers.callback(server.stop)
            server.start()
        self._number = 0
        self._failures = 0

    def run(self) -> bool:
        """Send requests; was each answered as it should be?"""
        say(f"\nThe gateway is https://{GATEWAY}:{self.port}{PATH}. Behind it are cas1 and\n"
            "cas2, which accept Kerberos only.\n")
        self._refused("A phone that has sent no password yet:", 401)
        for user in ("alice", "alice", r"CORP\bob"):
            self._served(f"{user} with the right password:", user)
        self._refused("alice with a wrong password:", 401, "alice", "wrong")
        self._refused("sandra with the right password, whose account is marked \"sensitive and "
                      "cannot\n   be delegated\":", 403, "sandra", PASSWORDS["sandra"])
        self._phone()
        self._other_server()
        self._browser(Visitor(self.gateway))
        return self._failures == 0

    def by_hand(self) -> str:
        return f"""
Try it by hand; a backend answers with what it saw:

  curl --cacert {shlex.quote(str(self.ca_file))} --resolve {GATEWAY}:{self.port}:127.0.0.1 \
-u alice:{PASSWORDS['alice']} {shlex.quote(f"https://{GATEWAY}:{self.port}{ASKED}")}

  in a browser    https://{GATEWAY}:{self.port}{OWA}
                  on this machine; it will not know the certificate. To sign out:
                  https://{GATEWAY}:{self.port}{LOGOUT}
  others          bob:{PASSWORDS['bob']} carol:{PASSWORDS['carol']} sandra:{PASSWORDS['sandra']}
  configuration   {self.gateway.root}/httpd.conf
  log             {self.gateway.error_log.path}
  Kerberos tools  export KRB5_CONFIG={DIR}/ad/krb5.conf

It ends by itself after {HOURS} hours, or by:  {stop_command()}
One line in /etc/hosts stays, which names the backends.
"""

    # --- inside ----------------------------------------------------------------------------

    def _served(self, title: str, user: str) -> None:
        name = user.rpartition("\\")[2]
        self._judge_served(self._get(title, user, PASSWORDS[name]), name)

    def _judge_served(self, answer: Response, name: str) -> None:
        """A backend must have seen the user, by Kerberos and not by a password."""
        if answer.status != 200:
            return self._tell(False, f"{answer.status}.")
        until(self._asked, 5, "the backend's access log")
        seen = answer.json()
        headers = {key.lower(): value for key, value in seen["headers"]}
        host, scheme = headers["host"].partition(".")[0], headers["authorization"].split()[0]
        self._tell(seen["remote_user"] == f"{name}@{REALM}" and scheme == "Negotiate",
                   f"200. {host} saw {seen['remote_user']}, authenticated by {scheme}.")

    def _refused(self, title: str, status: int, user: str | None = None,
                 password: str = "") -> None:
        """No backend may have been asked, and only a 401 may ask for a password."""
        answer = self._get(title, user, password)
        challenge = answer.header("WWW-Authenticate")
        asked = self._asked()
        self._tell((answer.status, bool(challenge), asked) == (status, status == 401, False),
                   f"{answer.status}, {challenge or 'no challenge'}. "
                   f"{'A' if asked else 'No'} backend was asked. The log says:", *self._log())

    def _phone(self) -> None:
        """What it wants is in a base64 query; one of its kind has been lost."""
        self._announce("alice's phone asks for her folders, with ActiveSync's base64 query:")
        self._judge_served(self._post(blob("FolderSync"), "alice"), "alice")
        entry = self.gateway.logged()
        say("   The log has " + ", ".join(f"{name}={entry[name]}" for name in (
            "EAS_COMMAND", "EAS_DEVICE_ID", "EAS_DEVICE_TYPE", "EAS_PROTOCOL_VERSION")) + ".")
        self._announce("A phone that alice has lost, with the right password:")
        answer = self._post(plain("FolderSync", device="LOST-PHONE"), "alice")
        self._tell((answer.status, self._asked()) == (403, False),
                   f"{answer.status}. No backend was asked. The log says:", *self._log())

    def _other_server(self) -> None:
        self._announce("Exchange Online, with a token of its own, on a path that is left alone:")
        with Client(self.port, tls=True, ca_file=self.ca_file) as client:
            answer = client.post("/EWS/mrsproxy.svc", b"", headers=[("Authorization", "Bearer x")])
        asked = until(self._asked, 5, "the backend's access log")
        challenge = answer.header("WWW-Authenticate")
        self._tell((answer.status, challenge, asked) == (401, "Negotiate", True),
                   f"{answer.status}, {challenge}. That is the backend's own answer.")

    def _post(self, path: str, user: str) -> Response:
        with Client(self.port, tls=True, ca_file=self.ca_file) as client:
            return client.post(path, FOLDER_SYNC, user, PASSWORDS[user], [("Content-Type", TYPE)])

    def _browser(self, visitor: Visitor) -> None:
        """To the form, in, to the mailbox, out; and what the cookie is worth then."""
        self._announce("A browser without a session:")
        self._redirected(visitor.get(OWA), 302)
        self._announce("alice fills in the form:")
        self._redirected(visitor.log_on("alice", PASSWORDS["alice"], OWA), 303)
        jar = dict(visitor.jar)
        self._announce("The browser with the session cookie, and without a password:")
        self._judge_served(visitor.get(OWA), "alice")
        self._announce("alice signs out:")
        self._redirected(visitor.sign_out(), 303)
        self._announce("Somebody has kept a copy of the cookie:")
        self._redirected(Visitor(self.gateway, jar=jar).get(OWA), 302)

    def _redirected(self, answer: Response, status: int) -> None:
        asked = self._asked()
        self._tell((answer.status, asked) == (status, False),
                   f"{answer.status} to {answer.header('Location')}",
                   *map(about_cookie, answer.all("Set-Cookie")),
                   f"{'A' if asked else 'No'} backend was asked. The log says:", *self._log())

    def _log(self) -> list[str]:
        return [entry.text[entry.text.index(entry.tag):]
                for entry in self.gateway.error_log.entries() if entry.tag.startswith("EAS")]

    def _announce(self, title: str) -> None:
        self._number += 1
        say(f"{self._number}. {title}")
        for server in (*self.backends, self.gateway):
            server.mark()

    def _get(self, title: str, user: str | None, password: str) -> Response:
        self._announce(title)
        with Client(self.port, tls=True, ca_file=self.ca_file) as client:
            return client.get(ASKED, user, password)

    def _asked(self) -> bool:
        return any(backend.requests() for backend in self.backends)

    def _tell(self, expected: bool, *lines: str) -> None:
        self._failures += not expected
        for line in (*lines, *(() if expected else ("THIS IS NOT AS IT SHOULD BE.",))):
            say(f"   {line}")


def backend(short: str, domain: Domain, authority: Authority) -> GssBackend:
    name = f"{short}.corp.example.test"
    keytab = domain.export_keytab(DIR / f"{short}.keytab", [f"HTTP/{name}"])
    return GssBackend(DIR / short, keytab, domain.krb5_conf, name=name,
                      tls=authority.certificate(name))


def gateway(port: int | None, backends: list[GssBackend], domain: Domain,
            authority: Authority) -> Gateway:
    """On *port*, and on one that it finds by itself."""
    urls = {short: backend.url for short, backend in zip(BACKENDS, backends)}
    conf = CONF.format(listen=f"Listen 127.0.0.1:{port}" if port else "", realm=REALM,
                       published=PUBLISHED, other_servers=OTHER_SERVERS,
                       ca_file=authority.ca_file, **urls)
    return Gateway(DIR / "gateway", conf, log_level="info", krb5_conf=domain.krb5_conf,
                   ca_file=authority.ca_file,
                   keytab=domain.export_keytab(DIR / "gateway.keytab", ["gateway"]),
                   tls=authority.certificate(GATEWAY))


def about_cookie(line: str) -> str:
    name, _, value = line.partition(";")[0].partition("=")
    return f"with the cookie {name}={value[:24]}…" if value else f"taking away the cookie {name}"


def say(text: str) -> None:
    print(text, flush=True)


# --- the keeper ------------------------------------------------------------------------------

def start() -> int:
    """Start the keeper, in a session of its own, and wait until it has shown everything."""
    DIR.mkdir(mode=0o755)
    answer, answering = os.pipe()
    with KEEPER.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keeper = os.fork()
        if keeper == 0:         # the lock is shared, and stays when the parent closes it
            os.close(answer)
            keep(answering)
            return 0
        print(keeper, file=lock)
    os.close(answering)
    try:
        with open(answer) as told:
            return 0 if told.read() == "as expected" else 1
    except KeyboardInterrupt:
        stop()
        return 130


def keep(answering: int) -> None:
    """The keeper's life. After an error the directory stays, with all logs."""
    os.setsid()
    signal.signal(signal.SIGTERM, end)
    os.environ |= {"KRB5_CONFIG": str(DIR / "ad" / "krb5.conf"), "TMPDIR": str(DIR)}
    with ExitStack() as servers:
        demo = Demo(servers)
        good = demo.run()
        say(demo.by_hand())
        with open(DIR / "keeper.log", "w") as log:
            for stream in (0, 1, 2):
                os.dup2(log.fileno(), stream)
        os.write(answering, b"as expected" if good else b"otherwise")
        os.close(answering)
        time.sleep(HOURS * 3600)
    shutil.rmtree(DIR)


def end(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit()


def stop() -> bool:
    """End the keeper if there is one, and remove the directory. Was there one?"""
    if not os.path.lexists(DIR):
        return False
    # Below /tmp, anybody could have made it.
    if DIR.is_symlink() or DIR.stat().st_uid != os.getuid() or not KEEPER.exists():
        sys.exit(f"{DIR} is not the demo's; remove it, or name another by EAS_DEMO_DIR")
    with KEEPER.open() as lock:
        running = not free(lock)
        if running:
            os.kill(int(lock.read()), signal.SIGTERM)
            until(lambda: free(lock), 60, "the demo to end")
    shutil.rmtree(DIR)
    return running


def free(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def stop_command() -> str:
    where = "" if DIR == DEFAULT_DIR else f"EAS_DEMO_DIR={shlex.quote(str(DIR))} "
    return f"{where}build/demo stop"


def main() -> int:
    os.umask(0o022)
    stopped = stop()
    if sys.argv[1:] == ["stop"]:
        say("Stopped." if stopped else "Nothing was running.")
        return 0
    say(f"Starting an Active Directory, two backends and the gateway in {DIR} …")
    return start()


if __name__ == "__main__":
    sys.exit(main())
