# SPDX-License-Identifier: Apache-2.0
"""Instructions in user space, which valgrind counts: figures that another machine repeats."""

import re
import shutil
import subprocess
from pathlib import Path

from lab.gateway import Gateway
from lab.httpd import BINARY, USER, load_module
from lab.programs import compiled
from lab.wait import answers

from . import conf
from .load import Headers
from .rig import session
from .warm import Bench

WARM_UP = 50
# The parts of a request that the page of the benchmark has, with all that they call.
WITHIN = "of that, "
PARTS = (
    ("token", "eas_token_make"),
    (f"{WITHIN}encryption and checksum of the authenticator", "eas_ticket_key_encrypt"),
    (f"{WITHIN}base64 of the authenticator", "set_value"),
    ("user", "hook_check_authn"),
    ("target, ticket, variables", "eas_prepare_attempt"),
    ("wait for the response, and for the client's end", "eas_await_read"),
    ("response", "response_filter"),
    ("connection of the user", "eas_conn_pools_take"),
    ("headers of Exchange's front end", "eas_front_end_strip"),
)
# valgrind takes its time.
CONF = """
Timeout 120
ProxyTimeout 120
EasKcdKdcTimeout 60s
{module}
<Location "/callgrind">
    SetHandler callgrind
</Location>
"""


class Counted:
    """A gateway of one process below callgrind, which counts between two requests."""

    def __init__(self, bench: Bench) -> None:
        rig = bench.rig
        self._requests = bench.effort.counted
        text = CONF.format(module=load_module("callgrind", _switch(rig.path)))
        text += conf.bare("/bare", rig.backend) + conf.fixed("/fixed", rig.backend, rig.token)
        self.gateway: Gateway = rig.gateway("counted", text + rig.mail(), processes=1, threads=4)
        self.root = self.gateway.root
        shutil.chown(self.root, USER)       # where valgrind writes, after httpd has changed its user
        daemon = self.gateway.daemon
        daemon.command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--vgdb=no",
                          "--quiet", f"--callgrind-out-file={self.root}/callgrind.out",
                          BINARY, "-f", str(self.gateway.conf_file), "-X"]
        daemon.start(lambda: answers(self.gateway.port), timeout=120)
        self._dumps = 0
        self._switches = self._count("/bare", (), 0)

    def each(self, path: str, headers: Headers = ()) -> float:
        """Instructions of a request, after some that are not counted."""
        self._ask(path, headers, WARM_UP)
        return (self._count(path, headers, self._requests) - self._switches) / self._requests

    def parts(self) -> dict[str, float]:
        """The instructions of each part in a request of the latest count."""
        said = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100",
                               f"{self.root}/callgrind.out.{self._dumps}"], check=True, text=True,
                              capture_output=True).stdout
        lines = re.findall(r"^ *([\d,]+) \([ .\d]+%\) +\S+?:(\w+)(?:'\d+)? ", said, re.MULTILINE)
        found: dict[str, float] = {}
        for number, function in lines:      # a function that calls itself has several
            found[function] = max(found.get(function, 0),
                                  int(number.replace(",", "")) / self._requests)
        return found

    def _count(self, path: str, headers: Headers, number: int) -> int:
        self._ask("/callgrind?start", (), 1)
        self._ask(path, headers, number)
        self._ask("/callgrind?dump", (), 1)
        self._dumps += 1
        return _total(Path(f"{self.root}/callgrind.out.{self._dumps}"))

    def _ask(self, path: str, headers: Headers, number: int) -> None:
        with self.gateway.client(timeout=60) as client:
            for _ in range(number):
                if (answer := client.get(path, headers=headers)).status != 200:
                    raise RuntimeError(f"{path}: {answer.status}")


def _switch(directory: Path) -> Path:
    """The module that starts and ends a count."""
    return compiled(directory / "mod_callgrind.so", Path(__file__).with_name("mod_callgrind.c"),
                    packages=("apr-1",), options=("-shared", "-fPIC", "-I/usr/include/apache2"))


def _total(dump: Path) -> int:
    return int(re.findall(r"^totals: (\d+)", dump.read_text(), re.MULTILINE)[-1])


def instructions(bench: Bench) -> None:
    """Instructions in user space of a warm request, as callgrind counts them."""
    counted, figure = Counted(bench), bench.results.figure
    bare, without = counted.each("/bare"), counted.parts()
    bench.results.note("instructions", "bare proxy", f"{bare:,.0f} a request")
    figure("instructions.bare.number", bare)
    fixed = counted.each("/fixed", bench.rig.basic("alice"))
    bench.results.note("instructions", "bare proxy that gets Basic's header and sends one token "
                       "again and again", f"{fixed:,.0f} a request, {fixed - bare:,.0f} more")
    figure("instructions.fixed.number", fixed)
    figure("instructions.fixed", fixed / bare)
    more = []
    # A cookie that is a minute old would be renewed by each request.
    for what, headers in (("Basic", lambda: bench.rig.basic("alice")),
                          ("session", lambda: session(counted.gateway, "bob"))):
        number = counted.each("/mail", headers())
        bench.results.note("instructions", what, f"{number:,.0f} a request, {number / bare:.2f} of "
                           "the bare proxy's")
        figure(f"instructions.{what}.number", number)
        figure(f"instructions.{what}", number / bare)
        more.append({name: count - without.get(name, 0) for name, count in counted.parts().items()})
        for text, function in PARTS:
            figure(f"instructions.{what}.{function}", more[-1].get(function, 0))
        figure(f"instructions.{what}.else", number - bare - sum(
            more[-1].get(function, 0) for text, function in PARTS if not text.startswith(WITHIN)))
    for text, function in PARTS:
        basic, by_session = (parts.get(function, 0) for parts in more)
        bench.results.note("instructions", f"{text}: {function}",
                           f"{basic:,.0f} more than bare by Basic, {by_session:,.0f} by session")
    counted.gateway.stop()
