"""Revocation lists (RFC 5280 §5): read once, their serial numbers indexed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from demail_gateway.core.errors import CertificateMalformed
from demail_gateway.trust.certificates import UNREADABLE, parse_certificate, public_key_of
from demail_gateway.trust.issued import has_permitted_hash
from demail_gateway.trust.keys import is_permitted
from demail_gateway.trust.revoked import Revocation

_PEM_BEGIN = b"-----BEGIN X509 CRL-----"
_PEM_END = b"-----END X509 CRL-----"
_KEPT_LISTS = 64
_CRITICAL = bytes.fromhex("0101ff")
"""DER of ``critical TRUE``: without it nothing is critical, and reading the extensions of every entry is saved."""


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
    except UNREADABLE as error:
        raise CertificateMalformed("not a revocation list") from error


@dataclass(frozen=True, slots=True, eq=False)
class RevocationList:
    """A list that can be understood; what it is worth depends on who signed it (`covers`)."""

    der: bytes = field(repr=False)
    crl: x509.CertificateRevocationList = field(repr=False)
    issuer: x509.Name
    serials: frozenset[int] = field(repr=False)
    """The library scans 2 ms for each look-up in a list of 50,000."""
    this_update: datetime
    next_update: datetime | None
    scope: x509.IssuingDistributionPoint | None
    _signers: dict[bytes, bool] = field(default_factory=dict, repr=False)

    @property
    def is_complete(self) -> bool:
        """A list of some reasons only can accuse and not acquit."""
        return self.scope is None or not self.scope.only_some_reasons

    def covers(self, certificate: x509.Certificate, issuer_der: bytes) -> bool:
        """Whether it speaks of certificates like this one, and the issuer signed it. Raises CertificateMalformed."""
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

    def revocation(self, serial_number: int) -> Revocation | None:
        """Since when and why a certificate of this number is revoked; None if the list does not name it."""
        if serial_number not in self.serials:
            return None
        entry = self._entry(serial_number)
        return None if entry is None else Revocation(entry.revocation_date_utc, _reason(entry))

    def _entry(self, serial_number: int) -> x509.RevokedCertificate | None:
        if serial_number >= 0:
            return self.crl.get_revoked_certificate_by_serial_number(serial_number)
        # certificates must not have such numbers, the library looks for none, and still one may be revoked
        return next((entry for entry in self.crl if entry.serial_number == serial_number), None)

    def _is_signed_by(self, issuer_der: bytes) -> bool:
        if issuer_der not in self._signers:
            self._signers[issuer_der] = self._check_signature(issuer_der)
        return self._signers[issuer_der]

    def _check_signature(self, issuer_der: bytes) -> bool:
        issuer = parse_certificate(issuer_der)
        if self.issuer != issuer.subject or not _may_sign_lists(issuer):
            return False
        key = public_key_of(issuer_der)
        if key is None or not is_permitted(key):
            return False
        return has_permitted_hash(self.crl) and self.crl.is_signature_valid(key)


@lru_cache(maxsize=_KEPT_LISTS)
def read_list(der: bytes) -> RevocationList | None:
    """The list, or None where it can give no answer: unreadable, a delta, indirect, or with unknown critical parts.

    An entry with a critical extension that is not understood spoils the list, too (RFC 5280 §5.3).
    """
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
        if _CRITICAL in der and any(extension.critical for entry in crl for extension in entry.extensions):
            return None
        serials = frozenset(entry.serial_number for entry in crl)
        # The library reads late; what cannot be read must fail here.
        _ = has_permitted_hash(crl)
        return RevocationList(der, crl, crl.issuer, serials, crl.last_update_utc, crl.next_update_utc, scope)
    except UNREADABLE:
        return None


def _reason(entry: x509.RevokedCertificate) -> str | None:
    """The stated reason; None without one, and where it cannot be read (which then counts as lasting)."""
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except (x509.ExtensionNotFound, *UNREADABLE):
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
