"""Checking journal exports offline (`verify`); `core.journal` says what an entry is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from demail_gateway.application.inspect import Inspection, Kind
from demail_gateway.core.checks import Check, Outcome, worst
from demail_gateway.core.journal import chain_faults

_SOURCE = "SND-100; GWT-50"


def is_journal(octets: bytes) -> bool:
    """Whether the file is a journal export, perhaps a damaged one, and not some other JSON."""
    return octets.lstrip().startswith(b"{") and b'"prev_hash"' in octets and b'"seq"' in octets


def inspect_journal(octets: bytes) -> Inspection:
    """A journal export (lines of JSON), the chain of each tenant by itself.

    A chain that does not begin with its first entry is indeterminate: what stood before it is not proven.
    """
    chains: dict[str, list[Mapping[str, Any]]] = {}
    for number, line in enumerate(filter(bytes.strip, octets.splitlines()), start=1):
        item = json_object(line)
        if item is None:
            failed = Check("journal.readable", Outcome.FAILED, f"Zeile {number}", _SOURCE)
            return Inspection(Kind.JOURNAL, Outcome.FAILED, (failed,))
        chains.setdefault(str(item.get("tenant")), []).append(item)
    found = tuple(check for name, items in chains.items() for check in _chain(name, items))
    found = found or (Check("journal.chain", Outcome.PASSED, "", _SOURCE),)
    return Inspection(Kind.JOURNAL, worst(check.outcome for check in found), found)


def json_object(octets: bytes) -> dict[str, Any] | None:
    """The JSON object in `octets`; None if there is none."""
    try:
        value = json.loads(octets)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _chain(name: str, items: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    """What speaks against the chain; nothing if it holds from its first entry on."""
    for fault in chain_faults(items):
        yield Check("journal.chain", Outcome.FAILED, f"{name} {fault.seq}: {fault.finding}", _SOURCE)
    begin = items[0].get("seq")
    if begin != 1:
        detail = f"{name}: beginnt bei {begin}, davor ist nichts bewiesen"
        yield Check("journal.chain", Outcome.INDETERMINATE, detail, _SOURCE)
