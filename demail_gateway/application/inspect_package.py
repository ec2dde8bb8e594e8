"""Checking evidence packages and journal exports offline (`verify`); the format is `core.package`."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from demail_gateway.application.inspect import Inspection, Kind, Tools, inspect_message
from demail_gateway.core.address import parse_address
from demail_gateway.core.checks import Check, Outcome, worst
from demail_gateway.core.confirmation_check import check_confirmation
from demail_gateway.core.confirmation_reading import read_confirmation
from demail_gateway.core.confirmation_report import SentCopy
from demail_gateway.core.correlation import Correlation
from demail_gateway.core.errors import AddressInvalid, CertificateMalformed, CmsInvalid, MalformedMessage
from demail_gateway.core.header import Octets, read_message
from demail_gateway.core.journal import chain_faults
from demail_gateway.core.metadata import read_metadata
from demail_gateway.core.notification_check import check_notification, read_notification_message
from demail_gateway.core.options import OPTION_NAMES, SendOptions
from demail_gateway.core.package import (
    MANIFEST,
    MAX_MEMBERS,
    SIGNATURE,
    Manifest,
    Role,
    check_members,
    member_digests,
    read_manifest,
)
from demail_gateway.core.primitives import CertificateStatus, Judge

MAX_UNPACKED_OCTETS = 1024 * 1024 * 1024
"""Ours: a package of the largest message (45 MiB) with its proofs stays far below; bounds a hostile archive."""
_SOURCE = "GWT-90; SND-101"
_ZIP_FAULTS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    NotImplementedError,  # a compression that zipfile does not know
    RuntimeError,  # encrypted
    ValueError,
    EOFError,
    OSError,
)
"""What zipfile raises over hostile or damaged archives."""


class Unreadable(Exception):
    """A file that holds nothing to check."""


class Damaged(Exception):
    """A package that cannot be unpacked: it was changed, so it fails, and is not merely unreadable."""


@dataclass(frozen=True, slots=True)
class _Package:
    members: Mapping[str, bytes]
    manifest: Manifest
    tools: Tools
    """With the package's certificates for paths and its status answers; the anchors are the caller's."""
    at: datetime | None

    def octets_of(self, role: Role) -> Iterator[tuple[str, bytes]]:
        for path in self.manifest.paths_of(role):
            if path in self.members:
                yield path, self.members[path]


def inspect_package(octets: bytes, tools: Tools, at: datetime | None) -> Inspection:
    """An evidence package (.zip). `at` None: each proof is judged for the moment of its own check."""
    try:
        members = _unpacked(octets)
        manifest = read_manifest(members.get(MANIFEST, b""))
    except Damaged as error:
        return _failed("package.readable", str(error))
    except MalformedMessage as error:
        return _failed("package.manifest", error.reason)
    certificates = [members[path] for path in manifest.paths_of(Role.CERTIFICATE) if path in members]
    crls = [members[path] for path in manifest.paths_of(Role.CRL) if path in members]
    package = _Package(members, manifest, replace(tools, judge=tools.judge_with(certificates, crls)), at)
    found = (
        Check("package.manifest", Outcome.PASSED, "", _SOURCE),
        *_signature(package),
        *check_members(manifest, member_digests(members)),
        *_journal_excerpt(package),
    )
    proofs = [*_confirmations(package), *_notifications(package)]
    outcome = worst([*(check.outcome for check in found), *(verdict for verdict, _ in proofs)])
    details = tuple(check for _, each in proofs for check in each)
    return Inspection(Kind.EVIDENCE_PACKAGE, outcome, (*found, *details), manifest.message_id)


def _failed(name: str, detail: str) -> Inspection:
    return Inspection(Kind.EVIDENCE_PACKAGE, Outcome.FAILED, (Check(name, Outcome.FAILED, detail, _SOURCE),))


def inspect_journal(octets: bytes) -> Inspection:
    """A journal export (lines of JSON), the chain of each tenant by itself."""
    source = "SND-100; GWT-50"
    chains: dict[Any, list[Mapping[str, Any]]] = {}
    for number, line in enumerate(filter(bytes.strip, octets.splitlines()), start=1):
        item = _json_object(line)
        if item is None:
            failed = Check("journal.readable", Outcome.FAILED, f"Zeile {number}", source)
            return Inspection(Kind.JOURNAL, Outcome.FAILED, (failed,))
        chains.setdefault(str(item.get("tenant")), []).append(item)
    faults = [(name, fault) for name, items in chains.items() for fault in chain_faults(items)]
    found = tuple(
        Check("journal.chain", Outcome.FAILED, f"{name} {fault.seq}: {fault.finding}", source) for name, fault in faults
    )
    if not chains:
        found = (Check("journal.chain", Outcome.INDETERMINATE, "leer", source),)
    found = found or (Check("journal.chain", Outcome.PASSED, "", source),)
    return Inspection(Kind.JOURNAL, worst(check.outcome for check in found), found)


def inspect_file(octets: bytes, tools: Tools, now: datetime, at: datetime | None) -> Inspection:
    """A file of any kind that `verify` knows. Raises Unreadable."""
    if octets.startswith(b"PK"):
        return inspect_package(octets, tools, at)
    if octets.lstrip().startswith(b"{"):
        return inspect_journal(octets)
    _require_message(octets)
    return inspect_message(octets, tools, at or now)


def _require_message(octets: bytes) -> None:
    """Raises Unreadable for octets that are no message and do not even look like a damaged De-Mail."""
    try:
        read_message(octets)
    except MalformedMessage:
        if b"\nx-de-mail-" not in octets.lower():
            raise Unreadable("weder De-Mail noch Nachweispaket noch Journal") from None


def _unpacked(octets: bytes) -> dict[str, bytes]:
    """Raises Damaged: what began as a ZIP file is none any more, or was made to exhaust us."""
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            infos = archive.infolist()
            too_large = sum(info.file_size for info in infos) > MAX_UNPACKED_OCTETS
            if len(infos) > MAX_MEMBERS or too_large or len({info.filename for info in infos}) < len(infos):
                raise Damaged("zu viele oder zu große Bestandteile, oder einer doppelt")
            return {info.filename: archive.read(info) for info in infos}
    except _ZIP_FAULTS as error:
        raise Damaged("beschädigt") from error


def _signature(package: _Package) -> tuple[Check, ...]:
    """Detached CMS signature of the installation over the manifest, and its certificate at the moment of making."""
    signature, manifest = package.members.get(SIGNATURE), package.members[MANIFEST]
    if signature is None:
        return (Check("package.signature", Outcome.FAILED, "fehlt", _SOURCE),)
    try:
        signers, _ = package.tools.cms_signers(signature, manifest)
    except CmsInvalid:
        return (Check("package.signature", Outcome.FAILED, "stimmt nicht", _SOURCE),)
    if len(signers) != 1:
        return (Check("package.signature", Outcome.FAILED, "nicht von einem Unterzeichner", _SOURCE),)
    passed = Check("package.signature", Outcome.PASSED, "", _SOURCE)
    return (passed, _signer(package.tools.judge, signers[0], package.at or package.manifest.created_at))


def _signer(judge: Judge, certificate: bytes, at: datetime) -> Check:
    try:
        verdict = judge.judge(certificate, at)
    except CertificateMalformed:
        return Check("package.signer", Outcome.FAILED, "certificate-malformed", _SOURCE)
    if verdict.findings:
        return Check("package.signer", Outcome.FAILED, ", ".join(verdict.findings), _SOURCE)
    if verdict.status is not CertificateStatus.GOOD:
        return Check("package.signer", Outcome.INDETERMINATE, "certificate-status-unknown", _SOURCE)
    return Check("package.signer", Outcome.PASSED, "", _SOURCE)


def _journal_excerpt(package: _Package) -> tuple[Check, ...]:
    """Each entry of the excerpt by itself: entries of other messages lie between them in the chain."""
    for _, octets in package.octets_of(Role.JOURNAL):
        try:
            items = json.loads(octets)
        except (ValueError, RecursionError):
            return (Check("package.journal", Outcome.FAILED, "journal-malformed", _SOURCE),)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            return (Check("package.journal", Outcome.FAILED, "journal-malformed", _SOURCE),)
        faults = [fault for item in items for fault in chain_faults([item])]
        if faults:
            return (Check("package.journal", Outcome.FAILED, f"{faults[0].seq}: {faults[0].finding}", _SOURCE),)
    return (Check("package.journal", Outcome.PASSED, "", _SOURCE),)


def _confirmations(package: _Package) -> Iterator[tuple[Outcome, tuple[Check, ...]]]:
    sent = _sent_copies(package)
    for path, octets in package.octets_of(Role.CONFIRMATION):
        try:
            confirmation = read_confirmation(read_message(octets), package.tools.xml_signatures)
        except MalformedMessage as error:
            yield Outcome.FAILED, (Check("evidence.readable", Outcome.FAILED, f"{path}: {error.reason}", _SOURCE),)
            continue
        copy = sent.get(confirmation.keys.private_id or "")
        correlation = None if copy is None else Correlation(UUID(int=0), "private_id")
        report = check_confirmation(
            confirmation,
            correlation=correlation,
            sent=copy,
            verifier=package.tools.verifier,
            judge=package.tools.judge,
            trusted=package.tools.trusted,
            at=package.at or _first_checked(package, path),
        )
        verdict = Check("evidence.verdict", report.outcome, f"{path}: {report.verdict}", "CO-18")
        yield report.outcome, (verdict, *(replace(c, detail=f"{path}: {c.detail}") for c in report.checks))


def _notifications(package: _Package) -> Iterator[tuple[Outcome, tuple[Check, ...]]]:
    for path, octets in package.octets_of(Role.NOTIFICATION):
        try:
            notification = read_notification_message(read_message(octets))
        except MalformedMessage as error:
            yield Outcome.FAILED, (Check("evidence.readable", Outcome.FAILED, f"{path}: {error.reason}", _SOURCE),)
            continue
        report = check_notification(
            notification,
            correlation=None,
            sent=None,
            verifier=package.tools.verifier,
            judge=package.tools.judge,
            trusted=package.tools.trusted,
            at=package.at or _first_checked(package, path),
        )
        verdict = Check("evidence.verdict", report.outcome, f"{path}: {report.verdict}", "CO-20")
        yield report.outcome, (verdict, *(replace(c, detail=f"{path}: {c.detail}") for c in report.checks))


def _first_checked(package: _Package, path: str) -> datetime:
    """When a proof was checked, as its report says; a report that does not say leaves the package's own moment."""
    report = _json_object(package.members.get(f"reports/{path.split('/')[-1].removesuffix('.eml')}.json", b""))
    try:
        moment = datetime.fromisoformat((report or {})["checked_at"])
    except (KeyError, TypeError, ValueError):
        return package.manifest.created_at
    return moment if moment.tzinfo is not None else package.manifest.created_at


def _sent_copies(package: _Package) -> dict[str, SentCopy]:
    """What was handed over, by private id."""
    found = {}
    for _, octets in package.octets_of(Role.MESSAGE_SUBMITTED):
        try:
            copy = _sent_copy(read_message(octets))
        except (MalformedMessage, AddressInvalid):
            continue  # the member's digest is checked; what cannot be read confirms nothing
        found[copy.private_id] = copy
    return found


def _sent_copy(message: Octets) -> SentCopy:
    metadata = read_metadata(message.header)
    chosen = metadata.chosen_recipients
    return SentCopy(
        sender=parse_address(message.header.value("x-de-mail-sender") or ""),
        # a bcc copy names its one recipient beside to and cc, which other copies serve (MF-19)
        served=tuple(mailbox.address for mailbox in chosen.bcc or (*chosen.to, *chosen.cc)),
        subject=metadata.subject or "",
        options=SendOptions(**{name: getattr(metadata, name) for name in OPTION_NAMES}),
        private_id=metadata.private_id or "",
        reply_to=metadata.reply_to,
        octets=message.data,
    )


def _json_object(octets: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(octets)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
