"""Checking journal exports offline (`verify`); `core.journal` says what an entry is.

Lines are read one after the other, so that an export of any length needs no memory of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, BinaryIO

from demail_gateway.application.inspect import Inspection, Kind
from demail_gateway.core.checks import Check, Outcome, worst
from demail_gateway.core.journal import Chain

MAX_LINE_OCTETS = 1024 * 1024
"""An entry has some hundred; bounds a hostile file without line ends."""
MAX_CHAINS = 10_000
"""Tenants of one export; bounds a hostile file of nothing but tenants."""
_MAX_TENANT_CHARS = 200
MAX_FAULTS = 1_000
"""Told one by one; more only count."""
_SOURCE = "SND-100; GWT-50"


def is_journal(start: bytes) -> bool:
    """Whether a file that begins so is a journal export, perhaps a damaged one, and not some other JSON."""
    return start.lstrip().startswith(b"{") and b'"prev_hash"' in start and b'"seq"' in start


def inspect_journal(source: BinaryIO) -> Inspection:
    """A journal export (lines of JSON), the chain of each tenant by itself.

    A chain that does not begin with its first entry is indeterminate: what stood before it is not proven.
    """
    chains: dict[str, Chain] = {}
    checks = _faults(chains, source)
    found = list(islice(checks, MAX_FAULTS))
    if more := sum(1 for _ in checks):
        found.append(Check("journal.chain", Outcome.FAILED, f"and-more:{more}", _SOURCE))
    found += _late(chains)
    found = found or [Check("journal.chain", Outcome.PASSED, "", _SOURCE)]
    return Inspection(Kind.JOURNAL, worst(check.outcome for check in found), tuple(found))


def json_object(octets: bytes) -> dict[str, Any] | None:
    """The JSON object in `octets`; None if there is none."""
    try:
        value = json.loads(octets)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _faults(chains: dict[str, Chain], source: BinaryIO) -> Iterator[Check]:
    """What speaks against the chains; ends at the first line that is no entry."""
    for number, item in _entries(source):
        tenant = "" if item is None else str(item.get("tenant"))
        is_excessive = len(tenant) > _MAX_TENANT_CHARS or (tenant not in chains and len(chains) >= MAX_CHAINS)
        if item is None or is_excessive:
            yield Check("journal.readable", Outcome.FAILED, f"{number}: journal-malformed", _SOURCE)
            return
        fault = chains.setdefault(tenant, Chain()).add(item)
        if fault is not None:
            yield Check("journal.chain", Outcome.FAILED, f"{tenant}: journal-{fault.finding}:{fault.seq}", _SOURCE)


def _entries(source: BinaryIO) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Number of each line that is not empty and its entry; None where it holds none."""
    number = 0
    while line := source.readline(MAX_LINE_OCTETS + 1):
        if line.strip():
            number += 1
            yield number, json_object(line) if len(line) <= MAX_LINE_OCTETS else None


def _late(chains: Mapping[str, Chain]) -> Iterable[Check]:
    late = ((tenant, chain.begin) for tenant, chain in chains.items() if chain.begin != 1)
    for tenant, begin in islice(late, MAX_FAULTS):
        yield Check("journal.chain", Outcome.INDETERMINATE, f"{tenant}: journal-starts-late:{begin}", _SOURCE)
