# SPDX-License-Identifier: Apache-2.0
"""A person logs on, works and signs out, as a visitor sees it."""

import pytest

from lab.ad import PASSWORDS, REALM
from lab.frontdoor import FORM, Visitor
from lab.wait import until


@pytest.mark.smoke
def test_a_person_logs_on_works_and_signs_out(webmail):
    visitor = Visitor(webmail)
    first = visitor.get("/owa/?ae=Folder")
    assert first.status == 302
    assert first.header("Location") == FORM + "?destination=%2fowa%2f%3fae%3dFolder"
    assert first.header("WWW-Authenticate") is None
    done = visitor.log_on("alice", PASSWORDS["alice"], "/owa/?ae=Folder")
    assert done.status == 303
    assert done.header("Location") == "/owa/?ae=Folder"
    until(lambda: len(webmail.requests()) >= 3, 5, "the log-on's log lines")
    webmail.mark()
    assert visitor.get("/owa/x").json()["remote_user"] == f"alice@{REALM}"
    assert webmail.logged()["EAS_KCD_AUTH"] == "session"
    out = visitor.sign_out()
    assert out.status == 303 and out.header("Location") == FORM + "?reason=signed-out"
    assert visitor.session is None
    assert visitor.get("/owa/x").status == 302
