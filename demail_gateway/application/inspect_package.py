"""Checking evidence packages offline (`verify`); the format is `core.package`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import BinaryIO

from demail_gateway.application.inspect import WHOLE_OCTETS, Inspection, Kind, Tools
from demail_gateway.application.inspect_content import algorithm_check
from demail_gateway.application.inspect_proofs import Package, inspect_proofs, proof_was_requested
from demail_gateway.application.package_members import Damaged, Members
from demail_gateway.core.checks import Check, Outcome, worst
from demail_gateway.core.errors import CertificateMalformed, CmsInvalid, MalformedMessage
from demail_gateway.core.journal import chain_faults
from demail_gateway.core.package import (
    MANIFEST,
    MAX_MANIFEST_OCTETS,
    SIGNATURE,
    Manifest,
    Role,
    check_members,
    read_manifest,
)
from demail_gateway.core.trust_verdict import judged

MAX_TRUST_OCTETS = 32 * 1024 * 1024
"""Of certificates and status answers together; more are passed over, and what they would have told stays unknown."""
_SOURCE = "GWT-90; SND-101"


def inspect_package(source: BinaryIO, tools: Tools, at: datetime | None) -> Inspection:
    """An evidence package (.zip, seekable). `at` None: each proof is judged for the moment of its reception (IN-26)."""
    try:
        return _inspect(Members(source), tools, at)
    except Damaged as error:
        return _failed("package.readable", str(error))
    except MalformedMessage as error:
        return _failed("package.manifest", error.reason)


def _inspect(members: Members, tools: Tools, at: datetime | None) -> Inspection:
    digests = members.digests()
    manifest = read_manifest(members.beginning(MANIFEST, MAX_MANIFEST_OCTETS + 1) if MANIFEST in members else b"")
    certificates, answers = _trust_material(members, manifest)
    package = Package(members, manifest, replace(tools, judge=tools.judge_with(certificates, answers)), at)
    proofs = inspect_proofs(package)
    found = (
        Check("package.manifest", Outcome.PASSED, "", _SOURCE),
        *_signature(package),
        *check_members(manifest, digests),
        *_journal_excerpt(package),
        _proofs(package, len(proofs)),
    )
    outcome = worst([*(check.outcome for check in found), *(verdict for verdict, _ in proofs)])
    details = tuple(check for _, each in proofs for check in each)
    return Inspection(Kind.EVIDENCE_PACKAGE, outcome, (*found, *details), manifest.message_id)


def _trust_material(members: Members, manifest: Manifest) -> tuple[list[bytes], list[bytes]]:
    """Certificates for paths, and status answers."""
    left = MAX_TRUST_OCTETS

    def octets_of(*roles: Role) -> Iterator[bytes]:
        nonlocal left
        for path in (path for role in roles for path in manifest.paths_of(role) if path in members):
            left -= members.size_bytes(path)
            if left >= 0:
                yield members[path]

    return list(octets_of(Role.CERTIFICATE)), list(octets_of(Role.CRL, Role.OCSP))


def _proofs(package: Package, number: int) -> Check:
    """No proof is no pass, unless everything inside says that none was requested (GWT-90)."""
    if number:
        return Check("package.proofs", Outcome.PASSED, str(number), _SOURCE)
    if proof_was_requested(package) is False:
        return Check("package.proofs", Outcome.NOT_APPLICABLE, "proofs-not-requested", _SOURCE)
    return Check("package.proofs", Outcome.INDETERMINATE, "proofs-none", _SOURCE)


def _failed(name: str, detail: str) -> Inspection:
    return Inspection(Kind.EVIDENCE_PACKAGE, Outcome.FAILED, (Check(name, Outcome.FAILED, detail, _SOURCE),))


def _signature(package: Package) -> tuple[Check, ...]:
    """Detached CMS signature of the installation over the manifest, and its certificate at the moment of making."""
    at = package.at or package.manifest.created_at
    if SIGNATURE not in package.members:
        return (Check("package.signature", Outcome.FAILED, "package-signature-missing", _SOURCE),)
    signature, manifest = package.members.beginning(SIGNATURE, WHOLE_OCTETS), package.members[MANIFEST]
    try:
        signed = package.tools.cms_signers(signature, manifest, at)
    except CmsInvalid:
        return (Check("package.signature", Outcome.FAILED, "package-signature-mismatch", _SOURCE),)
    if len(signed.signers) != 1:
        return (Check("package.signature", Outcome.FAILED, "package-several-signers", _SOURCE),)
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
            items = json.loads(octets or b"")
        except (ValueError, RecursionError):
            return (Check("package.journal", Outcome.FAILED, "journal-malformed", _SOURCE),)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            return (Check("package.journal", Outcome.FAILED, "journal-malformed", _SOURCE),)
        faults = [fault for item in items for fault in chain_faults([item])]
        if faults:
            return (Check("package.journal", Outcome.FAILED, f"journal-{faults[0].finding}:{faults[0].seq}", _SOURCE),)
    return (Check("package.journal", Outcome.PASSED, "", _SOURCE),)
