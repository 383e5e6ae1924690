# SPDX-License-Identifier: Apache-2.0
"""An upgrade by a graceful restart. EAS_T_MODULE_BEFORE names the module of the version before; else it
is the one under test, with another version in its bytes. The package's upgrade: package.py."""

import os
import re
import threading
from pathlib import Path

import pytest

from lab.ad import PASSWORDS
from lab.exchange import location
from lab.gateway import module_under_test
from lab.sessions import OWA, holder, log_on, refused, served
from lab.unique import unique_number, unique_path
from lab.wait import until

VERSION = re.search(r"AC_INIT\(\[mod_eas_kcd\], \[(.*)\]\)",
                    (Path(__file__).parents[1] / "configure.ac").read_text())[1]
OLDER = VERSION.replace(".", "-")       # the same length
RETAINED = [b"mod_eas_kcd:shared:", b"mod_eas_kcd:guard:", b"mod_eas_kcd:long-polls:"]


def older(path: Path, formats: bool = False) -> Path:
    """The module as an older version: of the same formats, or of others of the memory."""
    before = os.environ.get("EAS_T_MODULE_BEFORE")
    code = Path(before or module_under_test()).read_bytes()
    if before is None:
        assert f"/{VERSION}\0".encode() in code
        code = code.replace(f"/{VERSION}\0".encode(), f"/{OLDER}\0".encode())
    for name in RETAINED if formats else []:
        code, times = re.subn(name + rb"\d\0", name + b"9\0", code)
        assert times == 1
    path.write_bytes(code)
    return path


@pytest.fixture
def upgrade(gateway, lab_dir, mailbox):
    """upgrade(…): a gateway with the older module, and the function that upgrades it."""
    def start(**options):
        path = older(lab_dir / f"older-{unique_number()}.so", **options)
        gw = gateway(location(mailbox.url, path=OWA), module=path)

        def install():
            new = path.with_suffix(".new")
            new.write_bytes(module_under_test().read_bytes())
            new.rename(path)
            gw.graceful()
            assert f"mod_eas_kcd/{VERSION} " in gw.error_log.text(), "the new version runs"
        return gw, install
    return start


class Phones:
    """Requests without end, from four phones at once."""

    def __init__(self, gw):
        self.answers, self.ended = [], threading.Event()
        self.threads = [threading.Thread(target=self.ask, args=(gw,)) for _ in range(4)]

    def ask(self, gw):
        while not self.ended.is_set():
            try:
                answer = gw.get(unique_path(OWA), "bob", PASSWORDS["bob"])
                self.answers.append(answer.status)
            except OSError as error:
                self.answers.append(repr(error))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        until(lambda: len(self.answers) > 20, 20, "answers to phones")
        return self

    def __exit__(self, *_):
        before = len(self.answers)
        try:
            until(lambda: len(self.answers) > before + 20, 20, "answers of the new version")
        finally:
            self.ended.set()
            for thread in self.threads:
                thread.join()


def test_sessions_and_requests_outlive_an_upgrade(upgrade, mailbox):
    gw, install = upgrade()
    alice, gone = log_on(gw), log_on(gw)
    served(alice)
    cookie = gone.session
    assert gone.sign_out().status == 303
    with Phones(gw) as phones:
        install()
        served(alice)
    assert set(phones.answers) == {200}
    refused(mailbox, holder(gw, cookie))
    assert "EAS3092" not in gw.error_log.text()


def test_records_of_another_format_are_dropped(upgrade, mailbox):
    """Their number is logged, and a session without its evidence ends at the form."""
    gw, install = upgrade(formats=True)
    gw.expect("EAS3092")
    alice = log_on(gw)
    served(alice)
    install()
    refused(mailbox, alice, keep=True)
    served(log_on(gw))
    gw.graceful()
    dropped = re.findall(r"EAS3092: (\d+) records of mod_eas_kcd:(\S+):9 are", gw.error_log.text())
    assert {name: int(n) > 0 for n, name in dropped} == {
        "shared": True, "guard": True, "long-polls": False}
    assert len(dropped) == len(RETAINED), "each once"
