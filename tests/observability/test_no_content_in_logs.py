"""A De-Mail out, proofs and answers in, every logger at DEBUG: no content, no clear address, no secret (GWT-51)."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import logging
import os
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import structlog

from demail_gateway.application.dispatch import Dispatch
from demail_gateway.application.drain import Drain, DrainPolicy
from demail_gateway.application.hand_over import HandOverPolicy
from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.installation import SigningMaterial
from demail_gateway.application.ports.work import WorkKind
from demail_gateway.application.worker_services import InboundServices, PeerCertificate
from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.inbound.listener import Listener
from demail_gateway.observability.logs import clear, configure_logging
from demail_gateway.observability.metrics import Metrics
from demail_gateway.observability.observer import Observer
from demail_gateway.observability.pseudonym import pseudonym
from demail_gateway.providers.profile import ProviderProfile
from demail_gateway.providers.smtp import SmtpProvider
from demail_gateway.trust.authority import Profile
from demail_gateway.trust.certificates import read_certificate
from demail_gateway.trust.keys import generate_key, to_pkcs8
from demail_gateway.trust.smime import SmimeSealer
from demail_gateway.trust.tls import TlsIdentity, client_context, server_context
from tests.application.outbox_fake import TENANT, Clock, FakeInstallation, Outbox
from tests.application.test_receive import NORMAL, RECEIPT
from tests.application.test_receive import Bench as Receiving
from tests.core.proofs import ERIKA, SENDER, SENT
from tests.inbound.test_listener import Client, FakeArrivals, FakeWaker
from tests.providers.conftest import NOW, Pki, Script, listening, never_revoked, pki, provider_tls  # noqa: F401  fixtures

SECRETS = ["Geheimsache Wasserwerk", "Der Tank ist leer", "Lageplan-Ü.pdf", "streng-geheim-77", "Stadt Elbtal"]
ADDRESSES = ["poststelle@stadt.de-mail.de", "b1@sandbox.de-mail.de", str(SENDER), str(ERIKA), SENT.subject]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    out = io.StringIO()
    configure_logging("probe", "DEBUG", stream=out)
    yield out
    clear()
    structlog.reset_defaults()
    root.handlers[:] = before
    root.setLevel(level)
    # what the configuration set on libraries' loggers must not outlive the test
    for name in list(logging.Logger.manager.loggerDict):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def observe() -> Observer:
    return Observer(Metrics(), lambda address: pseudonym(address, b"k" * 32))


async def send(pki: Pki, tls: ssl.SSLContext, observe: Observer, provider_script: Script) -> None:  # noqa: F811
    """One signed copy with an attachment, through a real TLS connection; the provider first refuses, then takes it."""
    clock, contexts, material = Clock(), _contexts, _material(pki)
    clock.now = read_certificate(material.certificate_der).not_before
    outbox, installation = Outbox(clock), FakeInstallation(material)
    provider = SmtpProvider(contexts, never_revoked, observe, local_name="gateway.test")
    outbox.add(
        1,
        subject=SECRETS[0],
        text=SECRETS[1],
        attachments=((SECRETS[2], "application/pdf", SECRETS[3].encode()),),
        sign=True,
    )
    async with listening(pki, provider_script.serve, tls) as at:
        connection = at.connection()

        async def the_connection(connection_id: UUID) -> Connection:
            return connection

        installation.connection = the_connection  # type: ignore[method-assign]
        dispatch = Dispatch(outbox, installation, provider, SmimeSealer(), clock, os.urandom, observe, HandOverPolicy())
        drain = Drain(outbox, {WorkKind.DISPATCH: dispatch}, clock, observe, DrainPolicy())
        for _ in range(3):
            await drain(TENANT)
            clock.advance(3600)
    await provider.close()
    assert len(provider_script.taken) == 1


async def receive(observe: Observer) -> None:
    """A proof, a forged one, an ordinary message and nonsense."""
    for octets in (RECEIPT, RECEIPT.replace(b"b-1@", b"c-1@", 1), NORMAL, b"garbage " + SECRETS[1].encode()):
        bench = Receiving(octets)
        bench.receive._observe = observe
        await bench.run()


async def listen(pki: Pki, observe: Observer) -> None:  # noqa: F811
    """A delivery, one to nobody, one from a stranger, one that fails for a reason that nobody foresaw."""
    arrivals = FakeArrivals()
    known = hashlib.sha256(ssl.PEM_cert_to_DER_cert(_pem(pki.client).decode())).hexdigest()

    class Peers:
        async def connection_of(self, peer: PeerCertificate) -> Connection | None:
            fits = peer.fingerprint == known
            return Connection(UUID(int=7), "probe", AuthLevel.HIGH, {}, True, NOW) if fits else None

    async def close() -> None: ...

    services = InboundServices(
        arrivals,  # type: ignore[arg-type]
        Peers(),
        FakeWaker(arrivals),
        lambda: NOW,
        os.urandom,
        observe,
        close,
    )
    listener = Listener(services, name="gateway.test", size_bytes=1_000_000)
    port = await listener.start(
        "127.0.0.1", 0, server_context(pki.server, client_anchors=pki.authority.certificate_pem)
    )
    stranger = pki.identity(Profile.TLS_CLIENT, dns="stranger.test")
    for identity, poison in ((pki.client, b""), (stranger, b""), (pki.client, b"Tank")):
        arrivals.poison = poison
        await _deliver(pki, port, identity)
    await listener.close(0.1)


@pytest.mark.clause("GWT-51")
async def test_logs_tell_what_happened_and_not_what_was_written(
    stream: io.StringIO,
    observe: Observer,
    pki: Pki,  # noqa: F811
    provider_tls: ssl.SSLContext,  # noqa: F811
) -> None:
    script = Script(replies={"RCPT b1@sandbox.de-mail.de": ["451 4.2.0 <b1@sandbox.de-mail.de>: später"]})
    await send(pki, provider_tls, observe, script)
    await receive(observe)
    await listen(pki, observe)
    await asyncio.sleep(0)
    text = stream.getvalue()
    events = {json.loads(line)["event"] for line in text.splitlines()}
    assert {
        "hand_over_ended",
        "evidence_recorded",
        "evidence_rejected",
        "inbound_recorded",
        "arrival_stored",
        "peer_refused",
        "mailbox_unknown",
        "work_failed",
    } <= events
    found = [each for each in (*SECRETS, *ADDRESSES) if each.casefold() in text.casefold()]
    assert found == [], text
    assert "@" not in text
    assert "PRIVATE KEY" not in text


def _contexts(profile: ProviderProfile) -> ssl.SSLContext:
    assert profile.client_certificate_file is not None
    assert profile.client_key_file is not None
    return client_context(
        profile.tls_anchor_pem(), TlsIdentity(profile.client_certificate_file, profile.client_key_file)
    )


def _material(pki: Pki) -> SigningMaterial:  # noqa: F811
    key = generate_key("p256")
    now = datetime.now(UTC)
    der = pki.authority.issue(
        key.public_key(),
        Profile.SMIME,
        "Stadt Elbtal",
        not_before=now - timedelta(days=1),
        not_after=now + timedelta(days=1),
        email="poststelle@stadt.de-mail.de",
    )
    return SigningMaterial(UUID(int=9), to_pkcs8(key), der, ())


def _pem(identity: TlsIdentity) -> bytes:
    assert isinstance(identity.certificate, bytes)
    return identity.certificate


async def _deliver(pki: Pki, port: int, identity: TlsIdentity) -> None:  # noqa: F811
    context = client_context(pki.authority.certificate_pem, identity)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="mail.provider.test")
    client = Client(reader, writer)
    await client.hear()
    for line in (
        "EHLO x",
        "MAIL FROM:<b1@sandbox.de-mail.de>",
        "RCPT TO:<b1@sandbox.de-mail.de>",
        "RCPT TO:<poststelle@stadt.de-mail.de>",
        "UNKNOWN <b1@sandbox.de-mail.de>",
    ):
        await client.say(line)
    if (await client.say("DATA")).startswith("354"):
        await client.content(f"Subject: {SECRETS[0]}\r\n\r\n{SECRETS[1]}\r\n".encode())
    await client.close()
