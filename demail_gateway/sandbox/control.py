"""The control surface: HTTP for demo, tests and integrators. It stands for nothing that a real provider has.

No answer and no log line of this program quotes an address or content, except to who asks for a mailbox (GWT-51).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Protocol

import pybase64
from fastapi import Body, FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from demail_gateway.core.address import parse_address
from demail_gateway.core.errors import AddressInvalid, CertificateMalformed
from demail_gateway.core.message import PartSource
from demail_gateway.core.options import SendOptions
from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.sandbox.configuration import GatewayPeer
from demail_gateway.sandbox.effects import Account, Folder
from demail_gateway.sandbox.letters import Letter, LetterRefused, Tamper
from demail_gateway.sandbox.refusals import refuse_alike
from demail_gateway.trust.authority import Profile

_MOST_OCSP_OCTETS = 4096


def _octets(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError("Base64 text expected")
    return pybase64.b64decode(text, validate=True)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class OptionsIn(_Model):
    confirmation_of_dispatch: bool = False
    confirmation_of_receipt: bool = False
    confirmation_of_retrieve: bool = False
    authoritative: bool = False
    private: bool = False


class AttachmentIn(_Model):
    filename: str
    content_type: str = "application/octet-stream"
    content: Annotated[bytes, BeforeValidator(_octets)]
    """Base64, strictly."""


class MailIn(_Model):
    sender: str = Field(alias="from")
    to: list[str] = Field(min_length=1)
    cc: list[str] = []
    bcc: list[str] = []
    reply_to: str | None = None
    subject: str = ""
    text: str | None = None
    options: OptionsIn = OptionsIn()
    attachments: list[AttachmentIn] = []
    tamper: Tamper | None = None
    scan: bool = True

    def letter(self) -> Letter:
        return Letter(
            sender=self.sender,
            to=tuple(self.to),
            cc=tuple(self.cc),
            bcc=tuple(self.bcc),
            reply_to=self.reply_to,
            subject=self.subject,
            text=self.text,
            options=SendOptions(**self.options.model_dump()),
            attachments=tuple(PartSource(a.filename, a.content_type, a.content) for a in self.attachments),
            tamper=self.tamper,
            scan=self.scan,
        )


class CertificateIn(_Model):
    csr: str
    profile: Literal["tls-client", "tls-server", "smime", "installation"]
    days: int = Field(default=730, ge=1, le=3650)


class RevokeIn(_Model):
    serial: int | str
    """Decimal number, or text: decimal, or hexadecimal with ``0x``."""
    reason: Literal["keyCompromise", "affiliationChanged", "superseded", "cessationOfOperation"] | None = None


class ConnectionIn(_Model):
    fingerprint: str = Field(pattern=r"^[0-9A-Fa-f:]{64,95}$")
    auth_level: AuthLevel


class AccountIn(_Model):
    address: str
    holder: str = Field(min_length=1, max_length=200)
    fingerprint: str | None = Field(default=None, pattern=r"^[0-9A-Fa-f:]{64,95}$")
    retrieval_entitlement: bool = True
    natural_person: bool = False


class GatewayIn(_Model):
    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    server_name: str | None = None


class IssuedOut(BaseModel):
    certificate: str
    chain: list[str]
    serial: str
    fingerprint: str


class Operations(Protocol):
    """What the control surface can ask of the running sandbox."""

    async def write(self, letter: Letter) -> tuple[str, bytes]:
        """De-Mail message id and octets as sent. Raises LetterRefused."""
        ...

    async def mailbox(self, address: str, folder: Folder) -> list[dict[str, Any]]: ...

    async def begin_outage(self, seconds: float) -> None: ...

    async def advance(self, seconds: float) -> str:
        """The new time. Raises ValueError."""
        ...

    async def set_level(self, fingerprint: str, level: AuthLevel) -> None: ...

    async def set_account(self, account: Account) -> None: ...

    async def set_gateway(self, peer: GatewayPeer) -> None: ...

    def issue(self, csr_pem: bytes, profile: Profile, days: int) -> IssuedOut:
        """Raises CertificateMalformed."""
        ...

    async def revoke(self, serial_number: int, reason: str | None) -> None: ...

    def crl(self) -> bytes: ...

    def ocsp(self, request: bytes) -> bytes:
        """Answers whatever it is asked, also a request that is none."""
        ...

    def trust_anchor(self) -> bytes: ...


def control_app(operations: Operations) -> FastAPI:
    """The application behind the sandbox's URL."""
    app = FastAPI(title="De-Mail Sandbox", openapi_url="/openapi.json", docs_url=None, redoc_url=None)
    refuse_alike(app)
    _add_mail(app, operations)
    _add_network(app, operations)
    _add_certificates(app, operations)
    _add_registration(app, operations)
    return app


def _add_mail(app: FastAPI, operations: Operations) -> None:
    @app.post("/mail", status_code=201)
    async def write(mail: MailIn) -> dict[str, str]:
        """A citizen writes. `raw` is the message as it went out, Base64."""
        try:
            message_id, octets = await operations.write(mail.letter())
        except LetterRefused as refused:
            raise HTTPException(422, {"code": refused.code}) from refused
        return {"demail_message_id": message_id, "raw": _base64(octets)}

    @app.get("/mailbox/{address}")
    async def mailbox(address: str, folder: Folder = Folder.INBOX) -> dict[str, Any]:
        """Everything that was put into a mailbox, oldest first; empty for an unknown one."""
        return {"items": await operations.mailbox(address.strip().lower(), folder)}


def _add_network(app: FastAPI, operations: Operations) -> None:
    @app.post("/outage")
    async def outage(seconds: Annotated[float, Body(embed=True, ge=0, le=86_400)]) -> dict[str, float]:
        """Off the network for so many seconds; a second call counts anew, 0 ends it."""
        await operations.begin_outage(seconds)
        return {"seconds": seconds}

    @app.post("/clock")
    async def clock(advance_s: Annotated[float, Body(embed=True)]) -> dict[str, str]:
        """Moves the provider's clock on."""
        try:
            return {"now": await operations.advance(advance_s)}
        except ValueError as error:
            raise HTTPException(422, {"code": "advance-out-of-range"}) from error

    @app.post("/gateway", status_code=204)
    async def gateway(peer: GatewayIn) -> None:
        """Where the gateway takes messages from providers."""
        await operations.set_gateway(GatewayPeer(peer.host, peer.port, peer.server_name or peer.host))

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}


def _add_certificates(app: FastAPI, operations: Operations) -> None:
    @app.post("/certificates", status_code=201)
    async def issue(request: CertificateIn) -> IssuedOut:
        """As from a real trust centre: a request (PKCS #10, PEM) in, a certificate out."""
        try:
            return operations.issue(request.csr.encode("ascii", "replace"), Profile(request.profile), request.days)
        except (CertificateMalformed, ValueError) as error:
            raise HTTPException(422, {"code": "csr-malformed"}) from error

    @app.post("/certificates/revoke", status_code=204)
    async def revoke(request: RevokeIn) -> None:
        try:
            serial = request.serial if isinstance(request.serial, int) else int(request.serial, 0)
        except ValueError as error:
            raise HTTPException(422, {"code": "serial-malformed"}) from error
        await operations.revoke(serial, request.reason)

    @app.get("/crl.der")
    async def crl() -> Response:
        return Response(operations.crl(), media_type="application/pkix-crl")

    @app.post("/ocsp")
    async def ocsp(request: Request) -> Response:
        """The authority's OCSP responder (RFC 6960, appendix A.1); a request is a few hundred octets."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_OCSP_OCTETS:
                raise HTTPException(413, {"code": "request-too-long"})
        return Response(operations.ocsp(bytes(body)), media_type="application/ocsp-response")

    @app.get("/ca.pem")
    async def trust_anchor() -> Response:
        return Response(operations.trust_anchor(), media_type="application/x-pem-file")


def _add_registration(app: FastAPI, operations: Operations) -> None:
    @app.post("/connections", status_code=204)
    async def connection(request: ConnectionIn) -> None:
        """Level of a gateway's client certificate; *high* without."""
        await operations.set_level(_fingerprint(request.fingerprint), request.auth_level)

    @app.post("/accounts", status_code=204)
    async def account(request: AccountIn) -> None:
        """Holder and rights of a sender address; without one the display name in From counts as holder."""
        try:
            address = str(parse_address(request.address))
        except AddressInvalid as error:
            raise HTTPException(422, {"code": error.reason}) from error
        fingerprint = None if request.fingerprint is None else _fingerprint(request.fingerprint)
        holder, entitled, person = request.holder, request.retrieval_entitlement, request.natural_person
        await operations.set_account(Account(address, holder, fingerprint, entitled, person))


def _fingerprint(text: str) -> str:
    return text.replace(":", "").lower()


def _base64(octets: bytes) -> str:
    return pybase64.b64encode(octets).decode("ascii")
