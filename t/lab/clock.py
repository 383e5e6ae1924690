# SPDX-License-Identifier: Apache-2.0
"""One clock for the KDC, a backend and the gateways that are started with its environment."""

import shlex
from pathlib import Path

from .ad import CAS1, Domain
from .backend import GssBackend
from .httpd import Httpd
from .wait import Daemon, answers


class Clock:
    """The domain's KDC and the backend run at its time; gateways do that get its env. All move
    together, because Kerberos refuses clocks that differ by minutes."""

    def __init__(self, root: Path, domain: Domain) -> None:
        root.mkdir()
        self._first = Httpd(root / "never-started", "", clock=True)     # it has a clock to share
        self.env = {name: value for name, value in self._first.daemon.env.items()
                    if "FAKETIME" in name or name == "LD_PRELOAD"}
        self.domain = domain
        # The same command, at another time.
        self.kdc = Daemon("samba KDC, moved", shlex.split(domain.by_hand()), root / "kdc.log",
                          self.env)
        # Kept connections outlive a move: else the backend closes them while requests use them.
        self.backend = GssBackend(
            root / "cas1", domain.export_keytab(root / "cas1.keytab", [CAS1]), domain.krb5_conf,
            name="cas1.corp.example.test", keep_alive=864000)
        self.backend.daemon.env.update(self.env)

    def start(self) -> "Clock":
        self.domain.stop()
        self.kdc.start(lambda: answers(self.domain.port))
        self.backend.start()
        return self

    def stop(self) -> None:
        self.set()
        self.backend.stop()
        self.kdc.stop()
        self.domain.start()

    def set(self, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Move to so long after the real time."""
        self._first.set_clock(f"{round(hours * 3600 + minutes * 60 + seconds):+}")
