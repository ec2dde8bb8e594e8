"""The evidence package: a message with all that proves what became of it, verifiable offline (GWT-90, SND-101).

Members of the ZIP file, all but the last two listed in the manifest:

| Path | Role |
|---|---|
| `message.json` | `message-record` |
| `messages/<copy>.eml` | `message-submitted`: as handed over to the provider, byte for byte |
| `evidence/<evidence>.eml` | `confirmation` or `notification`: as received, byte for byte |
| `reports/<evidence>.json` | `verification-report`: made at arrival (GWT-91) |
| `certificates/<sha256>.der` | `certificate`: what the verification rests on |
| `crls/<sha256>.crl`, `ocsp/<sha256>.ocsp` | `crl`, `ocsp`: the status answers that it rests on |
| `events.json`, `journal.json` | `events`, `journal` |
| `manifest.json`, `manifest.json.p7s` | the list, and the installation's detached CMS signature over it |

The same material at the same moment gives the same octets, but for what the signature draws at random.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from demail_gateway.application.ports.reading import EvidenceMaterial, EvidenceView, Reading
from demail_gateway.application.ports.surroundings import Clock
from demail_gateway.application.ports.trust import PackageSigner
from demail_gateway.core.package import MANIFEST, SIGNATURE, Manifest, Role, entry_of, status_role, write_manifest
from demail_gateway.core.vocabulary import ConfirmationKind
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import TenantScope

_CONFIRMATIONS = frozenset(map(str, ConfirmationKind))
_FOLDERS = {Role.CRL: "crls", Role.OCSP: "ocsp"}
_FIRST_ZIP_YEAR = 1980


class Prove:
    def __init__(self, reading: Reading, signer: PackageSigner, clock: Clock) -> None:
        self._reading = reading
        self._signer = signer
        self._clock = clock

    async def __call__(self, scope: TenantScope, message_id: UUID) -> bytes:
        """The package of a message as a ZIP file.

        Raises:
            NotFound: no such message.
            KeyUnavailable: the installation's key cannot sign now.
        """
        material = await self._reading.evidence_material(scope, message_id)
        return await asyncio.to_thread(build_package, material, self._signer, self._clock())


def build_package(material: EvidenceMaterial, signer: PackageSigner, at: datetime) -> bytes:
    """The ZIP file, members in the order of the manifest. CPU work. Raises KeyUnavailable."""
    members = {path: (role, octets) for path, role, octets in _members(material, signer)}
    entries = tuple(entry_of(path, role, octets) for path, (role, octets) in sorted(members.items()))
    manifest = write_manifest(Manifest(format_id(Prefix.MESSAGE, material.message.id), at, entries))
    files = {path: octets for path, (_, octets) in sorted(members.items())}
    return _zip({MANIFEST: manifest, SIGNATURE: signer.sign(manifest, at), **files}, at)


def _members(material: EvidenceMaterial, signer: PackageSigner) -> Iterator[tuple[str, Role, bytes]]:
    yield "message.json", Role.MESSAGE_RECORD, _json(material.message)
    for copy_id, octets in material.handed_over:
        yield f"messages/{copy_id}.eml", Role.MESSAGE_SUBMITTED, octets
    for view, octets in material.evidence:
        name = format_id(Prefix.EVIDENCE, view.id)
        role = Role.CONFIRMATION if view.kind in _CONFIRMATIONS else Role.NOTIFICATION
        yield f"evidence/{name}.eml", role, octets
        yield f"reports/{name}.json", Role.REPORT, _json(_report(view))
    # the installation's own certificate and its status too, so that the package's signature is judged offline
    for der in (*material.certificates, *signer.certificates):
        yield f"certificates/{hashlib.sha256(der).hexdigest()}.der", Role.CERTIFICATE, der
    for der in (*material.status_answers, *signer.status_answers):
        role = status_role(der)
        yield f"{_FOLDERS[role]}/{hashlib.sha256(der).hexdigest()}.{role}", role, der
    yield "events.json", Role.EVENTS, _json(material.events)
    yield "journal.json", Role.JOURNAL, _json(material.journal)


def _report(view: EvidenceView) -> dict[str, Any]:
    return {
        "evidence_id": format_id(Prefix.EVIDENCE, view.id),
        "message_id": format_id(Prefix.MESSAGE, view.message_id),
        "kind": view.kind,
        "recipient": view.recipient,
        "issuer": view.issuer,
        "issued_at": view.issued_at,
        "delivery_time": view.delivery_time,
        "received_at": view.received_at,
        "checked_at": view.checked_at or view.received_at,
        "demail_message_id": view.demail_message_id,
        "outcome": view.outcome,
        "verdict": view.verdict,
        "findings": view.findings,
        "checks": view.checks,
    }


def _zip(files: Mapping[str, bytes], at: datetime) -> bytes:
    target = io.BytesIO()
    moment = at.astimezone(UTC)
    stamp = (max(moment.year, _FIRST_ZIP_YEAR), moment.month, moment.day, moment.hour, moment.minute, moment.second)
    with zipfile.ZipFile(target, "w") as archive:
        for path, octets in files.items():
            info = zipfile.ZipInfo(path, stamp)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, octets)
    return target.getvalue()


def _json(value: object) -> bytes:
    text = json.dumps(value, default=_plain, ensure_ascii=False, sort_keys=True, indent=1)
    # decoded headers of hostile mail can hold what UTF-8 cannot; the octets themselves are in the package
    return text.encode("utf-8", "replace") + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, frozenset):
        return sorted(value)
    return dict(value)
