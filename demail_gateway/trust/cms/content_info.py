"""The outer frame of every CMS structure, and the two ways in which CMS names a certificate (RFC 5652 §3, §10.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cryptography import x509

from demail_gateway.core.errors import CmsInvalid
from demail_gateway.trust.cms.ber import to_der
from demail_gateway.trust.cms.der import CONTEXT_CONSTRUCTED, OID, DerError, Element, Fields, parse

T = TypeVar("T")


def read_cms(data: bytes, read: Callable[[bytes, Element], T]) -> T:
    """What `read` makes of the content type (OID, DER) and the content of a ContentInfo.

    DER is read as it is. Where that fails, `data` is put into DER once (`ber`) and `read` is called again, so it must
    raise DerError for structure alone and do nothing that cannot be done twice.

    Raises:
        CmsInvalid: unreadable in both forms, or octets behind it; and what `read` raises.
    """
    try:
        try:
            return read(*_content_info(data))
        except DerError:
            return read(*_content_info(to_der(data)))
    except DerError as error:
        raise CmsInvalid(str(error)) from error


def content_type_of(data: bytes) -> bytes:
    """OID (DER) of the content type, whatever the content is.

    Raises:
        CmsInvalid
    """
    return read_cms(data, lambda content_type, _: content_type)


def subject_key_identifier(certificate: x509.Certificate) -> bytes | None:
    """Contents of the extension, as recipients and signers may be named by it; None without it."""
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.SubjectKeyIdentifier):
            return extension.value.digest
    return None


def _content_info(data: bytes) -> tuple[bytes, Element]:
    fields = Fields(parse(data))
    content_type = fields.take(OID).raw
    wrapped = Fields(fields.take(CONTEXT_CONSTRUCTED), CONTEXT_CONSTRUCTED)
    content = wrapped.take()
    wrapped.done()
    fields.done()
    return content_type, content
