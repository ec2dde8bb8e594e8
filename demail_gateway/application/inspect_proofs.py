"""The proofs in an evidence package, each held against the message in the same package (GWT-90, SND-101).

A proof belongs to the package by the same keys as online (SND-46). One that names the private id of another message
fails; one that names nothing known here is undecided (CO-16): it may stand alone as a file, never in a package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from demail_gateway.application.inspect import WHOLE_OCTETS, Tools
from demail_gateway.application.inspect_journal import json_object
from demail_gateway.application.package_members import Members
from demail_gateway.application.submitted_copies import SubmittedCopies
from demail_gateway.core.checks import Check, Outcome
from demail_gateway.core.confirmation_check import check_confirmation
from demail_gateway.core.confirmation_reading import read_confirmation
from demail_gateway.core.confirmation_report import ConfirmationReport
from demail_gateway.core.correlation import CorrelationKeys
from demail_gateway.core.dates import read_moment
from demail_gateway.core.errors import MalformedMessage
from demail_gateway.core.header import Octets, read_message
from demail_gateway.core.notification_check import (
    NotificationReport,
    check_notification,
    read_notification_message,
)
from demail_gateway.core.options import OPTION_NAMES
from demail_gateway.core.package import Manifest, Role

Verdict = tuple[Outcome, tuple[Check, ...]]
_Report = ConfirmationReport | NotificationReport
_SOURCE = "GWT-90; SND-101"
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

    @property
    def copies(self) -> SubmittedCopies:
        """Read anew at each access."""
        return SubmittedCopies(self.members, self.paths_of(Role.MESSAGE_SUBMITTED))


def inspect_proofs(package: Package) -> tuple[Verdict, ...]:
    """Of each proof its outcome and its checks, the verdict first."""
    copies = package.copies
    confirmations = _judged(package, copies, Role.CONFIRMATION, _confirmation, "CO-18")
    return (*confirmations, *_judged(package, copies, Role.NOTIFICATION, _notification, "CO-20"))


def proof_was_requested(package: Package) -> bool | None:
    """Whether the message asked for a confirmation, as handed over or as recorded; None: neither is inside."""
    told = [sent.options.any_confirmation for sent in package.copies.each()]
    for _, octets in package.octets_of(Role.MESSAGE_RECORD):
        options = (json_object(octets or b"") or {}).get("options")
        if isinstance(options, Mapping) and all(name in options for name in _PROOF_OPTIONS):
            told.append(any(options[name] is not False for name in _PROOF_OPTIONS))
    return any(told) if told else None


_Judge = Callable[[Octets, Package, SubmittedCopies, str], tuple[CorrelationKeys, _Report]]


def _judged(package: Package, copies: SubmittedCopies, role: Role, judge: _Judge, source: str) -> Iterator[Verdict]:
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
    message: Octets, package: Package, copies: SubmittedCopies, path: str
) -> tuple[CorrelationKeys, _Report]:
    confirmation = read_confirmation(message, package.tools.xml_signatures)
    return confirmation.keys, check_confirmation(confirmation, **_situation(package, copies, confirmation.keys, path))


def _notification(
    message: Octets, package: Package, copies: SubmittedCopies, path: str
) -> tuple[CorrelationKeys, _Report]:
    notification = read_notification_message(message)
    return notification.keys, check_notification(notification, **_situation(package, copies, notification.keys, path))


def _situation(package: Package, copies: SubmittedCopies, keys: CorrelationKeys, path: str) -> dict[str, Any]:
    correlation = copies.correlation(keys)
    return {
        "correlation": correlation,
        "sent": None if correlation.copy_id is None else copies.sent(correlation.copy_id),
        "verifier": package.tools.verifier,
        "judge": package.tools.judge,
        "trusted": package.tools.trusted,
        "at": package.at or _received(package, path),
    }


def _names_another(keys: CorrelationKeys, copies: SubmittedCopies) -> bool:
    """Without a copy of the package's own message there is nothing to contradict."""
    return bool(copies) and keys.private_id is not None and copies.correlation(keys).copy_id is None


def _received(package: Package, path: str) -> datetime:
    """When a proof came in, as its report says; a report that does not say leaves the package's own moment."""
    name = f"reports/{path.split('/')[-1].removesuffix('.eml')}.json"
    report = json_object(package.members.beginning(name, WHOLE_OCTETS)) if name in package.members else None
    try:
        return read_moment((report or {})["received_at"])
    except (KeyError, TypeError, ValueError):
        return package.manifest.created_at
