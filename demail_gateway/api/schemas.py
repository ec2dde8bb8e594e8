"""Bodies of requests. Unknown fields and wrong types are refused; what the rules decide is left to the rules."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from demail_gateway.api.fields import (
    AccountId,
    AddressText,
    AttachmentId,
    ConnectionId,
    Line,
    Name,
    Reason,
    Slug,
)
from demail_gateway.core.options import OPTION_NAMES, PROFILES
from demail_gateway.core.vocabulary import AccountState, AuthLevel
from demail_gateway.tenancy.client_authentication import EVERY_METHOD
from demail_gateway.tenancy.lifecycle import PERMISSIONS, TenantState, TransitionReason
from demail_gateway.tenancy.naming import TenantKind
from demail_gateway.tenancy.scope import TENANT_SCOPES

OptionName = Literal[
    "confirmation_of_dispatch", "confirmation_of_receipt", "confirmation_of_retrieve", "authoritative", "private"
]
assert OptionName.__args__ == OPTION_NAMES  # type: ignore[attr-defined]  # one list in two places

Permission = Literal["send", "receive", "ident", "directory", "documents"]
assert set(Permission.__args__) == PERMISSIONS  # type: ignore[attr-defined]


class RequestBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


# --- sending


class OptionsRequest(RequestBody):
    """The five delivery options (Versandoptionen); what is left out or null is decided by the gateway (SND-4)."""

    confirmation_of_dispatch: bool | None = Field(default=None, description="Versandbestätigung")
    confirmation_of_receipt: bool | None = Field(default=None, description="Eingangsbestätigung")
    confirmation_of_retrieve: bool | None = Field(default=None, description="Abholbestätigung; implies private")
    authoritative: bool | None = Field(default=None, description="absenderbestätigt")
    private: bool | None = Field(default=None, description="persönlich")


class AddresseeRequest(RequestBody):
    name: str | None = None
    postal_address: str | None = Field(default=None, description="Lines separated by LF")


class FormalServiceRequest(RequestBody):
    """What formal service needs beside the flags (SND-7)."""

    authority: str | None = None
    addressee: AddresseeRequest | None = None
    official: str | None = None
    notice: bool | None = None


class AttachmentRequest(RequestBody):
    """Either a file in base64 or the id of an upload."""

    filename: str | None = None
    content_type: str | None = None
    content: str | None = Field(default=None, description="base64 (RFC 4648 §4), padded, without line breaks")
    attachment_id: AttachmentId | None = None

    @model_validator(mode="after")
    def _one_content(self) -> AttachmentRequest:
        inline = (self.filename, self.content_type, self.content)
        if (self.attachment_id is None) == any(part is None for part in inline) or (
            self.attachment_id is not None and any(part is not None for part in inline)
        ):
            raise PydanticCustomError("one_content", "either content or attachment_id")
        return self


class SubmissionRequest(RequestBody):
    """A De-Mail to be sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "from": "poststelle@stadt-elbtal.de-mail.de",
                    "to": ["buergerin@sandbox.de-mail.de"],
                    "subject": "Gewerbesteuerbescheid 2026",
                    "text": "Sehr geehrte Frau Muster, …",
                    "reference": "AZ 22.3-1234/2026",
                    "options": {"confirmation_of_dispatch": True, "confirmation_of_receipt": True},
                    "attachments": [
                        {"filename": "bescheid.txt", "content_type": "text/plain", "content": "QmVzY2hlaWQK"}
                    ],
                }
            ]
        }
    )

    sender: str = Field(alias="from", description="One address of the tenant that this client may use (GWT-30)")
    to: list[str] = []
    cc: list[str] = []
    bcc: list[str] = []
    reply_to: str | None = None
    subject: str
    text: str | None = None
    html: str | None = None
    reference: str | None = Field(
        default=None, description="Own reference (Geschäftszeichen), up to 1024 characters (SND-22)"
    )
    options: OptionsRequest | None = Field(default=None, description="Or profile, never both (SND-6)")
    profile: str | None = Field(default=None, description=f"One of {', '.join(PROFILES)}")
    formal_service: FormalServiceRequest | None = None
    attachments: list[AttachmentRequest] = []
    split_recipients: bool | None = Field(default=None, description="One De-Mail per recipient (SND-48)")
    sign: bool | None = Field(
        default=None, description="S/MIME signature with the tenant's key; null: the tenant's policy"
    )
    encrypt: bool = Field(default=False, description="S/MIME encryption to every recipient's certificate")


# --- administration


class TenantRequest(RequestBody):
    slug: Slug
    name: Name
    kind: TenantKind
    public_body: bool


MethodName = Literal["client_secret_basic", "private_key_jwt", "tls_client_auth"]
assert set(MethodName.__args__) == {str(method) for method in EVERY_METHOD}  # type: ignore[attr-defined]


class PolicyRequest(RequestBody):
    """Tenant's policy; null removes an entry (RFC 7396)."""

    sign_by_default: bool | None = None
    court_check: bool | None = Field(default=None, description="LAW-2; on unless false")
    net_bytes: Annotated[int, Field(ge=1, le=2**40)] | None = None
    gross_bytes: Annotated[int, Field(ge=1, le=2**40)] | None = None
    recipients: Annotated[int, Field(ge=1, le=2**31)] | None = None
    messages_per_day: Annotated[int, Field(ge=0, le=2**31)] | None = None
    recipients_per_day: Annotated[int, Field(ge=0, le=2**31)] | None = None
    client_authentication: Annotated[list[MethodName], Field(min_length=1, max_length=10)] | None = Field(
        default=None, description="How clients may prove themselves (GWT-20); null: as the installation says"
    )


def _without_defaults(schema: dict[str, Any]) -> None:
    """What is left out of a patch stays as it is: the defaults in the code are never used and not shown."""
    for member in schema.get("properties", {}).values():
        member.pop("default", None)


class Changes(RequestBody):
    """A merge patch (RFC 7396) that changes something."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    @model_validator(mode="after")
    def _something(self) -> Changes:
        if not self.model_fields_set:
            raise PydanticCustomError("nothing_to_change", "no change is given")
        return self

    def changes(self) -> dict[str, Any]:
        """The fields that were given, by name."""
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}


class TenantChanges(Changes):
    name: Name = ""
    public_body: bool = False
    permissions: Annotated[list[Permission], Field(max_length=10)] = []
    policy: PolicyRequest = PolicyRequest()


class EffectsRequest(RequestBody):
    """What goes on during a suspension (true) and what is off (false); default: only sending is off (GWT-61)."""

    sending: bool = False
    polling: bool = True
    portal: bool = True


class TransitionRequest(RequestBody):
    to: TenantState
    reason: TransitionReason = TransitionReason.PROGRESS
    effects: EffectsRequest | None = None
    evidence: (
        Annotated[list[Name], Field(max_length=50)] | Annotated[dict[Name, Line | bool | int], Field(max_length=50)]
    ) = Field(
        default=[], description="The items that the gate asks for: their names, or an object of name and reference"
    )

    def items(self) -> frozenset[str]:
        """Names of the items given; an item said to be false is none."""
        if isinstance(self.evidence, list):
            return frozenset(self.evidence)
        return frozenset(name for name, value in self.evidence.items() if value is not False and value != "")


class AccountRequest(RequestBody):
    connection_id: ConnectionId
    holder: Name
    state: AccountState = AccountState.ACTIVE
    retrieval_entitlement: bool = False
    natural_person: bool = False


class AccountChanges(Changes):
    connection_id: ConnectionId = UUID(int=0)
    holder: Name = ""
    state: AccountState = AccountState.UNKNOWN
    retrieval_entitlement: bool = False


class AddressRequest(RequestBody):
    address: AddressText
    account_id: AccountId | None = None


TenantScopeName = Literal[
    "messages:send",
    "messages:read",
    "inbox:read",
    "inbox:ack",
    "inbox:private",
    "evidence:read",
    "directory:read",
    "webhooks:manage",
    "tenant:admin",
]
assert set(TenantScopeName.__args__) == {str(scope) for scope in TENANT_SCOPES}  # type: ignore[attr-defined]


def _pem(value: str) -> str:
    if not value.lstrip().startswith("-----BEGIN CERTIFICATE-----"):
        raise PydanticCustomError("not_a_certificate", "not a certificate in PEM")
    return value


Pem = Annotated[str, Field(max_length=65_536, description="A certificate in PEM"), AfterValidator(_pem)]


class KeySetRequest(RequestBody):
    """A JWK set (RFC 7517); members of a key that are not needed are left out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"keys": [{"kty": "EC", "crv": "P-256", "kid": "2026-11", "x": "…", "y": "…"}]}]
        }
    )

    keys: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=10)]


ClientCertificates = Annotated[
    list[Pem],
    Field(max_length=5, description="For tls_client_auth and bound tokens; two while one is renewed (GWT-21)"),
]


class ClientRequest(RequestBody):
    name: Name
    scopes: Annotated[list[TenantScopeName], Field(min_length=1, max_length=20)]
    jwks: KeySetRequest | None = Field(default=None, description="Public keys for private_key_jwt")
    certificates: ClientCertificates = []


class ClientChanges(Changes):
    name: Name = ""
    scopes: Annotated[list[TenantScopeName], Field(max_length=20)] = []
    active: bool = True
    jwks: KeySetRequest | None = Field(default=None, description="All keys of the client; null removes them")
    certificates: ClientCertificates = []


class OperatorClientChanges(Changes):
    name: Name = ""
    active: bool = True
    jwks: KeySetRequest | None = Field(default=None, description="All keys of the client; null removes them")
    certificates: ClientCertificates = []


class SenderRequest(RequestBody):
    """A row of the matrix client × address (GWT-30)."""

    options: Annotated[list[OptionName], Field(max_length=10)] | None = Field(
        default=None, description="null permits all"
    )
    quota_per_day: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


class KeyRequest(RequestBody):
    algorithm: Literal["rsa-3072", "p256"] = "rsa-3072"
    address: AddressText | None = None


class CertificateRequest(RequestBody):
    certificate: Pem
    chain: Annotated[list[Pem], Field(max_length=10)] = []


def _storable(profile: dict[str, Any]) -> dict[str, Any]:
    """JSON as PostgreSQL keeps it: no NUL in texts, no numbers that are none."""
    try:
        text = json.dumps(profile, allow_nan=False)
    except ValueError:
        raise PydanticCustomError("not_storable", "not storable") from None
    if "\\u0000" in text:
        raise PydanticCustomError("control_characters", "control characters are not allowed")
    return profile


Profile = Annotated[dict[str, Any], AfterValidator(_storable)]


class ConnectionRequest(RequestBody):
    name: Name
    auth_level: AuthLevel
    profile: Profile


class ConnectionChanges(Changes):
    name: Name = ""
    auth_level: AuthLevel = AuthLevel.NORMAL
    profile: Profile = {}
    active: bool = True


class SettleRequest(RequestBody):
    """What somebody has found out about a copy's hand-overs so far."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"outcome": "taken", "attempts": 1, "reason": "Anbieter bestätigt am Telefon, Ticket 4711"}]
        }
    )

    outcome: Literal["taken", "not-taken", "given-up"]
    attempts: Annotated[int, Field(ge=0, le=2**31, description="As the list shows them")]
    reason: Reason


class ReleaseRequest(RequestBody):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Störung beim Anbieter behoben"}]})

    reason: Reason
