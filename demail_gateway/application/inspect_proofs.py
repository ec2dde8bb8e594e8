"""The proofs in an evidence package, each held against the message in the same package (GWT-90, SND-101).

A proof belongs to the package by the same keys as online (SND-46). One that names the private id of another message
fails; one that names nothing known here is undecided (CO-16): it may stand alone as a file, never in a package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from demail_gateway.application.inspect import WHOLE_OCTETS, Tools
from demail_gateway.application.inspect_journal import json_object
from demail_gateway.application.package_members import Members
from demail_gateway.core.address import parse_address
from demail_gateway.core.checks import Check, Outcome
from demail_gateway.core.confirmation_check import check_confirmation
from demail_gateway.core.confirmation_reading import read_confirmation
from demail_gateway.core.confirmation_report import ConfirmationReport, SentCopy
from demail_gateway.core.correlation import KEYS, Correlation, CorrelationKeys, correlate
from demail_gateway.core.dates import read_moment
from demail_gateway.core.errors import AddressInvalid, MalformedMessage
from demail_gateway.core.header import MAX_HEADER_OCTETS, Octets, read_message
from demail_gateway.core.large_message import read_large_message
from demail_gateway.core.metadata import read_metadata
from demail_gateway.core.notification_check import (
    NotificationReport,
    check_notification,
    read_notification_message,
)
from demail_gateway.core.options import OPTION_NAMES, SendOptions
from demail_gateway.core.package import Manifest, Role

Verdict = tuple[Outcome, tuple[Check, ...]]
_Report = ConfirmationReport | NotificationReport
_SOURCE = "GWT-90; SND-101"
_HEADER_OCTETS = MAX_HEADER_OCTETS + len(b"\r\n\r\n")
_PROOF_OPTIONS = tuple(name for name in OPTION_NAMES if name.startswith("confirmation_of_"))


@dataclass(frozen=True, slots=True)
class Package:
    """An unpacked evidence package."""

    members: Members
    manifest: Manifest
    tools: Tools
    """With the package's certificates for paths and its status answers; the anchors are the caller's."""
    at: datetime | None
    """For which everything is judged; None: each thing for its own moment."""

    def paths_of(self, role: Role) -> Iterator[str]:
        """Of the members of this role that are there."""
        return (path for path in self.manifest.paths_of(role) if path in self.members)

    def octets_of(self, role: Role) -> Iterator[tuple[str, bytes | None]]:
        """Members that are small by their nature; None for one that is none of those."""
        for path in self.paths_of(role):
            yield path, self.members[path] if self.members.size_bytes(path) <= WHOLE_OCTETS else None


def inspect_proofs(package: Package) -> tuple[Verdict, ...]:
    """Of each proof its outcome and its checks, the verdict first."""
    copies = _sent_copies(package)
    confirmations = _judged(package, copies, Role.CONFIRMATION, _confirmation, "CO-18")
    return (*confirmations, *_judged(package, copies, Role.NOTIFICATION, _notification, "CO-20"))


def proof_was_requested(package: Package) -> bool | None:
    """Whether the message asked for a confirmation, as handed over or as recorded; None: neither is inside."""
    told = [copy.sent.options.any_confirmation for copy in _sent_copies(package)]
    for _, octets in package.octets_of(Role.MESSAGE_RECORD):
        options = (json_object(octets or b"") or {}).get("options")
        if isinstance(options, Mapping) and all(name in options for name in _PROOF_OPTIONS):
            told.append(any(options[name] is not False for name in _PROOF_OPTIONS))
    return any(told) if told else None


@dataclass(frozen=True, slots=True)
class _Copy:
    sent: SentCopy
    """Without its octets: they are read for the proof that speaks of them."""
    path: str
    keys: CorrelationKeys


_Judge = Callable[[Octets, Package, tuple[_Copy, ...], str], tuple[CorrelationKeys, _Report]]


def _judged(package: Package, copies: tuple[_Copy, ...], role: Role, judge: _Judge, source: str) -> Iterator[Verdict]:
    for path, octets in package.octets_of(role):
        if octets is None:
            too_large = Check("evidence.readable", Outcome.INDETERMINATE, f"{path}: proof-too-large", _SOURCE)
            yield Outcome.INDETERMINATE, (too_large,)
            continue
        try:
            keys, report = judge(read_message(octets), package, copies, path)
        except MalformedMessage as error:
            yield Outcome.FAILED, (Check("evidence.readable", Outcome.FAILED, f"{path}: {error.reason}", _SOURCE),)
            continue
        outcome = Outcome.FAILED if _names_another(keys, copies) else report.outcome
        verdict = Check("evidence.verdict", outcome, f"{path}: {report.verdict}", source)
        yield outcome, (verdict, *(replace(each, detail=f"{path}: {each.detail}") for each in report.checks))


def _confirmation(
    message: Octets, package: Package, copies: tuple[_Copy, ...], path: str
) -> tuple[CorrelationKeys, _Report]:
    confirmation = read_confirmation(message, package.tools.xml_signatures)
    return confirmation.keys, check_confirmation(confirmation, **_situation(package, copies, confirmation.keys, path))


def _notification(
    message: Octets, package: Package, copies: tuple[_Copy, ...], path: str
) -> tuple[CorrelationKeys, _Report]:
    notification = read_notification_message(message)
    return notification.keys, check_notification(notification, **_situation(package, copies, notification.keys, path))


def _situation(package: Package, copies: tuple[_Copy, ...], keys: CorrelationKeys, path: str) -> dict[str, Any]:
    correlation = _correlation(copies, keys)
    return {
        "correlation": correlation,
        "sent": None if correlation.copy_id is None else _whole(package, copies[correlation.copy_id.int]),
        "verifier": package.tools.verifier,
        "judge": package.tools.judge,
        "trusted": package.tools.trusted,
        "at": package.at or _received(package, path),
    }


def _whole(package: Package, copy: _Copy) -> SentCopy:
    size_bytes = package.members.size_bytes(copy.path)
    if size_bytes <= WHOLE_OCTETS:
        return replace(copy.sent, octets=package.members[copy.path])
    return replace(copy.sent, octets=read_large_message(size_bytes, package.members.reading(copy.path)))


def _correlation(copies: tuple[_Copy, ...], keys: CorrelationKeys) -> Correlation:
    """As online; a copy's id here is its place."""
    found = {
        name: UUID(int=place)
        for name in KEYS
        for place, copy in enumerate(copies)
        if getattr(keys, name) is not None and getattr(keys, name) == getattr(copy.keys, name)
    }
    return correlate(found)


def _names_another(keys: CorrelationKeys, copies: tuple[_Copy, ...]) -> bool:
    """Without a copy of the package's own message there is nothing to contradict."""
    return bool(copies) and keys.private_id is not None and _correlation(copies, keys).copy_id is None


def _received(package: Package, path: str) -> datetime:
    """When a proof came in, as its report says; a report that does not say leaves the package's own moment."""
    name = f"reports/{path.split('/')[-1].removesuffix('.eml')}.json"
    report = json_object(package.members.beginning(name, WHOLE_OCTETS)) if name in package.members else None
    try:
        return read_moment((report or {})["received_at"])
    except (KeyError, TypeError, ValueError):
        return package.manifest.created_at


def _sent_copies(package: Package) -> tuple[_Copy, ...]:
    """What was handed over. What cannot be read confirms nothing; the member's digest is checked elsewhere."""
    found = []
    for path in package.paths_of(Role.MESSAGE_SUBMITTED):
        try:
            found.append(_sent_copy(path, read_message(package.members.beginning(path, _HEADER_OCTETS))))
        except (MalformedMessage, AddressInvalid):
            continue
    return tuple(found)


def _sent_copy(path: str, message: Octets) -> _Copy:
    metadata = read_metadata(message.header)
    chosen = metadata.chosen_recipients
    sent = SentCopy(
        sender=parse_address(message.header.value("x-de-mail-sender") or ""),
        # a bcc copy names its one recipient beside to and cc, which other copies serve (MF-19)
        served=tuple(mailbox.address for mailbox in chosen.bcc or (*chosen.to, *chosen.cc)),
        subject=metadata.subject or "",
        options=SendOptions(**{name: getattr(metadata, name) for name in OPTION_NAMES}),
        private_id=metadata.private_id or "",
        reply_to=metadata.reply_to,
    )
    keys = CorrelationKeys(
        private_id=metadata.private_id,
        demail_message_id=metadata.message_id,
        internet_message_id=metadata.internet_message_id,
    )
    return _Copy(sent, path, keys)
