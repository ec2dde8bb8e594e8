"""What the REST process receives."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from demail_gateway.application.access_tokens import TokenIssuer
from demail_gateway.application.administer import Administer
from demail_gateway.application.attach import Attach
from demail_gateway.application.authenticate import Access
from demail_gateway.application.certify import Certify
from demail_gateway.application.issue_token import IssueToken
from demail_gateway.application.once import Once
from demail_gateway.application.ports.installation import Installation
from demail_gateway.application.ports.work import Sweeping
from demail_gateway.application.prove import Prove
from demail_gateway.application.read import Read
from demail_gateway.application.register import Register
from demail_gateway.application.scan import ScanOutbound
from demail_gateway.application.services import Probe, Services
from demail_gateway.application.settle import Settle
from demail_gateway.application.submit import Submit
from demail_gateway.application.wake import WakeUps
from demail_gateway.bootstrap.parts import (
    Observing,
    Store,
    profile_check,
    provider,
    scanner,
    secret_octets,
    store,
    utc_now,
    waker,
)
from demail_gateway.bootstrap.tls_status import RevokedPeers
from demail_gateway.core.errors import StoreUnavailable
from demail_gateway.providers.profile import ProviderProfile, parse_profile
from demail_gateway.providers.smtp import SmtpProvider
from demail_gateway.settings import Settings
from demail_gateway.storage.administration import PostgresAdministration
from demail_gateway.storage.answers import PostgresAnswers
from demail_gateway.storage.clients import PostgresClients
from demail_gateway.storage.installation import PostgresInstallation
from demail_gateway.storage.queues import PostgresQueues
from demail_gateway.storage.reading import PostgresReading
from demail_gateway.storage.submissions import PostgresSubmissions
from demail_gateway.storage.sweeping import PostgresSweeping
from demail_gateway.trust.client_certificates import read_pinned_certificate
from demail_gateway.trust.package_signer import InstallationSigner
from demail_gateway.trust.smime import SmimeSealer
from demail_gateway.trust.workshop import SoftwareWorkshop
from demail_gateway.waking.redis_waker import RedisWaker

_ANSWERS_EVERY_S = 10.0
"""How old the installation's own status answers in a package may be beside what the scheduler has fetched."""


@asynccontextmanager
async def rest_services(settings: Settings, seen: Observing) -> AsyncIterator[Services]:
    """Everything the REST API uses, for as long as the context lasts.

    Raises:
        ConfigurationError: naming every setting that is missing.
        KeyUnavailable, CertificateMalformed, OSError: the installation's key or certificate cannot be used.
    """
    settings.need("redis_url", "token_secret", "installation_key_file", "installation_certificate_file")
    async with store(settings) as known, _status_answers(known) as answers:
        revoked = RevokedPeers(PostgresInstallation(known.engine, known.keys))
        outbound = provider(settings, revoked, seen.observe)
        wakes = waker(settings, seen.observe)
        wake_ups = WakeUps(wakes)
        scan = ScanOutbound(scanner(settings, seen.observe))
        try:
            yield _services(settings, known, answers, wake_ups, wakes, outbound, scan)
        finally:
            await wake_ups.settle()
            await wakes.close()
            await outbound.close()


def _services(
    settings: Settings,
    known: Store,
    answers: AnswerBox,
    wake_ups: WakeUps,
    wakes: RedisWaker,
    outbound: SmtpProvider,
    scan: ScanOutbound,
) -> Services:
    engine, keys = known.engine, known.keys
    installation = PostgresInstallation(engine, keys)
    submissions = PostgresSubmissions(engine, keys, clocks=known.clocks)
    reading = PostgresReading(engine, keys)
    administration = PostgresAdministration(engine, keys)
    clients = PostgresClients(engine)
    url = settings.public_url
    issuer = TokenIssuer(secret_octets(settings.token_secret), url, f"{url}/v1", settings.token_lifetime_s)
    signer = _signer(settings, answers)

    return Services(
        issue_token=IssueToken(clients, issuer, utc_now, os.urandom, settings.client_methods),
        access=Access(clients, issuer, utc_now),
        once=Once(PostgresAnswers(engine, keys), utc_now),
        submit=Submit(
            submissions,
            installation,
            outbound,
            scan,
            SmimeSealer().objection,
            wake_ups,
            utc_now,
            os.urandom,
            settings.message_id_domain,
        ),
        attach=Attach(submissions, scan, utc_now, os.urandom, settings.upload_bytes),
        read=Read(reading, submissions, utc_now),
        prove=Prove(reading, signer, utc_now),
        administer=Administer(administration, profile_check(settings), utc_now, os.urandom),
        register=Register(administration, read_pinned_certificate, settings.client_methods, utc_now, os.urandom),
        certify=Certify(administration, SoftwareWorkshop(), utc_now, os.urandom),
        queues=Settle(PostgresQueues(engine, clocks=known.clocks), utc_now, wake_ups),
        randomness=os.urandom,
        probes=_probes(installation, PostgresSweeping(engine), wakes, signer),
    )


def _signer(settings: Settings, answers: AnswerBox) -> InstallationSigner:
    assert settings.installation_key_file is not None, "asked for by need()"
    assert settings.installation_certificate_file is not None, "asked for by need()"
    key_pem = settings.installation_key_file.read_bytes()
    return InstallationSigner(key_pem, settings.installation_certificate_file.read_bytes(), answers.current)


class AnswerBox:
    """The status answers as last read from the database, for a signer that cannot wait for them."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._answers: tuple[bytes, ...] = ()

    def current(self) -> tuple[bytes, ...]:
        return self._answers

    async def keep(self) -> None:
        """Reads them again and again until cancelled."""
        while True:
            # while the database is away the answers read before go on to serve
            with contextlib.suppress(StoreUnavailable):
                self._answers = tuple(each.der for each in await self._installation.status_answers())
            await asyncio.sleep(_ANSWERS_EVERY_S if self._answers else 1.0)


@asynccontextmanager
async def _status_answers(known: Store) -> AsyncIterator[AnswerBox]:
    box = AnswerBox(PostgresInstallation(known.engine, known.keys))
    keeping = asyncio.create_task(box.keep())
    try:
        yield box
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


def _probes(
    installation: Installation, sweeping: Sweeping, wakes: RedisWaker, signer: InstallationSigner
) -> Mapping[str, Probe]:
    """What readyz asks, part by part."""

    async def database() -> str:
        await installation.ping()
        return "ok"

    async def keys() -> str:
        return f"{len(signer.certificates)} certificates"

    async def redis() -> str:
        await wakes.ping()
        return "ok"

    async def queue() -> str:
        age = f"{await sweeping.queue_age_s(utc_now()):.1f} s"
        retrying = await sweeping.retrying(utc_now())
        return f"{age}; {retrying.copies} retrying for {retrying.age_s:.0f} s" if retrying.copies else age

    async def providers() -> str:
        active = [each for each in await installation.connections() if each.active]
        await asyncio.gather(*(_reach(parse_profile(each.profile, allow_plain=True)) for each in active))
        return f"{len(active)} reachable"

    return {
        "database": Probe(database, needed=True),
        "keys": Probe(keys, needed=True),
        "redis": Probe(redis, needed=False),
        "queue": Probe(queue, needed=False),
        "providers": Probe(providers, needed=False),
    }


async def _reach(profile: ProviderProfile) -> None:
    """Raises OSError when nothing takes connections there."""
    _, writer = await asyncio.open_connection(profile.smtp.host, profile.smtp.port)
    writer.close()
