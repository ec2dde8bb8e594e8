"""Answers of OCSP responders (RFC 6960): read strictly, believed from the issuer or a responder that it named alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from demail_gateway.core.errors import CertificateMalformed
from demail_gateway.core.primitives import HashName, SignatureScheme
from demail_gateway.core.purposes import Purpose, usage_findings
from demail_gateway.trust.certificates import UNREADABLE, parse_certificate, public_key_of, read_certificate
from demail_gateway.trust.cms.algorithms import RSA_ENCRYPTION, read_algorithm, read_signature_algorithm
from demail_gateway.trust.cms.der import (
    BIT_STRING,
    CONTEXT_CONSTRUCTED,
    OCTET_STRING,
    SEQUENCE,
    DerError,
    Element,
    Fields,
    issuer_and_serial,
    parse,
)
from demail_gateway.trust.issued import has_permitted_hash, is_issued_by
from demail_gateway.trust.keys import is_permitted
from demail_gateway.trust.revoked import Revocation
from demail_gateway.trust.verifier import verify_with_key

MAX_OCSP_OCTETS = 64 * 1024
"""Larger answers are refused unread; real ones stay below 4 KiB, with their certificates."""

_ENUMERATED = 0x0A
_KEPT_ANSWERS = 1024


def is_ocsp(der: bytes) -> bool:
    """Whether octets are an OCSP response and no revocation list: its first element is an ENUMERATED."""
    if len(der) < 3 or der[0] != SEQUENCE:
        return False
    body = 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
    return der[body : body + 1] == bytes((_ENUMERATED,))


@dataclass(frozen=True, slots=True, eq=False)
class OcspAnswer:
    """A successful answer about one certificate; what it is worth depends on who signed it (`responder_of`)."""

    der: bytes = field(repr=False)
    serial_number: int
    issuer_hashes: tuple[bytes, bytes] = field(repr=False)
    """Of the name and the key of the authority."""
    hash_name: str
    """With which these were made."""
    responder: x509.Name | bytes
    """Its name, or the SHA-1 of its key."""
    is_unknown: bool
    """The responder does not know the certificate: no answer at all."""
    revocation: Revocation | None
    produced_at: datetime
    this_update: datetime
    next_update: datetime | None
    nonce: bytes | None = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)
    algorithm: tuple[SignatureScheme, HashName]
    signed: bytes = field(repr=False)
    """The octets that `signature` is over."""
    signature: bytes = field(repr=False)
    _responders: dict[tuple[bytes, bytes], bytes | None] = field(default_factory=dict, repr=False)

    def responder_of(self, certificate_der: bytes, issuer_der: bytes) -> bytes | None:
        """The certificate (DER) that signed this answer about this certificate, if it may; else None.

        It is the issuer's own, or one that came along: issued by the issuer itself, for OCSP signing, valid when the
        answer was made (RFC 6960 §4.2.2.2). Whether *that* one is revoked the caller decides.

        Raises:
            CertificateMalformed: one of the two cannot be read.
        """
        name = (certificate_der, issuer_der)
        if name not in self._responders:
            self._responders[name] = self._find_responder(certificate_der, issuer_der)
        return self._responders[name]

    def _find_responder(self, certificate_der: bytes, issuer_der: bytes) -> bytes | None:
        if not self._is_about(certificate_der, issuer_der):
            return None
        if self._names(issuer_der) and self._is_signed_by(issuer_der):
            return issuer_der
        for der in self.certificates:
            if self._is_delegate(der, issuer_der) and self._is_signed_by(der):
                return der
        return None

    def _is_about(self, certificate_der: bytes, issuer_der: bytes) -> bool:
        """CertID: serial number, and the issuer's name and key as hashes, which bind the answer to one authority."""
        if parse_certificate(certificate_der).serial_number != self.serial_number:
            return False
        return self.issuer_hashes == issuer_hashes(certificate_der, issuer_der, self.hash_name)

    def _names(self, der: bytes) -> bool:
        """Whether the ResponderID is this certificate."""
        if isinstance(self.responder, x509.Name):
            return self.responder == parse_certificate(der).subject
        return self.responder == _hashed(_public_key_bits(der), "sha1")

    def _is_delegate(self, der: bytes, issuer_der: bytes) -> bool:
        try:
            certificate, facts = parse_certificate(der), read_certificate(der)
        except CertificateMalformed:
            return False
        return (
            self._names(der)
            and certificate.not_valid_before_utc <= self.produced_at <= certificate.not_valid_after_utc
            and not usage_findings(facts, Purpose.OCSP)
            and has_permitted_hash(certificate)
            and is_issued_by(der, issuer_der)
        )

    def _is_signed_by(self, der: bytes) -> bool:
        key = public_key_of(der)
        if not is_permitted(key):
            return False
        scheme, hash_name = self.algorithm
        digest = hashlib.new(hash_name, self.signed).digest()
        return verify_with_key(key, scheme, hash_name, digest, self.signature)


@lru_cache(maxsize=_KEPT_ANSWERS)
def read_answer(der: bytes) -> OcspAnswer | None:
    """The answer, or None where it can tell nothing.

    That is: unreadable or too large, unsuccessful (``tryLater``, ``unauthorized`` …), about several certificates (we
    ask about one), with a critical extension that is not understood, signed by an algorithm that is not permitted.
    """
    if len(der) > MAX_OCSP_OCTETS or not is_ocsp(der):
        return None
    try:
        response = ocsp.load_der_ocsp_response(der)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return None
        return _read(der, response)
    except UNREADABLE:
        return None


def may_be_trusted_unchecked(responder_der: bytes) -> bool:
    """Whether the issuer wants a responder's certificate not to be checked (id-pkix-ocsp-nocheck)."""
    return any(isinstance(each.value, x509.OCSPNoCheck) for each in parse_certificate(responder_der).extensions)


def responder_urls(certificate_der: bytes) -> tuple[str, ...]:
    """Where a certificate says that its responder is found (authorityInfoAccess). Raises CertificateMalformed."""
    return tuple(
        description.access_location.value
        for extension in parse_certificate(certificate_der).extensions
        if isinstance(extension.value, x509.AuthorityInformationAccess)
        for description in extension.value
        if description.access_method == x509.oid.AuthorityInformationAccessOID.OCSP
        and isinstance(description.access_location, x509.UniformResourceIdentifier)
    )


def _read(der: bytes, response: ocsp.OCSPResponse) -> OcspAnswer | None:
    if len(list(response.responses)) != 1:
        return None
    if any(each.critical for extensions in (response.extensions, response.single_extensions) for each in extensions):
        return None
    status = response.certificate_status
    nonces = [each.value.nonce for each in response.extensions if isinstance(each.value, x509.OCSPNonce)]
    revocation = None
    if status is ocsp.OCSPCertStatus.REVOKED:
        revocation = Revocation(_stated(response.revocation_time_utc), _reason(response))
    return OcspAnswer(
        der=der,
        serial_number=response.serial_number,
        issuer_hashes=(response.issuer_name_hash, response.issuer_key_hash),
        hash_name=response.hash_algorithm.name,
        responder=_responder(response),
        is_unknown=status is ocsp.OCSPCertStatus.UNKNOWN,
        revocation=revocation,
        produced_at=response.produced_at_utc,
        this_update=response.this_update_utc,
        next_update=response.next_update_utc,
        nonce=nonces[0] if nonces else None,
        certificates=tuple(each.public_bytes(Encoding.DER) for each in response.certificates),
        algorithm=_signature_algorithm(der),
        signed=response.tbs_response_bytes,
        signature=response.signature,
    )


def _responder(response: ocsp.OCSPResponse) -> x509.Name | bytes:
    found = response.responder_name or response.responder_key_hash
    if found is None:
        raise ValueError("no responder")
    return found


def _stated(moment: datetime | None) -> datetime:
    if moment is None:
        raise ValueError("revoked without a date")
    return moment


def _reason(response: ocsp.OCSPResponse) -> str | None:
    return None if response.revocation_reason is None else response.revocation_reason.value


def _signature_algorithm(der: bytes) -> tuple[SignatureScheme, HashName]:
    """Scheme and hash of a BasicOCSPResponse; the library does not tell the parameters of RSASSA-PSS.

    Raises:
        DerError
    """
    outer = Fields(parse(der))
    outer.take(_ENUMERATED)
    octets = Fields(Fields(outer.take(CONTEXT_CONSTRUCTED), CONTEXT_CONSTRUCTED).take(SEQUENCE))
    octets.take()
    basic = Fields(parse(octets.take(OCTET_STRING).value))
    basic.take(SEQUENCE)
    element = basic.take(SEQUENCE)
    basic.take(BIT_STRING)
    if read_algorithm(element).identifier == RSA_ENCRYPTION:
        raise DerError("signature algorithm without a hash")
    return _first(lambda name: (read_signature_algorithm(element, name), name))


def _first(read: Callable[[HashName], tuple[SignatureScheme, HashName]]) -> tuple[SignatureScheme, HashName]:
    for name in HashName:
        try:
            return read(name)
        except DerError:
            continue
    raise DerError("signature algorithm is not permitted")


@lru_cache(maxsize=1024)
def issuer_hashes(certificate_der: bytes, issuer_der: bytes, hash_name: str) -> tuple[bytes, bytes]:
    """Hashes of the issuer's name, as the certificate writes it, and of the issuer's key (RFC 6960 §4.1.1)."""
    issuer_name, _ = issuer_and_serial(certificate_der)
    return _hashed(issuer_name, hash_name), _hashed(_public_key_bits(issuer_der), hash_name)


def _hashed(octets: bytes, hash_name: str) -> bytes:
    return hashlib.new(hash_name, octets, usedforsecurity=False).digest()


@lru_cache(maxsize=1024)
def _public_key_bits(certificate_der: bytes) -> bytes:
    """Contents of the BIT STRING in subjectPublicKeyInfo, without the octet that counts unused bits."""
    tbs = Fields(Fields(parse(certificate_der)).take(SEQUENCE))
    tbs.maybe(CONTEXT_CONSTRUCTED)
    fields: list[Element] = [tbs.take() for _ in range(6)]
    info = Fields(fields[-1])
    info.take(SEQUENCE)
    return info.take(BIT_STRING).value[1:]
