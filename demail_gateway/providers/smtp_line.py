"""One SMTP connection to a provider: opened, used for one transaction at a time, closed at the first surprise.

What a broken transaction means depends on one moment only: when the last piece of the content, with the final dot, is
given to the connection. Before it the provider cannot have taken anything (RFC 5321 §4.1.1.4), so the copy may be
tried again; from then until the provider's answer the outcome is unknown (SND-43). That is why the content goes out in
pieces and the last one is written by itself.

Where the provider offers it (RFC 2920) sender and recipients go in one piece and cost one round trip. DATA waits for
their replies: after it nothing but content ends the transaction, and a refused recipient must end it before.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn, cast

from aiosmtplib.errors import SMTPException, SMTPResponseException
from aiosmtplib.esmtp import parse_esmtp_extensions
from aiosmtplib.protocol import MAX_RESPONSE_LENGTH, SMTPProtocol
from aiosmtplib.response import SMTPResponse

from demail_gateway.core.errors import ProviderOutcomeUnknown, ProviderRefused, ProviderUnavailable
from demail_gateway.providers.profile import ProviderProfile, Timeouts
from demail_gateway.providers.smtp_refusals import judges_draft

REPLY_CHARS = 500
_PIECE_BYTES = 256 * 1024
_FAULTS = (SMTPException, OSError, TimeoutError)
"""What asyncio, TLS and aiosmtplib raise when a line is broken or talks nonsense."""


IsRevoked = Callable[[bytes], Awaitable[bool]]
"""Whether a TLS certificate (DER) is known to be revoked; raises ProviderUnavailable where that cannot be told now."""


class LineLost(Exception):
    """A connection that had been idle turned out dead before anything of this transaction was taken."""


@dataclass(frozen=True, slots=True)
class Taken:
    """`reply`: the final 250; `refused`: recipients refused alone, with replies."""

    reply: str
    refused: dict[str, str]


class Line:
    """An open connection. After any error it is closed and must not be used again."""

    def __init__(self, wire: _Wire, extensions: dict[str, str], timeouts: Timeouts, opened_at: float) -> None:
        self._wire = wire
        self._extensions = extensions
        self._timeouts = timeouts
        self.opened_at = opened_at
        """Loop time."""
        self.used = 0
        """Transactions so far."""

    @classmethod
    async def open(
        cls, profile: ProviderProfile, tls: ssl.SSLContext | None, local_name: str, is_revoked: IsRevoked
    ) -> Line:
        """Connects and greets. Raises ProviderUnavailable whatever fails: nothing was sent.

        A provider's refusal of the connection itself (greeting or EHLO with 5xx) says nothing about a draft, so that
        is unavailable too. A line to a certificate that `is_revoked` is not kept (DIR-35).
        """
        loop = asyncio.get_running_loop()
        wire = _Wire(loop)
        try:
            extensions = await _greet(wire, profile, tls, local_name)
            if tls is not None and await is_revoked(wire.peer_certificate):
                raise ProviderUnavailable("tls: the provider's certificate is revoked")
        except _FAULTS as error:
            wire.abort()
            raise ProviderUnavailable(describe(error)) from error
        except BaseException:
            wire.abort()
            raise
        return cls(wire, extensions, profile.timeouts, loop.time())

    @property
    def alive(self) -> bool:
        return self._wire.is_connected

    async def transact(self, sender: str, recipients: Sequence[str], octets: bytes) -> Taken:
        """Hands one copy over.

        A refused recipient ends the transaction before the data (contract "Copies"); it is begun anew for those that
        are left. Temporary refusal of any recipient refuses the whole for now, because the copy goes out once.

        Raises:
            ProviderRefused, ProviderUnavailable, ProviderOutcomeUnknown: and the line is closed, unless the provider
                gave an orderly refusal.
            LineLost: the connection had ended while it was idle; nothing was sent.
        """
        try:
            return await self._transact(sender, recipients, octets)
        except (ProviderRefused, ProviderUnavailable) as error:
            await self._tidy(error)
            raise
        except BaseException:
            self._wire.abort()
            raise
        finally:
            self.used += 1

    async def quit(self) -> None:
        """Orderly end; errors do not matter any more."""
        try:
            if self.alive:
                await self._wire.execute_command(b"QUIT", timeout=1.0)
        except _FAULTS:
            pass
        finally:
            self._wire.abort()

    def abort(self) -> None:
        self._wire.abort()

    async def _transact(self, sender: str, recipients: Sequence[str], octets: bytes) -> Taken:
        refused: dict[str, str] = {}
        newly = await self._envelope(sender, recipients, len(octets))
        while newly:
            refused |= newly
            left = [address for address in recipients if address not in refused]
            if not left:
                raise ProviderRefused(next(iter(refused.values())), tuple(refused))
            _expect_unjudged(await self._command(b"RSET"))
            newly = await self._envelope(sender, left, len(octets))
        _expect(await self._command(b"DATA"), 354)
        return Taken(await self._content(octets), refused)

    async def _envelope(self, sender: str, recipients: Sequence[str], size: int) -> dict[str, str]:
        """Sender and recipients; returns recipients refused for good, with replies."""
        words = [b"MAIL", b"FROM:<%s>" % sender.encode("ascii")]
        if "size" in self._extensions:
            words.append(b"SIZE=%d" % size)
        mail = b" ".join(words)
        rcpts = [b"RCPT TO:<%s>" % address.encode("ascii") for address in recipients]
        if "pipelining" in self._extensions:
            first, *replies = await self._first([mail, *rcpts])
        else:
            (first,) = await self._first([mail])
            replies = []
        if first.code == 421 and self.used:
            raise LineLost
        if first.code != 250:
            _refuse(first, at_mail=True)
        replies = replies or [await self._command(rcpt) for rcpt in rcpts]
        return _refusals(recipients, replies)

    async def _first(self, commands: Sequence[bytes]) -> list[SMTPResponse]:
        """Replies to what begins a transaction, sent in one piece. Raises LineLost when a kept line turns out dead."""
        try:
            return await self._wire.execute_together(commands, self._timeouts.command_s * len(commands))
        except _FAULTS as error:
            if self.used and not isinstance(error, SMTPResponseException):
                raise LineLost from error
            raise ProviderUnavailable(describe(error)) from error

    async def _command(self, *words: bytes) -> SMTPResponse:
        try:
            return await self._wire.execute_command(*words, timeout=self._timeouts.command_s)
        except _FAULTS as error:
            self._wire.abort()
            raise ProviderUnavailable(describe(error)) from error

    async def _content(self, octets: bytes) -> str:
        """The final reply. Everything before the last piece is certain; from there on it is not (SND-43)."""
        *first, last = _pieces(octets)
        try:
            async with asyncio.timeout(self._timeouts.data_s):
                early = await self._wire.send(first)
        except _FAULTS as error:
            self._wire.abort()
            raise ProviderUnavailable(describe(error)) from error
        if early is not None:
            self._wire.abort()  # the provider answered before the end: out of step
            _refuse(early)
        try:
            reply = await self._wire.finish(last, self._timeouts.data_s + self._timeouts.final_s)
        except _FAULTS as error:
            self._wire.abort()
            raise ProviderOutcomeUnknown(describe(error)) from error
        if 400 <= reply.code < 600:
            _refuse(reply)
        if not 200 <= reply.code < 300:
            raise ProviderOutcomeUnknown(reply_text(reply))
        return reply_text(reply)

    async def _tidy(self, error: ProviderRefused | ProviderUnavailable) -> None:
        """After an orderly refusal the connection goes on; 421, or an answer out of step or about us, ends it."""
        orderly = "5" if isinstance(error, ProviderRefused) else "4"
        if not self.alive or error.reply[:1] != orderly or error.reply.startswith("421"):
            self._wire.abort()
            return
        try:
            reply = await self._wire.execute_command(b"RSET", timeout=self._timeouts.command_s)
        except _FAULTS:
            self._wire.abort()
            return
        if reply.code != 250:
            self._wire.abort()


def reply_text(reply: SMTPResponse) -> str:
    """Code and text on one line, printable, at most 500 characters: the provider's words are hostile, too."""
    text = f"{reply.code} {reply.message}"
    return "".join(c if c.isprintable() else " " for c in text)[:REPLY_CHARS].strip()


def describe(error: BaseException) -> str:
    """A stable word for what went wrong on the line; never the library's sentence."""
    if isinstance(error, SMTPResponseException):
        return reply_text(SMTPResponse(error.code, str(error.message)))
    for cause in (error, error.__cause__):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"tls-certificate: {cause.verify_message}"[:REPLY_CHARS]
        if isinstance(cause, ssl.SSLError):
            return f"tls: {cause.reason or 'handshake failed'}"[:REPLY_CHARS]
        if isinstance(cause, TimeoutError):
            return "timeout"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
    return "connection lost" if isinstance(error, SMTPException | ConnectionError) else "no connection"


class _Wire(SMTPProtocol):
    """aiosmtplib's protocol with content sent in pieces and commands sent together.

    Its own DATA command cannot tell before from after, and it drops a reply that comes with another.
    """

    _awaited = 1
    """Replies to what was sent last."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._early: list[SMTPResponse] = []

    @property
    def peer_certificate(self) -> bytes:
        """DER of the provider's certificate, on a TLS line; there is one, since the handshake asks for it."""
        assert self.transport is not None, "connected"
        der: bytes | None = self.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert der is not None, "verified in the handshake"
        return der

    async def execute_together(self, commands: Sequence[bytes], timeout_s: float) -> list[SMTPResponse]:
        """One reply to each command, all sent in one piece (RFC 2920, if there are several)."""
        if any(b"\r" in command or b"\n" in command for command in commands):
            raise ValueError("a command is one line")
        self._awaited, self._early = len(commands), []
        self._response_pending = True
        try:
            self.write(b"".join(command + b"\r\n" for command in commands))
            last = await self.read_response(timeout=timeout_s)
            return [*self._early, last]
        finally:
            self._awaited = 1

    def data_received(self, data: bytes) -> None:
        if self._awaited == 1:
            super().data_received(data)
        elif self._response_waiter is not None and not self._response_waiter.done():
            self._buffer.extend(data)
            try:
                self._collect(self._response_waiter)
            except SMTPException as error:
                self._set_response_exception(self._response_waiter, error)

    def _collect(self, last: asyncio.Future[SMTPResponse]) -> None:
        while (reply := self._read_response_from_buffer()) is not None:
            if len(self._early) + 1 == self._awaited:
                if self._buffer:
                    raise SMTPException("more replies than commands")
                last.set_result(reply)
                return
            self._early.append(reply)
        if len(self._buffer) > MAX_RESPONSE_LENGTH:
            raise SMTPResponseException(500, "Response too long")

    async def send(self, pieces: Sequence[bytes]) -> SMTPResponse | None:
        """Sends pieces with flow control; a reply that comes meanwhile ends it and is returned."""
        self._response_pending = True
        for piece in pieces:
            if self._response_waiter is not None and self._response_waiter.done():
                return await self.read_response(timeout=1.0)
            self.write(piece)
            await self._drain_helper()
        return None

    async def finish(self, last: bytes, timeout_s: float) -> SMTPResponse:
        self._response_pending = True
        self.write(last)
        return await self.read_response(timeout=timeout_s)

    def abort(self) -> None:
        """Closes at once, without waiting for what is still to be sent."""
        if self.transport is not None:
            with contextlib.suppress(
                AttributeError
            ):  # Python before 3.11.5 fails over a TLS connection that is gone already
                cast("asyncio.WriteTransport", self.transport).abort()


async def _greet(wire: _Wire, profile: ProviderProfile, tls: ssl.SSLContext | None, local_name: str) -> dict[str, str]:
    waits, smtp = profile.timeouts, profile.smtp
    name = smtp.server_name if tls is not None else None
    handshake_s = waits.connect_s if tls is not None else None
    async with asyncio.timeout(2 * waits.connect_s):
        await asyncio.get_running_loop().create_connection(
            lambda: wire, smtp.host, smtp.port, ssl=tls, server_hostname=name, ssl_handshake_timeout=handshake_s
        )
    greeting = await wire.read_response(timeout=waits.connect_s)
    if greeting.code != 220:
        raise SMTPResponseException(greeting.code, greeting.message)
    reply = await wire.execute_command(b"EHLO", local_name.encode("ascii"), timeout=waits.command_s)
    if reply.code != 250:
        raise SMTPResponseException(reply.code, reply.message)
    return parse_esmtp_extensions(reply.message)[0]


def _refusals(recipients: Sequence[str], replies: Sequence[SMTPResponse]) -> dict[str, str]:
    """Those refused for good, with replies. Raises ProviderUnavailable when one is put off: all are then."""
    refused: dict[str, str] = {}
    for address, reply in zip(recipients, replies, strict=True):
        if judges_draft(reply_text(reply)):
            refused[address] = reply_text(reply)
        elif reply.code not in (250, 251):
            _expect(reply, 250)
    return refused


def _expect(reply: SMTPResponse, code: int) -> None:
    if reply.code != code:
        _refuse(reply)


def _expect_unjudged(reply: SMTPResponse) -> None:
    """For commands that carry nothing of the draft."""
    if reply.code != 250:
        raise ProviderUnavailable(reply_text(reply))


def _refuse(reply: SMTPResponse, *, at_mail: bool = False) -> NoReturn:
    """A 5xx about the draft is for good; all else that was not hoped for may be tried again: nothing was taken yet."""
    if judges_draft(text := reply_text(reply), at_mail=at_mail):
        raise ProviderRefused(text)
    raise ProviderUnavailable(text)


def _pieces(octets: bytes) -> Iterator[bytes]:
    """The content with dots stuffed (RFC 5321 §4.5.2); the last piece carries the end of data."""
    stuffed = octets.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    end = b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n"
    last = (len(stuffed) - 1) // _PIECE_BYTES * _PIECE_BYTES if stuffed else 0
    for start in range(0, last, _PIECE_BYTES):
        yield stuffed[start : start + _PIECE_BYTES]
    yield stuffed[last:] + end
