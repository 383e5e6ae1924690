# SPDX-License-Identifier: Apache-2.0
"""The httpd that carries the module under test."""

import os
import subprocess
from pathlib import Path
from typing import Any, Iterable

from . import sanitizer
from .client import Client, Headers, Response
from .httpd import BASIC_MODULES, Httpd
from .wait import until

TOP = Path(__file__).parents[2]

# The default order; the module under test must do anywhere in it. (httpd's own rule still holds:
# mod_proxy comes before the modules that link to it, else they do not load.)
MODULES = (*BASIC_MODULES, "auth_basic", "proxy", "proxy_http", "slotmem_shm", "proxy_balancer",
           "lbmethod_byrequests", "socache_shmcb", "ssl", "eas_kcd")

SHOWN = ("EAS_KCD_USER", "EAS_KCD_AUTH", "EAS_KCD_SPN", "EAS_KCD_TICKET", "EAS_KCD_KDC_US",
         "EAS_KCD_ERROR", "EAS_KCD_TRUST", "EAS_KCD_LOCKOUT", "EAS_KCD_FAILURES", "EAS_COMMAND",
         "EAS_USER", "EAS_DEVICE_ID", "EAS_DEVICE_TYPE", "EAS_PROTOCOL_VERSION", "EAS_POLICY_KEY",
         "EAS_KCD_PARKED", "EAS_KCD_ACCOUNT", "EAS_KCD_UPN")

# With three of these, the circuit opens: that is logged, too.
OF_AN_OUTAGE = {"EAS1036", "EAS1039", "EAS1041", "EAS1250", "EAS1254", "EAS2010", "EAS2013",
                "EAS2014", "EAS2021"}


def module_under_test() -> Path:
    """The freshly built module: EAS_T_MODULE, else the one at the top of this tree."""
    built = TOP / ".libs" / "mod_eas_kcd.so"
    return Path(os.environ.get("EAS_T_MODULE", built)).resolve()


def _variant(name: str) -> Path:
    """A variant of the module that make builds for tests."""
    subprocess.run(["make", "-s", "-C", TOP, f"t/{name}/mod_eas_kcd.la"], check=True)
    return TOP / "t" / name / ".libs" / "mod_eas_kcd.so"


def module_without_veto() -> Path:
    """Pooled connections do not veto their use."""
    return _variant("no-veto")


def module_by_gssapi() -> Path:
    """For a libkrb5 without krb5_get_credentials_for_user()."""
    return _variant("s4u-by-gssapi")


class Gateway(Httpd):
    """An Httpd with our module, or with *module*, and a log of the environment that it sets.

    Each entry of requests() has the names in *shown* too, "-" where a variable is not set, and the
    pid of the child.
    """

    def __init__(self, root: Path, conf: str, *, keytab: Path | None, krb5_conf: Path,
                 ca_file: Path | None = None, modules: Iterable[str] = MODULES,
                 env: dict[str, str] | None = None, module: Path | None = None,
                 shown: Iterable[str] = SHOWN, **options: Any) -> None:
        # No ambient credentials, unless a test poisons them on purpose.
        ambient = {"KRB5_CONFIG": str(krb5_conf), "KRB5CCNAME": f"FILE:{root}/no-ccache",
                   "KRB5_KTNAME": f"FILE:{root}/no-keytab"}
        if not options.get("clock"):
            ambient |= sanitizer.environment(root)
        elif sanitizer.LIBRARY:
            raise RuntimeError("this test moves the clock, and lacks the mark moves_clock")
        if keytab is not None:
            conf = f'EasKcdKeytab "{keytab}"\n{conf}'
        options.setdefault("log_level", "notice eas_kcd:trace8")
        own = {"eas_kcd": module or module_under_test(), **options.pop("own_modules", {})}
        super().__init__(root, conf, modules=modules, env=ambient | (env or {}), own_modules=own,
                         access_fields={"pid": "%P"} | {name: f"%{{{name}}}e" for name in shown},
                         **options)
        self.keytab = keytab
        self._ca_file = ca_file
        self._expected: set[str] = set()
        self._allowed: set[str] = set()
        self._begin = 0         # of this test, in the error log
        self._sent: dict[str | None, int] = {}      # when client() began the latest request, for a
        # path and in all (None), as now() counts

    def expect(self, *tags: str) -> None:
        """Name log tags (EASnnnn, AHnnnnn) that this test provokes: each must be logged by its
        end. Refusals of a user or a request are logged as info and need no naming."""
        self._expected.update(tags)

    def allow(self, *tags: str, because: str) -> None:
        """Name log tags that chance or a parameter decides about, and say why."""
        assert because
        self._allowed.update(tags)

    def begin(self) -> "Gateway":
        """Nothing logged and nothing expected so far: another test begins."""
        self.await_clients()
        super().begin()
        self._begin = self.error_log.size()
        self._expected.clear()
        self._allowed.clear()
        return self

    def tail(self, size: int = 4000) -> str:
        return super().tail(size) + sanitizer.reports(self.root)

    def check_log(self) -> None:
        assert not (found := sanitizer.reports(self.root)), found
        named = self._expected | self._allowed
        outage = {"EAS1258"} if named & OF_AN_OUTAGE else set()
        self.error_log.assert_only_tags(*named, *outage)
        self.error_log.assert_tags(*self._expected, start=self._begin)

    def logged(self, path: str | None = None) -> dict[str, str]:
        """The access log's entry of the latest request of client(), or of the latest one for this
        path. httpd writes it after it has sent the answer."""
        def entries() -> list[dict[str, str]]:
            return [entry for entry in self.requests()
                    if path in (None, entry["uri"])
                    and int(entry["began"]) >= self._sent.get(path, 0)]
        return until(entries, 5, f"an access log entry for {path or 'any path'}")[-1]

    def client(self, **options: Any) -> Client:
        """A kept-alive connection to it."""
        return Client(self.port, self.tls, self._ca_file if self.tls else None,
                      before=self._note_request, **options)

    def _note_request(self, path: str) -> None:
        self._sent[path] = self._sent[None] = self.now()

    def request(self, method: str, path: str, user: str | None = None,
                password: str | None = None, headers: Headers = (),
                body: bytes | None = None) -> Response:
        """One request on a connection of its own."""
        with self.client() as client:
            return client.request(method, path, user, password, headers, body)

    def get(self, path: str, user: str | None = None, password: str | None = None,
            headers: Headers = ()) -> Response:
        return self.request("GET", path, user, password, headers)

    def post(self, path: str, body: bytes, user: str | None = None, password: str | None = None,
             headers: Headers = ()) -> Response:
        return self.request("POST", path, user, password, headers, body)
