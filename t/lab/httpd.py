# SPDX-License-Identifier: Apache-2.0
"""An Apache httpd of our own: its ServerRoot, its port, its child process, its logs."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Iterable, Mapping

from .errorlog import ErrorLog
from .tls import Certificate
from .wait import Daemon, connections, free_port, until

BINARY = "/usr/sbin/apache2"
DEBIAN_MODULES = Path("/usr/lib/apache2/modules")
USER = "www-data"
BASIC_MODULES = ("authn_core", "authz_core", "authz_user", "authz_host", "env", "setenvif",
                 "headers", "alias", "rewrite")
TLS_MODULES = ("socache_shmcb", "ssl")
READY = "resuming normal operations"

ACCESS_FIELDS = {"began": "%{usec}t", "port": "%{remote}p", "user": "%u", "method": "%m", "uri": "%U%q",
                 "status": "%>s", "keepalives": "%k"}

CONF = """\
ServerRoot "{root}"
ServerName localhost
Listen 127.0.0.1:{port}
PidFile "{root}/httpd.pid"
DefaultRuntimeDir "{root}/run"
User {user}
Group {user}
ErrorLog "{root}/error.log"
LogLevel {log_level}
{modules}

StartServers {processes}
ServerLimit {server_limit}
{threads}
MaxRequestWorkers {workers}
GracefulShutdownTimeout 5

LogFormat "{access_format}" lab
CustomLog "{root}/access.log" lab
KeepAlive On
MaxKeepAliveRequests 0
{tls}
{conf}
"""

TLS = """\
SSLEngine On
SSLCertificateFile "{cert}"
SSLCertificateKeyFile "{key}"
SSLSessionCache none
"""


def load_module(name: str, path: Path | None = None) -> str:
    """The LoadModule line for a module, Debian's unless a path is given."""
    return f'LoadModule {name}_module "{path or DEBIAN_MODULES / f"mod_{name}.so"}"'


def is_working(pid: int) -> bool:
    """Whether a thread of that process runs, or would if it had a processor."""
    return any(status.read_text().rpartition(")")[2].split()[0] == "R"
               for status in Path(f"/proc/{pid}/task").glob("*/stat"))


class Httpd:
    """Writes its configuration when made, and can be started more than once.

    *modules* are loaded in that order, the MPM first; *own_modules* says where those are that
    are not Debian's. With *clock* the server runs under libfaketime, and set_clock() moves its time
    while it runs.
    """

    def __init__(self, root: Path, conf: str, *, modules: Iterable[str] = BASIC_MODULES,
                 own_modules: Mapping[str, Path] | None = None, mpm: str = "event",
                 processes: int = 2, threads: int = 25, tls: Certificate | None = None,
                 env: Mapping[str, str] | None = None, clock: bool = False,
                 log_level: str = "notice",
                 access_fields: Mapping[str, str] | None = None) -> None:
        self.root = root
        self.port = free_port()
        self.tls = tls is not None
        self.error_log = ErrorLog(root / "error.log")
        self._access_log = root / "access.log"
        self._access_mark = 0
        self._own_clock = clock
        self._since = 0         # of the system's clock, in microseconds
        self._access_fields = ACCESS_FIELDS | dict(access_fields or {})
        self._make_directories()
        self.conf_file = root / "httpd.conf"
        self.conf_file.write_text(CONF.format(
            root=root, port=self.port, user=USER, log_level=log_level, conf=conf,
            modules=_module_lines(mpm, modules, own_modules or {}, tls is not None),
            tls=TLS.format(cert=tls.cert, key=tls.key) if tls else "",
            access_format=r"\t".join(self._access_fields.values()),
            **_sizes(mpm, processes, threads)))
        self._clock_file = root / "clock"
        self.set_clock("+0")
        # Whatever libraries want to leave behind (replay caches, for one) stays inside.
        self._env = {"TMPDIR": str(root / "tmp"), "MALLOC_PERTURB_": "165", "LC_ALL": "C.UTF-8",
                     **(_faketime(self._clock_file) if clock else {}), **(env or {})}
        self._command = [BINARY, "-f", str(self.conf_file)]
        self.daemon = Daemon(root.name, [*self._command, "-DFOREGROUND"], root / "output.log",
                             self._env)

    # --- its life --------------------------------------------------------------------------

    def start(self) -> "Httpd":
        before = self._times_ready()
        try:
            self.daemon.start(lambda: self._times_ready() > before)
        except (RuntimeError, TimeoutError) as error:
            raise RuntimeError(f"{error}\n{self.error_log.text()[-3000:]}") from None
        return self

    def stop(self) -> int | None:
        """Not in the middle of a connection, nor of its end: on SIGTERM the event MPM closes the
        sockets of threads that are still using them, and now and then crashes over that (in
        apr_os_sock_get)."""
        self.await_clients()
        with contextlib.suppress(TimeoutError, OSError):    # it may have ended
            if self.daemon.process is not None:
                until(lambda: not any(map(is_working, self.children())), 1, "the threads to rest")
        return self.daemon.stop()

    def await_clients(self) -> None:
        """Give the clients a second to leave; their requests are in the access log by then."""
        with contextlib.suppress(TimeoutError):
            until(lambda: connections(self.port) == 0, 1, "the clients to leave")

    def graceful(self) -> None:
        """Restart gracefully; return when the new generation is there."""
        before = self._times_ready()
        self.daemon.signal(signal.SIGUSR1)
        until(lambda: self._times_ready() > before, 20, f"{self.root.name} to restart")

    def check_config(self) -> tuple[int, str]:
        """httpd -t: its exit status and everything it said."""
        done = subprocess.run([*self._command, "-t"], text=True, timeout=60,
                              env=os.environ | self._env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    def refusal(self) -> str:
        """Start a server that must not start, and return everything it said about that."""
        try:
            self.start()
        except RuntimeError as error:
            return str(error)
        self.stop()
        raise AssertionError(f"{self.conf_file} was accepted")

    def children(self) -> set[int]:
        """The pids of the processes that serve requests."""
        pid = self.daemon.process.pid
        return {int(child) for child in
                Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    def set_clock(self, offset: str) -> None:
        """Move the server's time away from ours: "+16m", "-1h" (libfaketime's syntax)."""
        new = self._clock_file.with_suffix(".new")
        new.write_text(offset + "\n")
        new.chmod(0o644)
        new.replace(self._clock_file)

    # --- what it did -----------------------------------------------------------------------

    def mark(self) -> None:
        """Forget both logs so far. A request that was only just answered may still come."""
        self.error_log.mark()
        self._access_mark = len(self._access_lines())

    def begin(self) -> "Httpd":
        """Another test begins. A request that began earlier is not its own, though httpd may log
        it later."""
        self.mark()
        self._since = self.now()
        return self

    def now(self) -> int:
        """The time that a request which begins now has at least, in microseconds; 0 with a clock of
        its own."""
        return 0 if self._own_clock else time.time_ns() // 1000

    def requests(self) -> list[dict[str, str]]:
        """The requests since the mark. httpd writes the line after it has sent the answer: to
        see one that was just answered, poll with wait.until()."""
        entries = [dict(zip(self._access_fields, line.split("\t")))
                   for line in self._access_lines()[self._access_mark:]]
        return [entry for entry in entries if int(entry["began"]) >= self._since]

    def tail(self, size: int = 4000) -> str:
        return f"--- {self.error_log.path}\n{self.error_log.text()[-size:]}"

    # --- inside ----------------------------------------------------------------------------

    def _access_lines(self) -> list[str]:
        if not self._access_log.exists():
            return []
        return self._access_log.read_text(errors="replace").splitlines()

    def _times_ready(self) -> int:
        log = self.error_log.path
        return log.read_text(errors="replace").count(READY) if log.exists() else 0

    def _make_directories(self) -> None:
        self.root.mkdir(parents=True)
        (self.root / "run").mkdir()
        (self.root / "tmp").mkdir()
        (self.root / "tmp").chmod(0o1777)


def _module_lines(mpm: str, modules: Iterable[str], own: Mapping[str, Path], tls: bool) -> str:
    names = list(dict.fromkeys([f"mpm_{mpm}", *modules, *(TLS_MODULES if tls else ())]))
    return "\n".join(load_module(name, own.get(name)) for name in names)


def _sizes(mpm: str, processes: int, threads: int) -> dict[str, object]:
    """Small, and constant: the number of children is what tests are about. During a graceful
    restart two generations live side by side, hence the higher ServerLimit."""
    if mpm == "prefork":
        most = max(32, processes)
        return {"processes": processes, "server_limit": 2 * most, "workers": most,
                "threads": f"MinSpareServers {processes}\nMaxSpareServers {most}"}
    workers = processes * threads
    return {"processes": processes, "server_limit": 4 * processes, "workers": workers,
            "threads": f"ThreadLimit {max(64, threads)}\nThreadsPerChild {threads}\n"
                       f"MinSpareThreads 1\nMaxSpareThreads {workers}"}


def _faketime(clock_file: Path) -> dict[str, str]:
    """The environment of a threaded program whose clock is read from a file at every call."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock_file),
            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
