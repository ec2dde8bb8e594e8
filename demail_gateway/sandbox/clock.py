"""The provider's own time, which a test may move on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def system_time() -> datetime:
    """Aware UTC now, of the machine."""
    return datetime.now(UTC)


class Clock:
    """Real time plus everything that `advance` has added.

    Mail lives by this clock. Certificates and revocation lists do not: the other side checks them by real time.
    """

    def __init__(self, offset_s: float = 0.0, real: Callable[[], datetime] = system_time) -> None:
        self._offset = timedelta(seconds=offset_s)
        self._real = real

    @property
    def offset_s(self) -> float:
        return self._offset.total_seconds()

    def now(self) -> datetime:
        """Aware UTC."""
        return self._real() + self._offset

    def advance(self, seconds: float) -> None:
        """Moves on by `seconds` ≥ 0. Raises ValueError for a step back: time in proofs never runs backwards."""
        if not 0 <= seconds <= _LARGEST_STEP_S:
            raise ValueError("advance_s out of range")
        self._offset += timedelta(seconds=seconds)


_LARGEST_STEP_S = 20 * 366 * 86_400
"""Twenty years: the longest time over which a proof is likely to be checked again."""
