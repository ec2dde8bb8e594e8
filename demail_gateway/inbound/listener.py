"""The SMTP listener for providers: mutual TLS from the first octet, known certificates, durable before 250."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from aiosmtpd.smtp import SMTP, Envelope, Session

from demail_gateway.application.ports.arrivals import Arrival, Mailbox
from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.worker_services import InboundServices, PeerCertificate
from demail_gateway.core.errors import StoreUnavailable
from demail_gateway.inbound.group_commit import GroupCommit
from demail_gateway.tenancy.identifiers import uuid7

_LINE_BYTES = 64 * 1024
"""Longer than RFC 5321 allows: a provider's proof is not turned away for an unfolded field."""
_IDLE_S = 120.0
_HANDSHAKE_S = 15.0

LATER = "451 4.3.0 Speicher voruebergehend nicht verfuegbar / storage temporarily unavailable"
STRANGER = "550 5.7.1 Zertifikat unbekannt / certificate unknown"
NOBODY = "550 5.1.1 Postfach unbekannt / no such mailbox"
BARE = "550 5.6.11 Zeilenende ohne CR LF / line end without CR LF"
BUSY = "421 4.7.0 zu viele Verbindungen / too many connections"
STORED = "250 2.0.0 gespeichert / stored"


@dataclass(slots=True)
class _Transaction:
    """Who delivers, and to whom."""

    connection: Connection
    peer: PeerCertificate
    mailboxes: list[Mailbox]


class ProviderHandler:
    """aiosmtpd's hooks for one connection."""

    def __init__(self, services: InboundServices, store: GroupCommit) -> None:
        self._services = services
        self._store = store
        self._transaction: _Transaction | None = None

    async def handle_MAIL(  # noqa: N802  aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Only a certificate that a connection names gets any further (GS 10.2)."""
        peer = peer_certificate(server)
        try:
            connection = None if peer is None else await self._services.peers.connection_of(peer)
        except StoreUnavailable:
            return LATER
        if peer is None or connection is None:
            fingerprint = None if peer is None else peer.fingerprint
            self._services.observe("peer_refused", fingerprint=fingerprint)
            return STRANGER
        self._transaction = _Transaction(connection, peer, [])
        envelope.mail_from = address or "<>"
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        assert self._transaction is not None, "aiosmtpd asks for MAIL first"
        try:
            mailbox = await self._services.arrivals.mailbox(address.lower())
        except StoreUnavailable:
            return LATER
        if mailbox is None:
            self._services.observe("mailbox_unknown", address=address)
            return NOBODY
        if mailbox.connection_id != self._transaction.connection.id:
            name = self._transaction.connection.name
            self._services.observe("mailbox_elsewhere", connection=name, tenant=mailbox.tenant_id)
            return NOBODY
        self._transaction.mailboxes.append(mailbox)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_RSET(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self._transaction = None
        return "250 2.0.0 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """250 only when the octets are durable; they are looked at later, by a worker."""
        transaction, self._transaction = self._transaction, None
        octets = envelope.content
        assert transaction is not None, "aiosmtpd asks for MAIL and RCPT first"
        assert isinstance(octets, bytes), "aiosmtpd does not decode here"
        if not _only_crlf(octets):
            return BARE
        arrivals = self._arrivals(transaction, envelope, octets)
        try:
            new = await self._store(arrivals)
        except StoreUnavailable:
            self._services.observe("store_away", connection=transaction.connection.name)
            return LATER
        except Exception as error:  # not foreseen: the provider keeps the message, and the session goes on
            return await self.handle_exception(error)
        self._report(transaction, octets, new)
        for tenant_id in {arrival.mailbox.tenant_id for arrival in arrivals}:
            await self._services.waker.wake(tenant_id)
        return STORED

    async def handle_exception(self, error: Exception) -> str:
        """Whatever was not foreseen: the provider keeps the message and tries again; it learns nothing about us."""
        self._services.observe("work_failed", code=type(error).__name__, stage="inbound")
        return "451 4.3.0 interner Fehler / internal error"

    def _arrivals(self, transaction: _Transaction, envelope: Envelope, octets: bytes) -> list[Arrival]:
        now = self._services.clock()
        mailboxes = {mailbox.address: mailbox for mailbox in transaction.mailboxes}
        trace_id = self._services.randomness(16).hex()
        return [
            Arrival(
                self._id(),
                mailbox,
                transaction.connection.id,
                octets,
                envelope.mail_from or "<>",
                transaction.peer.fingerprint,
                now,
                trace_id,
            )
            for mailbox in mailboxes.values()
        ]

    def _id(self) -> UUID:
        return uuid7(self._services.clock(), self._services.randomness(10))

    def _report(self, transaction: _Transaction, octets: bytes, new: int) -> None:
        self._services.observe(
            "arrival_stored",
            connection=transaction.connection.name,
            octets=len(octets),
            mailboxes=len(transaction.mailboxes),
            new=new,
            test=transaction.connection.profile.get("test", False),
        )


class ProviderSession(SMTP):
    """aiosmtpd's session without anything that a provider does not need."""

    line_length_limit = _LINE_BYTES

    async def smtp_VRFY(self, arg: str) -> None:  # noqa: N802
        await self.push("502 5.5.1 VRFY nicht verfuegbar / not available")

    async def smtp_HELP(self, arg: str) -> None:  # noqa: N802
        await self.push("502 5.5.1 HELP nicht verfuegbar / not available")

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802
        await self.push("502 5.5.1 AUTH nicht verfuegbar / not available")


class Listener:
    """Listens until closed."""

    def __init__(
        self, services: InboundServices, *, name: str, size_bytes: int, connections: int = 200, idle_s: float = _IDLE_S
    ) -> None:
        """`name` is what the greeting says; `size_bytes` the largest message taken, at least 45 MiB in production."""
        self._services = services
        self._store = GroupCommit(services.arrivals)
        self._name = name
        self._size_bytes = size_bytes
        self._most = connections
        self._idle_s = idle_s
        self._sessions: set[ProviderSession] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int, tls: ssl.SSLContext) -> int:
        """Begins to listen; returns the port. `tls` must require a client certificate.

        Raises:
            OSError: the address cannot be used.
            ValueError: `tls` lets clients in without a certificate.
        """
        if tls.verify_mode is not ssl.CERT_REQUIRED:
            raise ValueError("the listener needs mutual TLS")
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._session, host, port, ssl=tls, ssl_handshake_timeout=_HANDSHAKE_S)
        chosen: int = self._server.sockets[0].getsockname()[1]
        return chosen

    async def close(self, grace_s: float = 5.0) -> None:
        """No new connections; those open may end their message for `grace_s`, then they are cut."""
        if self._server is None:
            return
        self._server.close()
        deadline = asyncio.get_running_loop().time() + grace_s
        while self._store.busy and asyncio.get_running_loop().time() < deadline:
            await self._store.settle()
        for session in list(self._sessions):
            if session.transport is not None:
                session.transport.close()
        self._server = None

    def _session(self) -> SMTP:
        session = _Counted(
            ProviderHandler(self._services, self._store),
            data_size_limit=self._size_bytes,
            enable_SMTPUTF8=False,
            decode_data=False,
            hostname=self._name,
            ident="ESMTP",
            timeout=self._idle_s,
            loop=asyncio.get_running_loop(),
        )
        session.sessions, session.most = self._sessions, self._most
        return session


class _Counted(ProviderSession):
    """A session that knows how many there are."""

    sessions: set[ProviderSession]
    most: int

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if len(self.sessions) >= self.most and isinstance(self._writer, asyncio.StreamWriter):
            self._writer.write(BUSY.encode() + b"\r\n")
            self._writer.close()
            return
        self.sessions.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.sessions.discard(self)
        super().connection_lost(error)


def peer_certificate(server: SMTP) -> PeerCertificate | None:
    """What the handshake proved; None without a certificate."""
    if server.transport is None:
        return None
    tls: Any = server.transport.get_extra_info("ssl_object")
    der = None if tls is None else tls.getpeercert(binary_form=True)
    if not der:
        return None
    return PeerCertificate(hashlib.sha256(der).hexdigest(), _names(tls.getpeercert()), der)


def _names(certificate: dict[str, Any]) -> frozenset[str]:
    subject = [pair for part in certificate.get("subject", ()) for pair in part]
    names = [value for key, value in (*subject, *certificate.get("subjectAltName", ())) if key in ("commonName", "DNS")]
    return frozenset(name.lower() for name in names)


def _only_crlf(octets: bytes) -> bool:
    """Whether no line end stands alone: such content means different things to different hops."""
    pairs = octets.count(b"\r\n")
    return octets.count(b"\n") == pairs and octets.count(b"\r") == pairs
