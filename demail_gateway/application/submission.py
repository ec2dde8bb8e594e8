"""A submission as a client gave it, and how its message looks before anything has happened to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from demail_gateway.application.ports.reading import MessageView, RecipientView
from demail_gateway.application.ports.submissions import NewAttachment, NewMessage, NewRecipient, UploadFacts
from demail_gateway.core.draft import AttachmentFacts, DraftInput
from demail_gateway.core.errors import Violation
from demail_gateway.core.vocabulary import Direction, MessageState, RecipientKind, RecipientState


@dataclass(frozen=True, slots=True)
class Inline:
    """An attachment given with the message."""

    filename: str = field(repr=False)
    content_type: str
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An attachment that was uploaded before."""

    upload_id: UUID


@dataclass(frozen=True, slots=True)
class Submission:
    """A draft and its attachments as the client gave them; `draft.attachments` is empty."""

    draft: DraftInput
    attachments: tuple[Inline | Uploaded, ...] = ()
    trace_id: str | None = None


def first_view(message: NewMessage) -> MessageView:
    """The message as it is shown before anything has happened to it."""
    recipients = message.recipients
    return MessageView(
        id=message.id,
        direction=Direction.OUTBOUND,
        state=MessageState.QUEUED,
        reference=message.reference,
        sender=message.sender,
        to=_addresses(recipients, RecipientKind.TO),
        cc=_addresses(recipients, RecipientKind.CC),
        bcc=_addresses(recipients, RecipientKind.BCC),
        subject=message.subject,
        size_bytes=message.size_bytes,
        options=message.options,
        profile=message.profile,
        signed=message.sign,
        encrypted=message.encrypt,
        recipients=tuple(
            RecipientView(r.id, r.address, r.kind, RecipientState.PENDING, None, None, None, None) for r in recipients
        ),
        attachments=tuple((a.position, a.filename, a.content_type, a.size_bytes) for a in message.attachments),
        created_at=message.created_at,
        submitted_at=None,
        completed_at=None,
        overdue_since=None,
        next_attempt_at=None,
    )


def facts_of(attachment: Inline | Uploaded, uploads: Mapping[UUID, UploadFacts]) -> AttachmentFacts:
    if isinstance(attachment, Inline):
        return AttachmentFacts(attachment.filename, attachment.content_type, len(attachment.octets))
    upload = uploads.get(attachment.upload_id)
    if upload is None:
        # what is wrong with the draft is told first (422), the missing upload only then (404)
        return AttachmentFacts("unknown", "application/octet-stream", 0)
    return AttachmentFacts(upload.filename, upload.content_type, upload.size_bytes)


def missing_uploads(
    attachments: Sequence[Inline | Uploaded], uploads: Mapping[UUID, UploadFacts]
) -> Iterator[Violation]:
    """One for each attachment whose upload is not among `uploads`: used up, expired, another tenant's or never made."""
    for index, attachment in enumerate(attachments):
        if isinstance(attachment, Uploaded) and attachment.upload_id not in uploads:
            yield Violation(
                "not-found",
                "GWT-39",
                f"/attachments/{index}/attachment_id",
                "Einen Upload mit dieser Kennung gibt es nicht (mehr); bitte die Datei noch einmal hochladen.",
                "There is no upload of this id (any more); upload the file again.",
            )


def new_attachment(position: int, attachment: Inline | Uploaded, uploads: Mapping[UUID, UploadFacts]) -> NewAttachment:
    if isinstance(attachment, Inline):
        octets = attachment.octets
        return NewAttachment(position, attachment.filename, attachment.content_type, len(octets), octets, None)
    upload = uploads[attachment.upload_id]
    return NewAttachment(position, upload.filename, upload.content_type, upload.size_bytes, None, upload.id)


def _addresses(recipients: tuple[NewRecipient, ...], kind: RecipientKind) -> tuple[str, ...]:
    return tuple(recipient.address for recipient in recipients if recipient.kind is kind)
