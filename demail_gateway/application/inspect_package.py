"""Checking evidence packages and files of any kind offline (`verify`); the format is `core.package`."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import replace
from datetime import datetime

from demail_gateway.application.inspect import Inspection, Kind, Tools, inspect_message
from demail_gateway.application.inspect_content import algorithm_check
from demail_gateway.application.inspect_journal import inspect_journal, is_journal
from demail_gateway.application.inspect_proofs import Package, inspect_proofs, proof_was_requested
from demail_gateway.core.checks import Check, Outcome, worst
from demail_gateway.core.errors import CertificateMalformed, CmsInvalid, MalformedMessage
from demail_gateway.core.header import read_message
from demail_gateway.core.journal import chain_faults
from demail_gateway.core.package import (
    MANIFEST,
    MAX_MEMBERS,
    SIGNATURE,
    Role,
    check_members,
    member_digests,
    read_manifest,
)
from demail_gateway.core.trust_verdict import judged

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


def inspect_package(octets: bytes, tools: Tools, at: datetime | None) -> Inspection:
    """An evidence package (.zip). `at` None: each proof is judged for the moment of its reception (IN-26)."""
    try:
        members = _unpacked(octets)
        manifest = read_manifest(members.get(MANIFEST, b""))
    except Damaged as error:
        return _failed("package.readable", str(error))
    except MalformedMessage as error:
        return _failed("package.manifest", error.reason)
    certificates = [members[path] for path in manifest.paths_of(Role.CERTIFICATE) if path in members]
    crls = [members[path] for path in manifest.paths_of(Role.CRL) if path in members]
    package = Package(members, manifest, replace(tools, judge=tools.judge_with(certificates, crls)), at)
    proofs = inspect_proofs(package)
    found = (
        Check("package.manifest", Outcome.PASSED, "", _SOURCE),
        *_signature(package),
        *check_members(manifest, member_digests(members)),
        *_journal_excerpt(package),
        _proofs(package, len(proofs)),
    )
    outcome = worst([*(check.outcome for check in found), *(verdict for verdict, _ in proofs)])
    details = tuple(check for _, each in proofs for check in each)
    return Inspection(Kind.EVIDENCE_PACKAGE, outcome, (*found, *details), manifest.message_id)


def _proofs(package: Package, number: int) -> Check:
    """No proof is no pass, unless everything inside says that none was requested (GWT-90)."""
    if number:
        return Check("package.proofs", Outcome.PASSED, str(number), _SOURCE)
    if proof_was_requested(package) is False:
        return Check("package.proofs", Outcome.NOT_APPLICABLE, "keine Nachweise verlangt", _SOURCE)
    return Check("package.proofs", Outcome.INDETERMINATE, "keine Nachweise", _SOURCE)


def _failed(name: str, detail: str) -> Inspection:
    return Inspection(Kind.EVIDENCE_PACKAGE, Outcome.FAILED, (Check(name, Outcome.FAILED, detail, _SOURCE),))


def inspect_file(octets: bytes, tools: Tools, now: datetime, at: datetime | None) -> Inspection:
    """A file of any kind that `verify` knows. Raises Unreadable."""
    if octets.startswith(b"PK"):
        return inspect_package(octets, tools, at)
    if is_journal(octets):
        return inspect_journal(octets)
    _require_message(octets)
    return inspect_message(octets, tools, at or now)


def _require_message(octets: bytes) -> None:
    """Raises Unreadable for octets that are no message and do not even look like a damaged De-Mail."""
    try:
        read_message(octets)
        looks_like_one = not octets.lstrip().startswith(b"{")  # other JSON in one line could be a field's name
    except MalformedMessage:
        looks_like_one = False
    if not looks_like_one and b"\nx-de-mail-" not in octets.lower():
        raise Unreadable("weder De-Mail noch Nachweispaket noch Journal")


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


def _signature(package: Package) -> tuple[Check, ...]:
    """Detached CMS signature of the installation over the manifest, and its certificate at the moment of making."""
    signature, manifest = package.members.get(SIGNATURE), package.members[MANIFEST]
    at = package.at or package.manifest.created_at
    if signature is None:
        return (Check("package.signature", Outcome.FAILED, "fehlt", _SOURCE),)
    try:
        signed = package.tools.cms_signers(signature, manifest, at)
    except CmsInvalid:
        return (Check("package.signature", Outcome.FAILED, "stimmt nicht", _SOURCE),)
    if len(signed.signers) != 1:
        return (Check("package.signature", Outcome.FAILED, "nicht von einem Unterzeichner", _SOURCE),)
    passed = Check("package.signature", Outcome.PASSED, "", _SOURCE)
    algorithms = algorithm_check("package.algorithms", signed)
    return (passed, algorithms, _signer(package.tools, signed.signers[0], at))


def _signer(tools: Tools, certificate: bytes, at: datetime) -> Check:
    """Who signed, too: one anchor serves many, so that the reader must see whether it is the gateway that he means."""
    try:
        facts = tools.verifier.read_certificate(certificate)
        outcome, findings, _ = judged(tools.judge, facts, at)
    except CertificateMalformed:
        return Check("package.signer", Outcome.FAILED, "certificate-malformed", _SOURCE)
    who = f"{facts.subject}, SHA-256 {facts.fingerprint_sha256}"
    return Check("package.signer", outcome, "; ".join(filter(None, (", ".join(findings), who))), _SOURCE)


def _journal_excerpt(package: Package) -> tuple[Check, ...]:
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
