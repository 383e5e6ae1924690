# SPDX-License-Identifier: Apache-2.0
"""A browser's part in the login form, without a browser: cookies, hidden fields, redirects."""

import html
import re
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urlencode

from .client import Headers, Response
from .gateway import Gateway

FORM = "/eas-kcd/login"
LOGOUT = "/eas-kcd/logout"
CHANGE = "/eas-kcd/password"
COOKIE = "__Host-eas-kcd"
FORM_COOKIE = COOKIE + "-form"

BROWSER = (("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0"),
           ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"))
PHONE = (("User-Agent", "Apple-iPhone14C3/2001.50"), ("Accept", "*/*"))
NOBODY = ()


@dataclass
class Visitor:
    """Somebody with a cookie jar in front of a gateway."""

    gateway: Gateway
    agent: Headers = BROWSER
    jar: dict[str, str] = field(default_factory=dict)

    def request(self, method: str, path: str, headers: Headers = (), body: bytes | None = None,
                **options: object) -> Response:
        """One request with the jar's cookies; what the answer sets or clears goes into the jar."""
        sent = [*self.agent, *headers]
        if self.jar:
            sent.append(("Cookie", "; ".join(f"{k}={v}" for k, v in self.jar.items())))
        answer = self.gateway.request(method, path, headers=sent, body=body, **options)
        for line in answer.all("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.jar.pop(name, None)
                else:
                    self.jar[name] = morsel.value
        return answer

    def get(self, path: str, headers: Headers = (), **options: object) -> Response:
        return self.request("GET", path, headers, **options)

    def fields(self, path: str = FORM) -> dict[str, str]:
        """The hidden fields of the form."""
        page = self.get(path).body.decode()
        return {name: html.unescape(value) for name, value in re.findall(
            r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)}

    def submit(self, fields: dict[str, str], headers: Headers = (), path: str = FORM) -> Response:
        return self.request("POST", path,
                            [("Content-Type", "application/x-www-form-urlencoded"), *headers],
                            urlencode(fields).encode())

    def sign_out(self, query: str = "") -> Response:
        """What the button of the sign-out page does."""
        return self.request("POST", LOGOUT + query, body=b"")

    def log_on(self, user: str, password: str, destination: str = "/", trusted: bool = False,
               headers: Headers = ()) -> Response:
        """Fetch the form, fill it in, send it."""
        fields = self.fields() | {"username": user, "password": password,
                                  "destination": destination, "trusted": "4" if trusted else "0"}
        return self.submit(fields, headers)

    @property
    def session(self) -> str | None:
        return self.jar.get(COOKIE)
