"""The shapes of answers, for the OpenAPI document. Answers are written by `render`; a test holds the two together.

Clients must ignore members they do not know, and treat enumerations as open.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

EXAMPLE = "01990000-0000-7000-8000-000000000000"


class AnswerBody(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProblemItem(AnswerBody):
    pointer: str = Field(description="JSON pointer into the request (RFC 6901); empty for the whole")
    code: str
    rule: str | None = Field(description="Number of the rule; null where the form of the request is at fault")
    detail: str


class ProblemDocument(AnswerBody):
    """Problem details (RFC 9457); title and detail in German or English by Accept-Language."""

    type: str = Field(description="Reference to an explanation of this problem", examples=["/problems/too-large"])
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable code", examples=["recipient-not-demail"])
    rule: str | None = Field(examples=["SND-11"])
    errors: list[ProblemItem]
    retryable: bool = Field(description="Whether the same request can succeed later without a change")
    trace_id: str


class TokenDocument(AnswerBody):
    access_token: str
    token_type: str = Field(examples=["Bearer"])
    expires_in: int = Field(examples=[900])
    scope: str = Field(examples=["messages:read messages:send"])


class TokenErrorDocument(AnswerBody):
    """RFC 6749 §5.2."""

    error: str = Field(examples=["invalid_client"])
    error_description: str


class OptionsDocument(AnswerBody):
    confirmation_of_dispatch: bool
    confirmation_of_receipt: bool
    confirmation_of_retrieve: bool
    authoritative: bool
    private: bool


class RecipientDocument(AnswerBody):
    id: str = Field(examples=[f"rcp_{EXAMPLE}"])
    address: str
    kind: str = Field(examples=["to"])
    state: str = Field(examples=["pending"])
    reason: str | None
    dispatched_at: datetime | None
    delivered_at: datetime | None
    retrieved_at: datetime | None


class AttachmentDocument(AnswerBody):
    number: int = Field(description="Counts from 1")
    filename: str
    content_type: str
    size_bytes: int


class CheckDocument(AnswerBody):
    name: str
    outcome: str = Field(examples=["passed"])
    detail: str
    source: str


class MessageDocument(AnswerBody):
    id: str = Field(examples=[f"msg_{EXAMPLE}"])
    direction: str = Field(examples=["outbound"])
    state: str = Field(examples=["queued"])
    reference: str | None
    sender: str = Field(alias="from")
    to: list[str]
    cc: list[str]
    bcc: list[str]
    subject: str
    size_bytes: int = Field(
        description="Outbound: net, sum of the decoded parts (MF-17), known at once; inbound: gross, octets as received"
    )
    options: OptionsDocument
    profile: str | None
    signed: bool
    encrypted: bool
    recipients: list[RecipientDocument]
    attachments: list[AttachmentDocument]
    created_at: datetime
    submitted_at: datetime | None
    completed_at: datetime | None
    overdue_since: datetime | None
    next_attempt_at: datetime | None
    verification: dict[str, Any] | None = Field(description="Inbound: outcome, protection, checks")
    mailbox: str | None = None
    message_type: str | None = None
    private: bool = False
    quarantine: str | None = None
    received_at: datetime | None = None


class HiddenMessageDocument(AnswerBody):
    """A persönlich message without the scope inbox:private (SND-91)."""

    id: str
    received_at: datetime
    mailbox: str
    private: bool


class MessageList(AnswerBody):
    items: list[MessageDocument | HiddenMessageDocument]
    next_cursor: str | None


class ExpectedEvidence(AnswerBody):
    kind: str
    within_seconds: int | None


class ForecastRecipient(AnswerBody):
    address: str
    kind: str


class ForecastDocument(AnswerBody):
    """What the submission would become (dry_run=true)."""

    dry_run: bool
    net_bytes: int = Field(description="Sum of the decoded parts (MF-17): `size_bytes` of the message once it is sent")
    size_bytes: int = Field(
        description="Octets of the largest copy after encoding, as handed to the provider: exact without S/MIME,"
        " signature and encryption are estimated"
    )
    account_id: str | None
    connection_id: str | None
    account_holder: str
    options: OptionsDocument
    profile: str | None
    signed: bool
    encrypted: bool
    copies: int = Field(description="De-Mails that the submission becomes (BCC, SND-48)")
    recipients: list[ForecastRecipient]
    expected_evidence: list[ExpectedEvidence]


class EventDocument(AnswerBody):
    id: str = Field(examples=[f"evt_{EXAMPLE}"])
    type: str = Field(examples=["message.dispatched"])
    at: datetime
    message_id: str | None
    recipient_id: str | None
    reference: str | None
    state: str | None


class EventList(AnswerBody):
    items: list[EventDocument]
    next_cursor: str | None


class VerificationDocument(AnswerBody):
    outcome: str = Field(examples=["passed"])
    verdict: str = Field(examples=["confirmed"])
    findings: list[str]
    checks: list[CheckDocument]


class EvidenceDocument(AnswerBody):
    id: str = Field(examples=[f"evd_{EXAMPLE}"])
    kind: str = Field(examples=["confirmation of receipt"])
    recipient: str | None
    issuer: str
    issued_at: datetime | None
    delivery_time: datetime | None
    verification: VerificationDocument
    demail_message_id: str | None
    received_at: datetime


class EvidenceList(AnswerBody):
    items: list[EvidenceDocument]
    next_cursor: str | None


class UploadDocument(AnswerBody):
    id: str = Field(examples=[f"att_{EXAMPLE}"])
    filename: str
    content_type: str
    size_bytes: int
    sha256: str = Field(description="Hex")


class SenderLimits(AnswerBody):
    address: str
    options: list[str]


class LimitsDocument(AnswerBody):
    net_bytes: int | None = Field(description="Sum of the decoded parts of a message (MF-17)")
    gross_bytes: int | None = Field(description="A message as transmitted (MF-17)")
    upload_bytes: int = Field(description="One upload")
    request_bytes: int = Field(description="One JSON request")
    reference_chars: int | None
    recipients: int | None = Field(description="Per message")
    messages_per_day: int | None
    recipients_per_day: int | None
    auth_level: str | None
    may_send: bool
    senders: list[SenderLimits] = Field(description="What this client may use (GWT-30)")
    profiles: list[str]


class TenantDocument(AnswerBody):
    id: str = Field(examples=[f"ten_{EXAMPLE}"])
    slug: str
    name: str
    kind: str
    public_body: bool
    state: str = Field(examples=["interested"])
    effects: dict[str, bool]
    permissions: list[str]
    policy: dict[str, Any]
    created_at: datetime


class TenantList(AnswerBody):
    items: list[TenantDocument]
    next_cursor: str | None


class AccountDocument(AnswerBody):
    id: str = Field(examples=[f"acc_{EXAMPLE}"])
    connection_id: str
    holder: str
    state: str
    retrieval_entitlement: bool
    natural_person: bool


class AccountList(AnswerBody):
    items: list[AccountDocument]
    next_cursor: str | None


class AddressDocument(AnswerBody):
    id: str
    account_id: str
    address: str


class AddressList(AnswerBody):
    items: list[AddressDocument]
    next_cursor: str | None


class ClientCertificateDocument(AnswerBody):
    sha256: str = Field(description="Over the DER, hex")
    issuer: str
    serial: str = Field(description="Hex")
    not_before: datetime
    not_after: datetime


class ClientDocument(AnswerBody):
    id: str = Field(examples=[f"cli_{EXAMPLE}"])
    name: str
    scopes: list[str]
    active: bool
    created_at: datetime
    has_secret: bool
    jwks: dict[str, Any] | None = Field(description="Public keys (RFC 7517)")
    certificates: list[ClientCertificateDocument]


class NewClientDocument(ClientDocument):
    client_id: str = Field(description="The same as id, by the name that OAuth 2.0 gives it")
    client_secret: str | None = Field(description="Shown once; null for a client with keys or certificates")


class ClientList(AnswerBody):
    items: list[ClientDocument]
    next_cursor: str | None


class SenderDocument(AnswerBody):
    client_id: str
    address: str
    options: list[str] | None = Field(description="null: all")
    quota_per_day: int | None


class SenderList(AnswerBody):
    items: list[SenderDocument]
    next_cursor: str | None


class KeyDocument(AnswerBody):
    id: str
    purpose: str = Field(examples=["smime"])
    state: str = Field(examples=["requested"])
    csr: str | None = Field(description="PKCS#10 in PEM")
    certificate: str | None = Field(description="PEM")
    not_after: datetime | None
    created_at: datetime


class KeyList(AnswerBody):
    items: list[KeyDocument]
    next_cursor: str | None


class ConnectionDocument(AnswerBody):
    id: str = Field(examples=[f"con_{EXAMPLE}"])
    name: str
    auth_level: str
    profile: dict[str, Any]
    active: bool
    created_at: datetime


class ConnectionList(AnswerBody):
    items: list[ConnectionDocument]
    next_cursor: str | None


class QueueDocument(AnswerBody):
    """A tenant's work list in numbers."""

    tenant_id: str = Field(examples=[f"ten_{EXAMPLE}"])
    tenant: str = Field(description="Slug")
    due: int = Field(description="Work whose time has come and that nobody has taken")
    leased: int = Field(description="Work that a worker has taken")
    held: int = Field(description="Copies whose back-off is used up: a person releases them or gives them up (SND-52)")
    unsettled: int = Field(description="Copies of which nobody can say how their hand-over ended (SND-43)")
    oldest_due_at: datetime | None
    waiting_since: datetime | None = Field(description="Since when the first copy has waited for a person")
    retrying: int = Field(
        description="Copies that failed, or whose end is unknown, and that are tried again by themselves: an outage"
    )
    retrying_since: datetime | None = Field(description="Since when the oldest of these has been in the queue")
    reply_code: str | None = Field(description="Code of the provider's last reply to that one; null if none came")


class QueueList(AnswerBody):
    items: list[QueueDocument]
    next_cursor: str | None


class WaitingCopyDocument(AnswerBody):
    """A copy that a person has to decide about."""

    id: str = Field(examples=[f"cpy_{EXAMPLE}"])
    message_id: str
    tenant_id: str
    tenant: str = Field(description="Slug")
    connection_id: str
    reason: str = Field(examples=["unsettled", "held"])
    since: datetime
    private_id: str = Field(description="Reference on the wire (MF-11): what the provider is asked by")
    attempts: int = Field(description="Hand-overs begun so far; `settle` names this number")
    last_attempt_at: datetime | None
    reply_code: str | None = Field(
        description="Of the provider's last reply; its text may name people", examples=["451"]
    )
    next_look_up_at: datetime | None = Field(description="When the gateway itself asks again; null for `held`")


class WaitingCopyList(AnswerBody):
    items: list[WaitingCopyDocument]
    next_cursor: str | None


class DecidedDocument(AnswerBody):
    id: str = Field(examples=[f"cpy_{EXAMPLE}"])
    message_id: str
    tenant_id: str
    hand_over: str = Field(examples=["taken", "waiting", "failed"])
    state: str = Field(description="Of the message", examples=["submitted"])


class JournalEntry(AnswerBody):
    seq: int
    at: str
    tenant: str | None
    actor: str
    action: str
    object: str
    detail: dict[str, Any] = {}
    prev_hash: str
    hash: str


class JournalList(AnswerBody):
    items: list[JournalEntry]
    next_cursor: str | None


class PartHealth(AnswerBody):
    status: str = Field(examples=["ok"])
    detail: str
    needed: bool


class HealthDocument(AnswerBody):
    status: str = Field(examples=["ok", "degraded", "unavailable"])
    parts: dict[str, PartHealth]
