"""CMS signatures (RFC 5652 SignedData), in the form CAdES-B-B, with a timestamp CAdES-B-T (ETSI EN 319 122-1 §6.3).

What does not change from one signature of a key to the next is written once and kept; per signature some 14 µs remain
above the raw RSA or ECDSA operation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from demail_gateway.core.errors import ComposeFailed
from demail_gateway.core.primitives import HashName, SignatureScheme
from demail_gateway.trust.certificates import public_key_of
from demail_gateway.trust.cms.algorithms import (
    CONTENT_TYPE,
    DATA,
    HASH_OIDS,
    MESSAGE_DIGEST,
    SIGNATURE_TIMESTAMP,
    SIGNED_DATA,
    SIGNING_CERTIFICATE_V2,
    SIGNING_TIME,
    SMIME_CAPABILITIES,
    algorithm,
    signature_algorithm,
)
from demail_gateway.trust.cms.capabilities import OWN_CAPABILITIES
from demail_gateway.trust.cms.der import (
    CONTEXT_CONSTRUCTED,
    OCTET_STRING,
    SEQUENCE,
    SET,
    around,
    header,
    integer,
    issuer_and_serial,
    set_of,
    time,
    tlv,
)
from demail_gateway.trust.keys import CertifiedSigner, is_permitted
from demail_gateway.trust.policy import SMIME, Mechanism, Policy, signature_mechanisms

Timestamp = Callable[[bytes], bytes]
"""The value of a signature → a TimeStampToken (DER, RFC 3161) over it; raises ComposeFailed where there is none."""


def sign_detached(
    content: bytes,
    signer: CertifiedSigner,
    *,
    at: datetime,
    hash_name: HashName = HashName.SHA256,
    policy: Policy = SMIME,
    timestamp: Timestamp | None = None,
) -> bytes:
    """DER SignedData over `content`, which stays outside, with the signer's certificate and chain.

    `content` must already be in canonical form (CRLF); nothing is changed here. `at` is the claimed signing time, and
    the moment for which `policy` is asked. With `timestamp` the result is CAdES-B-T.

    Raises:
        ComposeFailed: the signer's key (IN-12, IN-14) or an algorithm is not permitted.
    """
    digest = hashlib.new(hash_name, content).digest()
    return sign_digest_detached(digest, signer, at=at, hash_name=hash_name, policy=policy, timestamp=timestamp)


def sign_digest_detached(
    digest: bytes,
    signer: CertifiedSigner,
    *,
    at: datetime,
    hash_name: HashName = HashName.SHA256,
    policy: Policy = SMIME,
    timestamp: Timestamp | None = None,
) -> bytes:
    """Like `sign_detached`, for a content whose digest is already known (large messages are hashed as a stream)."""
    fixed = _template(signer.certificate_der, signer.chain, signer.scheme, hash_name, DATA)
    info = _signer_info(digest, signer, fixed, hash_name, at, policy, timestamp)
    return _content_info(fixed.front, tlv(SEQUENCE, DATA), fixed.certificates, tlv(SET, info))


def sign_enveloping(
    content: bytes,
    signer: CertifiedSigner,
    *,
    at: datetime,
    hash_name: HashName = HashName.SHA256,
    policy: Policy = SMIME,
    timestamp: Timestamp | None = None,
    content_type: bytes = DATA,
) -> bytes:
    """Like `sign_detached`, with the content inside (S/MIME ``smime-type=signed-data``)."""
    digest = hashlib.new(hash_name, content).digest()
    front, back = sign_digest_enveloping(
        digest,
        len(content),
        signer,
        at=at,
        hash_name=hash_name,
        policy=policy,
        timestamp=timestamp,
        content_type=content_type,
    )
    return b"".join((front, content, back))


def sign_digest_enveloping(
    digest: bytes,
    size_bytes: int,
    signer: CertifiedSigner,
    *,
    at: datetime,
    hash_name: HashName = HashName.SHA256,
    policy: Policy = SMIME,
    timestamp: Timestamp | None = None,
    content_type: bytes = DATA,
) -> tuple[bytes, bytes]:
    """What stands before and behind a content of `size_bytes` whose digest is known; large ones are written between."""
    fixed = _template(signer.certificate_der, signer.chain, signer.scheme, hash_name, content_type)
    info = _signer_info(digest, signer, fixed, hash_name, at, policy, timestamp)
    return around(
        size_bytes,
        (OCTET_STRING, b"", b""),
        (CONTEXT_CONSTRUCTED, b"", b""),
        (SEQUENCE, content_type, b""),
        (SEQUENCE, fixed.front, fixed.certificates + tlv(SET, info)),
        (CONTEXT_CONSTRUCTED, b"", b""),
        (SEQUENCE, SIGNED_DATA, b""),
    )


def certs_only(certificates: Iterable[bytes]) -> bytes:
    """DER SignedData that holds certificates (DER) alone (S/MIME ``smime-type=certs-only``, RFC 8551 §3.8)."""
    held = tlv(CONTEXT_CONSTRUCTED, *sorted(set(certificates)))
    return _content_info(integer(1), tlv(SET), tlv(SEQUENCE, DATA), held, tlv(SET))


@dataclass(frozen=True, slots=True)
class _Template:
    """The constant octets of every signature of one key."""

    front: bytes
    """SignedData up to its content."""
    certificates: bytes
    signer: bytes
    """SignerInfo up to its signedAttrs."""
    attributes: tuple[bytes, ...]
    algorithm: bytes
    mechanisms: tuple[Mechanism, ...]


@lru_cache(maxsize=1024)
def _template(
    certificate_der: bytes, chain: Sequence[bytes], scheme: SignatureScheme, hash_name: HashName, content_type: bytes
) -> _Template:
    key = public_key_of(certificate_der)
    if key is None or not is_permitted(key):
        raise ComposeFailed("key is not permitted")
    # RFC 5754 §2: the parameters of SHA-2 identifiers are absent
    digest_algorithm = algorithm(HASH_OIDS[hash_name])
    attributes = [_attribute(CONTENT_TYPE, content_type), _attribute(SIGNING_CERTIFICATE_V2, _ess(certificate_der))]
    if content_type == DATA:
        attributes.append(_attribute(SMIME_CAPABILITIES, OWN_CAPABILITIES))
    return _Template(
        front=integer(1 if content_type == DATA else 3) + set_of([digest_algorithm]),
        certificates=tlv(CONTEXT_CONSTRUCTED, *sorted({certificate_der, *chain})),
        signer=integer(1) + tlv(SEQUENCE, *issuer_and_serial(certificate_der)) + digest_algorithm,
        attributes=tuple(attributes),
        algorithm=signature_algorithm(scheme, hash_name),
        mechanisms=signature_mechanisms(scheme, hash_name, key),
    )


def _signer_info(
    digest: bytes,
    signer: CertifiedSigner,
    fixed: _Template,
    hash_name: HashName,
    at: datetime,
    policy: Policy,
    timestamp: Timestamp | None,
) -> bytes:
    against = policy.findings(fixed.mechanisms, at)
    if against:
        raise ComposeFailed(against[0].code)
    attributes = b"".join(
        sorted((*fixed.attributes, _attribute(SIGNING_TIME, time(at)), _attribute(MESSAGE_DIGEST, _octets(digest))))
    )
    signed = header(SET, len(attributes)) + attributes
    signature = signer.sign_digest(hash_name, hashlib.new(hash_name, signed).digest())
    unsigned = b""
    if timestamp is not None:
        unsigned = tlv(CONTEXT_CONSTRUCTED | 1, _attribute(SIGNATURE_TIMESTAMP, timestamp(signature)))
    # [0] IMPLICIT replaces the tag of the SET that was signed (RFC 5652 §5.4)
    signed = header(CONTEXT_CONSTRUCTED, len(attributes)) + attributes
    return tlv(SEQUENCE, fixed.signer, signed, fixed.algorithm, _octets(signature), unsigned)


def _content_info(*parts: bytes) -> bytes:
    signed_data = tlv(SEQUENCE, *parts)
    return tlv(SEQUENCE, SIGNED_DATA, tlv(CONTEXT_CONSTRUCTED, signed_data))


def _ess(certificate_der: bytes) -> bytes:
    """SigningCertificateV2 (RFC 5035 §3) with the default hash, SHA-256: binds the signature to this certificate."""
    cert_id = tlv(SEQUENCE, _octets(hashlib.sha256(certificate_der).digest()))
    return tlv(SEQUENCE, tlv(SEQUENCE, cert_id))


def _attribute(identifier: bytes, value: bytes) -> bytes:
    return tlv(SEQUENCE, identifier, tlv(SET, value))


def _octets(value: bytes) -> bytes:
    return header(OCTET_STRING, len(value)) + value
