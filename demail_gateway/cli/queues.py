"""`queue`: what waits for a person, and what the person decides (SND-43, SND-52)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from demail_gateway.application.ports.queues import WaitsFor
from demail_gateway.cli.administer import AsJson, answer
from demail_gateway.core.decision import Decision

queue_app = typer.Typer(help="Was ansteht und was auf einen Menschen wartet.", no_args_is_help=True)

Tenant = Annotated[str | None, typer.Option(help="Kürzel oder Id.")]
Connection = Annotated[str | None, typer.Option(help="Name oder Id der Anbieter-Verbindung.")]
Why = Annotated[str, typer.Option(help="Begründung; steht im Journal des Mandanten. Keine Namen.")]


class Outcome(StrEnum):
    """How a hand-over ended, or that what is held is not sent."""

    TAKEN = Decision.TAKEN.value
    NOT_TAKEN = Decision.NOT_TAKEN.value
    GIVEN_UP = Decision.GIVEN_UP.value


@queue_app.command("totals")
def totals(as_json: AsJson = False) -> None:
    """Je Mandant: fällig, in Arbeit, angehalten (held), ungeklärt (unsettled)."""
    answer(lambda admin: admin.queues(), as_json=as_json)


@queue_app.command("list")
def list_waiting(
    tenant: Tenant = None,
    connection: Connection = None,
    reason: Annotated[WaitsFor | None, typer.Option(help="Nur diese.")] = None,
    as_json: AsJson = False,
) -> None:
    """Kopien, die auf einen Menschen warten, die längsten zuerst. Ohne Inhalte und Adressen."""
    answer(lambda admin: admin.waiting(tenant, connection, reason), as_json=as_json, empty="Nichts wartet.")


@queue_app.command("settle")
def settle(
    copy: Annotated[str, typer.Argument(help="cpy_… aus queue list.")],
    outcome: Outcome,
    reason: Why,
    attempts: Annotated[int, typer.Option(help="Zahl aus queue list: für diese Übergaben gilt es.", min=0)],
    as_json: AsJson = False,
) -> None:
    """Sagt, wie eine Übergabe ausging; not-taken übergibt noch einmal. given-up gibt auf, was held ist."""
    answer(lambda admin: admin.settle(copy, Decision(outcome.value), attempts, reason), as_json=as_json)


@queue_app.command("release")
def release(
    reason: Why,
    copies: Annotated[list[str] | None, typer.Argument(metavar="[COPY]...", help="cpy_… aus queue list.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Alles, was held ist; mit --tenant, --connection nur das.")
    ] = False,
    tenant: Tenant = None,
    connection: Connection = None,
    as_json: AsJson = False,
) -> None:
    """Gibt frei, was held ist: Es wird mit frischen Wiederholungen noch einmal übergeben."""
    if bool(copies) == every:
        raise typer.BadParameter("entweder Kopien nennen oder --all")
    if copies:
        answer(lambda admin: admin.release(copies, reason), as_json=as_json)
    else:
        answer(lambda admin: admin.release_all(tenant, connection, reason), as_json=as_json, empty="0 freigegeben.")
