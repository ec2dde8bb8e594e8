"""Decrypting CMS (RFC 5652 §6, RFC 5083): AES-GCM and -CBC, reading also the 3DES of S/MIME 3.1.

Whoever sends crafted ciphertexts learns nothing but success or failure: there is one error for everything, and where
the padding of a key transport could give something away, a random key takes the place of a broken one (RFC 3218).
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from demail_gateway.core.errors import CmsInvalid, DecryptionFailed
from demail_gateway.trust.cms.algorithms import AUTH_ENVELOPED_DATA, DATA, ENVELOPED_DATA, read_algorithm
from demail_gateway.trust.cms.ciphers import READABLE_CIPHERS, CipherFacts
from demail_gateway.trust.cms.content_info import read_cms
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
    read_integer,
    tlv,
)
from demail_gateway.trust.cms.recipients import KeyAgreement, KeyTransport, RecipientNames, read_recipient
from demail_gateway.trust.keys import PrivateKey

MAX_3DES_BYTES = 32 * 1024 * 1024
"""One second of work at 34 MB/s."""

MAX_PIECES = 100_000
"""45 MiB in pieces of 1 KiB are 46,080."""

_GCM_TAG_BYTES = 16


def decrypt(der: bytes, key: PrivateKey, certificate_der: bytes) -> bytes:
    """The entity inside an EnvelopedData or AuthEnvelopedData, DER or BER, for the recipient `certificate_der`.

    EnvelopedData is not authenticated: what comes out may have been changed on the way (EFAIL) or, one time in 256
    with a broken PKCS #1 v1.5 key transport, be noise. Only a signature inside says who wrote what.

    Raises:
        CmsInvalid: the structure cannot be read, or its cipher is not permitted; found without any key.
        DecryptionFailed: not for this certificate or key, or changed on the way; never says which.
        CertificateMalformed
    """
    names = RecipientNames.of(certificate_der)
    sealed, recipient, wrapped = read_cms(der, lambda kind, element: _addressed(_read(kind, element), names))
    if recipient is None or wrapped is None:
        raise DecryptionFailed
    content_key = recipient.content_key(wrapped, key, sealed.cipher.key_bytes)
    if content_key is None:
        raise DecryptionFailed
    return _opened(sealed, content_key)


@dataclass(frozen=True, slots=True)
class _Sealed:
    recipients: tuple[KeyTransport | KeyAgreement, ...]
    cipher: CipherFacts
    nonce: bytes
    body: bytes
    associated: bytes
    """DER of the authenticated attributes (RFC 5083 §2.1), empty without them."""
    mac: bytes


def _addressed(
    sealed: _Sealed, names: RecipientNames
) -> tuple[_Sealed, KeyTransport | KeyAgreement | None, bytes | None]:
    for recipient in sealed.recipients:
        wrapped = recipient.for_names(names)
        if wrapped is not None:
            return sealed, recipient, wrapped
    return sealed, None, None


def _opened(sealed: _Sealed, content_key: bytes) -> bytes:
    if sealed.cipher.name == "gcm":
        return _open_gcm(sealed, content_key)
    cipher = algorithms.AES(content_key) if sealed.cipher.name == "cbc" else TripleDES(content_key)
    block = cipher.block_size // 8
    if not sealed.body or len(sealed.body) % block:
        raise DecryptionFailed
    decryptor = Cipher(cipher, modes.CBC(sealed.nonce)).decryptor()
    plain = decryptor.update(sealed.body) + decryptor.finalize()
    fill = plain[-1]
    if not 1 <= fill <= block or plain[-fill:] != bytes((fill,)) * fill:
        raise DecryptionFailed
    return plain[:-fill]


def _open_gcm(sealed: _Sealed, content_key: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(content_key), modes.GCM(sealed.nonce, sealed.mac)).decryptor()
    decryptor.authenticate_additional_data(sealed.associated)
    try:
        return decryptor.update(sealed.body) + decryptor.finalize()
    except InvalidTag:
        # Without `from`: nothing of the cause is to be seen.
        raise DecryptionFailed from None


def _read(content_type: bytes, element: Element) -> _Sealed:
    if content_type not in (ENVELOPED_DATA, AUTH_ENVELOPED_DATA):
        raise CmsInvalid("not enveloped data")
    is_authenticated = content_type == AUTH_ENVELOPED_DATA
    fields = Fields(element)
    fields.take(INTEGER)
    fields.maybe(CONTEXT_CONSTRUCTED)
    infos = [read_recipient(child) for child in fields.take(SET).children()]
    cipher, nonce, body = _read_content(fields.take(SEQUENCE))
    if is_authenticated is not (cipher.name == "gcm"):
        raise CmsInvalid("cipher does not fit the kind of structure")
    # unauthenticated attributes of EnvelopedData, authenticated ones of AuthEnvelopedData
    attributes = fields.maybe(CONTEXT_CONSTRUCTED | 1)
    mac = _read_mac(fields) if is_authenticated else b""
    fields.done()
    associated = tlv(SET, attributes.value) if is_authenticated and attributes is not None else b""
    recipients = tuple(info for info in infos if info is not None)
    return _Sealed(recipients, cipher, nonce, body, associated, mac)


def _read_mac(fields: Fields) -> bytes:
    mac = fields.take(OCTET_STRING).value
    fields.maybe(CONTEXT_CONSTRUCTED | 2)
    if len(mac) != _GCM_TAG_BYTES:
        raise CmsInvalid("authentication tag is not of 16 octets")
    return mac


def _read_content(element: Element) -> tuple[CipherFacts, bytes, bytes]:
    """Cipher, nonce and ciphertext of an EncryptedContentInfo."""
    fields = Fields(element)
    if fields.take(OID).raw != DATA:
        raise CmsInvalid("content type is not data")
    algorithm = read_algorithm(fields.take(SEQUENCE))
    body = fields.take(CONTEXT, CONTEXT_CONSTRUCTED)
    fields.done()
    cipher = READABLE_CIPHERS.get(algorithm.identifier)
    if cipher is None or algorithm.parameters is None:
        raise CmsInvalid("cipher is not permitted")
    if cipher.name == "3des" and body.end - body.body > MAX_3DES_BYTES:
        raise CmsInvalid("too large for its cipher")
    return cipher, _read_nonce(cipher, algorithm.parameters), _octets(body)


def _read_nonce(cipher: CipherFacts, parameters: Element) -> bytes:
    if cipher.name == "gcm":
        fields = Fields(parameters)
        nonce = fields.take(OCTET_STRING).value
        size = fields.maybe(INTEGER)
        fields.done()
        permitted = size is not None and read_integer(size) == _GCM_TAG_BYTES and 12 <= len(nonce) <= 16
    else:
        nonce = parameters.value
        permitted = parameters.tag == OCTET_STRING and len(nonce) == (8 if cipher.name == "3des" else 16)
    if not permitted:
        raise CmsInvalid("parameters of the cipher are not permitted")
    return nonce


def _octets(body: Element) -> bytes:
    """[0] IMPLICIT OCTET STRING; streaming senders leave it in pieces, which only this place knows to be strings."""
    if body.tag == CONTEXT:
        return body.value
    pieces = body.children(limit=MAX_PIECES)
    if any(piece.tag != OCTET_STRING for piece in pieces):
        raise DerError("octet string of other pieces")
    return b"".join(piece.value for piece in pieces)
