"""Sizes and quotas of the guideline, and the smallest of several sets of them (`sending-and-receiving.md` §6)."""

from __future__ import annotations

from dataclasses import dataclass, fields

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one party (guideline, provider's contract, tenant) allows; None: that party sets no limit."""

    net_bytes: int | None = None
    """Sum of the decoded parts of a message (MF-17)."""
    gross_bytes: int | None = None
    """Message as transmitted (MF-17)."""
    reference_chars: int | None = None
    """The sender's own reference (TR 01201-3.4 §3.1.17)."""
    recipients: int | None = None
    """Recipients of one message."""
    messages_per_day: int | None = None
    """Messages of one account in a calendar day and in 24 h (SND-61)."""
    recipients_per_day: int | None = None
    """Recipients of one account over all messages, likewise."""


GUIDELINE = Limits(net_bytes=20 * MIB, gross_bytes=45 * MIB, reference_chars=1024, recipients=1000)
"""TR 01201-3.1 §4.1 and TR 01201-3.4 §3.1.17. The guideline does not limit the recipients of one message; a thousand
is ours, so that one request cannot make an unbounded number of copies."""

GUIDELINE_NORMAL = Limits(messages_per_day=100, recipients_per_day=300)
"""In addition while the connection is at level normal (TR 01201-3.1 §3.1.1.1, SND-17)."""


def smallest_of(*limits: Limits) -> Limits:
    """For each limit the smallest that any party sets (SND-60)."""
    return Limits(**{f.name: _smallest([getattr(each, f.name) for each in limits]) for f in fields(Limits)})


def base64_size(size_bytes: int) -> int:
    """Octets of a base64 body with lines of 76 characters and CRLF (RFC 2045 §6.8).

    Raises:
        ValueError: negative size.
    """
    if size_bytes < 0:
        raise ValueError("negative size")
    characters = -(-size_bytes // 3) * 4
    return characters + 2 * -(-characters // 76)


def _smallest(values: list[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)
