"""W3C trace context: one id from the REST request to the line of the hand-over (https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_TRACE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Trace:
    """The caller's place in a trace."""

    trace_id: str
    """32 hex digits, lower case."""
    parent_id: str
    """16 hex digits, lower case."""
    sampled: bool


def parse_traceparent(value: str | None) -> Trace | None:
    """The trace a header names, or None when there is none or it is malformed: then a new trace begins (§3.2.2.3)."""
    match = _TRACEPARENT.fullmatch(value.strip()) if value else None
    if match is None or match[1] == _NO_TRACE or match[2] == _NO_SPAN:
        return None
    if value is not None and value.strip().startswith("00-") and match[4]:
        return None  # version 00 has exactly four parts
    return Trace(match[1], match[2], bool(int(match[3], 16) & 1))


def new_trace_id(random: bytes) -> str:
    """A trace id from 16 random octets. Raises ValueError for fewer, or when all are zero."""
    trace_id = random[:16].hex()
    if not is_trace_id(trace_id):
        raise ValueError("a trace id needs 16 random octets")
    return trace_id


def is_trace_id(text: str) -> bool:
    return _TRACE_ID.fullmatch(text) is not None and text != _NO_TRACE
