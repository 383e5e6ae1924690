# SPDX-License-Identifier: Apache-2.0
"""Cold log-ons at a KDC that is not the limit: of MIT Kerberos, with a process for each of several
log-ons at a time."""

from contextlib import closing

from lab.client import basic
from lab.gateway import Gateway
from lab.mit import Mit

from . import conf
from .cold import log_on
from .load import in_turn, request
from .rig import USER_PASSWORD
from .warm import Bench

REALM = "MIT.EXAMPLE.TEST"
KDC_PROCESSES = 4
WARM_UP = 8         # log-ons that find threads and armour


def mit(bench: Bench) -> None:
    """Cold log-ons per second, with a KDC of MIT Kerberos on the same two cores, no delegation."""
    users = [f"many{n:05}" for n in range(2 * (WARM_UP + bench.effort.cold))]
    realm = _realm(bench, users)
    for armor, who in (("Off", users[::2]), ("Try", users[1::2])):
        gateway = _gateway(bench, realm, armor)
        requests = [request("/known", (("Authorization", basic(user, USER_PASSWORD)),))
                    for user in who]
        in_turn(gateway.port, requests[:WARM_UP], 1)
        log_on(bench, f"mit.{armor}", gateway, realm.pid, requests[WARM_UP:])
        gateway.stop()


def _realm(bench: Bench, users: list[str]) -> Mit:
    path = bench.rig.path / "mit"
    realm = bench.rig.stack.enter_context(closing(Mit(path, REALM, processes=KDC_PROCESSES)))
    realm.create()
    for name in ("gateway", "HTTP/gateway.corp.example.test"):
        realm.kadmin(f"addprinc -randkey {name}")
    realm.add_many(users, USER_PASSWORD)
    realm.export_keytab(path / "gateway.keytab", ["gateway", "HTTP/gateway.corp.example.test"])
    return realm.start()


def _gateway(bench: Bench, realm: Mit, armor: str) -> Gateway:
    made = bench.rig.gateway("mit", f"EasKcdArmor {armor}\n" + conf.ours("/known", bench.rig.backend),
                             keytab=realm.path / "gateway.keytab", krb5_conf=realm.krb5_conf)
    made.start()
    bench.rig.lay_out(bench.rig.layouts["shared"], [made])
    return made
