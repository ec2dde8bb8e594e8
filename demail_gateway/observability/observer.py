"""The observer that the inner rings report to: each event becomes a line of the log and a count."""

from __future__ import annotations

import logging
from collections.abc import Callable

from demail_gateway.observability.logs import get_logger
from demail_gateway.observability.metrics import Metrics

_LEVELS: dict[str, int] = {
    "queue_age": logging.DEBUG,
    "drain_ended": logging.DEBUG,
    "line_opened": logging.DEBUG,
    "line_closed": logging.DEBUG,
    "wake_failed": logging.WARNING,
    "scanner_none": logging.WARNING,
    "scanner_for_tests": logging.WARNING,
    "hand_over_uncertain": logging.WARNING,
    "hand_over_held": logging.ERROR,
    "hand_over_unsettled": logging.ERROR,
    "compose_failed": logging.ERROR,
    "provider_for_tests": logging.WARNING,
    "peer_refused": logging.WARNING,
    "mailbox_elsewhere": logging.WARNING,
    "evidence_rejected": logging.ERROR,
    "store_away": logging.ERROR,
    "crl_unavailable": logging.WARNING,
    "ocsp_unavailable": logging.WARNING,
    "work_failed": logging.ERROR,
}
"""Events that are not plain information."""


class Observer:
    """Meets the port `Observe`.

    `pseudonymise` turns an address into its name for the log (`pseudonym` under the installation's key). Facts named
    ``address`` or ``sender`` or ``recipient`` pass through it, so that a clear address cannot slip through by habit.
    """

    def __init__(self, metrics: Metrics, pseudonymise: Callable[[str], str]) -> None:
        self._metrics = metrics
        self._pseudonymise = pseudonymise
        self._log = get_logger()
        self._gate = logging.getLogger("demail_gateway")

    def __call__(self, event: str, /, **facts: object) -> None:
        self._metrics.note(event, facts)
        level = _LEVELS.get(event, logging.INFO)
        if not self._gate.isEnabledFor(level):
            return  # preparing a line that nobody will see costs more than the count
        self._log.log(level, event, **{name: self._fact(name, value) for name, value in facts.items()})

    def _fact(self, name: str, value: object) -> object:
        if name in ("address", "sender", "recipient") and isinstance(value, str):
            return self._pseudonymise(value)
        return value
