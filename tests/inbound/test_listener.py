"""The listener for providers over real sockets and TLS: who may deliver, and when 250 is said."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pytest

from demail_gateway.application.ports.arrivals import Arrival, Mailbox
from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.worker_services import InboundServices, PeerCertificate
from demail_gateway.core.errors import StoreUnavailable
from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.inbound.group_commit import MOST_BYTES, GroupCommit
from demail_gateway.inbound.listener import Listener
from demail_gateway.trust.authority import Profile
from demail_gateway.trust.tls import TlsIdentity, client_context, server_context
from tests.providers.conftest import Events, Pki, pki  # noqa: F401  the fixture

NOW = datetime.now(UTC)
BOX = "poststelle@stadt.de-mail.de"
TENANT = UUID(int=1)
MESSAGE = b"From: a@sandbox.de-mail.de\r\n\r\nHallo\r\n.\r\n..zwei\r\n\xff\xfe\r\n"


class FakeArrivals:
    def __init__(self) -> None:
        self.stored: list[Arrival] = []
        self.away = False
        self.poison = b""
        self.calls: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def mailbox(self, address: str) -> Mailbox | None:
        if self.away:
            raise StoreUnavailable
        connection = UUID(int=8) if address.startswith("anderswo@") else UUID(int=7)
        known = address.endswith("@stadt.de-mail.de")
        return Mailbox(TENANT, UUID(int=2), address, connection) if known else None

    async def store(self, arrivals: Sequence[Arrival]) -> frozenset[UUID]:
        self.calls.append(len(arrivals))
        await self.gate.wait()
        if self.away:
            raise StoreUnavailable
        if self.poison and any(self.poison in arrival.octets for arrival in arrivals):
            raise ValueError("cannot be stored")
        known = {(arrival.mailbox.address, arrival.octets) for arrival in self.stored}
        self.stored += arrivals
        return frozenset(each.id for each in arrivals if (each.mailbox.address, each.octets) not in known)


class FakePeers:
    def __init__(self, *fingerprints: str) -> None:
        self.fingerprints = set(fingerprints)
        self.seen: list[PeerCertificate] = []

    async def connection_of(self, peer: PeerCertificate) -> Connection | None:
        self.seen.append(peer)
        known = peer.fingerprint in self.fingerprints
        return Connection(UUID(int=7), "probe", AuthLevel.HIGH, {}, True, NOW) if known else None


class FakeWaker:
    def __init__(self, arrivals: FakeArrivals) -> None:
        self.woken: list[tuple[UUID, int]] = []
        self._arrivals = arrivals

    async def wake(self, tenant_id: UUID) -> None:
        self.woken.append((tenant_id, len(self._arrivals.stored)))


@dataclass
class Place:
    port: int
    arrivals: FakeArrivals
    peers: FakePeers
    waker: FakeWaker
    events: Events
    pki: Pki
    listener: Listener

    async def call(self, identity: TlsIdentity | None = None) -> Client:
        context = client_context(self.pki.authority.certificate_pem, identity or self.pki.client)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context, server_hostname="mail.provider.test"
        )
        client = Client(reader, writer)
        assert (await client.hear()).startswith("220")
        await client.say("EHLO provider.test")
        return client


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def hear(self) -> str:
        while True:
            line = (await self.reader.readuntil(b"\r\n")).decode()
            if line[3] != "-":
                return line.rstrip()

    async def say(self, line: str) -> str:
        self.writer.write(line.encode() + b"\r\n")
        return await self.hear()

    async def deliver(self, octets: bytes, *boxes: str) -> str:
        await self.say("MAIL FROM:<Eingangsbestaetigung@sandbox.de-mail.de>")
        for box in boxes or (BOX,):
            await self.say(f"RCPT TO:<{box}>")
        reply = await self.say("DATA")
        return reply if not reply.startswith("354") else await self.content(octets)

    async def content(self, octets: bytes) -> str:
        stuffed = octets.replace(b"\r\n.", b"\r\n..")
        self.writer.write(stuffed + b".\r\n")
        return await self.hear()

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


def fingerprint(identity: TlsIdentity) -> str:
    import hashlib

    assert isinstance(identity.certificate, bytes)
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(identity.certificate.decode())).hexdigest()


@pytest.fixture
async def place(pki: Pki) -> AsyncIterator[Place]:  # noqa: F811
    arrivals, events = FakeArrivals(), Events()
    peers, waker = FakePeers(fingerprint(pki.client)), FakeWaker(arrivals)

    async def close() -> None: ...

    services = InboundServices(arrivals, peers, waker, lambda: NOW, os.urandom, events, close)  # type: ignore[arg-type]
    listener = Listener(services, name="gateway.test", size_bytes=200_000, connections=4, idle_s=5)
    tls = server_context(pki.server, client_anchors=pki.authority.certificate_pem)
    port = await listener.start("127.0.0.1", 0, tls)
    yield Place(port, arrivals, peers, waker, events, pki, listener)
    await listener.close(grace_s=0.5)


@pytest.mark.clause("TR 01201-3.1 steps 41, 46, 66, 86", "TR 01201-3.4 §2.1.3")
async def test_octets_are_stored_exactly_before_250_is_said(place: Place) -> None:
    client = await place.call()
    place.arrivals.gate.clear()
    answer = asyncio.create_task(client.deliver(MESSAGE))
    async with asyncio.timeout(5):
        while not place.arrivals.calls:
            await asyncio.sleep(0.01)
    assert not answer.done(), "nothing is said before it is durable"
    place.arrivals.gate.set()
    assert (await answer).startswith("250")
    (arrival,) = place.arrivals.stored
    assert arrival.octets == MESSAGE
    assert arrival.mailbox.address == BOX
    assert arrival.connection_id == UUID(int=7)
    assert arrival.peer_fingerprint == fingerprint(place.pki.client)
    assert arrival.envelope_sender == "Eingangsbestaetigung@sandbox.de-mail.de"
    assert arrival.trace_id is not None
    assert place.waker.woken == [(TENANT, 1)]
    await client.close()


@pytest.mark.clause("TR 01201-3.4 §3.1.22")
async def test_each_mailbox_gets_the_message_once(place: Place) -> None:
    client = await place.call()
    assert (await client.deliver(MESSAGE, BOX, "amt@stadt.de-mail.de", BOX.upper())).startswith("250")
    assert {arrival.mailbox.address for arrival in place.arrivals.stored} == {BOX, "amt@stadt.de-mail.de"}
    assert len(place.arrivals.stored) == 2
    assert len(place.waker.woken) == 1
    await client.close()


@pytest.mark.clause("TR 01201-6.1 §10.2")
async def test_certificate_that_no_connection_names_is_refused_before_data(place: Place) -> None:
    stranger = place.pki.identity(Profile.TLS_CLIENT, dns="stranger.test")
    client = await place.call(stranger)
    assert (await client.say("MAIL FROM:<a@b.de>")).startswith("550 5.7.1")
    assert (await client.say(f"RCPT TO:<{BOX}>")).startswith("503")
    assert (await client.say("DATA")).startswith("503")
    assert place.arrivals.stored == []
    assert place.events.seen[0] == ("peer_refused", {"fingerprint": fingerprint(stranger)})
    await client.close()


async def test_name_in_the_certificate_is_read(place: Place) -> None:
    client = await place.call()
    await client.say("MAIL FROM:<a@b.de>")
    assert place.peers.seen[0].names == {"gateway.test"}
    await client.close()


async def test_connection_without_certificate_does_not_come_about(place: Place) -> None:
    context = client_context(place.pki.authority.certificate_pem, None)

    async def greeting() -> bytes:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", place.port, ssl=context, server_hostname="mail.provider.test"
        )
        try:
            return await reader.readuntil(b"\r\n")
        finally:
            writer.close()

    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await greeting()


async def test_plain_connection_gets_no_greeting(place: Place) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(b"EHLO x\r\n")
    with suppress(ConnectionError):
        assert b"220" not in await reader.read()
    writer.close()


async def test_listener_refuses_a_context_that_lets_anybody_in(place: Place) -> None:
    with pytest.raises(ValueError, match="mutual"):
        await place.listener.start("127.0.0.1", 0, server_context(place.pki.server, client_anchors=None))


@pytest.mark.clause("TR 01201-3.1 step 42 FC-03")
async def test_unknown_mailbox_is_refused_and_the_known_one_served(place: Place) -> None:
    client = await place.call()
    await client.say("MAIL FROM:<a@b.de>")
    assert (await client.say("RCPT TO:<wer@fremd.de-mail.de>")).startswith("550 5.1.1")
    assert (await client.say(f"RCPT TO:<{BOX}>")).startswith("250")
    assert (await client.say("DATA")).startswith("354")
    assert (await client.content(MESSAGE)).startswith("250")
    assert len(place.arrivals.stored) == 1
    await client.close()


async def test_provider_delivers_only_to_mailboxes_that_it_holds(place: Place) -> None:
    client = await place.call()
    await client.say("MAIL FROM:<a@b.de>")
    assert (await client.say("RCPT TO:<anderswo@stadt.de-mail.de>")).startswith("550 5.1.1")
    assert place.events.seen[-1] == ("mailbox_elsewhere", {"connection": "probe", "tenant": TENANT})
    await client.close()


@pytest.mark.clause("TR 01201-3.1 step 66 FC-01")
async def test_database_away_lets_the_provider_try_again(place: Place) -> None:
    client = await place.call()
    await client.say("MAIL FROM:<a@b.de>")
    assert (await client.say(f"RCPT TO:<{BOX}>")).startswith("250")
    place.arrivals.away = True
    assert (await client.say("DATA")).startswith("354")
    assert (await client.content(MESSAGE)).startswith("451")
    assert place.waker.woken == []
    await client.say("MAIL FROM:<a@b.de>")
    assert (await client.say(f"RCPT TO:<{BOX}>")).startswith("451")
    place.arrivals.away = False
    assert (await client.deliver(MESSAGE)).startswith("250")
    await client.close()


async def test_unforeseen_fault_says_later_and_nothing_about_itself(place: Place) -> None:
    place.arrivals.poison = b"Gift"
    client = await place.call()
    reply = await client.deliver(b"Gift\r\n")
    assert reply.startswith("451")
    assert "ValueError" not in reply
    assert (await client.deliver(MESSAGE)).startswith("250")
    await client.close()


async def test_null_sender_is_a_sender(place: Place) -> None:
    client = await place.call()
    assert (await client.say("MAIL FROM:<>")).startswith("250")
    assert (await client.say(f"RCPT TO:<{BOX}>")).startswith("250")
    assert (await client.say("DATA")).startswith("354")
    assert (await client.content(MESSAGE)).startswith("250")
    assert place.arrivals.stored[0].envelope_sender == "<>"
    await client.close()


@pytest.mark.parametrize("body", [b"a\n.\r\nMAIL FROM:<x@y>\r\n", b"a\n\r\n", b"a\rb\r\n", b"\n.\n\r\n"])
async def test_lone_line_end_smuggles_nothing(place: Place, body: bytes) -> None:
    client = await place.call()
    await client.say("MAIL FROM:<a@b.de>")
    await client.say(f"RCPT TO:<{BOX}>")
    await client.say("DATA")
    client.writer.write(body + b".\r\n")
    assert (await client.hear()).startswith("550 5.6.11")
    assert place.arrivals.stored == []
    await client.close()


async def test_too_large_message_is_refused(place: Place) -> None:
    client = await place.call()
    assert (await client.say("MAIL FROM:<a@b.de> SIZE=300000")).startswith("552")
    assert (await client.deliver(b"x" * 70 + b"\r\n" + (b"y" * 900 + b"\r\n") * 300)).startswith("552")
    assert (await client.deliver(MESSAGE)).startswith("250")
    assert len(place.arrivals.stored) == 1
    await client.close()


async def test_overlong_line_of_a_proof_is_taken(place: Place) -> None:
    client = await place.call()
    assert (await client.deliver(b"x-de-mail-integrity: " + b"A" * 20_000 + b"\r\n\r\nx\r\n")).startswith("250")
    await client.close()


@pytest.mark.parametrize("line", ["VRFY root", "HELP", "EXPN all", "AUTH PLAIN x", "BDAT 5 LAST", "STARTTLS", "TURN"])
async def test_what_no_provider_needs_is_not_there(place: Place, line: str) -> None:
    client = await place.call()
    assert (await client.say(line))[:3] in ("454", "500", "501", "502")
    await client.close()


async def test_smtputf8_is_off(place: Place) -> None:
    client = await place.call()
    assert (await client.say("MAIL FROM:<a@b.de> SMTPUTF8"))[0] == "5"
    await client.close()


async def test_greeting_names_no_product(place: Place) -> None:
    context = client_context(place.pki.authority.certificate_pem, place.pki.client)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", place.port, ssl=context, server_hostname="mail.provider.test"
    )
    assert await reader.readuntil(b"\r\n") == b"220 gateway.test ESMTP\r\n"
    writer.close()


@pytest.mark.clause("TR 01201-3.1 step 41 FC-01", "TR 01201-3.1 step 46 FC-01", "TR 01201-3.1 step 86 FC-01")
async def test_cut_in_the_middle_of_the_content_stores_nothing(place: Place) -> None:
    client = await place.call()
    await client.say("MAIL FROM:<a@b.de>")
    await client.say(f"RCPT TO:<{BOX}>")
    await client.say("DATA")
    client.writer.write(MESSAGE[:20])
    await client.writer.drain()
    client.writer.transport.abort()
    other = await place.call()
    assert (await other.deliver(MESSAGE)).startswith("250")
    assert len(place.arrivals.stored) == 1
    await other.close()


async def test_rset_forgets_the_transaction(place: Place) -> None:
    client = await place.call()
    await client.say("MAIL FROM:<a@b.de>")
    await client.say(f"RCPT TO:<{BOX}>")
    assert (await client.say("RSET")).startswith("250")
    assert (await client.say("DATA")).startswith("503")
    await client.close()


async def test_messages_that_come_together_are_stored_together(place: Place) -> None:
    clients = [await place.call() for _ in range(4)]
    place.arrivals.gate.clear()
    answers = []
    for number, client in enumerate(clients):
        # the last one brings again what the second one brings
        answers.append(asyncio.create_task(client.deliver(b"n: %d\r\n\r\n" % (number % 3))))
        async with asyncio.timeout(5):
            while len(place.listener._store._waiting) < number or not place.arrivals.calls:
                await asyncio.sleep(0.01)
    place.arrivals.gate.set()
    assert all(reply.startswith("250") for reply in await asyncio.gather(*answers))
    assert place.arrivals.calls == [1, 3]
    told = [str(facts["new"]) for event, facts in place.events.seen if event == "arrival_stored"]
    assert sorted(told) == ["0", "1", "1", "1"], "each hears of its own alone"
    for client in clients:
        await client.close()


async def test_a_group_stays_within_its_bound_counted_from_its_first_message() -> None:
    arrivals = FakeArrivals()
    arrivals.gate.clear()
    store = GroupCommit(arrivals)  # type: ignore[arg-type]  # the rest of the port is not asked
    mailbox = await arrivals.mailbox(BOX)
    assert mailbox is not None
    large = (MOST_BYTES * 2) // 3
    sizes = [1, large, large + 1, 10, MOST_BYTES + 1, 11]
    brought = [
        [Arrival(UUID(int=number), mailbox, UUID(int=7), b"x" * size, "<>", "", NOW, None)]
        for number, size in enumerate(sizes)
    ]
    answers = [asyncio.create_task(store(each)) for each in brought]
    async with asyncio.timeout(5):
        while not arrivals.calls:
            await asyncio.sleep(0)
    arrivals.gate.set()
    assert sum(await asyncio.gather(*answers)) == len(sizes)
    assert arrivals.calls == [2, 2, 1, 1]


async def test_one_that_cannot_be_stored_does_not_take_others_with_it(place: Place) -> None:
    place.arrivals.poison = b"Gift"
    clients = [await place.call() for _ in range(4)]
    place.arrivals.gate.clear()
    bodies = [b"one\r\n", b"two\r\n", b"Gift\r\n", b"four\r\n"]
    answers = [asyncio.create_task(c.deliver(body)) for c, body in zip(clients, bodies, strict=True)]
    async with asyncio.timeout(5):
        while place.arrivals.calls != [1] and len(place.listener._store._waiting) < 3 and place.arrivals.calls != [4]:
            await asyncio.sleep(0.01)
    place.arrivals.gate.set()
    replies = await asyncio.gather(*answers)
    assert [reply[:3] for reply in replies] == ["250", "250", "451", "250"]
    assert len(place.arrivals.stored) == 3
    for client in clients:
        await client.close()


async def test_one_connection_too_many_is_told_to_come_later(place: Place) -> None:
    clients = [await place.call() for _ in range(4)]
    context = client_context(place.pki.authority.certificate_pem, place.pki.client)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", place.port, ssl=context, server_hostname="mail.provider.test"
    )
    assert (await reader.readuntil(b"\r\n")).startswith(b"421")
    writer.close()
    for client in clients:
        await client.close()
    again = await place.call()
    await again.close()


async def test_close_lets_a_message_that_is_being_stored_end(place: Place) -> None:
    client = await place.call()
    place.arrivals.gate.clear()
    answer = asyncio.create_task(client.deliver(MESSAGE))
    async with asyncio.timeout(5):
        while not place.arrivals.calls:
            await asyncio.sleep(0.01)
    closing = asyncio.create_task(place.listener.close(grace_s=5))
    await asyncio.sleep(0.05)
    place.arrivals.gate.set()
    assert (await answer).startswith("250")
    await closing
    await client.close()
