"""A provider at the other end: real sockets, real TLS below a test authority, and a script of what it says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.providers import HandOverRequest
from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.providers.profile import ProviderProfile
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.certificates import der_to_pem
from demail_gateway.trust.keys import generate_key, to_pkcs8
from demail_gateway.trust.tls import TlsIdentity, client_context, server_context

NOW = datetime.now(UTC)
SENDER = "poststelle@stadt.de-mail.de"
BODY = b"Subject: x\r\n\r\n.one\r\n..two\r\nend\r\n"


def pkcs8_pem(der: bytes) -> bytes:
    import base64

    text = base64.encodebytes(der).decode()
    return f"-----BEGIN PRIVATE KEY-----\n{text}-----END PRIVATE KEY-----\n".encode()


@dataclass(frozen=True)
class Pki:
    authority: TestAuthority
    client: TlsIdentity
    server: TlsIdentity
    directory: Path

    def identity(self, profile: Profile, *, dns: str, until: datetime | None = None) -> TlsIdentity:
        key = generate_key("p256")
        der = self.authority.issue(
            key.public_key(),
            profile,
            dns,
            not_before=NOW - timedelta(days=2),
            not_after=until or NOW + timedelta(days=2),
            dns=[dns],
        )
        return TlsIdentity(der_to_pem(der), pkcs8_pem(to_pkcs8(key)))


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    directory = tmp_path_factory.mktemp("pki")
    authority = TestAuthority.create("TEST providers", NOW - timedelta(days=3), key_kind="p256")
    made = Pki(authority, TlsIdentity(b"", b""), TlsIdentity(b"", b""), directory)
    client = made.identity(Profile.TLS_CLIENT, dns="gateway.test")
    server = made.identity(Profile.TLS_SERVER, dns="mail.provider.test")
    for name, octets in {
        "ca.pem": authority.certificate_pem,
        "client.pem": client.certificate,
        "client.key": client.key,
    }.items():
        assert isinstance(octets, bytes)
        (directory / name).write_bytes(octets)
    return Pki(authority, client, server, directory)


@pytest.fixture
def tls_contexts() -> Callable[[ProviderProfile], ssl.SSLContext]:
    def make(profile: ProviderProfile) -> ssl.SSLContext:
        assert profile.client_certificate_file is not None
        assert profile.client_key_file is not None
        identity = TlsIdentity(profile.client_certificate_file, profile.client_key_file)
        return client_context(profile.tls_anchor_pem(), identity)

    return make


@dataclass
class Events:
    """An observer that remembers."""

    seen: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def __call__(self, event: str, /, **facts: object) -> None:
        self.seen.append((event, facts))

    def count(self, event: str) -> int:
        return sum(name == event for name, _ in self.seen)


@pytest.fixture
def events() -> Events:
    return Events()


@dataclass
class Peer:
    """What one connection of the scripted provider sees."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sender: str = ""
    recipients: list[str] = field(default_factory=list)

    async def say(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode())
        await self.writer.drain()

    async def hear(self) -> str:
        return (await self.reader.readuntil(b"\r\n")).decode().rstrip("\r\n")

    def cut(self) -> None:
        self.writer.transport.abort()


@dataclass
class Script:
    """A provider that does everything right, except where `replies` or `on` say otherwise.

    `replies`: command (``MAIL``, ``RCPT <address>``, ``DATA``, ``CONTENT``, …) → answers, used up one by one; the
    answer ``cut`` breaks the connection, ``hang`` never answers.
    """

    replies: dict[str, list[str]] = field(default_factory=dict)
    taken: list[tuple[str, tuple[str, ...], bytes]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most_open: int = 0
    greeting: str = "220 provider"
    extensions: tuple[str, ...] = ("SIZE 50000000",)

    async def serve(self, peer: Peer) -> None:
        self.connections += 1
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            await peer.say(self.greeting)
            while await self._command(peer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_now -= 1
            peer.writer.close()

    async def _answer(self, peer: Peer, key: str, usual: str) -> str:
        queue = self.replies.get(key)
        reply = queue.pop(0) if queue else usual
        if reply == "cut":
            peer.cut()
            raise ConnectionResetError
        if reply == "hang":
            await peer.reader.read()  # until the client goes
            raise ConnectionResetError
        await peer.say(reply)
        return reply

    async def _command(self, peer: Peer) -> bool:
        line = await peer.hear()
        self.commands.append(line)
        verb, _, rest = line.partition(" ")
        if verb == "EHLO":
            words = ["provider", *self.extensions]
            await peer.say(*(f"250{'-' if word != words[-1] else ' '}{word}" for word in words))
        elif verb == "MAIL":
            peer.sender, peer.recipients = rest[6:].split(">")[0], []
            await self._answer(peer, "MAIL", "250 ok")
        elif verb == "RCPT":
            address = rest[4:-1]
            if (await self._answer(peer, f"RCPT {address}", "250 ok")).startswith("2"):
                peer.recipients.append(address)
        elif verb == "DATA":
            if (await self._answer(peer, "DATA", "354 go on")).startswith("354"):
                await self._content(peer)
        elif verb == "QUIT":
            await peer.say("221 bye")
            return False
        else:
            await self._answer(peer, verb, "250 ok")
        return True

    async def _content(self, peer: Peer) -> None:
        if "DURING" in self.replies:
            await peer.reader.readexactly(1)
            await self._answer(peer, "DURING", "")
        lines = []
        while (line := await peer.reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        content = b"".join(lines)
        if (self.replies.get("CONTENT") or [""])[0] in ("cut", "hang"):
            self.taken.append((peer.sender, tuple(peer.recipients), content))  # taken, and the answer is lost
        if (await self._answer(peer, "CONTENT", "250 2.0.0 taken")).startswith("250"):
            self.taken.append((peer.sender, tuple(peer.recipients), content))


@dataclass(frozen=True)
class Listening:
    port: int
    pki: Pki

    def connection(self, **changes: Any) -> Connection:
        profile: dict[str, Any] = {
            "smtp": {"host": "127.0.0.1", "port": self.port, "server_name": "mail.provider.test", "tls": "implicit"},
            "domains": ["de-mail.de"],
            "client_certificate_file": str(self.pki.directory / "client.pem"),
            "client_key_file": str(self.pki.directory / "client.key"),
            "tls_anchors": str(self.pki.directory / "ca.pem"),
            "timeouts_s": {"connect": 2, "command": 1, "data": 2, "final": 1},
        }
        smtp = changes.pop("smtp", {})
        profile |= changes
        profile["smtp"] |= smtp
        return Connection(UUID(int=7), "probe", AuthLevel.HIGH, profile, True, NOW)

    def request(self, *recipients: str, octets: bytes = BODY, connection: Connection | None = None) -> HandOverRequest:
        chosen = recipients or ("a@sandbox.de-mail.de",)
        return HandOverRequest(connection or self.connection(), SENDER, chosen, octets, "urn:uuid:x", "t" * 32)


@asynccontextmanager
async def listening(
    pki: Pki, serve: Callable[[Peer], Awaitable[None]], tls: ssl.SSLContext | None
) -> AsyncIterator[Listening]:
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(asyncio.CancelledError):
                await serve(Peer(reader, writer))
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls, limit=1 << 26)
    try:
        yield Listening(server.sockets[0].getsockname()[1], pki)
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def provider_tls(pki: Pki) -> ssl.SSLContext:
    return server_context(pki.server, client_anchors=pki.authority.certificate_pem)


async def never_revoked(certificate_der: bytes, anchors_pem: bytes) -> bool:
    return False
