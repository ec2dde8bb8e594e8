"""`tenant`, `client`, `connection`, `key`: the operator's work without a browser; each with `--json`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from demail_gateway.settings import load_settings

if TYPE_CHECKING:
    from demail_gateway.bootstrap.command_line import CommandLineAdministration

tenant_app = typer.Typer(help="Mandanten.", no_args_is_help=True)
client_app = typer.Typer(help="Clients (Fachverfahren) und Betreiber-Clients.", no_args_is_help=True)
connection_app = typer.Typer(help="Anbieter-Verbindungen.", no_args_is_help=True)
key_app = typer.Typer(help="S/MIME-Schlüssel der Mandanten.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="JSON auf stdout.")]
Ask = Callable[["CommandLineAdministration"], Awaitable[Any]]


@tenant_app.command("list")
def list_tenants(as_json: AsJson = False) -> None:
    """Alle Mandanten mit Kürzel, Name, Zustand."""
    _answer(lambda admin: admin.tenants(), as_json=as_json)


@tenant_app.command("create")
def create_tenant(
    slug: str,
    name: str,
    kind: Annotated[str, typer.Option(help="authority, municipality oder other.")] = "municipality",
    public_body: Annotated[bool, typer.Option(help="Öffentliche Stelle.")] = True,
    as_json: AsJson = False,
) -> None:
    """Legt einen Mandanten an (Zustand interested)."""
    _answer(lambda admin: admin.create_tenant(slug, name, kind, public_body=public_body), as_json=as_json)


@tenant_app.command("show")
def show_tenant(tenant: str, as_json: AsJson = False) -> None:
    """Ein Mandant mit Konten, Adressen, Clients, Schlüsseln."""
    _answer(lambda admin: admin.show_tenant(tenant), as_json=as_json)


@client_app.command("create")
def create_client(
    name: str,
    tenant: Annotated[str | None, typer.Option(help="Kürzel oder Id; ohne: Betreiber-Client.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="Mehrfach möglich; ohne: alle des Mandanten.")] = None,
    as_json: AsJson = False,
) -> None:
    """Legt einen Client an und zeigt sein Geheimnis dieses eine Mal."""
    _answer(lambda admin: admin.create_client(name, tenant, scope), as_json=as_json)


@client_app.command("list")
def list_clients(tenant: str, as_json: AsJson = False) -> None:
    """Die Clients eines Mandanten."""
    _answer(lambda admin: admin.clients(tenant), as_json=as_json)


@connection_app.command("list")
def list_connections(as_json: AsJson = False) -> None:
    """Alle Anbieter-Verbindungen."""
    _answer(lambda admin: admin.connections(), as_json=as_json)


@connection_app.command("create")
def create_connection(
    name: str,
    profile: Annotated[Path, typer.Argument(help="JSON-Datei, siehe docs/connection-profile.md.")],
    auth_level: Annotated[str, typer.Option(help="normal oder high.")] = "high",
    as_json: AsJson = False,
) -> None:
    """Legt eine Anbieter-Verbindung an."""
    document = json.loads(profile.read_text(encoding="utf-8"))
    _answer(lambda admin: admin.create_connection(name, auth_level, document), as_json=as_json)


@key_app.command("list")
def list_keys(tenant: str, as_json: AsJson = False) -> None:
    """Die S/MIME-Schlüssel eines Mandanten."""
    _answer(lambda admin: admin.keys(tenant), as_json=as_json)


@key_app.command("request")
def request_key(
    tenant: str,
    algorithm: Annotated[str, typer.Option(help="rsa-3072 oder p256.")] = "rsa-3072",
    address: Annotated[str | None, typer.Option(help="Adresse im Zertifikat; Vorgabe: die erste.")] = None,
    as_json: AsJson = False,
) -> None:
    """Erzeugt einen Schlüssel und gibt den Zertifikatsantrag (PKCS#10) aus."""
    _answer(lambda admin: admin.request_key(tenant, algorithm, address), as_json=as_json)


@key_app.command("install")
def install_key(
    tenant: str,
    key: str,
    certificate: Annotated[Path, typer.Argument(help="Zertifikat (PEM), dahinter die Kette.")],
    as_json: AsJson = False,
) -> None:
    """Setzt das ausgestellte Zertifikat ein; der Schlüssel wird der aktive."""
    pem = certificate.read_text(encoding="ascii")
    _answer(lambda admin: admin.install_certificate(tenant, key, pem), as_json=as_json)


def _answer(ask: Ask, *, as_json: bool) -> None:
    from demail_gateway.bootstrap.command_line import administration

    settings = load_settings()

    async def run() -> Any:
        async with administration(settings) as admin:
            return await ask(admin)

    found = asyncio.run(run())
    if as_json:
        json.dump(found, sys.stdout, ensure_ascii=False, indent=1)
        print()
    else:
        _print(found)


def _print(found: Any) -> None:
    for entry in found if isinstance(found, list) else [found]:
        for name, value in entry.items():
            print(f"{name}: {json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value}")
        print()
