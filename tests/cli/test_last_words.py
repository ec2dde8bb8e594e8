"""The logs' last words about a De-Mail that came to nothing."""

from __future__ import annotations

import json
from pathlib import Path

from demail_gateway.cli.last_words import last_words

MINE, OTHER = "01990000-0000-7000-8000-000000000001", "01990000-0000-7000-8000-000000000002"


def write(log: Path, *entries: object) -> None:
    log.write_text("".join(f"{json.dumps(each)}\n" for each in entries) + "Traceback (most recent call last):\n{\n")


def test_only_lines_about_the_message_and_loud_ones_count(tmp_path: Path) -> None:
    write(
        tmp_path / "worker.log",
        {"event": "hand_over_ended", "level": "info", "at": "T1", "message": OTHER, "end": "taken"},
        {
            "event": "hand_over_ended",
            "level": "info",
            "at": "T2",
            "message": MINE,
            "end": "refused",
            "reply_code": "550",
        },
        {"event": "crl_unavailable", "level": "warning", "at": "T3", "error": "ConnectError"},
        {"event": "evidence_recorded", "level": "info", "at": "T4", "message": MINE, "outcome": "passed"},
        {"event": "provider_for_tests", "level": "warning", "at": "T4"},
        {"event": "listening", "level": "info", "at": "T4"},
        ["no", "entry"],
    )
    assert last_words(tmp_path, [f"msg_{MINE}"]) == [
        "worker T2 hand_over_ended end=refused reply_code=550",
        "worker T3 crl_unavailable error=ConnectError",
    ]


def test_a_long_log_is_told_by_its_end(tmp_path: Path) -> None:
    write(tmp_path / "api.log", *({"event": f"e{n}", "level": "error", "at": "T"} for n in range(100)))
    assert last_words(tmp_path, []) == [f"api T e{n}" for n in range(94, 100)]
