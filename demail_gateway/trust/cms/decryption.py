"""Decrypting CMS (RFC 5652 §6, RFC 5083): AES-GCM and -CBC, reading also the 3DES of S/MIME 3.1.

Whoever sends crafted ciphertexts learns nothing but success or failure: there is one error for everything, and where
the padding of a key transport could give something away, a random key takes the place of a broken one (RFC 3218).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

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
from demail_gateway.trust.policy import Mechanism

MAX_3DES_BYTES = 32 * 1024 * 1024
"""One second of work at 34 MB/s."""

MAX_PIECES = 100_000
"""45 MiB in pieces of 1 KiB are 46,080."""

_GCM_TAG_BYTES = 16


@dataclass(frozen=True, slots=True)
class EncryptionFacts:
    """How a content was encrypted."""

    mechanisms: tuple[Mechanism, ...]
    """What it uses, to be held against a Policy."""
    is_authenticated: bool
    """False for EnvelopedData, which anybody can change on the way (EFAIL)."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A decrypted content."""

    content: bytes = field(repr=False)
    facts: EncryptionFacts


def decrypt(der: bytes, key: PrivateKey, certificate_der: bytes) -> bytes:
    """The entity inside an EnvelopedData or AuthEnvelopedData, DER or BER, for the recipient `certificate_der`.

    EnvelopedData is not authenticated: what comes out may have been changed on the way (EFAIL) or, one time in 256
    with a broken PKCS #1 v1.5 key transport, be noise. Only a signature inside says who wrote what.

    Raises:
        CmsInvalid: the structure cannot be read, or its cipher is not permitted; found without any key.
        DecryptionFailed: not for this certificate or key, or changed on the way; never says which.
        CertificateMalformed
    """
    return open_enveloped(der, key, certificate_der).content


def open_enveloped(der: bytes, key: PrivateKey, certificate_der: bytes) -> Opened:
    """Like `decrypt`, telling also which algorithms were used."""
    names = RecipientNames.of(certificate_der)
    envelope, body, wrapped = read_cms(der, lambda kind, element: _addressed(*_read(kind, element), names))
    unlocked = unlock(envelope, wrapped, key)
    facts = EncryptionFacts(unlocked.mechanisms, envelope.cipher.is_authenticated)
    return Opened(b"".join(unlocked.plaintext([body])), facts)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Everything of an EnvelopedData or AuthEnvelopedData but its ciphertext."""

    recipients: tuple[KeyTransport | KeyAgreement, ...]
    cipher: CipherFacts
    nonce: bytes
    associated: bytes
    """DER of the authenticated attributes (RFC 5083 §2.1), empty without them."""
    mac: bytes


Wrapped = tuple[KeyTransport | KeyAgreement, bytes]
"""A recipient and the content key encrypted for it."""


@dataclass(frozen=True, slots=True)
class Unlocked:
    """An envelope with its content key."""

    envelope: Envelope
    content_key: bytes = field(repr=False)
    mechanisms: tuple[Mechanism, ...]

    def plaintext(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Plaintext of the ciphertext in `chunks`. Nothing of it may be used before the last piece came.

        Raises:
            DecryptionFailed
        """
        return self._gcm(chunks) if self.envelope.cipher.is_authenticated else self._cbc(chunks)

    def _gcm(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        cipher = Cipher(algorithms.AES(self.content_key), modes.GCM(self.envelope.nonce, self.envelope.mac))
        decryptor = cipher.decryptor()
        decryptor.authenticate_additional_data(self.envelope.associated)
        for chunk in chunks:
            yield decryptor.update(chunk)
        try:
            decryptor.finalize()
        except InvalidTag:
            # Without `from`: nothing of the cause is to be seen.
            raise DecryptionFailed from None

    def _cbc(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        key, block = self.content_key, self.envelope.cipher.block_bytes
        cipher = TripleDES(key) if self.envelope.cipher.name == "3des" else algorithms.AES(key)
        decryptor = Cipher(cipher, modes.CBC(self.envelope.nonce)).decryptor()
        size, kept = 0, b""
        for chunk in chunks:
            size += len(chunk)
            if plain := decryptor.update(chunk):
                yield kept
                yield plain[:-block]
                kept = plain[-block:]
        if not size or size % block:
            raise DecryptionFailed
        fill = kept[-1]
        if not 1 <= fill <= block or kept[-fill:] != bytes((fill,)) * fill:
            raise DecryptionFailed
        yield kept[:-fill]


def unlock(envelope: Envelope, wrapped: Wrapped | None, key: PrivateKey) -> Unlocked:
    """Raises DecryptionFailed."""
    if wrapped is None:
        raise DecryptionFailed
    recipient, octets = wrapped
    content_key = recipient.content_key(octets, key, envelope.cipher.key_bytes)
    if content_key is None:
        raise DecryptionFailed
    mechanisms = (envelope.cipher.mechanism, *recipient.mechanisms(key.public_key()))
    return Unlocked(envelope, content_key, mechanisms)


def addressed(envelope: Envelope, names: RecipientNames) -> Wrapped | None:
    """The first recipient of these names. Raises DerError."""
    for recipient in envelope.recipients:
        wrapped = recipient.for_names(names)
        if wrapped is not None:
            return recipient, wrapped
    return None


def read_recipients(element: Element) -> tuple[KeyTransport | KeyAgreement, ...]:
    """Recipients by certificate. Raises DerError."""
    infos = [read_recipient(child) for child in element.children()]
    return tuple(info for info in infos if info is not None)


def read_cipher(element: Element, body_size: int) -> tuple[CipherFacts, bytes]:
    """Cipher and nonce of a contentEncryptionAlgorithm for a ciphertext of `body_size` octets.

    Raises:
        CmsInvalid: not permitted.
        DerError
    """
    algorithm = read_algorithm(element)
    cipher = READABLE_CIPHERS.get(algorithm.identifier)
    if cipher is None or algorithm.parameters is None:
        raise CmsInvalid("cipher is not permitted")
    if cipher.name == "3des" and body_size > MAX_3DES_BYTES:
        raise CmsInvalid("too large for its cipher")
    return cipher, _read_nonce(cipher, algorithm.parameters)


def read_rest(fields: Fields, cipher: CipherFacts, *, is_authenticated: bool) -> tuple[bytes, bytes]:
    """What follows the ciphertext: associated data and authentication tag, both empty for EnvelopedData.

    Raises:
        CmsInvalid: the cipher does not fit the kind of structure (no downgrade), or the tag is short.
        DerError
    """
    if is_authenticated is not cipher.is_authenticated:
        raise CmsInvalid("cipher does not fit the kind of structure")
    # unauthenticated attributes of EnvelopedData, authenticated ones of AuthEnvelopedData
    attributes = fields.maybe(CONTEXT_CONSTRUCTED | 1)
    mac = _read_mac(fields) if is_authenticated else b""
    fields.done()
    associated = tlv(SET, attributes.value) if is_authenticated and attributes is not None else b""
    return associated, mac


def is_authenticated_type(content_type: bytes) -> bool:
    """Raises CmsInvalid for a structure of another kind."""
    if content_type not in (ENVELOPED_DATA, AUTH_ENVELOPED_DATA):
        raise CmsInvalid("not enveloped data")
    return content_type == AUTH_ENVELOPED_DATA


def _addressed(envelope: Envelope, body: bytes, names: RecipientNames) -> tuple[Envelope, bytes, Wrapped | None]:
    return envelope, body, addressed(envelope, names)


def _read(content_type: bytes, element: Element) -> tuple[Envelope, bytes]:
    is_authenticated = is_authenticated_type(content_type)
    fields = Fields(element)
    fields.take(INTEGER)
    fields.maybe(CONTEXT_CONSTRUCTED)
    recipients = read_recipients(fields.take(SET))
    info = Fields(fields.take(SEQUENCE))
    if info.take(OID).raw != DATA:
        raise CmsInvalid("content type is not data")
    algorithm = info.take(SEQUENCE)
    body = info.take(CONTEXT, CONTEXT_CONSTRUCTED)
    info.done()
    cipher, nonce = read_cipher(algorithm, body.end - body.body)
    associated, mac = read_rest(fields, cipher, is_authenticated=is_authenticated)
    return Envelope(recipients, cipher, nonce, associated, mac), _octets(body)


def _read_mac(fields: Fields) -> bytes:
    mac = fields.take(OCTET_STRING).value
    fields.maybe(CONTEXT_CONSTRUCTED | 2)
    if len(mac) != _GCM_TAG_BYTES:
        raise CmsInvalid("authentication tag is not of 16 octets")
    return mac


def _read_nonce(cipher: CipherFacts, parameters: Element) -> bytes:
    if cipher.is_authenticated:
        fields = Fields(parameters)
        nonce = fields.take(OCTET_STRING).value
        size = fields.maybe(INTEGER)
        fields.done()
        permitted = size is not None and read_integer(size) == _GCM_TAG_BYTES and 12 <= len(nonce) <= 16
    else:
        nonce = parameters.value
        permitted = parameters.tag == OCTET_STRING and len(nonce) == cipher.block_bytes
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
