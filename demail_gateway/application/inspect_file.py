"""A file of any kind that `verify` knows, told by how it begins; seekable, of any size, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import BinaryIO

from demail_gateway.application.inspect import Inspection, Kind, Tools, inspect_message_file
from demail_gateway.application.inspect_journal import inspect_journal, is_journal
from demail_gateway.application.inspect_package import inspect_package
from demail_gateway.core.checks import Check, Outcome, worst
from demail_gateway.core.errors import MalformedMessage
from demail_gateway.core.header import MAX_HEADER_OCTETS, read_header
from demail_gateway.core.mbox import is_mbox, read_mbox

MAX_TOLD = 1_000
"""Checks of the messages in a mailbox file that are told one by one; more only count."""
_START_OCTETS = 64 * 1024
_CHUNK_OCTETS = 256 * 1024
_MAX_ID_CHARS = 200
_MAILBOX = "TR 01201-3.4 §3.6; MF-29"


class Unreadable(Exception):
    """A file that holds nothing to check."""


def inspect_file(source: BinaryIO, tools: Tools, now: datetime, at: datetime | None) -> Inspection:
    """What the file says, checked for `at`; None: for now, and the proofs of a package for their reception (IN-26).

    Raises:
        Unreadable: neither De-Mail nor evidence package nor journal nor mailbox file.
        OSError
    """
    start = source.read(_START_OCTETS)
    source.seek(0)
    if start.startswith(b"PK"):
        return inspect_package(source, tools, at)
    if is_journal(start):
        return inspect_journal(source)
    if is_mbox(start):
        return inspect_mailbox(source, tools, at or now)
    _require_message(start + source.read(MAX_HEADER_OCTETS) if len(start) == _START_OCTETS else start)
    return inspect_message_file(source, tools, at or now)


def inspect_mailbox(source: BinaryIO, tools: Tools, at: datetime) -> Inspection:
    """An mbox file: each message by itself, and the worst of them. Told are all that did not pass."""
    seen: set[Outcome] = set()
    number = 0
    told: list[Check] = []
    for number, inspection in enumerate(_messages(source, tools, at), start=1):
        seen.add(inspection.outcome)
        told += islice(_told(number, inspection), max(0, MAX_TOLD - len(told)))
    more = (Check("mailbox.messages", Outcome.PASSED, "and-more", _MAILBOX),) if len(told) == MAX_TOLD else ()
    count = Check("mailbox.messages", worst(seen), str(number), _MAILBOX)
    return Inspection(Kind.MESSAGE, count.outcome, (count, *told, *more))


def _messages(source: BinaryIO, tools: Tools, at: datetime) -> Iterator[Inspection]:
    for pieces in read_mbox(iter(lambda: source.read(_CHUNK_OCTETS), b"")):
        with tools.room() as room:
            for piece in pieces:
                room.write(piece)
            yield inspect_message_file(room, tools, at)


def _told(number: int, inspection: Inspection) -> Iterator[Check]:
    """The verdict on one message, and what it failed by or left undecided."""
    name = (inspection.message_id or "")[:_MAX_ID_CHARS]
    yield Check("mailbox.message", inspection.outcome, f"{number}: {name}", _MAILBOX)
    if inspection.outcome is Outcome.PASSED:
        return
    for check in inspection.checks:
        if check.outcome in (Outcome.FAILED, Outcome.INDETERMINATE) and not check.name.startswith("content."):
            yield replace(check, detail=f"{number}: {check.detail}")


def _require_message(start: bytes) -> None:
    """Raises Unreadable for octets that are no message and do not even look like a damaged De-Mail."""
    if b"\nx-de-mail-" in b"\n" + start.lower():
        return
    end = start.replace(b"\r\n", b"\n").partition(b"\n\n")[0].replace(b"\n", b"\r\n") + b"\r\n"
    try:
        read_header(end[: MAX_HEADER_OCTETS + 1])
        looks_like_one = not start.lstrip().startswith(b"{")  # other JSON in one line could be a field's name
    except MalformedMessage:
        looks_like_one = False
    if not looks_like_one:
        raise Unreadable
