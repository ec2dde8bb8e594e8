"""The demonstration's result for a person: a timeline per message, its proofs, what was checked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

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
_KINDS = {
    "confirmation of dispatch": "Versandbestätigung",
    "confirmation of receipt": "Eingangsbestätigung",
    "confirmation of retrieve": "Abholbestätigung",
}
_OUTCOMES = {"passed": "[green]verifiziert[/]", "failed": "[red]falsch[/]", "indeterminate": "[yellow]unbestimmt[/]"}

Story = tuple[str, dict[str, Any], list[dict[str, Any]], list[dict[str, Any]], list[str]]
"""Tenant's name, message, events, evidence, faults."""


def show(stories: Sequence[Story], tampered: bool) -> None:
    """Prints to stdout."""
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
            console.print(f"  {_KINDS.get(kind, kind)}: {_OUTCOMES.get(outcome, outcome)} ({proof['issuer']})")
        for fault in faults:
            console.print(f"  [red]Fehler: {fault}[/]")
    console.rule(align="left")
    if tampered:
        console.print(
            "Nachweispakete offline geprüft: bestanden; mit einem veränderten Byte: durchgefallen, wie es sein muss."
        )
    else:
        console.print("[red]Eine Veränderung am Nachweispaket blieb unbemerkt.[/]")


def _legal(text: str) -> str:
    """Legal time (SND-103)."""
    return legal_time(datetime.fromisoformat(text)).strftime("%H:%M:%S,%f")[:-3]
