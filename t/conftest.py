# SPDX-License-Identifier: Apache-2.0
"""Fixtures: the lab, set up once per session and lazily, and gateways per test or per module.

EAS_T_MODULE=FILE   the module to test, instead of .libs/mod_eas_kcd.so
EAS_T_SANITIZER=FILE  libasan, where EAS_T_MODULE is built with it (build/check --asan)
EAS_T_TOKEN=gssapi  EasKcdToken of all gateways that do not say it themselves
EAS_T_POOL_DEBUG=FILE  libapr, where it is built with pool debugging (build/check --pool-debug)
EAS_T_AD_ROOT=DIR   a newer Debian, whose Samba is the Active Directory (make check-newer-ad)
EAS_T_BACKENDS=1    the tests of other backends, too (make check-backends)
EAS_T_KEEP=1        keep the directory, and say how to start each daemon by hand
CI=true             a skipped test is a failed test: a missing tool must not look like success
"""

import os
import resource
import shutil
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from lab import ad, sanitizer
from lab.activesync import Exchange
from lab.ad import CAS1, CAS2, CAS3, ROGUE, Domain
from lab.backend import GssBackend
from lab.examples import in_the_lab, modules_for
from lab.exchange import UNGUARDED, location
from lab.fake_backend import FakeBackend, Request, Script, response
from lab.gateway import Gateway, module_under_test
from lab.kerberos import Acceptor
from lab.names import BACKENDS, GATEWAY, ensure_names
from lab.parking import Held
from lab.pings import Pings
from lab.redis import Redis
from lab.relay import Relay
from lab.simulated import FirstUser, Keeper, PerRequest
from lab.tls import Authority, Certificate
from lab.unique import unique_number
from lab.wait import free_port

BY_HAND = pytest.StashKey[list[str]]()
FAILED = pytest.StashKey[bool]()
LEFT_OUT = pytest.StashKey[Counter[str]]()
DESCRIPTORS = 65536
SERVICES = {"cas1": "backend1", "cas2": "backend2", "cas3": "backend3"}


# --- how pytest itself behaves ---------------------------------------------------------------

def pytest_configure(config: pytest.Config) -> None:
    config.stash[BY_HAND] = []
    config.stash[LEFT_OUT] = Counter()
    # Enough for the servers, whatever the shell's limit is.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    enough = most if most != resource.RLIM_INFINITY and most < DESCRIPTORS else DESCRIPTORS
    resource.setrlimit(resource.RLIMIT_NOFILE, (enough, most))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that cannot run with a sanitizer, or with this Samba, are not collected; the summary
    says why."""
    left_out = ["no_sanitizer"] * bool(sanitizer.LIBRARY) + ["newer_ad"] * (not ad.ROOT) \
        + ["app_servers"] * ("EAS_T_BACKENDS" not in os.environ)
    for name in left_out:
        marks = {item: item.get_closest_marker(name) for item in items}
        out = [item for item in items if marks[item]]
        config.stash[LEFT_OUT].update(mark.args[0] for mark in marks.values() if mark)
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if not marks[item]]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Remember failures for the fixtures' teardown; in CI, nothing may be skipped."""
    report = (yield).get_result()
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for reason, number in config.stash[LEFT_OUT].items():
        terminalreporter.write_line(f"left out: {number} tests: {reason}")
    if config.stash[BY_HAND]:
        terminalreporter.section("kept by EAS_T_KEEP, to be started by hand")
        for line in config.stash[BY_HAND]:
            terminalreporter.write_line(line)


# --- one per session -------------------------------------------------------------------------

@pytest.fixture(scope="session")
def lab_dir() -> Iterator[Path]:
    """The one directory of this session; www-data must be able to pass through it."""
    path = Path(tempfile.mkdtemp(prefix="eas-lab-"))
    path.chmod(0o755)
    yield path
    if not os.environ.get("EAS_T_KEEP"):
        shutil.rmtree(path)


@pytest.fixture(scope="session")
def by_hand(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Note how a daemon is started, for EAS_T_KEEP."""
    def note(line: str) -> None:
        if os.environ.get("EAS_T_KEEP"):
            pytestconfig.stash[BY_HAND].append(line)
    return note


@pytest.fixture(scope="session")
def domain(lab_dir: Path, by_hand: Callable[[str], None]) -> Iterator[Domain]:
    """The Active Directory. This process's own Kerberos uses it too, without ambient tickets."""
    with closing(Domain(lab_dir / "ad")) as made, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5_CONFIG", str(made.krb5_conf))
        patch.setenv("KRB5CCNAME", f"FILE:{lab_dir}/no-ccache")
        patch.setenv("TMPDIR", str(lab_dir))
        by_hand(made.by_hand())
        yield made.create()


@pytest.fixture(scope="session")
def rogue_domain(lab_dir: Path) -> Iterator[Domain]:
    """A domain controller that claims to be ours, and is not."""
    with closing(Domain(lab_dir / "rogue", ROGUE)) as made:
        yield made.create()


@pytest.fixture
def other(domain: Domain) -> str:
    """Another gateway's account, which a test may spoil."""
    name = f"spoilt{unique_number()}"
    domain.add_gateway(name, f"HTTP/{name}.corp.example.test")
    domain.allow_delegation(name, [CAS1])
    domain.allow_protocol_transition(name)
    return name


@pytest.fixture(scope="session")
def authority(lab_dir: Path) -> Authority:
    return Authority(lab_dir / "tls")


@pytest.fixture(scope="session")
def backends(lab_dir: Path, domain: Domain, authority: Authority,
             by_hand: Callable[[str], None]) -> Iterator[Callable[..., GssBackend]]:
    """backends("cas1", tls=False, connection_bound=False): started when first asked for, then
    shared; its logs are marked each time, unless mark=False. cas3 exists, but nobody may delegate
    to it."""
    made: dict[tuple[str, bool, bool], GssBackend] = {}
    ensure_names()

    def start(short: str, tls: bool, connection_bound: bool) -> GssBackend:
        name = f"{short}.corp.example.test"
        root = lab_dir / f"{short}{'-tls' * tls}{'-bound' * connection_bound}"
        keytab = domain.export_keytab(lab_dir / f"{root.name}.keytab", [f"HTTP/{name}"])
        backend = GssBackend(root, keytab, domain.krb5_conf, name=name,
                             connection_bound=connection_bound,
                             tls=authority.certificate(name) if tls else None)
        by_hand(backend.daemon.by_hand())
        backend.start()
        return backend

    def get(short: str, tls: bool = False, connection_bound: bool = False,
            mark: bool = True) -> GssBackend:
        wanted = (short, tls, connection_bound)
        if wanted not in made:
            made[wanted] = start(*wanted)
        if mark:
            made[wanted].begin()
        return made[wanted]

    yield get
    for backend in made.values():
        backend.stop()


@pytest.fixture(scope="session")
def keeper(domain: Domain, lab_dir: Path) -> Keeper:
    """Holds the keys of all the backends."""
    keytab = domain.export_keytab(lab_dir / "keeper.keytab", [CAS1, CAS2, CAS3])
    return Keeper(Acceptor(keytab))


# --- one per test ----------------------------------------------------------------------------

@pytest.fixture
def relay(lab_dir: Path, domain: Domain) -> Iterator[Relay]:
    """A relay in front of the domain's KDC; give its krb5_conf to whom it is meant for."""
    made = Relay(lab_dir / f"relay-{unique_number()}.conf", domain.port).start()
    yield made
    made.stop()


@pytest.fixture
def fake_backends(authority: Authority, keeper: Keeper, shared: "Shared",
                  ) -> Iterator[Callable[..., FakeBackend]]:
    """fake_backends(script, "cas1", tls=False): a backend that does what the script says.

    It proves itself to whoever sends a token, unless proves=False, or the answer is not in one
    piece. With reuse=True the module has one for all its tests, and each gives it its script. All
    else goes to FakeBackend."""
    made: list[FakeBackend] = []
    ensure_names()

    def start(script: Script, short: str = "cas1", tls: bool | Certificate = False,
              proves: bool = True, reuse: bool = False, **options: Any) -> FakeBackend:
        key = repr((short, tls, proves, options))
        if reuse and key in shared.backends:
            return shared.backends[key].begin(script)
        name = f"{short}.corp.example.test"
        certificate = authority.certificate(name) if tls is True else tls or None
        backend = FakeBackend(script, name, certificate, keeper.proof if proves else None,
                              **options)
        backend.start()
        if reuse:
            shared.backends[key] = backend
        else:
            made.append(backend)
        return backend

    yield start
    for backend in made:
        backend.stop()


@pytest.fixture
def redis(lab_dir: Path) -> Iterator[Redis]:
    server = Redis(lab_dir / f"redis-{unique_number()}").start()
    yield server
    server.stop()


@pytest.fixture
def secret(lab_dir: Path) -> Callable[..., Path]:
    """secret("old"): a file with 48 random bytes, for root alone."""
    def make(name: str = "secret", content: bytes | None = None, mode: int = 0o600) -> Path:
        path = lab_dir / f"{name}-{unique_number()}"
        path.write_bytes(os.urandom(48) if content is None else content)
        path.chmod(mode)
        return path
    return make


@pytest.fixture
def token() -> str:
    """EasKcdToken of the gateways; a test with both_tokens runs in each setting."""
    return os.environ.get("EAS_T_TOKEN", "native")


@pytest.fixture
def gateway(request: pytest.FixtureRequest, lab_dir: Path, domain: Domain, authority: Authority,
            shared: "Shared", by_hand: Callable[[str], None], token: str,
            ) -> Iterator[Callable[..., Gateway]]:
    """gateway(conf, …): a started httpd with the module, on TLS unless tls=False.

    account= is whose keytab it gets ("gateway", "gateway2", None for none), krb5_conf= which
    KDC it sees (a relay's, say), start=False leaves starting to the test; all else goes to
    Httpd. In the end it is stopped, and its error log may hold nothing that the test did not
    expect(). With reuse=True the module's tests share it where they ask for the same one.
    """
    made: list[Gateway] = []
    reused: list[Gateway] = []
    ensure_names()

    def start(conf: str = "", *, account: str | None = "gateway", tls: bool = True,
              krb5_conf: Path | None = None, start: bool = True, reuse: bool = False,
              **options: Any) -> Gateway:
        if not module_under_test().exists():
            pytest.skip(f"{module_under_test()} is not built")
        if token != "native":
            conf = f"EasKcdToken {token}\n{conf}"
        key = repr((conf, account, tls, krb5_conf, options))
        if reuse and key in shared.gateways:
            reused.append(shared.gateways[key].begin())
            return reused[-1]
        root = lab_dir / f"gateway-{unique_number()}"
        keytab = _gateway_keytab(domain, account, root.with_suffix(".keytab"))
        made.append(Gateway(root, conf, keytab=keytab, krb5_conf=krb5_conf or domain.krb5_conf,
                            ca_file=authority.ca_file,
                            tls=authority.certificate(GATEWAY) if tls else None, **options))
        gw = made[-1]
        by_hand(gw.daemon.by_hand())
        if start:
            gw.start()
        if reuse:
            shared.gateways[key] = gw
            reused.append(made.pop())
        return gw

    yield start
    for gw in made:
        gw.stop()
    if request.node.stash.get(FAILED, False):
        print(*(gw.tail() for gw in made + reused), sep="\n")
        shared.drop(reused)       # the next test gets another one
    else:
        for gw in made + reused:
            gw.check_log()


@pytest.fixture
def example(gateway: Callable[..., Gateway], domain: Domain, authority: Authority, lab_dir: Path,
            ) -> Callable[..., Gateway]:
    """example(block, …): a gateway with an example of the pages as its configuration, not yet
    started; *more* is replaced before."""
    def make(block: str, account: str = "gateway", tls: bool = False,
             more: dict[str, object] = {}, **options: Any) -> Gateway:
        for text, instead in more.items():
            block = block.replace(text, str(instead))
        block = in_the_lab(block, lab_dir, domain, authority, account)
        return gateway(block, start=False, tls=tls, modules=modules_for(block),
                       account=None if "EasKcdKeytab" in block else account, **options)
    return make


@pytest.fixture
def running(example: Callable[..., Gateway], backends: Callable[..., GssBackend],
            ) -> Callable[..., tuple[Gateway, int]]:
    """running(block, …): the example's gateway, serving cas1, and the port of its https."""
    def start(block: str, account: str = "gateway", more: dict[str, object] = {},
              **options: Any) -> tuple[Gateway, int]:
        port = free_port()
        gw = example(f"Listen 127.0.0.1:{port}\n{block}", account, more={
            "*:443": f"127.0.0.1:{port}",
            "https://cas1.corp.example.com": backends("cas1", tls=True).url} | more, **options)
        gw.start()
        return gw, port
    return start


class Shared:
    """The gateways and backends that tests of one module share."""

    def __init__(self) -> None:
        self.gateways: dict[str, Gateway] = {}
        self.backends: dict[str, FakeBackend] = {}

    def drop(self, unwanted: list[Gateway]) -> None:
        for gw in unwanted:
            gw.stop()
        self.gateways = {key: gw for key, gw in self.gateways.items() if gw not in unwanted}

    def close(self) -> None:
        with ThreadPoolExecutor(4) as pool:     # httpd takes a moment to stop, without work
            list(pool.map(lambda gw: gw.begin().stop(), self.gateways.values()))
        for backend in self.backends.values():
            backend.stop()
        for gw in self.gateways.values():
            gw.check_log()      # how it has ended


@pytest.fixture(scope="module")
def shared(domain: Domain) -> Iterator[Shared]:
    made = Shared()
    yield made
    made.close()


# --- gateways that many tests want ------------------------------------------------------------

@pytest.fixture
def ok_backend(fake_backends: Callable[..., FakeBackend]) -> FakeBackend:
    return fake_backends(lambda _: response("200 OK", body=b"protected"), reuse=True)


@pytest.fixture
def protected(gateway: Callable[..., Gateway], ok_backend: FakeBackend) -> Iterator[Gateway]:
    """A gateway with everything below one protected `/`, whose backend must not be reached."""
    yield gateway(location(ok_backend.url + "/", path="/"), reuse=True)
    assert ok_backend.requests == []


@pytest.fixture
def plain_protected(gateway: Callable[..., Gateway], ok_backend: FakeBackend) -> Iterator[Gateway]:
    """The same over plain HTTP, for bytes that no HTTP client would send."""
    yield gateway("EasKcdRequireTLS Off\nTimeout 2\n" + location(ok_backend.url + "/", path="/"),
                  tls=False, reuse=True)
    assert ok_backend.requests == []


@pytest.fixture(scope="session")
def acceptor(domain: Domain, lab_dir: Path) -> Acceptor:
    """Holds the key of cas1."""
    return Acceptor(domain.export_keytab(lab_dir / "acceptor.keytab", [CAS1]))


@pytest.fixture
def mailbox(fake_backends: Callable[..., FakeBackend], acceptor: Acceptor) -> FakeBackend:
    """A backend that answers with the name of the user whose token came."""
    def answer(request: Request) -> bytes:
        if request.authorization is None:
            return response("200 OK", body=b"nobody")
        accepted = acceptor.accept(request.authorization)
        return response("200 OK", [("WWW-Authenticate", accepted.www_authenticate)],
                        accepted.user.encode())
    return fake_backends(answer, reuse=True)


@pytest.fixture
def exchange(fake_backends: Callable[..., FakeBackend], acceptor: Acceptor,
             ) -> Iterator[Callable[..., tuple[Exchange, FakeBackend]]]:
    """exchange(heartbeat): (a scripted ActiveSync server, its backend)."""
    made: list[Exchange] = []

    def start(heartbeat: float = 60, **options: Any) -> tuple[Exchange, FakeBackend]:
        made.append(Exchange(acceptor, heartbeat))
        return made[-1], fake_backends(made[-1], **options)
    yield start
    for server in made:
        server.change()     # its Pings end


@pytest.fixture
def pings() -> Iterator[Callable[..., Pings]]:
    """pings(gateway, server)"""
    made = []

    def start(gw: Gateway, server: Any) -> Pings:
        made.append(Pings(gw, server))
        return made[-1]
    yield start
    for each in made:
        each.close()


@pytest.fixture
def closed(gateway: Callable[..., Gateway], backends: Callable[..., GssBackend],
           ) -> Iterator[Callable[..., Gateway]]:
    """closed(*lines): a gateway with everything below `/`, where no request without a user reaches
    the backend."""
    cas1 = backends("cas1")

    def start(*lines: str, **options: Any) -> Gateway:
        return gateway(UNGUARDED + location(f"{cas1.url}/", *lines, path="/", **options),
                       reuse=True)
    yield start
    assert cas1.requests() == []


@pytest.fixture
def per_request(keeper: Keeper) -> PerRequest:
    return PerRequest(keeper.acceptor)


@pytest.fixture
def first_user(keeper: Keeper) -> FirstUser:
    return FirstUser(keeper.acceptor)


@pytest.fixture
def browser(lab_dir: Path, authority: Authority) -> Iterator[Callable[..., Any]]:
    """browser(javascript=True, …): a new Chromium (lab.browser), with an empty profile."""
    pytest.importorskip("selenium")
    from lab.browser import Browser
    made = []

    def start(**options: Any) -> Browser:
        made.append(Browser(lab_dir / f"browser-{unique_number()}",
                            *(authority.certificate(name) for name in (GATEWAY, *BACKENDS)),
                            **options))
        return made[-1]

    yield start
    for one in made:
        one.quit()


@pytest.fixture
def webmail(gateway: Callable[..., Gateway], backends: Callable[..., GssBackend]) -> Gateway:
    """A gateway whose backend at /owa returns the user's name and the request."""
    return gateway(location(backends("cas1").url, path="/owa"), reuse=True)


def _gateway_keytab(domain: Domain, account: str | None, path: Path) -> Path | None:
    """The account's own name, which can be a client, and its SPN, for which tickets are."""
    if account is None:
        return None
    return domain.export_keytab(path, [account, f"HTTP/{account}.corp.example.test"])


@pytest.fixture
def held(fake_backends, keeper):
    """held(*answers, **options): the script and its backend."""
    made = []

    def start(*answers, **options):
        made.append(Held(keeper, *answers))
        return made[-1], fake_backends(made[-1], proves=False, **options)
    yield start
    for script in made:
        script.release()
