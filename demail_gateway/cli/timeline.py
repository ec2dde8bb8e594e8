"""The demonstration's result for a person: a timeline per message, its proofs, what was checked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from demail_gateway.core.dates import legal_time

_EVENTS = {
    "message.queued": "angenommen, wartet auf Übergabe",
    "message.submitting": "Übergabe begonnen, Ausgang noch offen",
    "message.submitted": "vom Anbieter übernommen",
    "message.dispatched": "versandt (Versandbestätigung verifiziert)",
    "message.completed": "abgeschlossen",
    "recipient.dispatched": "an Empfänger versandt",
    "recipient.delivered": "im Postfach des Empfängers (verifiziert)",
    "recipient.retrieved": "Empfänger hat sich sicher angemeldet (Abholbestätigung verifiziert)",
}
KINDS = {
    "confirmation of dispatch": "Versandbestätigung",
    "confirmation of receipt": "Eingangsbestätigung",
    "confirmation of retrieve": "Abholbestätigung",
}
_OUTCOMES = {"passed": "[green]verifiziert[/]", "failed": "[red]falsch[/]", "indeterminate": "[yellow]unbestimmt[/]"}

Story = tuple[str, dict[str, Any], list[dict[str, Any]], list[dict[str, Any]], list[str]]
"""Tenant's name, message, events, evidence, faults."""


def show(
    stories: Sequence[Story], tampering_shows: bool | None, last_words: Sequence[str] = (), kept: Path | None = None
) -> None:
    """Prints to stdout. `last_words` are log lines, `kept` is where logs and packages are."""
    console = Console(highlight=False)
    for tenant, message, events, evidence, faults in stories:
        console.rule(f"{tenant}: {message.get('subject', '')}", align="left")
        console.print(f"{message.get('id', '')} an {', '.join(message.get('to', []))}, Zustand: {message.get('state')}")
        table = Table(box=None, pad_edge=False, show_header=False)
        for event in events:
            table.add_row(_legal(event["at"]), _EVENTS.get(event["type"], event["type"]))
        console.print(table)
        for proof in evidence:
            kind, outcome = proof["kind"], proof["verification"]["outcome"]
            console.print(f"  {KINDS.get(kind, kind)}: {_OUTCOMES.get(outcome, outcome)} ({proof['issuer']})")
        for fault in faults:
            console.print(Text(f"  Fehler: {fault}", style="red"))
    console.rule(align="left")
    if stories:
        console.print(f"Zeiten: gesetzliche Zeit in Deutschland ({_zone(stories)}).")
    for line in last_words:
        console.print(Text(line), soft_wrap=True)
    console.print(_conclusion(stories, tampering_shows))
    if kept is not None:
        console.print(Text(f"Aufgehoben (Protokolle, Nachweispakete, Vertrauensanker): {kept}"), soft_wrap=True)


def _conclusion(stories: Sequence[Story], tampering_shows: bool | None) -> Text:
    faulty = sum(bool(faults) for *_, faults in stories)
    if tampering_shows is False:
        return Text("Nicht bestanden: Eine Veränderung am Nachweispaket blieb unbemerkt.", style="red")
    if faulty:
        return Text(f"Nicht bestanden: {faulty} von {len(stories)} De-Mails mit Fehlern (siehe oben).", style="red")
    if tampering_shows is None:
        return Text("Nicht bestanden: Es gab kein Nachweispaket zu prüfen.", style="red")
    told = "Nachweispakete offline geprüft: bestanden; mit einem veränderten Byte: durchgefallen, wie es sein muss."
    return Text(told)


def _zone(stories: Sequence[Story]) -> str:
    """Offset of the first time that is shown; it stays the same for the minute that a demonstration takes."""
    at = [event["at"] for _, _, events, _, _ in stories for event in events]
    return legal_time(datetime.fromisoformat(at[0])).isoformat()[-6:] if at else "keine"


def _legal(text: str) -> str:
    """Legal time (SND-103)."""
    return legal_time(datetime.fromisoformat(text)).strftime("%H:%M:%S,%f")[:-3]
