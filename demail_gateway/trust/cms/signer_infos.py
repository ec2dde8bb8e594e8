"""Reading SignerInfos (RFC 5652 §5.3 to §5.6): what somebody signed, and whether it holds over given digests."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from demail_gateway.core.errors import CmsInvalid
from demail_gateway.core.primitives import HashName, SignatureScheme
from demail_gateway.trust.certificates import parse_certificate, public_key_of
from demail_gateway.trust.cms.algorithms import (
    CONTENT_TYPE,
    MESSAGE_DIGEST,
    SIGNATURE_TIMESTAMP,
    SIGNING_CERTIFICATE_V2,
    SIGNING_TIME,
    SMIME_CAPABILITIES,
    read_hash,
    read_signature_algorithm,
)
from demail_gateway.trust.cms.capabilities import Capabilities, read_capabilities
from demail_gateway.trust.cms.content_info import subject_key_identifier
from demail_gateway.trust.cms.der import (
    CONTEXT,
    CONTEXT_CONSTRUCTED,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    SET,
    DerError,
    Element,
    Fields,
    issuer_and_serial,
    read_time,
    tlv,
)
from demail_gateway.trust.cms.digests import Digests
from demail_gateway.trust.keys import is_permitted
from demail_gateway.trust.policy import Mechanism, signature_mechanisms
from demail_gateway.trust.verifier import verify_with_key

_SINGLE = frozenset({CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_TIME, SIGNING_CERTIFICATE_V2, SMIME_CAPABILITIES})
"""Attributes that have exactly one value (RFC 5652 §11, RFC 5035 §3, RFC 8551 §2.5.2)."""


@dataclass(frozen=True, slots=True)
class CmsSigner:
    """One signer whose signature holds."""

    certificate_der: bytes
    algorithm: str
    """As the integrity field writes it: ``sha256/rsa``, ``sha384/ec-dsa``, ``sha256/rsassa-pss``."""
    signing_time: datetime | None
    """Claimed by the signer, proven by nobody."""
    mechanisms: tuple[Mechanism, ...] = ()
    """What it uses, to be held against a Policy."""
    capabilities: Capabilities | None = None
    """What the signer says its programs can read; None if it says nothing."""
    signature: bytes = field(default=b"", repr=False)
    """The value that a timestamp covers."""
    timestamps: tuple[bytes, ...] = field(default=(), repr=False)
    """TimeStampTokens (DER) that came along, unread: `timestamps.read_token` says whether they hold."""


@dataclass(frozen=True, slots=True)
class Content:
    """The signed content as far as signatures need it; its octets may be gone."""

    content_type: bytes
    digests: Digests


@dataclass(frozen=True, slots=True)
class SignerInfo:
    """One SignerInfo, not yet verified."""

    identifier: Element
    digest_name: HashName
    attributes: Element | None
    scheme: SignatureScheme
    signature: bytes
    unsigned: Element | None


def read_signer_info(element: Element) -> SignerInfo:
    """Raises DerError, also for an algorithm that is not permitted at all."""
    info = Fields(element)
    info.take(INTEGER)
    identifier = info.take(SEQUENCE, CONTEXT)
    digest_name = read_hash(info.take(SEQUENCE))
    attributes = info.maybe(CONTEXT_CONSTRUCTED)
    scheme = read_signature_algorithm(info.take(SEQUENCE), digest_name)
    signature = info.take(OCTET_STRING).value
    unsigned = info.maybe(CONTEXT_CONSTRUCTED | 1)
    info.done()
    return SignerInfo(identifier, digest_name, attributes, scheme, signature, unsigned)


def verified_signer(info: SignerInfo, content: Content, certificates: Sequence[bytes]) -> CmsSigner:
    """The signer, every check made.

    Raises:
        CmsInvalid: signature, digest, attributes, key or certificate do not hold.
        DerError: the attributes are not of the expected structure.
    """
    certificate = _certificate_of(info.identifier, certificates)
    digest = content.digests.digest(info.digest_name)
    claims = _Claims(None, None)
    if info.attributes is not None:
        claims = _check_attributes(_read_attributes(info.attributes), content.content_type, digest, certificate)
        digest = hashlib.new(info.digest_name, tlv(SET, info.attributes.value)).digest()
    elif content.digests.first_octet == bytes((SET,)):
        # Octets that were signed as attributes must not pass as a content without any (RFC 5652 §5.4 uses one
        # signature for both). No MIME entity begins like this.
        raise CmsInvalid("content looks like signed attributes")

    key = public_key_of(certificate)
    if key is None or not is_permitted(key):
        raise CmsInvalid("key is not permitted")
    if not verify_with_key(key, info.scheme, info.digest_name, digest, info.signature):
        raise CmsInvalid("signature does not hold")
    return CmsSigner(
        certificate,
        f"{info.digest_name}/{info.scheme}",
        claims.signing_time,
        signature_mechanisms(info.scheme, info.digest_name, key),
        claims.capabilities,
        info.signature,
        _timestamps(info.unsigned),
    )


@dataclass(frozen=True, slots=True)
class _Claims:
    signing_time: datetime | None
    capabilities: Capabilities | None


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
    for identifier, values in _attributes(element):
        if identifier in attributes or (identifier in _SINGLE and len(values) != 1) or not values:
            raise CmsInvalid("signed attribute is repeated")
        attributes[identifier] = values[0]
    return attributes


def _timestamps(unsigned: Element | None) -> tuple[bytes, ...]:
    """All tokens of the unsigned attributes; those are nobody's word, so several and unknown ones are no fault."""
    if unsigned is None:
        return ()
    found = [values for identifier, values in _attributes(unsigned) if identifier == SIGNATURE_TIMESTAMP]
    return tuple(value.raw for values in found for value in values)


def _attributes(element: Element) -> list[tuple[bytes, list[Element]]]:
    found = []
    for child in element.children():
        fields = Fields(child)
        found.append((fields.take(OID).raw, fields.take(SET).children()))
        fields.done()
    return found


def _check_attributes(attributes: dict[bytes, Element], expected: bytes, digest: bytes, certificate: bytes) -> _Claims:
    """What the signer claims, after the checks of RFC 5652 §5.3, §11 and RFC 5035 §3."""
    content_type = attributes.get(CONTENT_TYPE)
    if content_type is None or content_type.raw != expected:
        raise CmsInvalid("content type does not fit")
    claimed = attributes.get(MESSAGE_DIGEST)
    if claimed is None or claimed.tag != OCTET_STRING or not hmac.compare_digest(claimed.value, digest):
        raise CmsInvalid("digest does not fit")
    binding = attributes.get(SIGNING_CERTIFICATE_V2)
    if binding is not None:
        _check_binding(binding, certificate)
    time, capabilities = attributes.get(SIGNING_TIME), attributes.get(SMIME_CAPABILITIES)
    return _Claims(
        None if time is None else read_time(time),
        None if capabilities is None else _tolerant_capabilities(capabilities),
    )


def _tolerant_capabilities(element: Element) -> Capabilities | None:
    """What cannot be read there says nothing: no signature fails for it."""
    try:
        return read_capabilities(element)
    except DerError:
        return None


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
