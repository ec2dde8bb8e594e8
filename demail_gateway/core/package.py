"""Evidence package (Nachweispaket), format ``demail-evidence/1``: its manifest and the checks of its members (GWT-90).

A package is a set of named octets with `manifest.json` and, beside it, a detached CMS signature of the installation
over exactly the manifest's octets. Everything that a proof needs later is inside (SND-101): messages, confirmations,
verification reports, certificates, revocation lists, events, the journal's excerpt. Pure functions over names and
octets; ZIP and signatures are somebody else's.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hmac import compare_digest
from typing import Any

from demail_gateway.core.checks import Check, Outcome
from demail_gateway.core.dates import read_moment
from demail_gateway.core.errors import MalformedMessage

FORMAT = "demail-evidence/1"
MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.p7s"
UNLISTED = frozenset({MANIFEST, SIGNATURE})
"""The two members that a manifest does not list."""

MAX_MEMBERS = 10_000
"""Ours: 1,000 recipients with several proofs each stay below; bounds the work on a hostile package."""
MAX_MANIFEST_OCTETS = 8 * 1024 * 1024


class Role(StrEnum):
    """What a member is."""

    MESSAGE_SUBMITTED = "message-submitted"
    """As handed to the provider."""
    MESSAGE_SEALED = "message-sealed"
    """As sealed by the provider, where known."""
    CONFIRMATION = "confirmation"
    NOTIFICATION = "notification"
    REPORT = "verification-report"
    """JSON: what was checked at arrival, with which outcome."""
    CERTIFICATE = "certificate"
    """DER."""
    CRL = "crl"
    """DER."""
    OCSP = "ocsp"
    """DER of an OCSP response."""
    EVENTS = "events"
    JOURNAL = "journal"
    MESSAGE_RECORD = "message-record"
    """JSON: the message with its recipients and states."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the manifest."""

    path: str
    sha256: str
    """Lower-case hex."""
    role: str
    """A `Role`; unknown ones are kept, since later versions may add some."""


@dataclass(frozen=True, slots=True)
class Manifest:
    message_id: str
    created_at: datetime
    entries: tuple[Entry, ...] = field(repr=False)

    def paths_of(self, role: Role) -> tuple[str, ...]:
        """Paths of all members of this role, in their order."""
        return tuple(entry.path for entry in self.entries if entry.role == role)


def status_role(der: bytes) -> Role:
    """Whether a status answer is a list or an OCSP response.

    The first element of the one is a SEQUENCE (RFC 5280 §5.1), of the other an ENUMERATED (RFC 6960 §4.2.1).
    """
    body = 2 + (der[1] & 0x7F if der[1] & 0x80 else 0) if len(der) > 1 else 0
    return Role.OCSP if der[body : body + 1] == b"\x0a" else Role.CRL


def entry_of(path: str, role: Role, octets: bytes) -> Entry:
    """The manifest's line for a member."""
    return Entry(path, hashlib.sha256(octets).hexdigest(), role)


def write_manifest(manifest: Manifest) -> bytes:
    """The manifest as canonical JSON: UTF-8, sorted keys, no blanks, entries by path, one line end.

    Raises:
        ValueError: an impossible path, one listed twice, or a naive time.
    """
    if manifest.created_at.tzinfo is None:
        raise ValueError("naive time")
    entries = sorted(manifest.entries, key=lambda entry: entry.path)
    _check_paths([entry.path for entry in entries])
    document = {
        "format": FORMAT,
        "message_id": manifest.message_id,
        "created_at": _written(manifest.created_at),
        "files": [{"path": e.path, "sha256": e.sha256, "role": e.role} for e in entries],
    }
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def read_manifest(octets: bytes) -> Manifest:
    """The manifest of a package; its signature is not looked at.

    Raises:
        MalformedMessage: ``manifest-malformed`` (no JSON of this shape, impossible or repeated paths, repeated keys)
            or ``manifest-format`` (another format or version).
    """
    if len(octets) > MAX_MANIFEST_OCTETS:
        raise MalformedMessage("manifest-malformed")
    try:
        document = json.loads(octets.decode("utf-8"), object_pairs_hook=_unique_keys)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise MalformedMessage("manifest-format")
        entries = tuple(_entry(item) for item in _list(document["files"]))
        _check_paths([entry.path for entry in entries])
        return Manifest(_string(document["message_id"]), read_moment(_string(document["created_at"])), entries)
    except (ValueError, KeyError, RecursionError) as error:
        raise MalformedMessage("manifest-malformed") from error


def check_members(manifest: Manifest, digests: Mapping[str, str]) -> tuple[Check, ...]:
    """Whether a package holds exactly what its manifest lists, unchanged.

    `digests` gives the SHA-256 (lower-case hex) of every member by path; `member_digests` makes it from octets.
    A member not listed, a listed one missing, a changed one: failed.
    """
    listed = {entry.path: entry.sha256 for entry in manifest.entries}
    present = {path: digest for path, digest in digests.items() if path not in UNLISTED}
    unlisted = sorted(present.keys() - listed.keys())
    missing = sorted(listed.keys() - present.keys())
    changed = sorted(path for path in listed.keys() & present.keys() if not compare_digest(listed[path], present[path]))
    return (
        _check("package.complete", missing, "member-missing"),
        _check("package.unchanged", changed, "member-changed"),
        _check("package.nothing-added", unlisted, "member-unlisted"),
    )


def member_digests(members: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 in lower-case hex of every member, by path."""
    return {path: hashlib.sha256(octets).hexdigest() for path, octets in members.items()}


_SOURCE = "GWT-90; SND-101"
_SHOWN = 5
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _check(name: str, paths: Sequence[str], code: str) -> Check:
    if not paths:
        return Check(name, Outcome.PASSED, "", _SOURCE)
    # names of foreign members are hostile text: only such as we write ourselves are repeated
    shown = [path for path in paths[:_SHOWN] if _is_path(path)]
    named = [f"{code}:{path}" for path in shown] or [code]
    more = [f"and-more:{len(paths) - len(shown)}"] if len(paths) > len(shown) else []
    return Check(name, Outcome.FAILED, ", ".join((*named, *more)), _SOURCE)


def _check_paths(paths: Sequence[str]) -> None:
    if len(paths) > MAX_MEMBERS or len({path.lower() for path in paths}) < len(paths):
        raise ValueError("too many members, or one of them twice")
    if not all(map(_is_path, paths)) or UNLISTED & set(paths):
        raise ValueError("impossible path")


def _is_path(path: str) -> bool:
    """Relative, ASCII, at most four levels: nothing that could leave a folder or be two files on some system."""
    segments = path.split("/")
    return len(segments) <= 4 and all(map(_SEGMENT.fullmatch, segments))


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _entry(item: Any) -> Entry:
    if not isinstance(item, dict) or not _SHA256.fullmatch(_string(item["sha256"])):
        raise ValueError("no entry")
    return Entry(_string(item["path"]), item["sha256"], _string(item["role"]))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("no list")
    return value


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("no string")
    return value


def _unique_keys(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Readers differ in which of two equal keys counts, so there must be none."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError("repeated key")
        found[key] = value
    return found
