"""Which of the two languages a client wants: German unless it asks for English first."""

from __future__ import annotations

from typing import Literal

Language = Literal["de", "en"]


def language_of(accept_language: str | None) -> Language:
    """The preferred one of German and English (RFC 9110 §12.5.4); German when neither is asked for, or on a tie."""
    weights = {"de": 0.0, "en": 0.0}
    for item in (accept_language or "")[:500].lower().split(","):
        tag, _, parameters = item.strip().partition(";")
        primary = tag.strip().split("-")[0]
        if primary in weights:
            weights[primary] = max(weights[primary], _quality(parameters))
    return "en" if weights["en"] > weights["de"] else "de"


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        quality = float(value)
    except ValueError:
        return 0.0
    return quality if 0.0 <= quality <= 1.0 else 0.0
