"""CMS of any size: from a seekable file into a sink, with constant memory and nothing given out before it holds.

The file is read twice, once to be verified and once to be written: that costs less than a temporary file, whose
plaintext would lie on a disk besides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import BinaryIO, TypeVar

from demail_gateway.core.errors import CertificateMalformed, CmsInvalid
from demail_gateway.trust.cms.algorithms import DATA, SIGNED_DATA
from demail_gateway.trust.cms.ber_reader import BerReader, Mark
from demail_gateway.trust.cms.decryption import (
    EncryptionFacts,
    Envelope,
    addressed,
    is_authenticated_type,
    read_cipher,
    read_recipients,
    read_rest,
    unlock,
)
from demail_gateway.trust.cms.der import (
    CONTEXT,
    CONTEXT_CONSTRUCTED,
    INTEGER,
    OID,
    SEQUENCE,
    SET,
    DerError,
    Fields,
    parse,
    tlv,
)
from demail_gateway.trust.cms.digests import Digests
from demail_gateway.trust.cms.recipients import RecipientNames
from demail_gateway.trust.cms.signer_infos import Content
from demail_gateway.trust.cms.verification import CmsSignature, read_announced, verify_signers
from demail_gateway.trust.keys import PrivateKey

T = TypeVar("T")


def verify_enveloping_file(source: BinaryIO, sink: BinaryIO, *, certificates: Sequence[bytes] = ()) -> CmsSignature:
    """As `verification.verify_enveloping`, for a seekable file that nobody changes meanwhile; the content is written
    to `sink` once every signature holds.

    Raises:
        CmsInvalid: nothing was written.
        OSError
    """
    return _reading(source, lambda reader: _verify(reader, sink, certificates))


def decrypt_file(source: BinaryIO, sink: BinaryIO, key: PrivateKey, certificate_der: bytes) -> EncryptionFacts:
    """As `decryption.open_enveloped`, for a seekable file that nobody changes meanwhile; the plaintext is written to
    `sink` once the whole of it was decrypted and, with GCM, its tag verified.

    Raises:
        CmsInvalid, DecryptionFailed, CertificateMalformed: nothing was written.
        OSError
    """
    names = RecipientNames.of(certificate_der)
    return _reading(source, lambda reader: _decrypt(reader, sink, names, key))


def _reading(source: BinaryIO, read: Callable[[BerReader], T]) -> T:
    try:
        return read(BerReader(source))
    except DerError as error:
        raise CmsInvalid(str(error)) from error


def _verify(reader: BerReader, sink: BinaryIO, more: Sequence[bytes]) -> CmsSignature:
    if _enter_content_info(reader) != SIGNED_DATA:
        raise CmsInvalid("not signed data")
    reader.element(INTEGER)
    names = read_announced(reader.element(SET))
    reader.enter(SEQUENCE)
    if reader.element(OID).raw != DATA:
        raise CmsInvalid("content type is not the expected one")
    if reader.is_at_end():
        raise CmsInvalid("content is in the wrong place")
    reader.enter(CONTEXT_CONSTRUCTED)
    mark = reader.mark()
    digests = Digests(reader.octets())
    for _ in digests.passing(names):
        pass
    reader.leave()
    reader.leave()
    try:
        signature = verify_signers(_rest(reader), names, Content(DATA, digests), more)
    except CertificateMalformed as error:
        raise CmsInvalid("certificate cannot be read") from error
    reader.reset(mark)
    sink.writelines(reader.octets())
    return signature


def _decrypt(reader: BerReader, sink: BinaryIO, names: RecipientNames, key: PrivateKey) -> EncryptionFacts:
    envelope, mark = _read_envelope(reader)
    unlocked = unlock(envelope, addressed(envelope, names), key)
    for write in (_discard, sink.write):
        reader.reset(mark)
        for piece in unlocked.plaintext(reader.octets(CONTEXT)):
            write(piece)
    return EncryptionFacts(unlocked.mechanisms, envelope.cipher.is_authenticated)


def _read_envelope(reader: BerReader) -> tuple[Envelope, Mark]:
    """All but the ciphertext, and where that begins."""
    is_authenticated = is_authenticated_type(_enter_content_info(reader))
    reader.element(INTEGER)
    recipients = reader.element(SET, CONTEXT_CONSTRUCTED)
    if recipients.tag == CONTEXT_CONSTRUCTED:  # OriginatorInfo
        recipients = reader.element(SET)
    reader.enter(SEQUENCE)
    if reader.element(OID).raw != DATA:
        raise CmsInvalid("content type is not data")
    algorithm = reader.element(SEQUENCE)
    mark = reader.mark()
    size = sum(map(len, reader.octets(CONTEXT)))
    reader.leave()
    cipher, nonce = read_cipher(algorithm, size)
    associated, mac = read_rest(_rest(reader), cipher, is_authenticated=is_authenticated)
    return Envelope(read_recipients(recipients), cipher, nonce, associated, mac), mark


def _enter_content_info(reader: BerReader) -> bytes:
    """The content type (DER); the reader then stands inside the content."""
    reader.enter(SEQUENCE)
    content_type = reader.element(OID).raw
    reader.enter(CONTEXT_CONSTRUCTED)
    reader.enter(SEQUENCE)
    return content_type


def _rest(reader: BerReader) -> Fields:
    """What is left of the content, which ends the file."""
    left = []
    while not reader.is_at_end():
        left.append(reader.element().raw)
        if len(left) > _MAX_REST:
            raise DerError("too many elements")
    for _ in range(3):
        reader.leave()
    reader.finish()
    return Fields(parse(tlv(SEQUENCE, *left)))


def _discard(piece: bytes) -> int:
    return len(piece)


_MAX_REST = 4
"""Certificates, lists and SignerInfos; or attributes, tag and attributes."""
