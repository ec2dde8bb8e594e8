"""`tenant`, `client`, `connection`, `key`: the operator's work without a browser; each with `--json`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Collection
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from demail_gateway.core.errors import CertificateMalformed, RuleViolation
from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.settings import load_settings
from demail_gateway.tenancy.naming import TenantKind
from demail_gateway.tenancy.scope import Scope

if TYPE_CHECKING:
    from demail_gateway.bootstrap.command_line import CommandLineAdministration

tenant_app = typer.Typer(help="Mandanten.", no_args_is_help=True)
client_app = typer.Typer(help="Clients (Fachverfahren) und Betreiber-Clients.", no_args_is_help=True)
connection_app = typer.Typer(help="Anbieter-Verbindungen.", no_args_is_help=True)
key_app = typer.Typer(help="Schlüssel der Mandanten.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="JSON auf stdout.")]
KeySetFile = Annotated[Path | None, typer.Option(help="JWK-Set mit öffentlichen Schlüsseln; - liest stdin.")]
CertificateFiles = Annotated[
    list[Path] | None, typer.Option(help="Client-Zertifikat (PEM), mehrfach möglich; - liest stdin.")
]
Ask = Callable[["CommandLineAdministration"], Awaitable[Any]]
TenantScopeName = StrEnum("TenantScopeName", [(s.name, s.value) for s in Scope if s is not Scope.OPERATOR])  # type: ignore[misc]


class Algorithm(StrEnum):
    """Of a tenant's S/MIME key."""

    RSA_3072 = "rsa-3072"
    P256 = "p256"


@tenant_app.command("list")
def list_tenants(as_json: AsJson = False) -> None:
    """Alle Mandanten mit Kürzel, Name, Zustand."""
    answer(lambda admin: admin.tenants(), as_json=as_json)


@tenant_app.command("create")
def create_tenant(
    slug: str,
    name: str,
    kind: Annotated[TenantKind, typer.Option(help="Art der Stelle.")] = TenantKind.MUNICIPALITY,
    public_body: Annotated[bool, typer.Option(help="Öffentliche Stelle.")] = True,
    as_json: AsJson = False,
) -> None:
    """Legt einen Mandanten an (Zustand interested)."""
    answer(lambda admin: admin.create_tenant(slug, name, kind, public_body=public_body), as_json=as_json)


@tenant_app.command("show")
def show_tenant(tenant: str, as_json: AsJson = False) -> None:
    """Ein Mandant mit Konten, Adressen, Clients, Schlüsseln."""
    answer(lambda admin: admin.show_tenant(tenant), as_json=as_json, aside=("csr_pem",))


@client_app.command("create")
def create_client(
    name: str,
    tenant: Annotated[str | None, typer.Option(help="Kürzel oder Id; ohne: Betreiber-Client.")] = None,
    scope: Annotated[list[TenantScopeName] | None, typer.Option(help="Mehrfach möglich; nötig mit --tenant.")] = None,
    jwks: KeySetFile = None,
    certificate: CertificateFiles = None,
    as_json: AsJson = False,
) -> None:
    """Legt einen Client an, mit eigenem Schlüssel oder Zertifikat; sonst zeigt es dieses eine Mal sein Geheimnis.

    Wo Geheimnisse nicht zugelassen sind (Wirkbetrieb, GWT-20), braucht er Schlüssel oder Zertifikat.
    """
    from demail_gateway.application.register import ClientKeys

    if tenant is not None and not scope:
        scopes = ", ".join(TenantScopeName)
        raise typer.BadParameter(f"mindestens ein Recht nennen, so wenige wie möglich: {scopes}", param_hint="--scope")
    if tenant is None and scope:
        raise typer.BadParameter("ein Betreiber-Client hat allein das Recht operator", param_hint="--scope")
    keys = ClientKeys(
        None if jwks is None else _json_object(jwks, "--jwks"), _texts(certificate or [], "--certificate")
    )
    answer(lambda admin: admin.create_client(name, tenant, scope or (), keys), as_json=as_json)


@client_app.command("change")
def change_client(
    client: str,
    tenant: Annotated[str | None, typer.Option(help="Kürzel oder Id; ohne: Betreiber-Client.")] = None,
    name: Annotated[str | None, typer.Option(help="Neuer Name.")] = None,
    jwks: KeySetFile = None,
    certificate: CertificateFiles = None,
    active: Annotated[bool | None, typer.Option("--active/--stopped", help="Freigeben oder anhalten.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ersetzt alle Schlüssel oder alle Zertifikate eines Clients, hält ihn an oder gibt ihn frei.

    Die Tokens eines angehaltenen Betreiber-Clients enden sofort, die eines Mandanten binnen 30 s.
    """
    changes: dict[str, Any] = {} if active is None else {"active": active}
    if name is not None:
        changes["name"] = name
    if jwks is not None:
        changes["jwks"] = _json_object(jwks, "--jwks")
    if certificate:
        changes["certificates"] = _texts(certificate, "--certificate")
    answer(lambda admin: admin.change_client(tenant, client, changes), as_json=as_json)


@client_app.command("list")
def list_clients(
    tenant: Annotated[str | None, typer.Argument(help="Kürzel oder Id; ohne: Betreiber-Clients.")] = None,
    as_json: AsJson = False,
) -> None:
    """Die Clients eines Mandanten, oder die des Betreibers."""
    answer(lambda admin: admin.clients(tenant), as_json=as_json)


@connection_app.command("list")
def list_connections(as_json: AsJson = False) -> None:
    """Alle Anbieter-Verbindungen."""
    answer(lambda admin: admin.connections(), as_json=as_json)


@connection_app.command("create")
def create_connection(
    name: str,
    profile: Annotated[
        Path, typer.Argument(help="JSON-Datei, siehe docs/connection-profile.md.", exists=True, dir_okay=False)
    ],
    auth_level: Annotated[AuthLevel, typer.Option(help="Authentisierungsniveau beim Anbieter.")] = AuthLevel.HIGH,
    as_json: AsJson = False,
) -> None:
    """Legt eine Anbieter-Verbindung an."""
    document = _json_object(profile, "PROFILE")
    answer(lambda admin: admin.create_connection(name, auth_level, document), as_json=as_json)


@key_app.command("list")
def list_keys(tenant: str, as_json: AsJson = False) -> None:
    """Die S/MIME-Schlüssel eines Mandanten; Zertifikatsanträge zeigen key show und --json."""
    answer(lambda admin: admin.keys(tenant), as_json=as_json, aside=("csr_pem",))


@key_app.command("show")
def show_key(tenant: str, key: str, as_json: AsJson = False) -> None:
    """Ein S/MIME-Schlüssel mit seinem Zertifikatsantrag (PKCS#10)."""
    answer(lambda admin: admin.key(tenant, key), as_json=as_json)


@key_app.command("request")
def request_key(
    tenant: str,
    algorithm: Annotated[Algorithm, typer.Option(help="Art des Schlüssels.")] = Algorithm.RSA_3072,
    address: Annotated[str | None, typer.Option(help="Adresse im Zertifikat; Vorgabe: die erste.")] = None,
    as_json: AsJson = False,
) -> None:
    """Erzeugt einen Schlüssel und gibt den Zertifikatsantrag (PKCS#10) aus."""
    answer(lambda admin: admin.request_key(tenant, algorithm, address), as_json=as_json)


@key_app.command("install")
def install_key(
    tenant: str,
    key: str,
    certificate: Annotated[
        Path, typer.Argument(help="Zertifikat (PEM), dahinter die Kette.", exists=True, dir_okay=False)
    ],
    as_json: AsJson = False,
) -> None:
    """Setzt das ausgestellte Zertifikat ein; der Schlüssel wird der aktive."""
    pem = certificate.read_text(encoding="ascii", errors="replace")

    async def install(admin: CommandLineAdministration) -> Any:
        try:
            return await admin.install_certificate(tenant, key, pem)
        except CertificateMalformed:
            raise typer.BadParameter(
                f"{certificate}: erwartet wird ein Zertifikat in PEM (-----BEGIN CERTIFICATE-----), dahinter die Kette",
                param_hint="CERTIFICATE",
            ) from None

    answer(install, as_json=as_json)


@key_app.command("rewrap")
def rewrap_keys(as_json: AsJson = False) -> None:
    """Schützt die Inhaltsschlüssel aller Mandanten mit dem jetzigen Hauptschlüssel; beliebig wiederholbar.

    Ende mit 1, wenn welche übrig bleiben: deren früherer Hauptschlüssel fehlt in DEMAIL_FORMER_MASTER_KEYS.
    """
    from demail_gateway.bootstrap import command_line

    found = asyncio.run(command_line.rewrap_keys(load_settings()))
    _show(found, as_json=as_json)
    raise typer.Exit(1 if found["left"] else 0)


def answer(ask: Ask, *, as_json: bool, empty: str = "Keine Einträge.", aside: Collection[str] = ()) -> None:
    """Prints what `ask` finds out; broken rules become lines on stderr and exit code 1.

    `empty` is said to a person where a list has nothing; members named in `aside` are for `--json` alone.
    """
    from demail_gateway.bootstrap.command_line import administration

    settings = load_settings()

    async def run() -> Any:
        async with administration(settings) as admin:
            return await ask(admin)

    try:
        found = asyncio.run(run())
    except RuleViolation as error:
        for fault in error.violations:
            print(f"Fehler: {fault.pointer or 'Eingabe'}: {fault.detail_de} ({fault.code})", file=sys.stderr)
        raise typer.Exit(1) from None
    _show(found, as_json=as_json, empty=empty, aside=aside)


def _show(found: Any, *, as_json: bool, empty: str = "", aside: Collection[str] = ()) -> None:
    if as_json:
        json.dump(found, sys.stdout, ensure_ascii=False, indent=1)
        print()
    elif found == []:
        print(empty)
    else:
        _print(found, aside)


def _json_object(path: Path, hint: str) -> dict[str, Any]:
    try:
        document = json.loads(_text(path, hint))
    except (ValueError, RecursionError):
        raise typer.BadParameter("kein JSON", param_hint=hint) from None
    if not isinstance(document, dict):
        raise typer.BadParameter("kein JSON-Objekt", param_hint=hint)
    return document


def _texts(paths: list[Path], hint: str) -> list[str]:
    return [_text(path, hint) for path in paths]


def _text(path: Path, hint: str) -> str:
    """The file's text; ``-`` is stdin, which reaches into a container where files do not."""
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise typer.BadParameter("nicht lesbar", param_hint=hint) from None


def _print(found: Any, aside: Collection[str]) -> None:
    shown = _without(found, aside)
    for entry in shown if isinstance(shown, list) else [shown]:
        for name, value in entry.items():
            print(f"{name}: {json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value}")
        print()


def _without(found: Any, aside: Collection[str]) -> Any:
    """The same without members of these names, however deep."""
    if isinstance(found, dict):
        return {name: _without(value, aside) for name, value in found.items() if name not in aside}
    return [_without(each, aside) for each in found] if isinstance(found, list) else found
