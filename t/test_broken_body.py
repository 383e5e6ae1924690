# SPDX-License-Identifier: Apache-2.0
"""A client that breaks off the posted login form, stalls in it or lies about its length."""

import pytest

from lab.ad import PASSWORDS
from lab.frontdoor import COOKIE, Visitor
from lab.login_form import tag_of
from lab.raw_form import BODY, post_raw, reset, shut_down, stay

BROKEN = {
    "stops": (["Content-Length: 5000"], BODY, shut_down),
    "stops at once": (["Content-Length: 5000"], b"", shut_down),
    "stalls": (["Content-Length: 5000"], BODY, stay),
    "resets": (["Content-Length: 5000"], BODY, reset),
    "stops in a chunk": (["Transfer-Encoding: chunked"], b"200\r\n" + BODY, shut_down),
    "stops between chunks": (["Transfer-Encoding: chunked"], b"3\r\nx=1\r\n", shut_down),
    "stops before the last chunk": (["Transfer-Encoding: chunked"],
                                    b"%x\r\n%s\r\n" % (len(BODY) + 38, BODY), shut_down),
    "no chunk": (["Transfer-Encoding: chunked"], b"zz\r\n" + BODY, shut_down),
    "negative chunk": (["Transfer-Encoding: chunked"], b"-5\r\n" + BODY, shut_down),
    "huge chunk": (["Transfer-Encoding: chunked"], b"ffffffffffffffff1\r\n" + BODY, shut_down),
    "100 MB announced": (["Content-Length: 104857600"], BODY + 20_000 * b"y", stay),
    "100 MB in chunks": (["Transfer-Encoding: chunked"], b"6400000\r\n" + 20_000 * b"y", stay),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_body(plain_protected, case):
    headers, body, end = BROKEN[case]
    uri, answer = post_raw(plain_protected, headers, body, end)
    if end is not reset:
        # httpd itself refuses a size that does not fit its number.
        status = b"413" if case == "huge chunk" else b"400"
        assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
        assert answer.count(b"HTTP/1.1 ") == answer.count(b"</html>") == 1, answer
    assert COOKIE.encode() + b"=" not in answer
    assert tag_of(plain_protected, uri) == "EAS1092"
    assert Visitor(plain_protected).log_on("alice", PASSWORDS["alice"], "/owa/").status == 303


@pytest.mark.parametrize("headers", [["Content-Length: x"], ["Content-Length: -1"],
                                     ["Content-Length: 5, 6"], ["Transfer-Encoding: gzip"],
                                     ["Content-Length: 99999999999999999999999999"],
                                     ["Transfer-Encoding: chunked, gzip"]], ids=str)
def test_framing_that_httpd_itself_refuses(plain_protected, headers):
    _, answer = post_raw(plain_protected, headers, BODY, shut_down)
    assert answer.startswith(b"HTTP/1.1 400 "), answer[:100]
    assert COOKIE.encode() + b"=" not in answer


@pytest.mark.smoke
def test_a_body_that_is_too_long_is_not_asked_for(plain_protected):
    """A client that announces much would hold a thread for long."""
    uri, answer = post_raw(plain_protected,
                           ["Content-Length: 104857600", "Expect: 100-continue"], b"", shut_down)
    assert answer.startswith(b"HTTP/1.1 400 "), answer[:200]
    assert tag_of(plain_protected, uri) == "EAS1092"
