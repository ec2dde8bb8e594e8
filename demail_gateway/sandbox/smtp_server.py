"""Takes submissions: SMTP over implicit TLS with a client certificate (DIR-32), and answers only what is durable."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from ssl import SSLContext, SSLObject
from typing import Any, Protocol

from aiosmtpd.smtp import SMTP, Envelope, Session

from demail_gateway.observability.logs import get_logger

_log = get_logger(__name__)

MAX_MESSAGE_BYTES = 45 * 1024 * 1024
"""What a provider must accept at least, as transmitted (TR 01201-3.1 §4.1)."""

_END_OF_DATA = b"\r\n.\r\n"
_LARGEST_PIECE = MAX_MESSAGE_BYTES + MAX_MESSAGE_BYTES // 32
"""With room for the dots that transparency adds (RFC 5321 §4.5.2)."""
_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Client:
    """Who is at the other end: the certificate shown in the handshake, already below the provider's authority."""

    certificate_der: bytes
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer to a command."""

    line: str
    """Code and text, ASCII."""
    cut: bool = False
    """Do not send it: cut the connection instead."""


class Reception(Protocol):
    """What the server asks the provider."""

    def client(self, certificate_der: bytes) -> Client | None:
        """None: not known, or its certificate was revoked."""
        ...

    def sender(self, client: Client, address: str) -> Reply: ...

    def recipient(self, client: Client, address: str) -> Reply: ...

    async def submission(self, client: Client, sender: str, recipients: list[str], octets: bytes) -> Reply: ...


class SubmissionServer:
    """The listener. It can leave its port and come back to it (an outage)."""

    def __init__(self, reception: Reception, context: SSLContext, *, host_name: str, bind: str, port: int) -> None:
        self._reception = reception
        self._context = context
        self._host_name = host_name
        self._bind = bind
        self._port = port
        self._server: asyncio.Server | None = None
        self._sessions: set[_Submission] = set()

    @property
    def port(self) -> int:
        """The port; the real one after the first `start`, where 0 was asked for."""
        return self._port

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._session, self._bind, self._port, ssl=self._context)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Leaves the port and cuts every connection: whoever has no answer yet does not know the outcome."""
        if self._server is None:
            return
        self._server.close()
        for session in list(self._sessions):
            session.cut()
        # Not waited for: a client that is still in its handshake would hold us up (Python 3.12 and newer).
        self._server = None

    def _session(self) -> _Submission:
        return _Submission(self._reception, self._host_name, self._sessions)


class _Submission(SMTP):
    """One connection."""

    line_length_limit = 4096
    command_size_limit = 1024

    def __init__(self, reception: Reception, host_name: str, sessions: set[_Submission]) -> None:
        super().__init__(
            _Handler(reception),
            data_size_limit=MAX_MESSAGE_BYTES,
            enable_SMTPUTF8=False,
            hostname=host_name,
            ident="ESMTP De-Mail Sandbox (TEST)",
            timeout=_TIMEOUT_S,
            loop=asyncio.get_running_loop(),
        )
        self._reception = reception
        self._sessions = sessions
        self.client: Client | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tls: SSLObject | None = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        self.client = None if certificate is None else self._reception.client(certificate)
        self._sessions.add(self)
        super().connection_made(transport)
        if self.client is None:
            _log.warning("submission_client_refused")
            self.cut()

    def connection_lost(self, error: Exception | None) -> None:
        self._sessions.discard(self)
        super().connection_lost(error)

    def cut(self) -> None:
        """Ends the connection without a word."""
        if isinstance(self.transport, asyncio.Transport):
            with contextlib.suppress(
                AttributeError
            ):  # Python before 3.11.5 fails over a TLS connection that is gone already
                self.transport.abort()

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802  aiosmtpd's name
        """As aiosmtpd's, which reads line by line; a message is read in one piece here (25 MiB: 30 ms, not 3 s)."""
        if await self.check_helo_needed():
            return
        if self.envelope is None or not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 Error: need RCPT command")
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        # A line end in front lets the content end with the same octets everywhere, also where it is empty.
        self._reader.feed_data(b"\r\n")
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        octets = await self._read_content()
        if octets is None:
            self.envelope = self._create_envelope()
            await self.push("552 5.3.4 Error: message too large")
            return
        self.envelope.content = self.envelope.original_content = octets
        reply = await self._call_handler_hook("DATA")
        self.envelope = self._create_envelope()
        if reply is not None:
            await self.push(reply)

    async def _read_content(self) -> bytes | None:
        """The content without transparency dots; None if it is too large (read to its end all the same)."""
        reader: Any = self._reader
        usual, reader._limit = reader._limit, _LARGEST_PIECE
        too_large = False
        try:
            while True:
                try:
                    raw: bytes = await reader.readuntil(_END_OF_DATA)
                    break
                except asyncio.LimitOverrunError as error:
                    too_large = True
                    await reader.readexactly(error.consumed)
        finally:
            reader._limit = usual
        content = raw.replace(b"\r\n..", b"\r\n.")[2 : -len(_END_OF_DATA) + 2]
        return None if too_large or len(content) > MAX_MESSAGE_BYTES else content


class _Handler:
    """aiosmtpd's hooks, handed to the reception."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    async def handle_MAIL(  # noqa: N802
        self, server: _Submission, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self._reception.sender(_client(server), address)
        if reply.line.startswith("2"):
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return reply.line

    async def handle_RCPT(  # noqa: N802
        self, server: _Submission, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self._reception.recipient(_client(server), address)
        if reply.line.startswith("2"):
            envelope.rcpt_tos.append(address)
        return reply.line

    async def handle_DATA(self, server: _Submission, session: Session, envelope: Envelope) -> str | None:  # noqa: N802
        octets = envelope.original_content
        assert octets is not None
        reply = await self._reception.submission(
            _client(server), envelope.mail_from or "", list(envelope.rcpt_tos), octets
        )
        if reply.cut:
            server.cut()
            return None
        return reply.line

    async def handle_exception(self, error: Exception) -> str:
        """An error of ours: the sender may try again. Its text may quote content and goes nowhere (GWT-51)."""
        _log.error("submission_failed", exc_info=error)
        return "451 4.3.0 Error: internal"


def _client(server: _Submission) -> Client:
    client = server.client
    assert client is not None, "a connection without a known client is cut before its first command"
    return client
