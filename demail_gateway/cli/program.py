"""The console script: one command each, heavy modules imported only by the command that needs them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException

from demail_gateway import __version__
from demail_gateway.application.explain.wording import Language
from demail_gateway.cli.administer import client_app, connection_app, key_app, tenant_app
from demail_gateway.cli.faults import sentence
from demail_gateway.cli.queues import queue_app
from demail_gateway.core.errors import DemailError
from demail_gateway.settings import ConfigurationError

app = typer.Typer(
    name="demail-gateway",
    help="Mandantenfähiges De-Mail-Gateway (BSI TR 01201).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(tenant_app, name="tenant")
app.add_typer(client_app, name="client")
app.add_typer(connection_app, name="connection")
app.add_typer(key_app, name="key")
app.add_typer(queue_app, name="queue")


def main() -> None:
    """Runs the command of the command line; known faults become one line on stderr and exit code 1."""
    try:
        app()
    except ConfigurationError as error:
        for fault in error.faults:
            print(f"Konfiguration: {fault}", file=sys.stderr)
        sys.exit(1)
    except DemailError as error:
        print(f"Fehler: {sentence(error)}", file=sys.stderr)
        sys.exit(1)


@app.command()
def demo(
    as_json: Annotated[bool, typer.Option("--json", help="Ein JSON-Dokument auf stdout.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Protokolle und Nachweispakete auch nach Erfolg aufheben.")] = (
        False
    ),
    patience: Annotated[
        float, typer.Option(help="Wie viele Sekunden auf die Nachweise gewartet wird.", min=0, max=3600)
    ] = 45.0,
) -> None:
    """Führt alles vor: zwei Mandanten, drei De-Mails, verifizierte Nachweise. Beendet sich selbst.

    Scheitert sie, so nennt sie die Ursache und hebt die Protokolle auf.
    """
    from demail_gateway.cli.demo import run_demo

    raise typer.Exit(asyncio.run(run_demo(as_json=as_json, keep=keep, patience_s=patience)))


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="Port der REST-Schnittstelle.", min=1, max=65535)] = 8080,
    ready_file: Annotated[Path | None, typer.Option(help="JSON-Datei, die geschrieben wird, wenn alles läuft.")] = None,
) -> None:
    """Die ganze Installation im Vordergrund, mit zwei Testmandanten und dem Sandbox-Anbieter."""
    from demail_gateway.cli.dev import run_dev
    from demail_gateway.cli.screen import Screen

    with Screen(steps=4) as screen:
        raise typer.Exit(asyncio.run(run_dev(port, ready_file, screen)))


@app.command()
def api(
    host: Annotated[str | None, typer.Option(help="Vorgabe: DEMAIL_API_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Vorgabe: DEMAIL_API_PORT.")] = None,
) -> None:
    """Prozess: REST-Schnittstelle."""
    from demail_gateway.cli.processes import run_api

    run_api(host, port)


@app.command()
def worker() -> None:
    """Prozess: Celery-Worker, übergibt und prüft."""
    from demail_gateway.cli.processes import run_worker

    run_worker()


@app.command()
def inbound() -> None:
    """Prozess: SMTP-Eingang für die Anbieter."""
    from demail_gateway.cli.processes import run_inbound

    run_inbound()


@app.command()
def scheduler() -> None:
    """Prozess: regelmäßige Arbeiten (liegengebliebene Zeilen, Sperrlisten, Journal)."""
    from demail_gateway.cli.processes import run_scheduler

    run_scheduler()


@app.command()
def migrate() -> None:
    """Bringt das Datenbankschema auf den Stand des Programms; verweigert sich einem neueren."""
    from demail_gateway.cli.processes import run_migrate

    run_migrate()


class _Verify(TyperCommand):
    """2 means "undecided" here, so unusable arguments end with 3."""

    def make_context(self, *words: Any, **options: Any) -> Any:
        try:
            return super().make_context(*words, **options)
        except TyperException as error:
            error.exit_code = 3
            raise


@app.command(cls=_Verify)
def verify(
    files: Annotated[
        list[Path], typer.Argument(help="Nachrichten (.eml, mbox), Nachweispakete (.zip), Journal-Exporte.")
    ],
    trust_anchor: Annotated[list[Path] | None, typer.Option(help="Vertrauensanker (PEM).")] = None,
    crl: Annotated[list[Path] | None, typer.Option(help="Sperrliste (DER oder PEM).")] = None,
    at: Annotated[str | None, typer.Option(help="Zeitpunkt der Prüfung (RFC 3339).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Je Datei ein JSON-Objekt.")] = False,
    language: Annotated[
        Language, typer.Option(help="Sprache des Berichts (language of the report).")
    ] = Language.GERMAN,
    verbose: Annotated[bool, typer.Option("--verbose", help="Jeden Prüfschritt jedes Nachweises zeigen.")] = False,
) -> None:
    """Prüft Dateien ohne Datenbank und Netz. Ergebnis: 0 bestanden, 1 durchgefallen, 2 unbestimmt, 3 nicht lesbar."""
    from demail_gateway.cli.verify import run_verify

    anchors, crls = trust_anchor or [], crl or []
    raise typer.Exit(run_verify(files, anchors, crls, at, as_json=as_json, language=language, verbose=verbose))


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Prüft Konfiguration, Datenbank, Redis, Uhr, Zertifikate und Anbieter-Verbindungen."""
    from demail_gateway.cli.doctor import run_doctor

    raise typer.Exit(asyncio.run(run_doctor(as_json=as_json)))


@app.command()
def version() -> None:
    """Gibt die Version aus."""
    print(__version__)
