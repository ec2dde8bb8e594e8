"""Revocation lists (RFC 5280 §5, §6.3): read once, indexed once, asked for the status at a stated moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from demail_gateway.core.errors import CertificateMalformed
from demail_gateway.core.primitives import CertificateStatus
from demail_gateway.trust.certificates import parse_certificate, public_key_of
from demail_gateway.trust.chains import signature_hash

_PEM_BEGIN = b"-----BEGIN X509 CRL-----"
_PEM_END = b"-----END X509 CRL-----"
_PERMITTED_HASHES = frozenset({"sha256", "sha384", "sha512"})
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)
"""What the library raises on lists that are none."""


def read_crls(data: bytes) -> tuple[bytes, ...]:
    """DER of every revocation list in a PEM bundle, or of the one DER list.

    Raises:
        CertificateMalformed: one cannot be read, or there is none.
    """
    try:
        if _PEM_BEGIN not in data:
            lists = [x509.load_der_x509_crl(data)]
        else:
            blocks = [block.partition(_PEM_END)[0] for block in data.split(_PEM_BEGIN)[1:]]
            lists = [x509.load_pem_x509_crl(_PEM_BEGIN + block + _PEM_END + b"\n") for block in blocks]
        # The library reads the issuer late; callers file the list under it.
        _ = [found.issuer for found in lists]
        return tuple(found.public_bytes(Encoding.DER) for found in lists)
    except _UNREADABLE as error:
        raise CertificateMalformed("not a revocation list") from error


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """Status of one certificate and the lists (DER) that it rests on."""

    status: CertificateStatus
    evidence: tuple[bytes, ...] = ()


class RevocationIndex:
    """Revocation lists, to be asked. What cannot be read, or is of a kind not understood, gives no answer.

    A list counts only if the certificate's issuer signed it itself (no indirect lists), with SHA-2.
    """

    def __init__(self, crls: Sequence[bytes] = ()) -> None:
        """DER lists; each distinct one is read once."""
        self.crls = tuple(dict.fromkeys(crls))
        read = [_read(der) for der in self.crls]
        self._lists = sorted((found for found in read if found is not None), key=lambda found: found.this_update)

    def status(self, certificate_der: bytes, issuer_der: bytes, at: datetime) -> StatusAnswer:
        """The certificate's status at `at`.

        Revoked: any list, also a stale or a later one, names it with a date up to `at`. The one way back is
        ``certificateHold``: an older list that said so gives way to a newer one up to `at`. Good, if none does: the
        newest list up to `at` is still fresh then; or one was issued after `at`, while the certificate was not yet
        expired (of expired ones lists may say nothing any more, RFC 5280 §3.3). Else unknown.

        Raises:
            CertificateMalformed
        """
        certificate = parse_certificate(certificate_der)
        lists = [found for found in self._lists if found.covers(certificate, issuer_der)]
        earlier = [found for found in lists if found.this_update <= at]
        for found in lists:
            lasting = found not in earlier[:-1]
            if found.revokes(certificate.serial_number, at, hold_counts=lasting):
                return StatusAnswer(CertificateStatus.REVOKED, (found.der,))
        if earlier and earlier[-1].is_fresh(at) and earlier[-1].is_complete:
            return StatusAnswer(CertificateStatus.GOOD, (earlier[-1].der,))
        expiry = certificate.not_valid_after_utc
        later = [found for found in lists if at < found.this_update <= expiry and found.is_complete]
        if later:
            return StatusAnswer(CertificateStatus.GOOD, (later[-1].der,))
        return StatusAnswer(CertificateStatus.UNKNOWN)


@dataclass(frozen=True, slots=True, eq=False)
class _List:
    der: bytes
    crl: x509.CertificateRevocationList
    issuer: x509.Name
    serials: frozenset[int]
    """The library scans 2 ms for each look-up in a list of 50,000."""
    this_update: datetime
    next_update: datetime | None
    scope: x509.IssuingDistributionPoint | None
    _signers: dict[bytes, bool] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """A list of some reasons only can accuse and not acquit."""
        return self.scope is None or not self.scope.only_some_reasons

    def is_fresh(self, at: datetime) -> bool:
        return self.next_update is not None and at <= self.next_update

    def covers(self, certificate: x509.Certificate, issuer_der: bytes) -> bool:
        if not self._is_signed_by(issuer_der):
            return False
        if self.scope is None:
            return True
        is_authority = _is_authority(certificate)
        if self.scope.only_contains_user_certs and is_authority:
            return False
        if self.scope.only_contains_ca_certs and not is_authority:
            return False
        return self.scope.full_name is None or bool(set(self.scope.full_name) & _places(certificate))

    def revokes(self, serial_number: int, at: datetime, *, hold_counts: bool) -> bool:
        if serial_number not in self.serials:
            return False
        entry = self.crl.get_revoked_certificate_by_serial_number(serial_number)
        if entry is None or entry.revocation_date_utc > at:
            return False
        return hold_counts or _reason(entry) is not x509.ReasonFlags.certificate_hold

    def _is_signed_by(self, issuer_der: bytes) -> bool:
        if issuer_der not in self._signers:
            self._signers[issuer_der] = self._check_signature(issuer_der)
        return self._signers[issuer_der]

    def _check_signature(self, issuer_der: bytes) -> bool:
        issuer, key = parse_certificate(issuer_der), public_key_of(issuer_der)
        if self.issuer != issuer.subject or key is None or not _may_sign_lists(issuer):
            return False
        return signature_hash(self.crl) in _PERMITTED_HASHES and self.crl.is_signature_valid(key)


def _read(der: bytes) -> _List | None:
    """The list, or None where it can give no answer: unreadable, a delta, indirect, or with unknown critical parts."""
    try:
        crl = x509.load_der_x509_crl(der)
        scope = None
        for extension in crl.extensions:
            if isinstance(extension.value, x509.IssuingDistributionPoint):
                scope = extension.value
            elif extension.critical:
                return None
        if scope is not None and (
            scope.indirect_crl or scope.only_contains_attribute_certs or scope.relative_name is not None
        ):
            return None
        serials = frozenset(entry.serial_number for entry in crl)
        # The library reads late; what cannot be read must fail here.
        _ = signature_hash(crl)
        return _List(der, crl, crl.issuer, serials, crl.last_update_utc, crl.next_update_utc, scope)
    except _UNREADABLE:
        return None


def _reason(entry: x509.RevokedCertificate) -> x509.ReasonFlags | None:
    """The stated reason; None without one, and where it cannot be read (which then counts as lasting)."""
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except (x509.ExtensionNotFound, ValueError):
        return None


def _is_authority(certificate: x509.Certificate) -> bool:
    return any(
        isinstance(extension.value, x509.BasicConstraints) and extension.value.ca
        for extension in certificate.extensions
    )


def _places(certificate: x509.Certificate) -> set[x509.GeneralName]:
    return {
        name
        for extension in certificate.extensions
        if isinstance(extension.value, x509.CRLDistributionPoints)
        for point in extension.value
        for name in point.full_name or ()
    }


def _may_sign_lists(issuer: x509.Certificate) -> bool:
    usages = [e.value for e in issuer.extensions if isinstance(e.value, x509.KeyUsage)]
    return all(usage.crl_sign for usage in usages)
