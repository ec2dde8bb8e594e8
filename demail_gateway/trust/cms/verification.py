"""CMS signatures of others (RFC 5652 §5), read strictly: what is not exactly understood is refused.

Said of every signer, not of one among several: a signature beside a broken one gives no more trust than none.
Whether the certificates are valid is not decided here; a Judge does that for `CmsSigner.certificate_der`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from demail_gateway.core.errors import CertificateMalformed, CmsInvalid
from demail_gateway.core.primitives import HashName
from demail_gateway.trust.certificates import parse_certificate, public_key_of
from demail_gateway.trust.cms.algorithms import (
    CONTENT_TYPE,
    DATA,
    MESSAGE_DIGEST,
    SIGNED_DATA,
    SIGNING_CERTIFICATE_V2,
    SIGNING_TIME,
    read_hash,
    read_signature_algorithm,
)
from demail_gateway.trust.cms.content_info import read_cms, subject_key_identifier
from demail_gateway.trust.cms.der import (
    CONTEXT,
    CONTEXT_CONSTRUCTED,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    SET,
    Element,
    Fields,
    issuer_and_serial,
    read_time,
    tlv,
)
from demail_gateway.trust.keys import is_permitted
from demail_gateway.trust.verifier import verify_with_key

MAX_SIGNERS = 8
MAX_CERTIFICATES = 64

_SINGLE = frozenset({CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_TIME, SIGNING_CERTIFICATE_V2})
"""Attributes that have exactly one value (RFC 5652 §11, RFC 5035 §3)."""


@dataclass(frozen=True, slots=True)
class CmsSigner:
    """One signer whose signature holds."""

    certificate_der: bytes
    algorithm: str
    """As the integrity field writes it: ``sha256/rsa``, ``sha384/ec-dsa``, ``sha256/rsassa-pss``."""
    signing_time: datetime | None
    """Claimed by the signer, proven by nobody."""


@dataclass(frozen=True, slots=True)
class CmsSignature:
    """A SignedData all of whose signatures hold."""

    signers: tuple[CmsSigner, ...]
    certificates: tuple[bytes, ...]
    """All certificates that came along (DER), for path building; nothing vouches for them."""


def verify_detached(der: bytes, content: bytes, *, certificates: Sequence[bytes] = ()) -> CmsSignature:
    """The signers of `content`, every signature verified.

    `content` is compared octet for octet: canonical line ends are the caller's. BER is accepted. `certificates` are
    looked through where the structure does not carry a signer's own.

    Raises:
        CmsInvalid: unreadable, content inside, no signer, or one whose signature, digest, attributes, algorithm, key
            or certificate does not hold.
    """
    return _read(der, content, certificates)[0]


def verify_enveloping(der: bytes, *, certificates: Sequence[bytes] = ()) -> tuple[CmsSignature, bytes]:
    """Like `verify_detached` for a structure that carries its content (S/MIME ``signed-data``); the content is second.

    Raises:
        CmsInvalid
    """
    return _read(der, None, certificates)


def _read(der: bytes, content: bytes | None, certificates: Sequence[bytes]) -> tuple[CmsSignature, bytes]:
    def verify(content_type: bytes, element: Element) -> tuple[CmsSignature, bytes]:
        if content_type != SIGNED_DATA:
            raise CmsInvalid("not signed data")
        return _verify(element, content, certificates)

    try:
        return read_cms(der, verify)
    except CertificateMalformed as error:
        raise CmsInvalid("certificate cannot be read") from error


def _verify(element: Element, content: bytes | None, more: Sequence[bytes]) -> tuple[CmsSignature, bytes]:
    fields = Fields(element)
    fields.take(INTEGER)
    fields.take(SET)
    content = _content(fields.take(SEQUENCE), content)
    certificates = _certificates(fields.maybe(CONTEXT_CONSTRUCTED))
    fields.maybe(CONTEXT_CONSTRUCTED | 1)
    infos = fields.take(SET).children()
    fields.done()
    if not 0 < len(infos) <= MAX_SIGNERS:
        raise CmsInvalid("no signer, or too many")
    known = (*certificates, *more)
    signers = tuple(_signer(Fields(info), content, known) for info in infos)
    return CmsSignature(signers, certificates), content


def _content(element: Element, outside: bytes | None) -> bytes:
    """The content, from outside or from inside; it is in one place only."""
    fields = Fields(element)
    if fields.take(OID).raw != DATA:
        raise CmsInvalid("content type is not data")
    inside = fields.maybe(CONTEXT_CONSTRUCTED)
    fields.done()
    if (inside is None) == (outside is None):
        raise CmsInvalid("content is in the wrong place")
    if inside is None:
        assert outside is not None
        return outside
    wrapped = Fields(inside, CONTEXT_CONSTRUCTED)
    value = wrapped.take(OCTET_STRING).value
    wrapped.done()
    return value


def _certificates(element: Element | None) -> tuple[bytes, ...]:
    """X.509 certificates of the set; attribute certificates and other kinds are passed over."""
    children = element.children() if element is not None else []
    if len(children) > MAX_CERTIFICATES:
        raise CmsInvalid("too many certificates")
    return tuple(child.raw for child in children if child.tag == SEQUENCE)


def _signer(info: Fields, content: bytes, certificates: Sequence[bytes]) -> CmsSigner:
    info.take(INTEGER)
    certificate = _certificate_of(info.take(SEQUENCE, CONTEXT), certificates)
    digest_name = read_hash(info.take(SEQUENCE))
    attributes = info.maybe(CONTEXT_CONSTRUCTED)
    scheme = read_signature_algorithm(info.take(SEQUENCE), digest_name)
    signature = info.take(OCTET_STRING).value
    info.maybe(CONTEXT_CONSTRUCTED | 1)
    info.done()

    digest = hashlib.new(digest_name, content).digest()
    signing_time = None
    if attributes is not None:
        signing_time = _check_attributes(_read_attributes(attributes), digest, certificate)
        digest = hashlib.new(digest_name, tlv(SET, attributes.value)).digest()
    elif content[:1] == bytes((SET,)):
        # Octets that were signed as attributes must not pass as a content without any (RFC 5652 §5.4 uses one
        # signature for both). No MIME entity begins like this.
        raise CmsInvalid("content looks like signed attributes")

    key = public_key_of(certificate)
    if not is_permitted(key):
        raise CmsInvalid("key is not permitted")
    if not verify_with_key(key, scheme, digest_name, digest, signature):
        raise CmsInvalid("signature does not hold")
    return CmsSigner(certificate, f"{digest_name}/{scheme}", signing_time)


def _certificate_of(identifier: Element, certificates: Sequence[bytes]) -> bytes:
    """The certificate that a SignerIdentifier names."""
    for certificate in certificates:
        if identifier.tag == CONTEXT:
            if subject_key_identifier(parse_certificate(certificate)) == identifier.value:
                return certificate
        elif b"".join(issuer_and_serial(certificate)) == identifier.value:
            return certificate
    raise CmsInvalid("certificate of the signer is missing")


def _read_attributes(element: Element) -> dict[bytes, Element]:
    """Signed attributes by type, each type once (RFC 5652 §5.3); of those with several values the first."""
    attributes: dict[bytes, Element] = {}
    for child in element.children():
        fields = Fields(child)
        identifier = fields.take(OID).raw
        values = fields.take(SET).children()
        fields.done()
        if identifier in attributes or (identifier in _SINGLE and len(values) != 1) or not values:
            raise CmsInvalid("signed attribute is repeated")
        attributes[identifier] = values[0]
    return attributes


def _check_attributes(attributes: dict[bytes, Element], digest: bytes, certificate: bytes) -> datetime | None:
    """The signing time, if named, after the checks of RFC 5652 §5.3, §11 and RFC 5035 §3."""
    content_type = attributes.get(CONTENT_TYPE)
    if content_type is None or content_type.raw != DATA:
        raise CmsInvalid("content type does not fit")
    claimed = attributes.get(MESSAGE_DIGEST)
    if claimed is None or claimed.tag != OCTET_STRING or not hmac.compare_digest(claimed.value, digest):
        raise CmsInvalid("digest does not fit")
    binding = attributes.get(SIGNING_CERTIFICATE_V2)
    if binding is not None:
        _check_binding(binding, certificate)
    time = attributes.get(SIGNING_TIME)
    return None if time is None else read_time(time)


def _check_binding(element: Element, certificate: bytes) -> None:
    """The first ESSCertIDv2 must name the signer's certificate, by hash and, if present, by issuer and serial."""
    certs = Fields(element).take(SEQUENCE).children()
    if not certs:
        raise CmsInvalid("signing certificate does not fit")
    fields = Fields(certs[0])
    chosen = fields.maybe(SEQUENCE)
    name = HashName.SHA256 if chosen is None else read_hash(chosen)
    claimed = fields.take(OCTET_STRING).value
    issuer_serial = fields.maybe(SEQUENCE)
    if not hmac.compare_digest(hashlib.new(name, certificate).digest(), claimed):
        raise CmsInvalid("signing certificate does not fit")
    if issuer_serial is not None and not _names(issuer_serial, certificate):
        raise CmsInvalid("signing certificate does not fit")


def _names(issuer_serial: Element, certificate: bytes) -> bool:
    """IssuerSerial: GeneralNames with one directoryName [4], and the serial number."""
    fields = Fields(issuer_serial)
    names = fields.take(SEQUENCE).children()
    serial = fields.take(INTEGER).raw
    issuer, own_serial = issuer_and_serial(certificate)
    return serial == own_serial and [name.raw for name in names] == [tlv(CONTEXT_CONSTRUCTED | 4, issuer)]
