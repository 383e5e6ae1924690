# SPDX-License-Identifier: Apache-2.0
"""What the lab's authority says about certificates that it has taken back: a list, or OCSP."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from .fake_backend import Request, response
from .tls import Authority, Certificate
from .unique import unique_number

DAY = timedelta(days=1)


def _loaded(certificate: Certificate) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificate.cert.read_bytes())


class Revocation:
    """Of these certificates of the authority."""

    def __init__(self, authority: Authority, *revoked: Certificate) -> None:
        self._path = authority.path
        self._ca = x509.load_pem_x509_certificate(authority.ca_file.read_bytes())
        self._key = serialization.load_pem_private_key(
            authority.ca_file.with_suffix(".key").read_bytes(), None)
        self._revoked = {_loaded(each).serial_number for each in revoked}
        self._known: dict[int, x509.Certificate] = {}

    def crl(self, end: timedelta = DAY) -> Path:
        """A list that is valid for a day from now on, or until *end*."""
        now = datetime.now(timezone.utc)
        made = x509.CertificateRevocationListBuilder(self._ca.subject, now - 2 * DAY, now + end)
        for number in self._revoked:
            made = made.add_revoked_certificate(x509.RevokedCertificateBuilder(
                number, now - DAY).build())
        path = self._path / f"{unique_number()}.crl"
        path.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(
            serialization.Encoding.PEM))
        return path

    def knows(self, *certificates: Certificate) -> "Revocation":
        """OCSP answers about them."""
        for each in map(_loaded, certificates):
            self._known[each.serial_number] = each
        return self

    def __call__(self, request: Request) -> Iterator[bytes | None]:
        """The script of a FakeBackend that is the OCSP responder."""
        asked = ocsp.load_der_ocsp_request(request.body)
        revoked = asked.serial_number in self._revoked
        now = datetime.now(timezone.utc)
        made = ocsp.OCSPResponseBuilder().add_response(
            self._known[asked.serial_number], self._ca, asked.hash_algorithm,
            ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
            now - DAY, now + DAY, now - DAY if revoked else None, None)
        made = made.responder_id(ocsp.OCSPResponderEncoding.NAME, self._ca).certificates(
            [self._ca])
        for extension in asked.extensions:
            made = made.add_extension(extension.value, extension.critical)     # its nonce
        yield response("200 OK", [("Content-Type", "application/ocsp-response")],
                       made.sign(self._key, hashes.SHA256()).public_bytes(
                           serialization.Encoding.DER))
        yield None
