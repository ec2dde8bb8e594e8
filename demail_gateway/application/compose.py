"""One copy as octets: content, the tenant's signature, encryption, and the fields of a submission (MF-27)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from demail_gateway.application.ports.dispatches import CopyContent
from demail_gateway.application.ports.installation import SigningMaterial
from demail_gateway.application.ports.submissions import NewRecipient
from demail_gateway.application.ports.trust import Sealer
from demail_gateway.core.address import parse_address
from demail_gateway.core.errors import AddressInvalid, ComposeFailed, KeyUnavailable
from demail_gateway.core.message import (
    PartSource,
    Piece,
    SubmissionFields,
    assemble,
    build_entity,
    enveloped_pieces,
    signed_pieces,
)
from demail_gateway.core.recipients import Mailbox, RecipientLists
from demail_gateway.core.vocabulary import RecipientKind


def compose(
    content: CopyContent, material: SigningMaterial | None, sealer: Sealer, at: datetime, boundary: str
) -> bytes:
    """The octets to hand over for one copy. CPU work: run it in a thread.

    What an earlier attempt composed is returned unchanged, so that a De-Mail has the same octets on every attempt.
    `boundary` is a fresh token of letters and digits. Signed first, then encrypted (RFC 8551 §3.7).

    Raises:
        ComposeFailed: it cannot be written, signed or encrypted; trying again does not help.
        KeyUnavailable: the tenant has no usable key now.
    """
    if content.octets is not None:
        return content.octets
    parts = [PartSource(name, content_type, octets) for name, content_type, octets in content.attachments]
    entity: Sequence[Piece] = (build_entity(content.text, content.html, parts, boundary),)
    if (content.sign or content.encrypt) and material is None:
        raise KeyUnavailable("tenant has no active S/MIME key")
    if content.sign and material is not None:
        signature, micalg = sealer.sign(bytes(entity[0]), material, at)
        entity = signed_pieces(bytes(entity[0]), signature, micalg, boundary)
    if content.encrypt and material is not None:
        encrypted, smime_type = sealer.encrypt(entity, _certificates(content, material, sealer, at), at)
        entity = tuple(enveloped_pieces(encrypted, smime_type))
    return assemble(_fields(content, at), *entity)


def served(content: CopyContent) -> tuple[NewRecipient, ...]:
    """Recipients of this copy's envelope: its own, without those that the provider refused alone."""
    return tuple(r for r in content.recipients if r.copy_id == content.copy_id and r.id not in content.refused)


def _certificates(content: CopyContent, material: SigningMaterial, sealer: Sealer, at: datetime) -> list[bytes]:
    """Of this copy's recipients and the sender's own: the authority must read its file copy (DIR-52).

    Judged again: a certificate may have ended since the message was accepted (DIR-51).
    """
    own = sealer.objection(material.certificate_der, at)
    if own is not None:
        raise KeyUnavailable(f"S/MIME certificate cannot be encrypted for: {own}")
    chosen: dict[bytes, None] = {}
    for recipient in served(content):
        stored = content.recipient_certificates.get(recipient.address, ())
        usable = [each for each in stored if sealer.objection(each, at) is None]
        if not usable:
            raise ComposeFailed("recipient-certificate-unusable" if stored else "recipient-certificate-missing")
        chosen.update(dict.fromkeys(usable))
    return [*dict.fromkeys((*chosen, material.certificate_der))]


def _fields(content: CopyContent, at: datetime) -> SubmissionFields:
    chosen = _chosen(content)
    try:
        return SubmissionFields(
            sender=parse_address(content.sender),
            to=chosen.to,
            cc=chosen.cc,
            chosen=chosen,
            subject=content.subject,
            date=at,
            message_id=content.internet_message_id,
            private_id=content.private_id,
            options=content.options,
            reply_to=None if content.reply_to is None else parse_address(content.reply_to),
            account_holder=content.account_holder,
        )
    except AddressInvalid as error:
        raise ComposeFailed(f"address: {error.reason}") from error


def _chosen(content: CopyContent) -> RecipientLists:
    """To and cc of the whole message; a bcc copy names its one bcc recipient too (MF-19).

    In a split message each to and cc recipient is named alone (SND-48).
    """
    own = [recipient for recipient in content.recipients if recipient.copy_id == content.copy_id]
    secret = [recipient for recipient in own if recipient.kind is RecipientKind.BCC]
    shown = own if content.split and not secret else [*_open(content.recipients), *secret]
    try:
        return RecipientLists(*(_mailboxes(shown, kind) for kind in RecipientKind))
    except AddressInvalid as error:
        raise ComposeFailed(f"address: {error.reason}") from error


def _open(recipients: Sequence[NewRecipient]) -> list[NewRecipient]:
    return [recipient for recipient in recipients if recipient.kind is not RecipientKind.BCC]


def _mailboxes(recipients: Sequence[NewRecipient], kind: RecipientKind) -> tuple[Mailbox, ...]:
    chosen = sorted((r for r in recipients if r.kind is kind), key=lambda recipient: recipient.position)
    return tuple(Mailbox("", parse_address(recipient.address)) for recipient in chosen)
