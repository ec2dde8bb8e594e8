"""Sentences for clerks, German first and English."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Language(StrEnum):
    GERMAN = "de"
    ENGLISH = "en"


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence or heading in both languages."""

    de: str
    en: str

    def in_language(self, language: Language) -> str:
        return self.de if language is Language.GERMAN else self.en


def texts(rows: dict[str, tuple[str, str]]) -> dict[str, Text]:
    """A catalogue from rows of German and English."""
    return {name: Text(*row) for name, row in rows.items()}
