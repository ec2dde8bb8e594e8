"""What the logs of an installation say about De-Mails that came to nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_MOST_LINES = 6
_LOUD = frozenset({"warning", "error", "critical"})
_ORDINARY = frozenset({"request", "sandbox_ready", "scanner_for_tests", "scanner_none", "provider_for_tests"})
"""Events of every run of a test installation."""
_NAMED = ("end", "reply_code", "code", "stage", "reason", "error", "outcome")
"""Members of a log line that tell a cause."""


def last_words(directory: Path, message_ids: Sequence[str]) -> list[str]:
    """The last lines about these messages (`msg_…`), and the last warnings and errors, of each log in `directory`.

    One sentence each: process, time, event, what it says of the cause. No log holds content or addresses (GWT-51).
    """
    found: list[str] = []
    for log in sorted(directory.glob("*.log")):
        lines = [
            entry for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if (entry := _read(line))
        ]
        found += [_told(log.stem, entry) for entry in lines if _matters(entry, message_ids)][-_MOST_LINES:]
    return found


def _matters(entry: dict[str, Any], message_ids: Sequence[str]) -> bool:
    if entry.get("event") in _ORDINARY or entry.get("outcome") == "passed":
        return False
    about = str(entry.get("message", "")).removeprefix("msg_")
    return entry.get("level") in _LOUD or (bool(about) and any(each.endswith(about) for each in message_ids))


def _told(process: str, entry: dict[str, Any]) -> str:
    facts = " ".join(f"{name}={entry[name]}" for name in _NAMED if entry.get(name) is not None)
    return f"{process} {entry.get('at', '')} {entry.get('event', '')} {facts}".rstrip()


def _read(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
