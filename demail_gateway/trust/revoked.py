"""A revocation as lists and OCSP answers state it (RFC 5280 §5.3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

HOLD = "certificateHold"
"""The one reason that can be taken back."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """Since when a certificate is revoked, and why."""

    at: datetime
    reason: str | None
    """As RFC 5280 writes it, e.g. ``keyCompromise``; None: not stated, or not readable, and then for good."""
