"""Parts that several processes share: clock, randomness, observer, database, provider, waker."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretBytes, SecretStr

from demail_gateway.application.ports.connections import CheckProfile
from demail_gateway.application.ports.scanning import Scanner
from demail_gateway.application.ports.surroundings import Observe
from demail_gateway.core.delivery_facts import Clocks
from demail_gateway.core.errors import Conflict
from demail_gateway.observability.logs import configure_logging
from demail_gateway.observability.metrics import Metrics
from demail_gateway.observability.observer import Observer
from demail_gateway.observability.pseudonym import pseudonym
from demail_gateway.providers.profile import ProviderProfile, parse_profile
from demail_gateway.providers.smtp import IsPeerRevoked, SmtpProvider
from demail_gateway.scanning.eicar_scanner import EicarScanner
from demail_gateway.scanning.no_scanner import NoScanner
from demail_gateway.settings import ConfigurationError, Settings, read_former_master_keys
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.engine import Engine, create_engine
from demail_gateway.storage.envelope import MasterKey, MasterKeys
from demail_gateway.trust.tls import TlsIdentity, client_context
from demail_gateway.waking.redis_waker import RedisWaker

STORE_SETTINGS = ("database_url", "master_key")
"""What a process needs to reach the database."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def secret(value: SecretStr | None) -> str:
    """The clear value of a setting that `need` has made sure of."""
    assert value is not None, "asked for without need()"
    return value.get_secret_value()


def secret_octets(value: SecretBytes | None) -> bytes:
    assert value is not None, "asked for without need()"
    return value.get_secret_value()


@dataclass(frozen=True, slots=True)
class Observing:
    metrics: Metrics
    observe: Observe


def observing(settings: Settings, service: str) -> Observing:
    """Log and metrics of this process. Raises ConfigurationError."""
    settings.need("log_key")
    configure_logging(service, settings.log_level)
    key = secret_octets(settings.log_key)
    metrics = Metrics()
    return Observing(metrics, Observer(metrics, lambda address: pseudonym(address, key)))


@dataclass(frozen=True, slots=True)
class Store:
    engine: Engine
    keys: ContentKeys
    clocks: Clocks


@asynccontextmanager
async def store(settings: Settings) -> AsyncIterator[Store]:
    """The database pool of this process and event loop. Raises ConfigurationError."""
    settings.need(*STORE_SETTINGS)
    engine = create_engine(secret(settings.database_url), pool_size=settings.database_pool)
    try:
        yield Store(engine, ContentKeys(engine, master_keys(settings)), clocks(settings))
    finally:
        await engine.dispose()


def master_keys(settings: Settings) -> MasterKeys:
    """The current master key and those that still unwrap. Raises ConfigurationError."""
    current = MasterKey(settings.master_key_id, secret_octets(settings.master_key))
    former = read_former_master_keys(settings)
    if any(key_id == current.id for key_id, _ in former):
        raise ConfigurationError(["DEMAIL_FORMER_MASTER_KEYS: names the current DEMAIL_MASTER_KEY_ID"])
    return MasterKeys(current, [MasterKey(key_id, octets) for key_id, octets in former])


def clocks(settings: Settings) -> Clocks:
    return Clocks(unconfirmed_after=timedelta(seconds=settings.waiting_time_s))


def provider(settings: Settings, is_revoked: IsPeerRevoked, observe: Observe) -> SmtpProvider:
    return SmtpProvider(
        tls_context,
        is_revoked,
        observe,
        local_name=settings.inbound_name,
        allow_plain=settings.allow_plain_smtp,
        tests_alone=settings.tests_alone,
    )


def scanner(settings: Settings, observe: Observe) -> Scanner:
    """The installation's malware scanner. One that protects from nothing is said loudly at every start (SND-74)."""
    if settings.scanner == "none":
        observe("scanner_none")
        return NoScanner()
    observe("scanner_for_tests")
    return EicarScanner()


def profile_check(settings: Settings) -> CheckProfile:
    """Which profiles this installation takes (GWT-10, GWT-25)."""

    def check(raw: Mapping[str, Any]) -> None:
        profile = parse_profile(raw, allow_plain=settings.allow_plain_smtp)
        if settings.tests_alone and not profile.test:
            raise Conflict("connection-not-for-tests")

    return check


def tls_context(profile: ProviderProfile) -> ssl.SSLContext:
    """Client context of a profile. Raises OSError, CertificateMalformed."""
    identity = None
    if profile.client_certificate_file is not None and profile.client_key_file is not None:
        identity = TlsIdentity(profile.client_certificate_file, profile.client_key_file)
    return client_context(profile.tls_anchor_pem(), identity)


def waker(settings: Settings, observe: Observe) -> RedisWaker:
    """Raises ConfigurationError."""
    settings.need("redis_url")
    return RedisWaker(secret(settings.redis_url), os.urandom, observe, queue=settings.queue)
