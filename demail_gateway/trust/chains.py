"""From a certificate to an anchor (RFC 5280 §6.1), with pyhanko-certvalidator and the algorithm policy on top.

One mechanism for RSA, NIST and brainpool authorities: `cryptography.x509.verification` refuses the latter. A path takes
1 to 1.5 ms and is kept afterwards. Revocation is not asked here: see `revocation`.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathError, ValidationError
from pyhanko_certvalidator.path import ValidationPath

from demail_gateway.core.errors import CertificateMalformed
from demail_gateway.trust.certificates import parse_certificate, public_key_of
from demail_gateway.trust.keys import is_permitted

_KEPT_PATHS = 1024
_PERMITTED_HASHES = frozenset({"sha256", "sha384", "sha512"})
_UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError)
"""What asn1crypto raises, late, on structures that are not what they say; such a certificate leads nowhere."""


@dataclass(frozen=True, slots=True)
class _Path:
    chain: tuple[bytes, ...]
    not_before: datetime
    not_after: datetime


class PathFinder:
    """Finds paths to fixed anchors. Safe to share between threads.

    Found paths are kept with the span in which all their certificates are valid; what led nowhere is not kept, so that
    nobody can push the good ones out with certificates of his own making.
    """

    def __init__(self, anchors: Sequence[bytes], intermediates: Sequence[bytes] = ()) -> None:
        """DER certificates. Raises CertificateMalformed."""
        self.anchors = tuple(dict.fromkeys(anchors))
        self.intermediates = tuple(dict.fromkeys(intermediates))
        self._anchors = [_parsed(der) for der in self.anchors]
        self._intermediates = [_parsed(der) for der in self.intermediates]
        self._paths: dict[bytes, _Path] = {}

    def find(self, certificate_der: bytes, at: datetime) -> tuple[bytes, ...]:
        """DER from the certificate to an anchor, all valid at `at` and within the policy; empty if there is none.

        A certificate that is an anchor itself is a path of one.

        Raises:
            CertificateMalformed: the certificate cannot be read.
        """
        if certificate_der in self.anchors:
            return (certificate_der,)
        kept = self._paths.get(certificate_der)
        if kept is None or not kept.not_before <= at <= kept.not_after:
            chain = self._search(certificate_der, at)
            if not chain or not _within_policy(chain):
                return ()
            if len(self._paths) >= _KEPT_PATHS:
                self._paths.clear()
            kept = self._paths[certificate_der] = _spanned(chain)
        return kept.chain

    def _search(self, certificate_der: bytes, at: datetime) -> tuple[bytes, ...]:
        parse_certificate(certificate_der)
        try:
            context = ValidationContext(
                trust_roots=self._anchors,
                other_certs=self._intermediates,
                moment=at,
                allow_fetching=False,
                revocation_mode="soft-fail",
            )
            validator = CertificateValidator(
                asn1_x509.Certificate.load(certificate_der, strict=True), validation_context=context
            )
            path = _run(validator.async_validate_path())
            return tuple(certificate.dump() for certificate in reversed(list(path)))
        except (PathError, ValidationError, *_UNREADABLE):
            return ()


def _run(work: Coroutine[Any, Any, ValidationPath]) -> ValidationPath:
    """Result of a coroutine that never waits: it could only wait for the network, and fetching is off.

    So it works inside and outside of an event loop.
    """
    try:
        work.send(None)
    except StopIteration as done:
        path: ValidationPath = done.value
        return path
    work.close()
    raise ValueError("path validation wanted to wait")


def can_be_issuer(der: bytes) -> bool:
    """True if both libraries can read the certificate, so that it may stand among anchors and intermediates."""
    try:
        _parsed(der)
    except CertificateMalformed:
        return False
    return True


def _parsed(der: bytes) -> asn1_x509.Certificate:
    parse_certificate(der)
    try:
        certificate = asn1_x509.Certificate.load(der, strict=True)
        # Read late otherwise, in the middle of somebody else's path.
        _ = certificate.native, certificate.key_usage_value
    except _UNREADABLE as error:
        raise CertificateMalformed("anchor or intermediate cannot be read") from error
    return certificate


def _spanned(chain: tuple[bytes, ...]) -> _Path:
    parsed = [parse_certificate(der) for der in chain]
    return _Path(
        chain,
        max(certificate.not_valid_before_utc for certificate in parsed),
        min(certificate.not_valid_after_utc for certificate in parsed),
    )


def _within_policy(chain: Sequence[bytes]) -> bool:
    """SHA-2 in every signature but the anchor's own, which nothing rests on; IN-12 and IN-14 for every issuer's key.

    The end certificate's key is judged by the caller (row 12 of `integrity.md` §5), who names it.
    """
    issuers = all(is_permitted(public_key_of(der)) for der in chain[1:])
    return issuers and all(signature_hash(parse_certificate(der)) in _PERMITTED_HASHES for der in chain[:-1])


def signature_hash(signed: x509.Certificate | x509.CertificateRevocationList) -> str | None:
    """Name of the hash in the signature of a certificate or revocation list; None if unknown."""
    try:
        algorithm = signed.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
    return None if algorithm is None else algorithm.name
