"""Which parts of a received message are its attachments, and under which number (`contract.md` §3: counts from 1).

One answer for the list that is stored on arrival and for the octets that are handed out later.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from demail_gateway.core.header import read_message
from demail_gateway.core.mime import Part, leaves, read_parts

_SIGNATURES = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
_BODIES = frozenset({"text/plain", "text/html"})


@dataclass(frozen=True, slots=True)
class ReceivedAttachment:
    number: int
    filename: str = field(repr=False)
    content_type: str
    part: Part = field(repr=False)


def attachments_of(octets: bytes) -> tuple[ReceivedAttachment, ...]:
    """Attachments in document order: every leaf but the text to be read and the S/MIME signature.

    A text with a file name, or said to be an attachment, is one. What has no name is called ``anlage-<number>``.

    Raises:
        MalformedMessage: the octets have no header section.
    """
    message = read_message(octets)
    found = [part for part in leaves(read_parts(message.header, message.body)) if _is_attachment(part)]
    return tuple(
        ReceivedAttachment(number, part.filename or f"anlage-{number}", part.content_type, part)
        for number, part in enumerate(found, 1)
    )


def _is_attachment(part: Part) -> bool:
    if part.content_type in _SIGNATURES:
        return False
    return part.disposition == "attachment" or part.filename is not None or part.content_type not in _BODIES
