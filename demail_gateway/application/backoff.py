"""When something that failed for now is tried again (SND-52)."""

from __future__ import annotations

from dataclasses import dataclass

_JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from `first_s` to `longest_s`, until `give_up_s` have been waited in all."""

    first_s: float = 30.0
    longest_s: float = 900.0
    give_up_s: float = 4 * 3600.0

    def wait_s(self, tries: int, chance: float) -> float | None:
        """Seconds before the next try after `tries` earlier ones; None: given up.

        `chance`, 0 to 1, shortens the wait by up to a fifth, so that what failed together does not come back together.
        """
        waited = sum(self._nominal_s(number) for number in range(min(tries, 64)))
        if waited >= self.give_up_s:
            return None
        return self._nominal_s(tries) * (1 - _JITTER * chance)

    def _nominal_s(self, number: int) -> float:
        return min(self.first_s * 2.0 ** min(number, 64), self.longest_s)
