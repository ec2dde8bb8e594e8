"""What `doctor` looks at, and how each fault is mended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from demail_gateway.application.ports.connections import Connection
from demail_gateway.bootstrap.command_line import COMMAND_LINE
from demail_gateway.bootstrap.expiring import expiring_clients, expiring_connections, expiring_keys
from demail_gateway.bootstrap.parts import observing, secret, store, tls_context, utc_now, waker
from demail_gateway.core.errors import DemailError, StoreUnavailable
from demail_gateway.providers.profile import ProviderProfile, Tls, parse_profile
from demail_gateway.settings import ConfigurationError, Settings
from demail_gateway.storage import migrate as schema
from demail_gateway.storage.administration import PostgresAdministration
from demail_gateway.storage.installation import PostgresInstallation
from demail_gateway.trust.certificates import read_certificate, read_pem_bundle

CLOCK_TOLERANCE = timedelta(seconds=1)
"""SND-103."""
WARN_BEFORE = timedelta(days=30)
"""GWT-21 warns 60, 30 and 7 days before a certificate ends."""
_PATIENCE_S = 10.0
_DATABASE = "zuerst die Datenbank"
_SCANNERS = {
    "none": "keiner: nichts wird auf Schadsoftware geprüft, Berichte sagen scan: none",
    "eicar-test": "Testprüfer: erkennt allein die EICAR-Testdatei und schützt vor nichts",
}
_FAULTS = (DemailError, ConfigurationError, OSError, TimeoutError, ValueError)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line of `doctor`."""

    part: str
    well: bool
    fact: str
    mend: str = ""
    warning: bool = False
    """Works as it was chosen, and somebody must know: no fault."""

    def as_line(self) -> str:
        sign = "FEHLER" if not self.well else "ACHTUNG" if self.warning else "gut"
        shows_mend = self.mend and (self.warning or not self.well)
        return f"{sign:<7} {self.part}: {self.fact}" + (f" → {self.mend}" if shows_mend else "")

    def as_document(self) -> dict[str, Any]:
        return {
            "part": self.part,
            "well": self.well,
            "warning": self.warning,
            "fact": self.fact,
            "mend": self.mend,
        }


async def diagnose(settings: Settings) -> list[Diagnosis]:
    """Looks at everything; a part that cannot be looked at is a fault of its own."""
    checks: list[tuple[str, Callable[[Settings], Awaitable[str]], str]] = [
        ("configuration", _configuration, "die genannte Variable setzen"),
        ("database", _database, "DEMAIL_DATABASE_URL prüfen; demail-gateway migrate"),
        ("clock", _clock, "Zeitdienst einrichten (höchstens 1 s Abweichung, SND-103)"),
        ("redis", _redis, "DEMAIL_REDIS_URL prüfen"),
        ("certificates", _certificates, "Zertifikat erneuern"),
        ("clients", _clients, "nächstes Zertifikat des Clients eintragen (demail-gateway client change)"),
        ("tenant keys", _tenant_keys, "neuen S/MIME-Schlüssel des Mandanten anfordern und sein Zertifikat eintragen"),
        ("connections", _connections, "neues Zertifikat beim Anbieter beantragen, client_certificate_file ersetzen"),
    ]
    found = [await _looked(part, check(settings), mend) for part, check, mend in checks]
    found.append(scanner_diagnosis(settings))
    return found + [each async for each in _providers(settings)]


def scanner_diagnosis(settings: Settings) -> Diagnosis:
    """No scanner, or one for tests, is a choice and no fault; it is said loudly (SND-74)."""
    mend = "hinter dem Gateway prüfen, Anhänge nicht ungeprüft öffnen"
    return Diagnosis("scanner", True, _SCANNERS[settings.scanner], mend, warning=True)


async def _looked(part: str, check: Awaitable[str], mend: str) -> Diagnosis:
    try:
        return Diagnosis(part, True, await asyncio.wait_for(check, _PATIENCE_S))
    except ConfigurationError as error:
        first = mend if part == "configuration" else "zuerst die Konfiguration"
        return Diagnosis(part, False, "; ".join(error.faults), first)
    except StoreUnavailable as error:
        return Diagnosis(part, False, f"Datenbank nicht erreichbar: {error}", mend if part == "database" else _DATABASE)
    except _FAULTS as error:
        # texts of OSError name hosts and files, which is what an operator needs here
        return Diagnosis(part, False, f"{type(error).__name__}: {error}".rstrip(": "), mend)


async def _configuration(settings: Settings) -> str:
    settings.need(
        "database_url",
        "redis_url",
        "master_key",
        "token_secret",
        "log_key",
        "installation_certificate_file",
        "installation_key_file",
    )
    return settings.environment


async def _database(settings: Settings) -> str:
    settings.need("database_url")
    state = await schema.state(secret(settings.database_url))
    if not state.up_to_date:
        raise ValueError(f"Schema {state.current or 'leer'}, das Programm braucht {state.head}")
    return f"Schema {state.current}"


async def _clock(settings: Settings) -> str:
    """Against the database's clock, which the time service of its own machine keeps."""
    async with store(settings) as known:
        installation = PostgresInstallation(known.engine, known.keys)
        await installation.ping()
        before = utc_now()
        theirs = await installation.clock()
        after = utc_now()
    apart = max(before - theirs, theirs - after, timedelta(0))
    if apart > CLOCK_TOLERANCE:
        raise ValueError(f"weicht um {apart.total_seconds():.1f} s von der Uhr der Datenbank ab")
    return f"{apart.total_seconds():.3f} s neben der Uhr der Datenbank"


async def _redis(settings: Settings) -> str:
    wakes = waker(settings, observing(settings, "doctor").observe)
    try:
        await wakes.ping()
    finally:
        await wakes.close()
    return "antwortet"


async def _certificates(settings: Settings) -> str:
    """The installation's and the listener's own certificates."""
    files = (settings.installation_certificate_file, settings.inbound_certificate_file)
    ends = []
    for path in filter(None, files):
        own = read_certificate(read_pem_bundle(await asyncio.to_thread(path.read_bytes))[0])
        if own.not_after - utc_now() < WARN_BEFORE:
            raise ValueError(f"{path.name} endet am {own.not_after:%d.%m.%Y}")
        ends.append(own.not_after)
    return f"gültig bis mindestens {min(ends):%d.%m.%Y}" if ends else "keine eingerichtet"


async def _clients(settings: Settings) -> str:
    async with store(settings) as known:
        administration = PostgresAdministration(known.engine, known.keys)
        ending = await expiring_clients(administration, COMMAND_LINE, utc_now() + WARN_BEFORE)
    if ending:
        raise ValueError("Zertifikate enden: " + ", ".join(ending))
    return "kein Zertifikat endet bald"


async def _tenant_keys(settings: Settings) -> str:
    async with store(settings) as known:
        administration = PostgresAdministration(known.engine, known.keys)
        ending = await expiring_keys(administration, COMMAND_LINE, utc_now() + WARN_BEFORE)
    if ending:
        raise ValueError("S/MIME-Zertifikate enden: " + ", ".join(ending))
    return "kein S/MIME-Zertifikat endet bald"


async def _connections(settings: Settings) -> str:
    async with store(settings) as known:
        connections = await PostgresInstallation(known.engine, known.keys).connections()
    ending = await asyncio.to_thread(expiring_connections, connections, client_end, utc_now() + WARN_BEFORE)
    if ending:
        raise ValueError("Zertifikate beim Anbieter enden: " + ", ".join(ending))
    return "kein Zertifikat beim Anbieter endet bald"


def client_end(connection: Connection) -> datetime | None:
    """When the certificate ends with which we present ourselves to this provider; None without one.

    Raises:
        CertificateMalformed, OSError: the file cannot be read.
    """
    path = parse_profile(connection.profile, allow_plain=True).client_certificate_file
    return None if path is None else read_certificate(read_pem_bundle(path.read_bytes())[0]).not_after


async def _providers(settings: Settings) -> AsyncIterator[Diagnosis]:
    """Each active connection: TCP, TLS, names, and the SMTP greeting."""
    try:
        async with store(settings) as known:
            connections = await PostgresInstallation(known.engine, known.keys).connections()
    except _FAULTS as error:
        first = "zuerst die Konfiguration" if isinstance(error, ConfigurationError) else _DATABASE
        yield Diagnosis("providers", False, "nicht geprüft", first)
        return
    for connection in connections:
        if connection.active:
            mend = "Profil, Zertifikate und Netz prüfen (docs/connection-profile.md)"
            yield await _looked(f"provider {connection.name}", _greeting(settings, connection.profile), mend)


async def _greeting(settings: Settings, raw: Any) -> str:
    profile: ProviderProfile = parse_profile(raw, allow_plain=settings.allow_plain_smtp)
    if settings.tests_alone and not profile.test:
        raise ValueError("kein Testanbieter: eine Testinstallation spricht nicht mit ihm (GWT-25)")
    smtp = profile.smtp
    tls = None if smtp.tls is Tls.NONE else tls_context(profile)
    name = None if tls is None else smtp.server_name
    reader, writer = await asyncio.open_connection(smtp.host, smtp.port, ssl=tls, server_hostname=name)
    try:
        line = (await reader.readline()).decode("ascii", "replace").strip()
    finally:
        writer.close()
    if not line.startswith("220"):
        raise ValueError(f"Begrüßung {line[:80]!r}")
    return f"TESTANBIETER (GWT-25): {line[:80]}" if profile.test else line[:80]
