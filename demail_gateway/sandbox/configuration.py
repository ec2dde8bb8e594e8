"""Configuration of the sandbox provider: command line first, then the environment, then a default."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DOMAIN = "sandbox.de-mail.de"
"""The sandbox's own De-Mail domain; the citizens live in it."""
DEMAIL_DOMAIN = "de-mail.de"
"""The common De-Mail domain (ADR-4): addresses in it or below it are De-Mail addresses."""


@dataclass(frozen=True, slots=True)
class GatewayPeer:
    """Where the accounts outside the sandbox's own domain are reached: the gateway's listener for providers."""

    host: str
    port: int
    server_name: str
    """Name that its certificate must carry."""


@dataclass(frozen=True, slots=True)
class Configuration:
    directory: Path
    """Authority, keys and mail; made at start, kept between starts."""
    bind: str = "127.0.0.1"
    host_name: str = f"mail.{DOMAIN}"
    """Name of the provider's host: in x-de-mail-originator-provider and in its TLS certificate."""
    alternative_names: tuple[str, ...] = ("localhost", "127.0.0.1")
    """Further names and IP addresses in the TLS certificate."""
    http_port: int = 0
    smtp_port: int = 0
    provider_port: int = 0
    public_url: str | None = None
    """How others reach the control surface, e.g. ``http://sandbox:8090``; None: bind address and port."""
    gateway: GatewayPeer | None = None
    """None until `POST /gateway` names it."""
    ready_file: Path | None = None


def read_configuration(arguments: Sequence[str], environment: Mapping[str, str]) -> Configuration:
    """The configuration from `arguments` (without the program's name) and variables ``DEMAIL_SANDBOX_…``.

    Raises SystemExit with a message on stderr for unusable arguments, as argparse does.
    """
    parser = _parser(environment)
    values = parser.parse_args(arguments)
    if values.directory is None:
        parser.error("--directory (DEMAIL_SANDBOX_DIRECTORY) fehlt / is missing")
    return Configuration(
        directory=values.directory,
        bind=values.bind,
        host_name=values.host_name,
        alternative_names=tuple(name for name in values.alternative_names.split(",") if name),
        http_port=values.http_port,
        smtp_port=values.smtp_port,
        provider_port=values.provider_port,
        public_url=values.public_url,
        gateway=_gateway(values),
        ready_file=values.ready_file,
    )


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m demail_gateway.sandbox",
        description="Sandbox-Diensteanbieter: ein De-Mail-Anbieter nach BSI TR 01201 für Vorführung und Test."
        " NICHT für den Betrieb. / A De-Mail provider for demonstration and tests, never for production.",
        epilog="Jede Option auch als Umgebungsvariable: --smtp-port = DEMAIL_SANDBOX_SMTP_PORT. Port 0: ein freier.",
    )

    def option(name: str, kind: type[str] | type[int] | type[Path], default: str | int | None, text: str) -> None:
        variable = "DEMAIL_SANDBOX_" + name.upper().replace("-", "_")
        # A string default goes through `type`, so that a bad value in the environment is reported like an argument.
        parser.add_argument(f"--{name}", type=kind, default=environment.get(variable) or default, help=text)

    option("directory", Path, None, "Verzeichnis für Zertifizierungsstelle, Schlüssel und Nachrichten")
    option("bind", str, "127.0.0.1", "Adresse, auf der gelauscht wird")
    option("host-name", str, f"mail.{DOMAIN}", "Name des Servers, auch im TLS-Zertifikat")
    option("alternative-names", str, "localhost,127.0.0.1", "weitere Namen und IP-Adressen im TLS-Zertifikat")
    option("http-port", int, 0, "Steuerung (HTTP)")
    option("smtp-port", int, 0, "Einlieferung (SMTP, implizites TLS mit Client-Zertifikat)")
    option("provider-port", int, 0, "Auskunft (HTTPS mit Client-Zertifikat)")
    option("public-url", str, None, "Adresse der Steuerung aus Sicht der anderen")
    option("gateway-host", str, None, "SMTP-Eingang des Gateways: Rechner")
    option("gateway-port", int, 1465, "SMTP-Eingang des Gateways: Port")
    option("gateway-server-name", str, None, "Name im Zertifikat des Gateways (Vorgabe: der Rechner)")
    option("ready-file", Path, None, "JSON-Datei, die nach dem Start geschrieben wird")
    return parser


def _gateway(values: argparse.Namespace) -> GatewayPeer | None:
    if values.gateway_host is None:
        return None
    return GatewayPeer(values.gateway_host, values.gateway_port, values.gateway_server_name or values.gateway_host)


def from_process(arguments: Sequence[str]) -> Configuration:
    """`read_configuration` with the environment of this process."""
    return read_configuration(arguments, os.environ)
