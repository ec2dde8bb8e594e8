"""Prometheus metrics of one process. The tenant is a label of few metrics only, and capped (trap E26)."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
_TENANTS = 100
OTHER = "other"


class Metrics:
    """All metrics of a process in a registry of its own, so that two of them in one test do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._tenants: set[str] = set()
        self.events = Counter("demail_events", "What happened, by event.", ["event"], registry=self.registry)
        self.accepted = Counter(
            "demail_messages_accepted", "Messages accepted by REST.", ["tenant"], registry=self.registry
        )
        self.hand_overs = Counter(
            "demail_hand_overs", "Attempts to hand a copy over, by end.", ["tenant", "end"], registry=self.registry
        )
        self.hand_over_s = Histogram(
            "demail_hand_over_seconds", "Duration of one SMTP hand-over.", buckets=_SECONDS, registry=self.registry
        )
        self.received = Counter(
            "demail_received",
            "De-Mails and proofs received, by outcome.",
            ["tenant", "outcome"],
            registry=self.registry,
        )
        self.requests_s = Histogram(
            "demail_request_seconds",
            "Duration of a REST request.",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.queue_age_s = Gauge("demail_queue_age_seconds", "Age of the oldest due work.", registry=self.registry)
        self.retrying = Gauge(
            "demail_retrying_copies", "Copies that failed and are tried again.", registry=self.registry
        )
        self.retrying_s = Gauge(
            "demail_retrying_age_seconds", "Time in the queue of the oldest copy tried again.", registry=self.registry
        )
        self.wake_failures = Counter(
            "demail_wake_failures", "Wake-ups that Redis did not take.", registry=self.registry
        )

    def tenant(self, tenant: object) -> str:
        """The label for a tenant: its id for the first hundred seen, ``other`` for all later ones."""
        label = str(tenant)
        if label in self._tenants:
            return label
        if len(self._tenants) >= _TENANTS:
            return OTHER
        self._tenants.add(label)
        return label

    def note(self, event: str, facts: Mapping[str, object]) -> None:
        """Counts an event of `Observe`; the few that have metrics of their own are counted there, too."""
        self.events.labels(event).inc()
        if event == "hand_over_ended":
            self.hand_overs.labels(self.tenant(facts.get("tenant")), str(facts.get("end"))).inc()
            if isinstance(seconds := facts.get("seconds"), float):
                self.hand_over_s.observe(seconds)
        elif event in ("evidence_recorded", "inbound_recorded"):
            self.received.labels(self.tenant(facts.get("tenant")), str(facts.get("outcome"))).inc()
        elif event == "wake_failed":
            self.wake_failures.inc()
        elif event == "queue_age":
            self._set_queue(facts)

    def _set_queue(self, facts: Mapping[str, object]) -> None:
        gauges = {"seconds": self.queue_age_s, "retrying": self.retrying, "retrying_seconds": self.retrying_s}
        for name, gauge in gauges.items():
            if isinstance(value := facts.get(name), int | float):
                gauge.set(value)

    def render(self) -> bytes:
        """Text exposition format."""
        return generate_latest(self.registry)
