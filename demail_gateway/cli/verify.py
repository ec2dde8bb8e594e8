"""`verify`: checks files offline and says what was found, for clerks in German or as JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from demail_gateway.application.inspect import Inspection
from demail_gateway.application.inspect_package import Unreadable, inspect_file
from demail_gateway.bootstrap.offline import inspection_tools
from demail_gateway.core.checks import Outcome
from demail_gateway.core.errors import DemailError

EXIT = {Outcome.PASSED: 0, Outcome.FAILED: 1, Outcome.INDETERMINATE: 2, Outcome.NOT_APPLICABLE: 2}
UNUSABLE = 3
_SEVERITY = (UNUSABLE, 1, 2, 0)
"""3 wins over 1, 1 over 2, 2 over 0."""
WORDS = {
    Outcome.PASSED: "bestanden",
    Outcome.FAILED: "durchgefallen",
    Outcome.INDETERMINATE: "unbestimmt",
    Outcome.NOT_APPLICABLE: "entfällt",
}
KINDS = {
    "message": "De-Mail-Nachricht",
    "confirmation": "Bestätigung",
    "notification": "Meldung",
    "evidence-package": "Nachweispaket",
    "journal": "Journal",
}
_WIDTH = 240
_COLOURS = {Outcome.PASSED: "green", Outcome.FAILED: "red", Outcome.INDETERMINATE: "yellow"}


def run_verify(
    files: Sequence[Path], anchors: Sequence[Path], crls: Sequence[Path], at: str | None, *, as_json: bool
) -> int:
    """Exit code: 0 all passed, 1 one failed, 2 one indeterminate and none failed, 3 unusable (3 wins over 1 over 2)."""
    try:
        moment = _moment(at)
        tools = inspection_tools([_read(path) for path in anchors or _default_anchors()], [_read(p) for p in crls])
    except (ValueError, OSError, DemailError) as error:
        print(f"verify: {error}", file=sys.stderr)
        return UNUSABLE
    codes = []
    for path in files:
        try:
            inspection = inspect_file(_read(path), tools, datetime.now(UTC), moment)
        except (OSError, Unreadable) as error:
            print(f"{path}: nicht lesbar: {error}", file=sys.stderr)
            codes.append(UNUSABLE)
            continue
        _show(path, inspection, as_json=as_json)
        codes.append(EXIT[inspection.outcome])
    return next((code for code in _SEVERITY if code in codes), UNUSABLE)


def as_document(path: Path, inspection: Inspection) -> dict[str, Any]:
    """One object of `verify --json`."""
    return {
        "file": str(path),
        "kind": str(inspection.kind),
        "outcome": str(inspection.outcome),
        "checks": [
            {"name": c.name, "outcome": str(c.outcome), "detail": c.detail, "source": c.source}
            for c in inspection.checks
        ],
        "message_id": inspection.message_id,
        "integrity": {"mode": _mode(inspection), "algorithm": inspection.algorithm},
    }


def _mode(inspection: Inspection) -> str:
    return "signed" if inspection.mode == "signature" else str(inspection.mode)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("--at: Zeitpunkt mit Zeitzone nötig, z. B. 2026-03-02T12:00:00Z")
    return moment


def _default_anchors() -> list[Path]:
    return [Path(name) for name in os.environ.get("DEMAIL_TRUST_ANCHORS", "").split(os.pathsep) if name]


def _read(path: Path) -> bytes:
    return path.read_bytes()


def _show(path: Path, inspection: Inspection, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(as_document(path, inspection), ensure_ascii=False))
        return
    # lines for a file or another program are not broken at a terminal's width
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    verdict = Text(WORDS[inspection.outcome], style=_COLOURS.get(inspection.outcome, ""))
    console.print(Text.assemble(_plain(f"{path}: {KINDS[inspection.kind]}: "), verdict))
    table = Table(box=None, pad_edge=False)
    for title in ("Prüfung", "Ergebnis", "Befund", "Quelle"):
        table.add_column(title, overflow="fold")
    for check in inspection.checks:
        if check.outcome is not Outcome.NOT_APPLICABLE:
            table.add_row(*map(_plain, (check.name, WORDS[check.outcome], check.detail, check.source)))
    console.print(table)


def _plain(text: str) -> Text:
    """As it is: no markup in it counts, and what would steer a terminal is shown as a replacement character."""
    return Text("".join(each if each.isprintable() else "\ufffd" for each in text))
