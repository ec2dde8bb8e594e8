"""What a submission would weigh, without any effect: its largest copy as it would be transmitted (MF-17)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from demail_gateway.application.compose import compose
from demail_gateway.application.ports.dispatches import CopyContent
from demail_gateway.application.ports.installation import SigningMaterial
from demail_gateway.application.ports.submissions import NewMessage, NewRecipient
from demail_gateway.application.ports.trust import Sealer
from demail_gateway.core.limits import base64_size

SIGNATURE_BYTES = 6 * 1024
"""CMS with its certificates, roughly; those of the tenant are not opened for a forecast."""
ENVELOPE_BYTES = 1024
"""CMS around encrypted content, without its recipients."""
KEY_PACKAGE_BYTES = 640
"""Per certificate that is encrypted for."""
_PART_BYTES = 512
"""Header fields and delimiters of one more MIME part."""
_MIME = b"MIME-Version: 1.0\r\n"
_BOUNDARY = "0" * 32


def transmitted_bytes(message: NewMessage, account_holder: str) -> int:
    """Octets of the largest copy after encoding: exact without S/MIME; signature and encryption are estimated.

    CPU work. Files are not read: base64 of so many octets has a known size.

    Raises:
        ComposeFailed: it cannot be written.
    """
    octets = compose(_content(message, account_holder), None, _NOBODY, message.created_at, _BOUNDARY)
    header = octets.index(_MIME) + len(_MIME)
    # the last line end inside a multipart belongs to the delimiter
    files = sum(max(0, base64_size(each.size_bytes) - 2) for each in message.attachments)
    entity = len(octets) - header + files
    if message.sign:
        entity += base64_size(SIGNATURE_BYTES) + 2 * _PART_BYTES
    if message.encrypt:
        keys = KEY_PACKAGE_BYTES * (1 + sum(map(len, message.recipient_certificates.values())))
        entity = base64_size(entity + ENVELOPE_BYTES + keys) + _PART_BYTES
    return header + entity


def _content(message: NewMessage, account_holder: str) -> CopyContent:
    """The copy that names most, its files empty."""
    own = _largest(message.recipients)
    copy = next(each for each in message.copies if each.id == own)
    files = tuple((each.filename, each.content_type, b"") for each in message.attachments)
    no_certificates: Mapping[str, Sequence[bytes]] = {}
    return CopyContent(
        tenant_id=message.id,
        message_id=message.id,
        copy_id=copy.id,
        connection_id=message.connection_id,
        account_id=message.account_id,
        sender=message.sender,
        account_holder=account_holder,
        reply_to=message.reply_to,
        subject=message.subject,
        text=message.text,
        html=message.html,
        options=message.options,
        sign=False,
        encrypt=False,
        split=message.split,
        recipient_certificates=no_certificates,
        created_at=message.created_at,
        private_id=copy.private_id,
        internet_message_id=copy.internet_message_id,
        recipients=message.recipients,
        refused=frozenset(),
        attachments=files,
        octets=None,
    )


def _largest(recipients: Sequence[NewRecipient]) -> object:
    """A bcc copy names its recipient beside all others; of the others each copy names its own at least."""
    return max(recipients, key=lambda each: (each.kind == "bcc", len(each.address))).copy_id


class _Nobody:
    """A Sealer for content that asks for none."""

    def sign(self, entity: bytes, material: SigningMaterial, at: object) -> tuple[bytes, str]:
        raise AssertionError("nothing is signed here")

    def encrypt(self, entity: object, certificates: Sequence[bytes], at: object) -> tuple[Sequence[bytes], str]:
        raise AssertionError("nothing is encrypted here")

    def objection(self, certificate_der: bytes, at: object) -> str | None:
        raise AssertionError("nothing is encrypted here")


_NOBODY: Sealer = _Nobody()
