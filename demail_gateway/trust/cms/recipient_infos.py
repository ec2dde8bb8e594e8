"""Writing RecipientInfos: the content key for one certificate (RFC 5652 §6.2, RFC 3560, RFC 5753)."""

from __future__ import annotations

from datetime import datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from demail_gateway.core.errors import CertificateMalformed, ComposeFailed
from demail_gateway.core.primitives import HashName
from demail_gateway.core.purposes import KEY_USAGE, Purpose, usage_findings
from demail_gateway.trust.certificates import public_key_of, read_certificate
from demail_gateway.trust.cms.algorithms import (
    DER_NULL,
    EC_PUBLIC_KEY,
    HASH_OIDS,
    MGF1,
    RSA_ENCRYPTION,
    RSAES_OAEP,
    algorithm,
)
from demail_gateway.trust.cms.ciphers import AES_256_WRAP, ECDH_SHA256, RsaTransport, agreed_key
from demail_gateway.trust.cms.der import (
    BIT_STRING,
    CONTEXT_CONSTRUCTED,
    OCTET_STRING,
    SEQUENCE,
    DerError,
    integer,
    issuer_and_serial,
    tlv,
)
from demail_gateway.trust.keys import PublicKey, is_permitted
from demail_gateway.trust.policy import Mechanism, Policy, Use

_WRAP_BYTES = 32


def recipient_info(
    certificate_der: bytes, content_key: bytes, transport: RsaTransport, policy: Policy, at: datetime
) -> bytes:
    """DER RecipientInfo of one certificate: key transport for RSA, key agreement for EC.

    Raises:
        ComposeFailed: as `recipient_key`.
    """
    key, name = recipient_key(certificate_der, transport, policy, at)
    if isinstance(key, rsa.RSAPublicKey):
        return _key_transport(key, name, content_key, transport)
    return _key_agreement(key, name, content_key)


def recipient_key(
    certificate_der: bytes, transport: RsaTransport, policy: Policy, at: datetime
) -> tuple[PublicKey, bytes]:
    """The key to encrypt with, and the DER IssuerAndSerialNumber that names it.

    Raises:
        ComposeFailed: with the code of what forbids it: the certificate cannot be read, its key (IN-12, IN-14) or what
            it leads to is not permitted, or it is not for encryption of mail (RFC 8550 §4.4).
    """
    try:
        facts, key = read_certificate(certificate_der), public_key_of(certificate_der)
        name = tlv(SEQUENCE, *issuer_and_serial(certificate_der))
    except (CertificateMalformed, DerError) as error:
        raise ComposeFailed(CertificateMalformed.code) from error
    if key is None or not is_permitted(key):
        raise ComposeFailed("key-not-permitted")
    if usage_findings(facts, Purpose.SMIME_ENCRYPTION):
        raise ComposeFailed(KEY_USAGE)
    against = policy.findings(_mechanisms(key, transport), at)
    if against:
        raise ComposeFailed(against[0].code)
    return key, name


def _mechanisms(key: PublicKey, transport: RsaTransport) -> tuple[Mechanism, ...]:
    if isinstance(key, rsa.RSAPublicKey):
        name = "rsaes-oaep" if transport is RsaTransport.OAEP else "rsaes-pkcs1-v1_5"
        return (Mechanism(Use.KEY_ENCRYPTION, name, key.key_size),)
    return (
        Mechanism(Use.KEY_ENCRYPTION, "ecdh", key.key_size),
        Mechanism(Use.KEY_WRAP, "aes-wrap", _WRAP_BYTES * 8),
        Mechanism(Use.CURVE, key.curve.name),
    )


def _key_transport(key: rsa.RSAPublicKey, name: bytes, content_key: bytes, transport: RsaTransport) -> bytes:
    """KeyTransRecipientInfo."""
    if transport is RsaTransport.PKCS1:
        identifier, fill = algorithm(RSA_ENCRYPTION, DER_NULL), _PKCS1
    else:
        identifier, fill = _OAEP_IDENTIFIER, _OAEP
    return tlv(SEQUENCE, integer(0), name, identifier, tlv(OCTET_STRING, key.encrypt(content_key, fill)))


def _key_agreement(key: ec.EllipticCurvePublicKey, name: bytes, content_key: bytes) -> bytes:
    """KeyAgreeRecipientInfo with an ephemeral key on the recipient's curve."""
    ephemeral = ec.generate_private_key(key.curve)
    point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    # Parameters absent: the curve is the recipient's (RFC 5753 §7.1.2)
    originator = tlv(CONTEXT_CONSTRUCTED | 1, algorithm(EC_PUBLIC_KEY), tlv(BIT_STRING, b"\0", point))
    wrap = algorithm(AES_256_WRAP)
    wrapping_key = agreed_key(ephemeral, key, hashes.SHA256(), wrap, _WRAP_BYTES, None)
    wrapped = tlv(OCTET_STRING, aes_key_wrap(wrapping_key, content_key))
    return tlv(
        CONTEXT_CONSTRUCTED | 1,
        integer(3),
        tlv(CONTEXT_CONSTRUCTED, originator),
        algorithm(ECDH_SHA256, wrap),
        tlv(SEQUENCE, tlv(SEQUENCE, name, wrapped)),
    )


_PKCS1: padding.AsymmetricPadding = padding.PKCS1v15()
_OAEP: padding.AsymmetricPadding = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
_SHA256 = algorithm(HASH_OIDS[HashName.SHA256], DER_NULL)
_OAEP_IDENTIFIER = algorithm(
    RSAES_OAEP,
    tlv(
        SEQUENCE,
        tlv(CONTEXT_CONSTRUCTED, _SHA256),
        tlv(CONTEXT_CONSTRUCTED | 1, algorithm(MGF1, _SHA256)),
    ),
)
