"""One problem the API can answer with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    status: int
    title_de: str
    title_en: str
    detail_de: str
    detail_en: str
    rule: str | None = None
    retryable: bool = False
    """Whether the same request can succeed later without a change."""
