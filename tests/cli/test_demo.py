from __future__ import annotations

from typing import Any

import pytest

from demail_gateway.cli.demo import Sent, shortfall, timeline
from demail_gateway.cli.seed import AMT, Seeded
from demail_gateway.cli.timeline import show


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


def test_a_shortfall_names_missing_proofs_and_the_cause() -> None:
    office = Seeded("ten_1", AMT.slug, AMT.name, "cli_1", "s", AMT.addresses, public_body=True)
    sent = Sent(office, ("a@sandbox.de-mail.de",), "msg_1", ("confirmation of dispatch", "confirmation of receipt"))
    sent.message = {"state": "rejected", "recipients": [{"reason": "unknown-recipient"}, {"reason": None}]}
    sent.evidence = [{"kind": "confirmation of dispatch", "verification": {"outcome": "failed"}}]
    told = "Versandbestätigung (failed), Eingangsbestätigung (fehlt); Zustand rejected, unknown-recipient"
    assert shortfall(sent) == f"nicht alle Nachweise kamen rechtzeitig an: {told}"


@pytest.mark.parametrize("tampering_shows", [True, False, None])
def test_a_failed_demonstration_does_not_end_with_a_success(
    tampering_shows: bool | None, capsys: pytest.CaptureFixture[str]
) -> None:
    show([("Amt", {}, [], [], ["[b]kein Nachweis[/b]"]), ("Stadt", {}, [], [], [])], tampering_shows)
    shown = capsys.readouterr().out
    assert "Fehler: [b]kein Nachweis[/b]" in shown
    assert "Nicht bestanden" in shown.splitlines()[-1]
    assert "offline geprüft: bestanden" not in shown
