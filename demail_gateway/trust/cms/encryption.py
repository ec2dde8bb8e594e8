"""Encrypting MIME entities for certificates (RFC 5652 §6, RFC 5083, RFC 5753; S/MIME 4.0 in RFC 8551)."""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from demail_gateway.core.errors import CertificateMalformed, ComposeFailed
from demail_gateway.core.primitives import HashName
from demail_gateway.trust.certificates import parse_certificate, public_key_of
from demail_gateway.trust.cms.algorithms import (
    AUTH_ENVELOPED_DATA,
    DATA,
    DER_NULL,
    EC_PUBLIC_KEY,
    ENVELOPED_DATA,
    HASH_OIDS,
    MGF1,
    RSA_ENCRYPTION,
    RSAES_OAEP,
    algorithm,
)
from demail_gateway.trust.cms.ciphers import (
    AES_256_WRAP,
    CIPHER_OIDS,
    ECDH_SHA256,
    ContentCipher,
    RsaTransport,
    agreed_key,
)
from demail_gateway.trust.cms.der import (
    BIT_STRING,
    CONTEXT,
    CONTEXT_CONSTRUCTED,
    OCTET_STRING,
    SEQUENCE,
    DerError,
    header,
    integer,
    issuer_and_serial,
    set_of,
    tlv,
)
from demail_gateway.trust.keys import is_permitted

_KEY_BYTES = 32
_GCM_TAG_BYTES = 16


def encrypt(
    entity: bytes,
    recipients: Sequence[bytes],
    algorithm: ContentCipher | str = ContentCipher.AES_256_GCM,
    *,
    rsa_transport: RsaTransport | str = RsaTransport.OAEP,
) -> bytes:
    """DER of `entity` encrypted for every certificate (DER) in `recipients`.

    AuthEnvelopedData for GCM, EnvelopedData for CBC; `ContentCipher.smime_type` names it in the MIME header. The
    sender's own certificate is one more recipient, which the caller adds (DIR-52). RSA keys get the content key by
    `rsa_transport`, EC keys by ECDH with an ephemeral key. Validity and path of the certificates are not judged here.

    Raises:
        ComposeFailed: no recipient, an unreadable certificate, a key that is not permitted (IN-12, IN-14) or whose
            key usage does not allow it.
    """
    cipher, transport = ContentCipher(algorithm), RsaTransport(rsa_transport)
    if not recipients:
        raise ComposeFailed("no recipient")
    key = os.urandom(_KEY_BYTES)
    infos = [_recipient(certificate, key, transport) for certificate in dict.fromkeys(recipients)]
    if cipher is ContentCipher.AES_256_GCM:
        return _content_info(AUTH_ENVELOPED_DATA, integer(0), set_of(infos), *_gcm(entity, key))
    only_plain_transport = all(info[0] == SEQUENCE for info in infos)
    return _content_info(ENVELOPED_DATA, integer(0 if only_plain_transport else 2), set_of(infos), *_cbc(entity, key))


def _content_info(content_type: bytes, *parts: bytes) -> bytes:
    """ContentInfo, written outside in so that a large content is copied once."""
    size = sum(map(len, parts))
    inner = header(SEQUENCE, size)
    explicit = header(CONTEXT_CONSTRUCTED, len(inner) + size)
    outer = header(SEQUENCE, len(content_type) + len(explicit) + len(inner) + size)
    return b"".join((outer, content_type, explicit, inner, *parts))


def _gcm(entity: bytes, key: bytes) -> tuple[bytes, ...]:
    nonce = os.urandom(12)
    encryptor = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
    body = encryptor.update(entity)
    encryptor.finalize()
    # The length of the tag is written: its default would be 12 octets (RFC 5084 §3.2).
    parameters = tlv(SEQUENCE, tlv(OCTET_STRING, nonce), integer(_GCM_TAG_BYTES))
    mac = tlv(OCTET_STRING, encryptor.tag)
    return (*_encrypted_content(ContentCipher.AES_256_GCM, parameters, body), mac)


def _cbc(entity: bytes, key: bytes) -> tuple[bytes, ...]:
    iv = os.urandom(16)
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    padder = PKCS7(128).padder()
    whole = len(entity) // 16 * 16
    # Only the last block passes through the padder: it would copy the whole entity.
    body = encryptor.update(entity[:whole]) + encryptor.update(padder.update(entity[whole:]) + padder.finalize())
    encryptor.finalize()
    return _encrypted_content(ContentCipher.AES_256_CBC, tlv(OCTET_STRING, iv), body)


def _encrypted_content(cipher: ContentCipher, parameters: bytes, body: bytes) -> tuple[bytes, ...]:
    """EncryptedContentInfo in pieces."""
    front = DATA + algorithm(CIPHER_OIDS[cipher], parameters) + header(CONTEXT, len(body))
    return header(SEQUENCE, len(front) + len(body)), front, body


def _recipient(certificate_der: bytes, content_key: bytes, transport: RsaTransport) -> bytes:
    try:
        certificate, key = parse_certificate(certificate_der), public_key_of(certificate_der)
        name = tlv(SEQUENCE, *issuer_and_serial(certificate_der))
    except (CertificateMalformed, DerError) as error:
        raise ComposeFailed("certificate of a recipient cannot be read") from error
    if not is_permitted(key) or not _may_receive(certificate):
        raise ComposeFailed("certificate of a recipient does not allow encryption")
    if isinstance(key, rsa.RSAPublicKey):
        return _key_transport(key, name, content_key, transport)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return _key_agreement(key, name, content_key)


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
    wrapping_key = agreed_key(ephemeral, key, hashes.SHA256(), wrap, _KEY_BYTES, None)
    wrapped = tlv(OCTET_STRING, aes_key_wrap(wrapping_key, content_key))
    return tlv(
        CONTEXT_CONSTRUCTED | 1,
        integer(3),
        tlv(CONTEXT_CONSTRUCTED, originator),
        algorithm(ECDH_SHA256, wrap),
        tlv(SEQUENCE, tlv(SEQUENCE, name, wrapped)),
    )


def _may_receive(certificate: x509.Certificate) -> bool:
    """keyEncipherment for RSA, keyAgreement for EC, if the extension exists (RFC 5280 §4.2.1.3)."""
    usages = [e.value for e in certificate.extensions if isinstance(e.value, x509.KeyUsage)]
    return all(usage.key_encipherment or usage.key_agreement for usage in usages)


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
