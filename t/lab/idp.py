# SPDX-License-Identifier: Apache-2.0
"""An OpenID Connect provider in some lines: everybody who comes is the user that it is given."""

import base64
import json
import time
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from .fake_backend import Request, response

SECRETS = {"access_token": "Access-token-of-the-provider", "refresh_token": "Refresh-token-of-it"}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Provider:
    """The script of a FakeBackend; *url* is the backend's. *claims* are of the user."""

    def __init__(self, client: str) -> None:
        self.url = ""
        self.claims: dict[str, str] = {}
        self._client = client
        self._key = rsa.generate_private_key(65537, 2048)
        self._nonces: dict[str, str] = {}

    def __call__(self, request: Request) -> bytes:
        path = urlsplit(request.path).path
        answer = {"/.well-known/openid-configuration": self._metadata, "/keys": self._keys,
                  "/token": lambda: self._tokens(parse_qs(request.body.decode())),
                  "/user": lambda: self.claims}[path]()
        return response("200 OK", [("Content-Type", "application/json")],
                        json.dumps(answer).encode())

    def log_on(self, location: str) -> str:
        """Where a browser is led that follows *location* and logs on: back, with a code."""
        asked = {name: value for name, (value,) in parse_qs(urlsplit(location).query).items()}
        assert location.startswith(f"{self.url}/authorize?")
        self._nonces["code"] = asked["nonce"]
        return asked["redirect_uri"] + "?" + urlencode({"code": "code", "state": asked["state"]})

    def _metadata(self) -> dict[str, object]:
        return {"issuer": self.url, "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token", "jwks_uri": f"{self.url}/keys",
                "userinfo_endpoint": f"{self.url}/user", "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                "id_token_signing_alg_values_supported": ["RS256"]}

    def _keys(self) -> dict[str, object]:
        numbers = self._key.public_key().public_numbers()
        return {"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
                          "n": _base64url(numbers.n.to_bytes(256, "big")), "e": "AQAB"}]}

    def _tokens(self, asked: dict[str, list[str]]) -> dict[str, object]:
        now = int(time.time())
        claims = {"iss": self.url, "aud": self._client, "iat": now, "exp": now + 600,
                  "nonce": self._nonces.pop(asked["code"][0])} | self.claims
        signed = ".".join(_base64url(json.dumps(part).encode())
                          for part in ({"alg": "RS256", "kid": "1"}, claims))
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return {"token_type": "Bearer", "expires_in": 600,
                "id_token": f"{signed}.{_base64url(signature)}"} | SECRETS
