"""Encrypting MIME entities for certificates (RFC 5652 §6, RFC 5083, RFC 5753; S/MIME 4.0 in RFC 8551).

Of a content whose size is known everything that stands in front can be written at once: memory does not grow with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.ciphers import AEADEncryptionContext, Cipher, CipherContext, algorithms, modes

from demail_gateway.core.errors import ComposeFailed
from demail_gateway.trust.cms.algorithms import AUTH_ENVELOPED_DATA, DATA, ENVELOPED_DATA, algorithm
from demail_gateway.trust.cms.ciphers import CIPHER_OIDS, ContentCipher, RsaTransport
from demail_gateway.trust.cms.der import (
    CONTEXT,
    CONTEXT_CONSTRUCTED,
    OCTET_STRING,
    SEQUENCE,
    around,
    integer,
    set_of,
    tlv,
)
from demail_gateway.trust.cms.recipient_infos import recipient_info
from demail_gateway.trust.policy import SMIME, Mechanism, Policy, Use

_KEY_BYTES = 32
_BLOCK_BYTES = 16
_GCM_TAG_BYTES = 16
_SLICE_BYTES = 64 * 1024


def encrypt(
    entity: bytes,
    recipients: Sequence[bytes],
    algorithm: ContentCipher | str = ContentCipher.AES_256_GCM,
    *,
    at: datetime,
    rsa_transport: RsaTransport | str = RsaTransport.OAEP,
    policy: Policy = SMIME,
) -> bytes:
    """DER of `entity` encrypted for every certificate (DER) in `recipients`.

    AuthEnvelopedData for GCM, EnvelopedData for CBC; `ContentCipher.smime_type` names it in the MIME header. The
    sender's own certificate is one more recipient, which the caller adds (DIR-52). RSA keys get the content key by
    `rsa_transport`, EC keys by ECDH with an ephemeral key. Validity and path of the certificates are not judged here;
    `policy` is asked for the moment `at`.

    Raises:
        ComposeFailed: no recipient, an unreadable certificate, a key or an algorithm that is not permitted, or a key
            usage that does not allow it.
    """
    return b"".join(
        encrypted([entity], len(entity), recipients, algorithm, at=at, rsa_transport=rsa_transport, policy=policy)
    )


def encrypted(
    chunks: Iterable[bytes | memoryview],
    size_bytes: int,
    recipients: Sequence[bytes],
    algorithm: ContentCipher | str = ContentCipher.AES_256_GCM,
    *,
    at: datetime,
    rsa_transport: RsaTransport | str = RsaTransport.OAEP,
    policy: Policy = SMIME,
) -> Iterator[bytes]:
    """Like `encrypt`, in pieces, for a content of `size_bytes` in all that comes in chunks; memory is that of a chunk.

    Raises:
        ComposeFailed: also after the last chunk, where the chunks are not `size_bytes` together; what was given out
            until then is useless.
    """
    cipher, transport = ContentCipher(algorithm), RsaTransport(rsa_transport)
    if not recipients:
        raise ComposeFailed("no recipient")
    used = Mechanism(Use.CIPHER, "aes-gcm" if cipher is ContentCipher.AES_256_GCM else "aes-cbc", _KEY_BYTES * 8)
    against = policy.findings((used,), at)
    if against:
        raise ComposeFailed(against[0].code)
    key = os.urandom(_KEY_BYTES)
    infos = [recipient_info(each, key, transport, policy, at) for each in dict.fromkeys(recipients)]
    frame = _gcm(key, size_bytes, infos) if cipher is ContentCipher.AES_256_GCM else _cbc(key, size_bytes, infos)
    yield frame.front
    seen = 0
    for piece in _slices(chunks):
        seen += len(piece)
        yield frame.update(piece)
    if seen != size_bytes:
        raise ComposeFailed("content is not of the announced size")
    yield frame.finish()


@dataclass(frozen=True, slots=True)
class _Frame:
    """What stands around the ciphertext."""

    front: bytes
    update: Callable[[bytes | memoryview], bytes]
    finish: Callable[[], bytes]
    """The rest of the ciphertext and what follows it."""


def _slices(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """The same octets in pieces that fit the cache: ciphertexts of megabytes would be new memory each time, and each
    of many small ones costs a call."""
    small = bytearray()
    for chunk in chunks:
        if len(small) + len(chunk) < _SLICE_BYTES:
            small += chunk
            continue
        yield bytes(small)
        small.clear()
        view = memoryview(chunk)
        yield from (view[at : at + _SLICE_BYTES] for at in range(0, len(view), _SLICE_BYTES))
    yield bytes(small)


def _gcm(key: bytes, size: int, infos: list[bytes]) -> _Frame:
    nonce = os.urandom(12)
    encryptor: AEADEncryptionContext = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
    # The length of the tag is written: its default would be 12 octets (RFC 5084 §3.2).
    parameters = tlv(SEQUENCE, tlv(OCTET_STRING, nonce), integer(_GCM_TAG_BYTES))

    def finish() -> bytes:
        return encryptor.finalize() + tlv(OCTET_STRING, encryptor.tag)

    tag = tlv(OCTET_STRING, bytes(_GCM_TAG_BYTES))
    head = (AUTH_ENVELOPED_DATA, integer(0) + set_of(infos))
    return _Frame(_front(*head, ContentCipher.AES_256_GCM, parameters, size, tag), encryptor.update, finish)


def _cbc(key: bytes, size: int, infos: list[bytes]) -> _Frame:
    iv = os.urandom(_BLOCK_BYTES)
    encryptor: CipherContext = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    fill = _BLOCK_BYTES - size % _BLOCK_BYTES

    def finish() -> bytes:
        return encryptor.update(bytes((fill,)) * fill) + encryptor.finalize()

    is_plain_transport = all(info[0] == SEQUENCE for info in infos)
    head = (ENVELOPED_DATA, integer(0 if is_plain_transport else 2) + set_of(infos))
    front = _front(*head, ContentCipher.AES_256_CBC, tlv(OCTET_STRING, iv), size + fill, b"")
    return _Frame(front, encryptor.update, finish)


def _front(
    content_type: bytes, front: bytes, cipher: ContentCipher, parameters: bytes, body_size: int, rest: bytes
) -> bytes:
    """ContentInfo up to its ciphertext of `body_size` octets, behind which something as long as `rest` follows."""
    return around(
        body_size,
        (CONTEXT, b"", b""),
        (SEQUENCE, DATA + algorithm(CIPHER_OIDS[cipher], parameters), b""),
        (SEQUENCE, front, rest),
        (CONTEXT_CONSTRUCTED, b"", b""),
        (SEQUENCE, content_type, b""),
    )[0]
