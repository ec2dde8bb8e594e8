"""Export and import of messages between De-Mail accounts (TR 01201-3.4 §3.6; TR 01201-3.1 functions 4 and 5).

The forms are the message file, octet by octet, and mbox (`mbox.py`). Here stands what may leave and what may come in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import chain

from demail_gateway.core.checks import Outcome
from demail_gateway.core.errors import MalformedMessage
from demail_gateway.core.header import Header
from demail_gateway.core.integrity import IntegrityResult, check_integrity
from demail_gateway.core.integrity_field import INTEGRITY, read_field
from demail_gateway.core.mbox import is_mbox, read_mbox
from demail_gateway.core.metadata import Metadata
from demail_gateway.core.primitives import Judge, Verifier
from demail_gateway.core.streamed_message import read_streamed_message
from demail_gateway.core.vocabulary import AuthLevel


class ExportRefusal(StrEnum):
    """Why messages cannot be exported (TR 01201-3.1 function 4)."""

    AUTH_LEVEL = "export-auth-level-too-low"
    """FC-01: persönlich or Abholbestätigung, and the user is not logged in at *high*."""
    NO_MESSAGE = "export-no-message"
    """FC-02."""


class ImportRefusal(StrEnum):
    """Why a message cannot be imported (TR 01201-3.1 function 5; TR 01201-3.4 §3.6; MF-30)."""

    NO_MESSAGE = "import-no-message"
    """FC-01: the file holds none."""
    UNREADABLE = "import-unreadable"
    """Not RFC 5322."""
    FOREIGN = "import-not-demail"
    """No integrity, message type or sender: ordinary mail."""
    INTEGRITY = "import-integrity-invalid"
    PRESENT = "import-already-present"
    """FC-02: in the mailbox, or further up in the file."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells whether a message is present already (MF-30)."""

    message_id: str
    """X-de-mail-message-id; empty if there is none."""
    seal: bytes
    """Value of ``b=``."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message of an import file, judged."""

    position: int
    """In the file, from 1; 0 for the file as such."""
    refusal: ImportRefusal | None
    """None: it may be imported, after the scan for malware that the guideline advises."""
    header: Header | None = None
    integrity: IntegrityResult | None = None
    identity: Identity | None = None


def export_refusal(messages: Collection[Metadata], level: AuthLevel) -> ExportRefusal | None:
    """Why these messages cannot be exported by a user at this level; None if they can."""
    if not messages:
        return ExportRefusal.NO_MESSAGE
    needs_high = any(each.private or each.confirmation_of_retrieve for each in messages)
    return ExportRefusal.AUTH_LEVEL if needs_high and level is not AuthLevel.HIGH else None


def messages_of_file(pieces: Iterable[bytes]) -> Iterator[Iterator[bytes]]:
    """The messages of an export file: of an mbox all, else the file as the one it is; none of an empty one.

    Each is to be read before the next is taken.
    """
    source = iter(pieces)
    beginning = b""
    for piece in source:
        beginning += piece
        if len(beginning) >= _MARK_OCTETS:
            break
    whole = chain((beginning,), source)
    if is_mbox(beginning):
        yield from read_mbox(whole)
    elif beginning:
        yield whole


def examine_import(
    messages: Iterable[Iterable[bytes]],
    present: Collection[Identity],
    *,
    verifier: Verifier,
    judge: Judge,
    at: datetime,
) -> Iterator[Candidate]:
    """One candidate for each message, in bounded memory; one without message if there is none. Never raises for
    anything a message contains.

    `present` are the identities of the mailbox. An integrity that cannot be decided (IN-22 row 15) does not refuse.
    """
    seen: set[Identity] = set()
    candidate = Candidate(0, ImportRefusal.NO_MESSAGE)
    for position, pieces in enumerate(messages, 1):
        candidate = _examined(position, pieces, verifier, judge, at)
        identity = candidate.identity
        if candidate.refusal is None and identity is not None:
            if identity in seen or identity in present:
                candidate = replace(candidate, refusal=ImportRefusal.PRESENT)
            seen.add(identity)
        yield candidate
    if candidate.position == 0:
        yield candidate


def identity_of(header: Header) -> Identity | None:
    """What tells this message from others; None without a readable integrity field."""
    source = header.first(INTEGRITY)
    try:
        seal = None if source is None else read_field(source).b
    except MalformedMessage:
        return None
    return None if seal is None else Identity(header.value("x-de-mail-message-id") or "", seal)


_MARK_OCTETS = len(b"From ")
_NEEDED = (INTEGRITY, "x-de-mail-message-type", "x-de-mail-sender")


def _examined(position: int, pieces: Iterable[bytes], verifier: Verifier, judge: Judge, at: datetime) -> Candidate:
    try:
        message = read_streamed_message(pieces)
    except MalformedMessage:
        return Candidate(position, ImportRefusal.UNREADABLE)
    header = message.header
    if not all(header.first(name) for name in _NEEDED):
        return Candidate(position, ImportRefusal.FOREIGN, header)
    integrity = check_integrity(message, verifier=verifier, judge=judge, at=at)
    refusal = ImportRefusal.INTEGRITY if integrity.verdict is Outcome.FAILED else None
    return Candidate(position, refusal, header, integrity, identity_of(header))
