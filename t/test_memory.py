# SPDX-License-Identifier: Apache-2.0
"""Passwords in the memory of an httpd process, after the answer."""

import base64

import pytest

from lab.ad import PASSWORDS
from lab.exchange import location
from lab.fake_backend import response
from lab.frontdoor import Visitor
from lab.memory import copies
from lab.wait import until

USER = "user07"
RIGHT, WRONG = PASSWORDS[USER], "hopeless-sesame-7"


@pytest.fixture(params=[False, True], ids=["http", "https"])
def gw(request, gateway, fake_backends):
    """One process; malloc() overwrites nothing that is freed, as in production."""
    backend = fake_backends(lambda _: response("200 OK"))
    return gateway("EasKcdRequireTLS Off\n" + location(backend.url), processes=1,
                   tls=request.param, env={"MALLOC_PERTURB_": "0"})


def assert_forgotten(gw, *texts):
    def forgotten():
        return not any(copies(gw.children(), text) for text in texts)
    until(forgotten, 10, f"{texts} to be gone")


@pytest.mark.parametrize("password", [RIGHT, WRONG], ids=["right", "wrong"])
def test_form(gw, password):
    assert Visitor(gw).log_on(USER, password).status == 303
    assert_forgotten(gw, password.encode())


@pytest.mark.parametrize("password", [RIGHT, WRONG], ids=["right", "wrong"])
def test_basic(gw, password):
    """httpd's buffer, or mod_ssl's, keeps the request's head until its memory is used again."""
    pair = base64.b64encode(f"{USER}:{password}".encode())
    assert gw.get("/eas", USER, password).status == (200 if password == RIGHT else 401)
    assert_forgotten(gw, password.encode())
    until(lambda: len(copies(gw.children(), pair)) <= 1, 10, "the header to be gone")
    for copy in copies(gw.children(), pair):
        assert copy.endswith(b"\r\nAuthorization: Basic " + pair)


def test_basic_of_many_requests(gw):
    """On one connection, the head of the last request overwrites those before."""
    pair = base64.b64encode(f"{USER}:{RIGHT}".encode())
    with gw.client() as client:
        for _ in range(5):
            assert client.get("/eas", USER, RIGHT).status == 200
        assert_forgotten(gw, RIGHT.encode())
        assert client.get("/favicon.ico", headers=[("X-Long", 2000 * "x")]).status == 404
        until(lambda: copies(gw.children(), pair) == [], 10, "the header to be gone")
