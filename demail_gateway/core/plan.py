"""What will be sent once a draft has passed: who is in which copy, who sees whom, with which text (MF-19, SND-48)."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from demail_gateway.core.address import Address, parse_address
from demail_gateway.core.draft_facts import DraftInput, FormalService
from demail_gateway.core.options import FORMAL_SERVICE, RequestedOptions, SendOptions, expand
from demail_gateway.core.vocabulary import RecipientKind


@dataclass(frozen=True, slots=True)
class PlannedRecipient:
    kind: RecipientKind
    position: int
    """Place in the list of its kind as submitted, from 0."""
    address: Address = field(repr=False)


@dataclass(frozen=True, slots=True)
class PlannedCopy:
    """One De-Mail of its own: one SMTP transaction, one private id."""

    to: tuple[Address, ...] = field(repr=False)
    """These three are what everybody who gets this copy sees (chosen-recipient)."""
    cc: tuple[Address, ...] = field(repr=False)
    bcc: tuple[Address, ...] = field(repr=False)
    envelope: tuple[PlannedRecipient, ...]
    """Exactly those whom this copy serves (RCPT TO)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A draft that broke no rule, all decisions made."""

    sender: Address = field(repr=False)
    reply_to: Address | None = field(repr=False)
    subject: str = field(repr=False)
    text: str | None = field(repr=False)
    """With the notice of SND-7 in front where it is formal service."""
    html: str | None = field(repr=False)
    options: SendOptions
    profile: str | None
    sign: bool
    encrypt: bool
    split: bool
    copies: tuple[PlannedCopy, ...]
    net_size_bytes: int
    """Sum of the decoded parts (MF-17), the notice included."""


def make_plan(draft: DraftInput, requested: RequestedOptions, *, sign_by_default: bool) -> Plan:
    """The plan of a draft that has been examined. Raises AddressInvalid for one that has not."""
    options = expand(requested)
    split = splits(draft, options)
    text, marked_up = _with_notice(draft)
    return Plan(
        sender=parse_address(draft.sender),
        reply_to=None if draft.reply_to is None else parse_address(draft.reply_to),
        subject=draft.subject,
        text=text,
        html=marked_up,
        options=options,
        profile=draft.profile,
        sign=sign_by_default if draft.sign is None else draft.sign,
        encrypt=draft.encrypt,
        split=split,
        copies=tuple(_copies(draft, split=split)),
        net_size_bytes=net_size(draft),
    )


def splits(draft: DraftInput, options: SendOptions) -> bool:
    """Whether every recipient gets a message of its own (SND-48): always for formal service, whatever was asked;
    else as asked; else when any proof is requested, since a notification cannot say which of several failed."""
    if draft.profile == FORMAL_SERVICE:
        return True
    return options.any_confirmation if draft.split_recipients is None else draft.split_recipients


def copy_count(draft: DraftInput, *, split: bool) -> int:
    """How many De-Mails the draft becomes."""
    visible = len(draft.to) + len(draft.cc)
    return (visible if split else min(visible, 1)) + len(draft.bcc)


def net_size(draft: DraftInput) -> int:
    """Octets of the decoded parts (MF-17)."""
    text, marked_up = _with_notice(draft)
    written = sum(len(part.encode("utf-8", "surrogatepass")) for part in (text, marked_up) if part)
    return written + sum(attachment.size_bytes for attachment in draft.attachments)


def _copies(draft: DraftInput, *, split: bool) -> Iterator[PlannedCopy]:
    to = _of_kind(RecipientKind.TO, draft.to)
    cc = _of_kind(RecipientKind.CC, draft.cc)
    to_shown, cc_shown = _addresses(to), _addresses(cc)
    if split:
        yield from (PlannedCopy((each.address,), (), (), (each,)) for each in to)
        yield from (PlannedCopy((), (each.address,), (), (each,)) for each in cc)
    elif to or cc:
        yield PlannedCopy(to_shown, cc_shown, (), to + cc)
    for each in _of_kind(RecipientKind.BCC, draft.bcc):
        yield PlannedCopy(to_shown, cc_shown, (each.address,), (each,))


def _of_kind(kind: RecipientKind, addresses: tuple[str, ...]) -> tuple[PlannedRecipient, ...]:
    return tuple(PlannedRecipient(kind, index, parse_address(text)) for index, text in enumerate(addresses))


def _addresses(recipients: tuple[PlannedRecipient, ...]) -> tuple[Address, ...]:
    return tuple(recipient.address for recipient in recipients)


_BODY_TAG = re.compile(r"<body(?:\s[^>]{0,2000})?>", re.IGNORECASE)


def _with_notice(draft: DraftInput) -> tuple[str | None, str | None]:
    """Text and HTML, each with the notice in front if it is formal service."""
    if draft.profile != FORMAL_SERVICE or draft.formal_service is None:
        return draft.text, draft.html
    notice = _notice(draft.formal_service)
    return notice + (draft.text or ""), _marked_up(notice, draft.html) if draft.html else None


def _notice(service: FormalService) -> str:
    """VwZG §5a(1) with §5(6): that it is service against Abholbestätigung, by whom, to whom, handed over by whom."""
    address = "\n".join(f"  {line}" for line in (service.addressee_postal_address or "").splitlines())
    return (
        "FÖRMLICHE ZUSTELLUNG GEGEN ABHOLBESTÄTIGUNG (§ 5a Absatz 1 VwZG)\n"
        f"Zustellende Behörde: {service.authority}\n"
        f"Empfänger: {service.addressee_name}\n"
        f"{address}\n"
        f"Zur Übermittlung übergeben durch: {service.official}\n"
        "\n"
    )


def _marked_up(notice: str, document: str) -> str:
    block = "<p>" + html.escape(notice.strip()).replace("\n", "<br>\n") + "</p><hr>\n"
    tag = _BODY_TAG.search(document)
    position = tag.end() if tag else 0
    return document[:position] + block + document[position:]
