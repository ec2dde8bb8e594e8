"""The malware scanner (SND-70 to SND-74). Whether there is one is a setting of the installation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class ScanVerdict(StrEnum):
    CLEAN = "clean"
    INFECTED = "infected"
    UNSCANNABLE = "unscannable"
    """It could not be looked at to its end: encrypted, damaged, beyond the scanner's limits (SND-74)."""
    NONE = "none"
    """No scanner is configured: nothing was looked at."""


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a scanner said, and which one."""

    verdict: ScanVerdict
    engine: str | None = None
    """Name and version, e.g. ``eicar-test 1``."""
    signature: str | None = None
    """What it found."""


class Scan(Protocol):
    """One object under examination; memory is constant whatever its size."""

    async def feed(self, octets: bytes) -> None: ...

    async def end(self) -> ScanResult:
        """The result, once. A scan that is not ended needs nothing more."""


class Scanner(Protocol):
    """Looks at files on their way in and out."""

    def file(self) -> Scan:
        """Begins to look at one file, also inside archives within limits."""

    async def message(self, octets: bytes) -> ScanResult:
        """Looks at a whole message as transmitted, with all its decoded parts."""
