"""Carries messages to the gateway's listener, one recipient each, until they are taken.

Implicit TLS with the provider's client certificate (DIR-32). The gateway may be away for minutes: the rows stay in
the store and are tried again with growing pauses. If the line breaks after the content, the same octets are sent
again; the receiving side keeps identical octets once.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from ssl import SSLContext

import aiosmtplib

from demail_gateway.core.vocabulary import MessageType
from demail_gateway.observability.logs import get_logger
from demail_gateway.sandbox import tables
from demail_gateway.sandbox.configuration import DOMAIN, GatewayPeer
from demail_gateway.sandbox.effects import Outgoing, StoredMessage
from demail_gateway.sandbox.store import Store

_log = get_logger(__name__)

_CONNECTIONS = 4
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_LONGEST_REFUSAL_PAUSE_S = 30.0
_TIMEOUT_S = 60.0


class Verdict(Enum):
    """What the gateway said to one recipient."""

    TAKEN = "taken"
    NO_SUCH_MAILBOX = "no-such-mailbox"
    """A definite refusal of the recipient (step 45)."""


Settle = Callable[[Outgoing, StoredMessage, Verdict], Awaitable[None]]


class Forwarder:
    """Sends what it is given. `settle` is awaited once for each delivery that has an end."""

    def __init__(self, store: Store, context: SSLContext, settle: Settle) -> None:
        self._store = store
        self._context = context
        self._settle = settle
        self._peer: GatewayPeer | None = None
        self._queue: asyncio.Queue[_Item] = asyncio.Queue()
        self._open = asyncio.Event()
        self._again = asyncio.Event()
        self._lines: set[aiosmtplib.SMTP] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._later: set[asyncio.TimerHandle] = set()

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._serve(), name=f"sandbox-line-{n}") for n in range(_CONNECTIONS)]

    def reach(self, peer: GatewayPeer | None) -> None:
        """Where the gateway is; None: nowhere yet, everything waits."""
        self._peer = peer
        self.resume() if peer is not None else self.pause()

    def pause(self) -> None:
        """Off the network: cuts the lines; nothing is sent until `resume`."""
        self._open.clear()
        for line in self._lines:
            line.close()

    def resume(self) -> None:
        if self._peer is not None:
            self._open.set()
            self._again.set()
            self._again.clear()

    def add(self, outgoing: Sequence[Outgoing]) -> None:
        for item in outgoing:
            self._queue.put_nowait(_Item(item))

    async def stop(self) -> None:
        """Ends at once; what was not settled stays in the store."""
        for handle in self._later:
            handle.cancel()
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _serve(self) -> None:
        """One line to the gateway: takes what waits, keeps the connection between messages."""
        line = _Line(self._context, self._lines)
        try:
            while True:
                item = await self._queue.get()
                try:
                    await self._carry(line, item)
                except Exception:  # a line must outlive every message; the delivery stays in the store
                    _log.exception("delivery_failed", delivery=item.outgoing.id)
                    line.close()
                    self._put_back(item)
        finally:
            line.close()

    async def _carry(self, line: _Line, item: _Item) -> None:
        """Tries until the gateway was reached; a temporary refusal puts the item back for later."""
        message = await self._store.run(partial(tables.message, message_id=item.outgoing.message_id))
        pause_s = _FIRST_PAUSE_S
        while True:
            await self._open.wait()
            assert self._peer is not None
            try:
                verdict = await line.send(self._peer, message, item.outgoing.recipient)
            except (aiosmtplib.SMTPException, OSError) as error:
                line.close()
                if isinstance(error, aiosmtplib.SMTPResponseException) and _is_about_the_message(error):
                    _log.warning("gateway_refused", code=error.code, delivery=item.outgoing.id)
                    self._put_back(item)
                    return
                _log.info("gateway_unreachable", error=type(error).__name__, again_in_s=pause_s)
                await self._wait(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                continue
            await self._settle(item.outgoing, message, verdict)
            return

    def _put_back(self, item: _Item) -> None:
        """For later, each time after a longer pause."""
        item.refusals += 1
        pause_s = min(_FIRST_PAUSE_S * 2 ** min(item.refusals, 20), _LONGEST_REFUSAL_PAUSE_S)
        loop = asyncio.get_running_loop()
        handle = loop.call_later(pause_s, self._queue.put_nowait, item)
        self._later = {timer for timer in self._later if timer.when() > loop.time()} | {handle}

    async def _wait(self, pause_s: float) -> None:
        """The pause, or less if the gateway's place became known or an outage ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._again.wait()


@dataclass(slots=True)
class _Item:
    outgoing: Outgoing
    refusals: int = 0


class _Line:
    """One connection, opened when it is needed."""

    def __init__(self, context: SSLContext, lines: set[aiosmtplib.SMTP]) -> None:
        self._context = context
        self._lines = lines
        self._peer: GatewayPeer | None = None
        self._smtp: aiosmtplib.SMTP | None = None

    async def send(self, peer: GatewayPeer, message: StoredMessage, recipient: str) -> Verdict:
        """Raises aiosmtplib.SMTPException or OSError where there is no verdict."""
        smtp = await self._connected(peer)
        await smtp.mail(message.sender)
        try:
            await smtp.rcpt(recipient)
        except aiosmtplib.SMTPRecipientRefused as error:
            await smtp.rset()
            # A proof is never given up: the gateway may only be set up later. Only a De-Mail bounces (step 45).
            if error.code >= 500 and message.message_type == MessageType.NORMAL:
                return Verdict.NO_SUCH_MAILBOX
            raise
        await smtp.data(message.sealed)
        return Verdict.TAKEN

    def close(self) -> None:
        if self._smtp is not None:
            self._lines.discard(self._smtp)
            self._smtp.close()
            self._smtp = None

    async def _connected(self, peer: GatewayPeer) -> aiosmtplib.SMTP:
        if self._smtp is not None and self._smtp.is_connected and self._peer == peer:
            return self._smtp
        self.close()
        # The socket is opened here, because the name in the certificate need not be the name that is dialled.
        plain = await _dial(peer.host, peer.port)
        smtp = aiosmtplib.SMTP(
            hostname=peer.server_name,
            port=None,
            sock=plain,
            use_tls=True,
            tls_context=self._context,
            local_hostname=DOMAIN,
            timeout=_TIMEOUT_S,
        )
        try:
            await smtp.connect()
        except BaseException:
            plain.close()
            raise
        self._smtp, self._peer = smtp, peer
        self._lines.add(smtp)
        return smtp


async def _dial(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = OSError("no address")
    for family, kind, protocol, _, address in found:
        plain = socket.socket(family, kind, protocol)
        plain.setblocking(False)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await loop.sock_connect(plain, address)
        except OSError as error:
            plain.close()
            failure = error
            continue
        return plain
    raise failure


def _is_about_the_message(error: aiosmtplib.SMTPResponseException) -> bool:
    """Whether the gateway answered to this message, and not to us as a whole (421, greeting)."""
    return error.code != 421 and not isinstance(error, aiosmtplib.SMTPConnectError)
