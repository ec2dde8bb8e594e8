"""CMS signatures of others (RFC 5652 §5), read strictly: what is not exactly understood is refused.

Said of every signer, not of one among several: a signature beside a broken one gives no more trust than none.
Whether the certificates are valid is not decided here; a Judge does that for `CmsSigner.certificate_der`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from demail_gateway.core.errors import CertificateMalformed, CmsInvalid
from demail_gateway.core.primitives import HashName
from demail_gateway.trust.cms.algorithms import DATA, SIGNED_DATA, read_hash
from demail_gateway.trust.cms.content_info import read_cms
from demail_gateway.trust.cms.der import (
    CONTEXT_CONSTRUCTED,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    SET,
    DerError,
    Element,
    Fields,
)
from demail_gateway.trust.cms.digests import Digests
from demail_gateway.trust.cms.signer_infos import CmsSigner, Content, read_signer_info, verified_signer

T = TypeVar("T")

MAX_SIGNERS = 8
MAX_CERTIFICATES = 64


@dataclass(frozen=True, slots=True)
class CmsSignature:
    """A SignedData all of whose signatures hold."""

    signers: tuple[CmsSigner, ...]
    certificates: tuple[bytes, ...]
    """All certificates that came along (DER), for path building; nothing vouches for them."""


def verify_detached(
    der: bytes, content: bytes | Iterable[bytes], *, certificates: Sequence[bytes] = ()
) -> CmsSignature:
    """The signers of `content`, every signature verified.

    `content`, whole or in chunks, is compared octet for octet: canonical line ends are the caller's. BER is accepted.
    `certificates` are looked through where the structure does not carry a signer's own.

    Raises:
        CmsInvalid: unreadable, content inside, no signer, or one whose signature, digest, attributes, algorithm, key
            or certificate does not hold.
    """
    digests = Digests.of(content)
    return _read(der, lambda fields, names: _verify_detached(fields, names, digests, certificates))


def verify_enveloping(
    der: bytes, *, certificates: Sequence[bytes] = (), content_type: bytes = DATA
) -> tuple[CmsSignature, bytes]:
    """Like `verify_detached` for a structure that carries its content (S/MIME ``signed-data``); the content is second.

    Raises:
        CmsInvalid
    """
    return _read(der, lambda fields, names: _verify_enveloping(fields, names, content_type, certificates))


def read_certs_only(der: bytes) -> tuple[bytes, ...]:
    """The certificates (DER) of a SignedData without signers and content (RFC 8551 §3.8); nothing vouches for them.

    Raises:
        CmsInvalid
    """
    return _read(der, lambda fields, _: _certs_only(fields))


def read_announced(element: Element) -> frozenset[HashName]:
    """Hashes of the digestAlgorithms, as far as they are known. Raises DerError."""
    if element.tag != SET:
        raise DerError("unexpected tag")
    names = set()
    for child in element.children():
        with suppress(DerError):
            names.add(read_hash(child))
    return frozenset(names)


def verify_signers(rest: Fields, announced: Set[HashName], content: Content, more: Sequence[bytes]) -> CmsSignature:
    """Certificates and SignerInfos, what follows the content of a SignedData. Raises CmsInvalid, DerError.

    A signer's hash must be among the `announced` (RFC 5652 §5.1 permits that), or a stream could not be verified.
    """
    certificates = _certificates(rest)
    infos = rest.take(SET).children()
    rest.done()
    if not 0 < len(infos) <= MAX_SIGNERS:
        raise CmsInvalid("no signer, or too many")
    read = [read_signer_info(info) for info in infos]
    names = {info.digest_name for info in read}
    if not names <= announced:
        raise CmsInvalid("hash is not announced")
    content.digests.compute(names)
    known = (*certificates, *more)
    return CmsSignature(tuple(verified_signer(info, content, known) for info in read), certificates)


def _read(der: bytes, read: Callable[[Fields, Set[HashName]], T]) -> T:
    def signed(content_type: bytes, element: Element) -> T:
        if content_type != SIGNED_DATA:
            raise CmsInvalid("not signed data")
        fields = Fields(element)
        fields.take(INTEGER)
        return read(fields, read_announced(fields.take(SET)))

    try:
        return read_cms(der, signed)
    except CertificateMalformed as error:
        raise CmsInvalid("certificate cannot be read") from error


def _verify_detached(fields: Fields, names: Set[HashName], digests: Digests, more: Sequence[bytes]) -> CmsSignature:
    if _content(fields, DATA) is not None:
        raise CmsInvalid("content is in the wrong place")
    return verify_signers(fields, names, Content(DATA, digests), more)


def _verify_enveloping(
    fields: Fields, names: Set[HashName], content_type: bytes, more: Sequence[bytes]
) -> tuple[CmsSignature, bytes]:
    content = _content(fields, content_type)
    if content is None:
        raise CmsInvalid("content is in the wrong place")
    return verify_signers(fields, names, Content(content_type, Digests.of(content)), more), content


def _certs_only(fields: Fields) -> tuple[bytes, ...]:
    content = _content(fields, DATA)
    certificates = _certificates(fields)
    infos = fields.take(SET).children()
    fields.done()
    if content or infos:
        raise CmsInvalid("more than certificates")
    return certificates


def _content(fields: Fields, expected: bytes) -> bytes | None:
    """The content inside of an EncapsulatedContentInfo, None if there is none."""
    info = Fields(fields.take(SEQUENCE))
    if info.take(OID).raw != expected:
        raise CmsInvalid("content type is not the expected one")
    inside = info.maybe(CONTEXT_CONSTRUCTED)
    info.done()
    if inside is None:
        return None
    wrapped = Fields(inside, CONTEXT_CONSTRUCTED)
    value = wrapped.take(OCTET_STRING).value
    wrapped.done()
    return value


def _certificates(rest: Fields) -> tuple[bytes, ...]:
    """X.509 certificates of the set; attribute certificates and other kinds are passed over, as are lists."""
    element = rest.maybe(CONTEXT_CONSTRUCTED)
    rest.maybe(CONTEXT_CONSTRUCTED | 1)
    children = element.children() if element is not None else []
    if len(children) > MAX_CERTIFICATES:
        raise CmsInvalid("too many certificates")
    return tuple(child.raw for child in children if child.tag == SEQUENCE)
