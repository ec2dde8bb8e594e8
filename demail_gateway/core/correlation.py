"""Which sent copy a confirmation or notification belongs to (`confirmations.md` §7, CO-16, SND-46)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

KEYS = ("private_id", "demail_message_id", "integrity_value", "internet_message_id")
"""In the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class CorrelationKeys:
    """What a confirmation says of its original; looked up among the copies of the tenant that received it."""

    private_id: str | None = field(default=None, repr=False)
    """Of its own header section, else of the metadata it carries."""
    demail_message_id: str | None = None
    integrity_value: str | None = field(default=None, repr=False)
    """Without any white space, so that equal values are equal text (IN-27)."""
    internet_message_id: str | None = None
    """The gateway's own Message-ID, unless the provider replaced it."""


@dataclass(frozen=True, slots=True)
class Correlation:
    """The copy, or why there is none."""

    copy_id: UUID | None
    key: str | None = None
    """The first key that led to the copy."""
    finding: str | None = None
    """``correlation-none``, ``correlation-conflict``."""


def correlate(found: Mapping[str, UUID]) -> Correlation:
    """The copy that the keys agree on; `found` holds the copy found by each key, under the names of `KEYS`.

    Keys that found different copies give no assignment at all: a person decides. Names that are no key are left
    aside, so sender, subject or date never assign anything by themselves.
    """
    hits = [(key, found[key]) for key in KEYS if key in found]
    if not hits:
        return Correlation(None, finding="correlation-none")
    key, copy_id = hits[0]
    if any(other != copy_id for _, other in hits):
        return Correlation(None, finding="correlation-conflict")
    return Correlation(copy_id, key)
