"""A small gateway for the sandbox's tests: submits over TLS, listens for what the provider sends, checks it."""

from __future__ import annotations

import asyncio
import base64
import ssl
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiosmtplib
import httpx
from aiosmtpd.smtp import SMTP

from demail_gateway.core.address import parse_address
from demail_gateway.core.header import Octets, read_message
from demail_gateway.core.message import PartSource, SubmissionFields, assemble, build_entity
from demail_gateway.core.metadata import Metadata, read_metadata
from demail_gateway.core.options import SendOptions
from demail_gateway.core.recipients import Mailbox, RecipientLists
from demail_gateway.sandbox.configuration import Configuration, GatewayPeer
from demail_gateway.sandbox.service import Sandbox
from demail_gateway.trust.authority import Profile
from demail_gateway.trust.certificates import make_csr, pem_to_der, read_certificate
from demail_gateway.trust.keys import KeyKind, generate_key, to_pkcs8
from demail_gateway.trust.tls import TlsIdentity, client_context, server_context

SENDER = "poststelle@stadt-elbtal.de-mail.de"
HOLDER = "Stadt Elbtal"
SERVER_NAME = "gateway.test"
WAIT_S = 15.0

PROOFS = SendOptions(confirmation_of_dispatch=True, confirmation_of_receipt=True)
ALL_PROOFS = SendOptions(
    confirmation_of_dispatch=True, confirmation_of_receipt=True, confirmation_of_retrieve=True, private=True
)


@dataclass(frozen=True, slots=True)
class Arrived:
    """What the gateway's listener took."""

    envelope_sender: str
    recipient: str
    octets: bytes
    peer_certificate: bytes

    @property
    def message(self) -> Octets:
        return read_message(self.octets)

    @property
    def metadata(self) -> Metadata:
        return read_metadata(self.message.header)

    @property
    def kind(self) -> str:
        return self.message.header.value("x-de-mail-message-type") or ""


@dataclass
class Listener:
    """The gateway's SMTP listener for providers. `refuse` answers an RCPT with a line instead of taking it."""

    context: ssl.SSLContext
    arrived: list[Arrived] = field(default_factory=list)
    refuse: Callable[[str], str | None] = lambda _: None
    port: int = 0
    _server: asyncio.Server | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        handler = _Taking(self)
        self._server = await loop.create_server(
            lambda: SMTP(handler, hostname=SERVER_NAME, data_size_limit=50_000_000, loop=loop),
            "127.0.0.1",
            self.port,
            ssl=self.context,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def take(self, arrived: Arrived) -> None:
        async with self._changed:
            self.arrived.append(arrived)
            self._changed.notify_all()

    async def until(self, count: int, kind: str | None = None) -> list[Arrived]:
        """The arrivals (of one kind), once there are so many."""

        def chosen() -> list[Arrived]:
            return [one for one in self.arrived if kind is None or one.kind == kind]

        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(lambda: len(chosen()) >= count)
        return chosen()


class _Taking:
    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        refusal = self._listener.refuse(address)
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        certificate = server.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        for recipient in envelope.rcpt_tos:
            await self._listener.take(Arrived(envelope.mail_from, recipient, envelope.content, certificate))
        return "250 OK"


@dataclass
class Playground:
    """A running sandbox and a gateway beside it."""

    sandbox: Sandbox
    configuration: Configuration
    http: httpx.AsyncClient
    identity: TlsIdentity
    client_certificate: bytes
    listener: Listener

    @property
    def facts(self) -> dict[str, Any]:
        return self.sandbox.describe()

    @property
    def anchor(self) -> bytes:
        return self.sandbox.trust_anchor()

    def tls(self) -> ssl.SSLContext:
        return client_context(self.anchor, self.identity)

    @asynccontextmanager
    async def line(self, context: ssl.SSLContext | None = None) -> AsyncIterator[aiosmtplib.SMTP]:
        """A connection to the provider's submission port."""
        smtp = aiosmtplib.SMTP(
            hostname="localhost",
            port=self.facts["smtp_port"],
            use_tls=True,
            tls_context=context or self.tls(),
            timeout=10,
        )
        await smtp.connect()
        try:
            yield smtp
        finally:
            smtp.close()

    async def submit(self, *to: str, octets: bytes | None = None, sender: str = SENDER, **draft: Any) -> str:
        """Hands a draft over in one transaction; the provider's final answer."""
        data = octets if octets is not None else make_draft(*to, sender=sender, **draft)
        async with self.line() as smtp:
            await smtp.mail(sender)
            for address in to:
                await smtp.rcpt(address)
            return (await smtp.data(data)).message

    async def provider(self, path: str, **parameters: str) -> httpx.Response:
        """An enquiry at the providers' port."""
        async with httpx.AsyncClient(verify=self.tls()) as client:
            return await client.get(f"{self.facts['provider_url']}{path}", params=parameters)

    async def mailbox(self, address: str, folder: str = "inbox") -> list[dict[str, Any]]:
        answer = await self.http.get(f"/mailbox/{address}", params={"folder": folder})
        assert answer.status_code == 200
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def mailbox_until(self, address: str, count: int, folder: str = "inbox") -> list[dict[str, Any]]:
        async with asyncio.timeout(WAIT_S):
            while len(items := await self.mailbox(address, folder)) < count:
                await asyncio.sleep(0.02)
        return items


def make_draft(
    *to: str,
    sender: str = SENDER,
    options: SendOptions = PROOFS,
    private_id: str | None = None,
    cc: tuple[str, ...] = (),
    bcc: tuple[str, ...] = (),
    reply_to: str | None = None,
    subject: str = "Bescheid zum Antrag 2026-0815",
    text: str = "Guten Tag,\r\nIhr Bescheid liegt bei.\r\n",
    attachments: tuple[PartSource, ...] = (),
    entity: bytes | None = None,
    holder: str = HOLDER,
) -> bytes:
    """A draft as the gateway submits it (MF-27)."""
    lists = RecipientLists(*(tuple(Mailbox("", parse_address(a)) for a in kind) for kind in (to, cc, bcc)))
    fields = SubmissionFields(
        sender=parse_address(sender),
        to=lists.to,
        cc=lists.cc,
        chosen=lists,
        subject=subject,
        date=datetime.now(UTC),
        message_id=f"<{uuid.uuid4().hex}@gateway.test>",
        private_id=private_id or f"urn:uuid:{uuid.uuid4()}",
        options=options,
        reply_to=None if reply_to is None else parse_address(reply_to),
        account_holder=holder,
    )
    return assemble(fields, entity or build_entity(text, None, attachments, uuid.uuid4().hex)) + b"\r\n"


async def certified(http: httpx.AsyncClient, profile: str, name: str, **names: Any) -> tuple[TlsIdentity, bytes]:
    """A key of one's own with a certificate from the sandbox's authority."""
    key = generate_key(KeyKind.P256)
    csr = make_csr(key, name, **names).decode()
    answer = await http.post("/certificates", json={"csr": csr, "profile": profile})
    assert answer.status_code == 201, answer.text
    pem = answer.json()["certificate"].encode()
    pkcs8 = base64.encodebytes(to_pkcs8(key))
    key_pem = b"-----BEGIN PRIVATE KEY-----\n" + pkcs8 + b"-----END PRIVATE KEY-----\n"
    return TlsIdentity(pem, key_pem), pem_to_der(pem)


@asynccontextmanager
async def playing(configuration: Configuration, *, listening: bool = True) -> AsyncIterator[Playground]:
    """A sandbox in this process and a gateway that it knows; `listening` False: the gateway is away at first."""
    sandbox = Sandbox(configuration)
    await sandbox.start()
    async with httpx.AsyncClient(base_url=sandbox.url, timeout=20, verify=False) as http:
        identity, certificate = await certified(http, Profile.TLS_CLIENT, "gateway")
        server, _ = await certified(http, Profile.TLS_SERVER, SERVER_NAME, dns=[SERVER_NAME])
        listener = Listener(server_context(server, client_anchors=sandbox.trust_anchor()))
        await listener.start()
        if not listening:
            await listener.stop()
        await sandbox.set_gateway(GatewayPeer("127.0.0.1", listener.port, SERVER_NAME))
        try:
            yield Playground(sandbox, configuration, http, identity, certificate, listener)
        finally:
            await http.aclose()
            await sandbox.stop()
            await listener.stop()


def fingerprint(certificate_der: bytes) -> str:
    return read_certificate(certificate_der).fingerprint_sha256
