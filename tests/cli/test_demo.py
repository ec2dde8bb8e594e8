from __future__ import annotations

from typing import Any

from demail_gateway.cli.demo import timeline


def test_the_timeline_tells_states_and_not_names_of_events() -> None:
    events: list[dict[str, Any]] = [
        {"at": "2026-11-24T05:30:00Z", "type": "message.queued", "state": "queued"},
        {"at": "2026-11-24T05:30:01Z", "type": "evidence.recorded", "state": None},
        {"at": "2026-11-24T05:30:02Z", "type": "recipient.delivered", "state": "delivered"},
    ]
    assert timeline(events) == [
        {"at": "2026-11-24T05:30:00Z", "state": "queued"},
        {"at": "2026-11-24T05:30:02Z", "state": "delivered"},
    ]
