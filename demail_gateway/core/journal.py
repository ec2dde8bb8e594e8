"""The journal's hash chain (SND-100, GWT-50): how an entry becomes octets, and whether a chain holds.

An entry as exported is ``{"seq", "at", "tenant", "actor", "action", "object", "prev_hash", "hash"}``, with ``detail``
(texts by name) where there is any. Its hash is SHA-256 over the 32 octets of `prev_hash` followed by the canonical
JSON of all its other members: names in order of code points, no white space, UTF-8, nothing escaped but ``"``, ``\\``
and controls (short forms where JSON has them, else ``\\u00xx``). Before a chain's first entry stand 32 zero octets.
Whoever adds a member to the export protects it by the same rule.

`docs/journal.md` says the same for auditors; the database makes the same octets (function `seal_journal`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

START = bytes(32)
"""Stands before the first entry of every chain."""

_UNHASHED = frozenset({"prev_hash", "hash"})


@dataclass(frozen=True, slots=True)
class ChainFault:
    """Where a chain is broken."""

    seq: int | None
    """Of the entry; None when it has none that could be read."""
    finding: str
    """``malformed``, ``changed``, ``gap`` or ``prev-hash-mismatch``."""


def journal_time(at: datetime) -> str:
    """`at` as an entry carries it: UTC with six decimals, ``2026-11-24T05:30:00.000000Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def journal_canonical(item: Mapping[str, Any]) -> bytes:
    """The octets of an exported entry that its hash is made over, without those of the entry before."""
    members = {name: value for name, value in item.items() if name not in _UNHASHED}
    return json.dumps(members, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def journal_hash(prev: bytes, item: Mapping[str, Any]) -> bytes:
    """Hash of an entry whose predecessor has the hash `prev`. Raises ValueError: not canonical JSON."""
    return hashlib.sha256(prev + journal_canonical(item)).digest()


class Chain:
    """The chain of one tenant, checked entry by entry in order of `seq`: memory does not grow with it.

    An excerpt may begin later than 1: what came before it is then not proven, and the caller says so.
    """

    __slots__ = ("_prev", "_seq", "begin")

    def __init__(self) -> None:
        self.begin: int | None = None
        """`seq` of the first entry; None before there was one, or if it had none."""
        self._seq: int | None = None
        self._prev: bytes | None = None

    def add(self, item: Mapping[str, Any]) -> ChainFault | None:
        """What is wrong with the next entry; None: it holds."""
        own = _numbered(item)
        finding = _finding(item, own, self._seq, self._prev)
        if self._seq is None and self.begin is None:
            self.begin = own
        self._seq, self._prev = own, _hash_of(item, "hash")
        return ChainFault(own, finding) if finding else None


def chain_faults(items: Iterable[Mapping[str, Any]]) -> tuple[ChainFault, ...]:
    """Everything that is wrong with a chain of one tenant, entries in order of `seq`; empty: it holds.

    As `Chain`. Entries of several tenants are several chains: part them first. Not shown: that the chain goes on after
    the last entry.
    """
    chain = Chain()
    return tuple(fault for fault in map(chain.add, items) if fault is not None)


def _finding(item: Mapping[str, Any], own: int | None, seq: int | None, prev: bytes | None) -> str | None:
    before, stated = _hash_of(item, "prev_hash"), _hash_of(item, "hash")
    if own is None or before is None or stated is None:
        return "malformed"
    if seq is not None and own != seq + 1:
        return "gap"
    if (prev is not None and before != prev) or (own == 1 and before != START):
        return "prev-hash-mismatch"
    try:
        return None if journal_hash(before, item) == stated else "changed"
    except (ValueError, TypeError):
        return "malformed"


def _numbered(item: Mapping[str, Any]) -> int | None:
    seq = item.get("seq")
    return seq if isinstance(seq, int) and not isinstance(seq, bool) and seq > 0 else None


def _hash_of(item: Mapping[str, Any], name: str) -> bytes | None:
    value = item.get(name)
    if not isinstance(value, str) or len(value) != 64:
        return None
    try:
        return bytes.fromhex(value)
    except ValueError:
        return None
