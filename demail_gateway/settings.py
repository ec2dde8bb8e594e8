"""Configuration: read once at start, typed, frozen, all faults at once. No secret has a default.

Environment variables with the prefix ``DEMAIL_``; the file named by ``DEMAIL_DOTENV`` adds what the environment leaves
open; each secret ``DEMAIL_X`` may come from the file named by ``DEMAIL_X_FILE`` instead. Every variable is explained in
``docs/configuration.md``, which a test holds against this class.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, get_args

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretBytes,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from demail_gateway.tenancy.client_authentication import ClientAuthentication, default_methods

PREFIX = "DEMAIL_"
MIB = 1 << 20
READ_ELSEWHERE = frozenset(
    f"{PREFIX}{name}"
    for name in (
        "DOTENV",  # below
        "MIGRATIONS",  # storage.migrate
        "PG_BIN",  # embedded
        "VALKEY_BIN",  # embedded
        "VENV",  # run
        "TEST_WORKERS",  # run
        "VERSION",  # docker-compose.yml
        "API_PUBLISH",  # docker-compose.yml
        "INBOUND_PUBLISH",  # docker-compose.yml
    )
)
"""Variables of ours that are no settings of a process."""


class ConfigurationError(Exception):
    """Names every faulty variable, never a value."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


def _plain_postgresql(value: Any) -> Any:
    if isinstance(value, str) and not value.startswith("postgresql://"):
        raise ValueError("must be a plain postgresql:// URL")
    return value


def _octets32(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        octets = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base64") from None
    if len(octets) != 32:
        raise ValueError("must be base64 of exactly 32 octets")
    return octets


def _listed(value: Any) -> Any:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _not_everybody(networks: tuple[Network, ...]) -> tuple[Network, ...]:
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("must not name all addresses")
    return networks


PostgresUrl = Annotated[SecretStr, BeforeValidator(_plain_postgresql)]
Key32 = Annotated[SecretBytes, BeforeValidator(_octets32)]


Network = IPv4Network | IPv6Network
Networks = Annotated[tuple[Network, ...], BeforeValidator(_listed), AfterValidator(_not_everybody)]
Methods = Annotated[frozenset[ClientAuthentication], BeforeValidator(_listed), Field(min_length=1)]


class Settings(BaseModel):
    """What one process of the gateway is told. Adapters receive only their part of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: str = Field("production", pattern="^(production|test|dev)$")
    """``production``; ``test`` is a separate test installation (GWT-25); ``dev`` is what `dev` and `demo` run."""
    database_url: PostgresUrl | None = None
    """Application role."""
    owner_database_url: PostgresUrl | None = None
    """Owner role; `migrate` alone uses it."""
    app_role: str = Field("demail_app", pattern="^[a-z_][a-z0-9_]{0,62}$")
    """Name of the application role, to which `migrate` grants."""
    redis_url: SecretStr | None = None
    queue: str = Field("demail", pattern="^[a-z][a-z0-9_]{0,62}$")
    """Name of the wake-up queue in Redis: one per installation that shares a Redis."""
    master_key: Key32 | None = None
    """Key encryption key, base64 of 32 octets; lies outside database and backup."""
    master_key_id: str = Field("1", pattern="^[A-Za-z0-9._-]{1,32}$")
    former_master_keys: SecretStr | None = None
    """``id:base64`` pairs, comma separated, that still unwrap (rotation)."""
    token_secret: Key32 | None = None
    """Signs access tokens."""
    log_key: Key32 | None = None
    """Keys the pseudonyms of addresses in logs (GWT-51)."""
    public_url: str = Field("http://127.0.0.1:8080", pattern="^https?://")
    message_id_domain: str = Field("gateway.invalid", pattern=r"^[a-z0-9.-]{1,189}$")
    """Right side of the Message-ID that the gateway writes."""

    api_host: str = "127.0.0.1"
    api_port: int = Field(8080, ge=0, le=65535)
    metrics_port: int | None = Field(None, ge=0, le=65535)
    """Own port for /metrics; without it /metrics stands on the API's port only in `dev` and `test`. The children of a
    worker take this port and those above it, one each."""
    database_pool: int = Field(8, ge=1, le=64)
    json_body_bytes: int = Field(48 * MIB, ge=64 * 1024)
    """Largest JSON request; larger files go through `POST attachments`."""
    upload_bytes: int = Field(64 * MIB, ge=64 * 1024)
    """Largest single upload."""
    token_lifetime_s: int = Field(900, ge=60, le=900)
    client_authentication: Methods | None = None
    """How clients may prove themselves where their tenant's policy says nothing, comma separated; the operator's
    clients, too. Not set: by keys alone in `production`, else also by secret (GWT-20, GWT-25)."""
    trusted_proxies: Networks = ()
    """Addresses or networks, comma separated, of the reverse proxies that end TLS; what they say of a client is
    believed: its address (`X-Forwarded-For`) and its certificate."""
    client_certificate_header: str | None = Field(None, pattern=r"^[A-Za-z0-9-]{1,64}$")
    """Header in which they hand on the client's certificate, replacing whatever the client has sent."""

    inbound_host: str = "127.0.0.1"
    inbound_port: int = Field(8465, ge=0, le=65535)
    inbound_name: str = "localhost"
    """Host name in the listener's greeting."""
    inbound_certificate_file: Path | None = None
    inbound_key_file: Path | None = None
    inbound_bytes: int = Field(64 * MIB, ge=MIB)
    """Largest message taken from a provider; at least 45 MiB gross (TR 01201-3.1 §4.1)."""

    scanner: str = Field("none", pattern="^(none|eicar-test)$")
    """``eicar-test`` knows the EICAR test file alone and is refused in production; ``none`` scans nothing and is said
    loudly (SND-74)."""

    installation_certificate_file: Path | None = None
    installation_key_file: Path | None = None
    """Sign evidence packages."""

    worker_processes: int = Field(2, ge=1, le=64)
    lease_s: float = Field(60.0, ge=1)
    """How long a claimed row is held before the sweeper takes it back."""
    attempt_s: float = Field(240.0, ge=1)
    """How long a begun hand-over keeps its row; it is broken off before that (SND-43)."""
    retry_first_s: float = Field(30.0, gt=0)
    retry_longest_s: float = Field(900.0, gt=0)
    retry_give_up_s: float = Field(4 * 3600.0, gt=0)
    """Back-off of hand-over; afterwards the message is held for a person (SND-52)."""
    settle_first_s: float = Field(5.0, gt=0)
    """First look-up after an unknown outcome (SND-43)."""
    absence_s: float = Field(30.0, gt=0)
    """A provider's "not taken" counts only when it says so again after this pause (SND-43)."""
    waiting_time_s: float = Field(24 * 3600.0, gt=0)
    """After this a recipient without requested proof is `unconfirmed` (§5.2)."""
    crl_refresh_s: float = Field(3600.0, gt=0, le=24 * 3600)
    sweep_s: float = Field(1.0, gt=0)

    trust_anchors: str | None = None
    """Files with PEM anchors for `verify`, separated by the path separator of the system."""
    heartbeat_file: Path | None = None
    """Touched by worker and scheduler while they live, for a container's health check."""
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    allow_plain_smtp: bool = False
    """Connections without TLS, for `bench` alone."""

    @field_validator("client_certificate_header")
    @classmethod
    def _from_a_proxy(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and not info.data.get("trusted_proxies"):
            raise ValueError("needs DEMAIL_TRUSTED_PROXIES: anybody else could send this header")
        return value

    @field_validator("scanner")
    @classmethod
    def _no_toy_in_production(cls, value: str, info: ValidationInfo) -> str:
        if value == "eicar-test" and info.data.get("environment") == "production":
            raise ValueError("protects from nothing but the test file: not in production")
        return value

    @property
    def tests_alone(self) -> bool:
        """Whether no live provider may be reached from here (GWT-25): everywhere but in production."""
        return self.environment != "production"

    @property
    def client_methods(self) -> frozenset[ClientAuthentication]:
        return self.client_authentication or default_methods(self.environment)

    def need(self, *names: str) -> None:
        """Raises ConfigurationError naming every one of `names` that is not set."""
        missing = [f"{PREFIX}{name.upper()}: is not set" for name in names if getattr(self, name) is None]
        if missing:
            raise ConfigurationError(missing)


@contextmanager
def entry_settings() -> Iterator[Settings]:
    """The settings for the run of a program: faults, also those met later, go to stderr, one line each, and end it with
    code 1."""
    try:
        yield load_settings()
    except ConfigurationError as error:
        raise SystemExit("\n".join(f"Konfiguration: {fault}" for fault in error.faults)) from None


def read_former_master_keys(settings: Settings) -> list[tuple[str, bytes]]:
    """Ids and octets of the former master keys. Raises ConfigurationError."""
    if settings.former_master_keys is None:
        return []
    found = []
    for pair in settings.former_master_keys.get_secret_value().split(","):
        key_id, _, text = pair.strip().partition(":")
        try:
            found.append((key_id, _octets32(text)))
        except ValueError as error:
            raise ConfigurationError([f"{PREFIX}FORMER_MASTER_KEYS: {error}"]) from None
    return found


def secret_names() -> frozenset[str]:
    """Fields that may also come from a file (``DEMAIL_X_FILE``): those of a secret type."""
    return frozenset(name for name, field in Settings.model_fields.items() if _is_secret(field.annotation))


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process.

    Raises:
        ConfigurationError: with all faults, each naming its variable and never a value.
    """
    source = _sources(os.environ if environ is None else environ)
    values, faults = _collect(source)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        faults += [f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors(include_input=False)]
    if faults:
        raise ConfigurationError(sorted(faults))
    return settings


def _sources(environ: Mapping[str, str]) -> dict[str, str]:
    merged: dict[str, str] = {}
    if dotenv := environ.get(f"{PREFIX}DOTENV"):
        merged.update({k: v for k, v in dotenv_values(dotenv).items() if v is not None})
    merged.update(environ)
    return {k: v for k, v in merged.items() if k.startswith(PREFIX)}


def _collect(source: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Values by field name. A variable that nobody reads is a fault: an operator relies on what it was meant to do."""
    values: dict[str, str] = {}
    secrets = secret_names()
    faults = [f"{variable}: {reason}" for variable in source if (reason := _unread(variable, secrets))]
    for name in Settings.model_fields:
        variable = f"{PREFIX}{name.upper()}"
        if name in secrets and (path := source.get(f"{variable}_FILE")) and variable not in source:
            try:
                values[name] = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                faults.append(f"{variable}_FILE: cannot be read")
        elif source.get(variable, "") != "":
            values[name] = source[variable]
    return values, faults


def _unread(variable: str, secrets: frozenset[str]) -> str | None:
    """Why a variable has no effect; None if it has one, here or elsewhere."""
    if variable == f"{PREFIX}CLAMD":
        return "this release has no malware scanner for production: nothing would be scanned"
    name = variable.removeprefix(PREFIX).lower()
    if name in Settings.model_fields or name.removesuffix("_file") in secrets:
        return None
    if variable.startswith(f"{PREFIX}SANDBOX_") or variable in READ_ELSEWHERE:
        return None
    return "is not known; see docs/configuration.md"


def _is_secret(annotation: Any) -> bool:
    return annotation in (SecretStr, SecretBytes) or any(map(_is_secret, get_args(annotation)))
