"""The interfaces the application needs; `storage`, `providers` and `trust` meet them.

Coarse on purpose: what must be atomic is one call, because round trips to PostgreSQL are the cost, and a coarse
call can become one statement without touching the application. Every call that takes a `TenantScope` sees that
tenant alone. Content crosses this seam in clear; storage encrypts and decrypts it (per message key, per tenant key).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from demail_gateway.core.checks import Check, Outcome
from demail_gateway.core.delivery import EvidenceFact
from demail_gateway.core.options import SendOptions
from demail_gateway.core.vocabulary import (
    AccountState,
    AuthLevel,
    Direction,
    MessageState,
    NotificationType,
    RecipientKind,
    RecipientState,
)
from demail_gateway.tenancy.client_authentication import ClientAuthentication, PinnedCertificate
from demail_gateway.tenancy.scope import OperatorScope, Scope, TenantScope

# --- who calls -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """A client as the token endpoint and the access check need it."""

    id: UUID
    tenant_id: UUID | None
    """None: an operator's client."""
    tenant_slug: str | None
    scopes: frozenset[Scope]
    secret_sha256: bytes | None
    """None: the client has no secret."""
    active: bool
    locked_until: datetime | None
    """Growing lock after three wrong secrets in a row from one source (GWT-23)."""
    jwks: Mapping[str, Any] | None = None
    """Public keys of the client (RFC 7517)."""
    certificates: tuple[PinnedCertificate, ...] = ()
    methods: frozenset[ClientAuthentication] | None = None
    """What its tenant's policy permits (GWT-20); None: nothing is said, the installation's default holds."""


class Clients(Protocol):
    async def find(self, client_id: UUID, source: str, now: datetime) -> ClientRecord | None:
        """The client with the lock that holds for `source` (network address), before any tenant is known."""
        ...

    async def record_attempt(self, client_id: UUID, source: str, ok: bool, now: datetime) -> datetime | None:
        """Counts a check of credentials; returns until when the client is locked for `source`, or None."""
        ...

    async def use_assertion(self, client_id: UUID, jti_sha256: bytes, expires_at: datetime, now: datetime) -> bool:
        """Remembers a client's assertion until it ends; False: it has been used before."""
        ...


# --- sending ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SenderContext:
    """All that is known of a sender when a draft is examined. May be cached with its `config_version`."""

    config_version: int
    """Changes with every change to tenant, account, address, client, matrix or connection; `accept` compares it."""
    tenant_id: UUID
    tenant_state: str
    tenant_sending: bool
    """False: suspended with the effect 'sending off', ending, or not yet usable (GWT-61)."""
    permissions: frozenset[str]
    """``send``, ``receive``, ``ident``, ``directory``, ``documents`` (GWT-13)."""
    policy: Mapping[str, Any]
    """Tenant policy: ``sign_by_default`` (bool), ``net_bytes``, ``gross_bytes``, ``court_check`` (bool) …"""
    account_id: UUID | None
    account_holder: str
    account_state: AccountState
    retrieval_entitlement: bool
    natural_person: bool
    connection_id: UUID | None
    auth_level: AuthLevel
    provider_domains: frozenset[str]
    """De-Mail domains of the trust list of the connection (ADR-4)."""
    system_local_parts: frozenset[str]
    court_addresses: frozenset[str]
    may_use: Mapping[str, frozenset[str] | None]
    """Addresses this client may send from → option names permitted, None for all (GWT-30). Only of `account_id`."""
    tenant_addresses: frozenset[str]
    """All addresses that the gateway fetches for this tenant (SND-13)."""
    provider_limits: Mapping[str, int]
    quota_used: Mapping[str, int]
    """Used by the account: ``messages_day``, ``messages_24h``, ``recipients_day``, ``recipients_24h``."""


@dataclass(frozen=True, slots=True)
class NewCopy:
    """One SMTP transaction: the to+cc copy, one bcc copy, or one recipient's own message (MF-19, SND-48)."""

    id: UUID
    position: int
    private_id: str
    """``urn:uuid:…`` of version 4, random: the only key on the wire (MF-11, SND-47)."""
    internet_message_id: str
    """With angle brackets; the same on every attempt."""


@dataclass(frozen=True, slots=True)
class NewRecipient:
    id: UUID
    copy_id: UUID
    """The copy whose envelope holds this recipient."""
    kind: RecipientKind
    position: int
    address: str


@dataclass(frozen=True, slots=True)
class NewAttachment:
    position: int
    """From 1, as in ``attachments/{n}``."""
    filename: str
    content_type: str
    size_bytes: int
    octets: bytes | None
    """Given inline; else `upload_id` names an upload of this tenant."""
    upload_id: UUID | None


@dataclass(frozen=True, slots=True)
class NewMessage:
    id: UUID
    client_id: UUID
    account_id: UUID
    connection_id: UUID
    sender: str
    reply_to: str | None
    subject: str
    text: str | None
    html: str | None
    reference: str | None
    options: SendOptions
    profile: str | None
    formal_service: Mapping[str, Any] | None
    sign: bool
    encrypt: bool
    split: bool
    recipient_certificates: Mapping[str, bytes]
    """Address → DER, needed when `encrypt`."""
    size_bytes: int
    created_at: datetime
    copies: tuple[NewCopy, ...]
    recipients: tuple[NewRecipient, ...]
    attachments: tuple[NewAttachment, ...]
    trace_id: str | None = None
    """Of the request (W3C trace context); goes with the work to the provider's line."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    key: str
    request_sha256: bytes
    """Over the operation's name and the body, so that one key cannot stand for two different operations."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The first answer to an idempotent request."""

    status: int
    body: bytes
    location: str | None


class AcceptResult(StrEnum):
    ACCEPTED = "accepted"
    REPLAYED = "replayed"
    """Same key, same request: `answer` holds the first answer."""
    REUSED = "reused"
    """Same key, another request: 422 ``idempotency-key-reused``."""
    STALE = "stale"
    """The sender's context has changed since it was read: read it again and examine again."""


@dataclass(frozen=True, slots=True)
class Accepted:
    result: AcceptResult
    answer: StoredAnswer | None = None


@dataclass(frozen=True, slots=True)
class UploadFacts:
    id: UUID
    filename: str
    content_type: str
    size_bytes: int
    sha256: bytes


class Submissions(Protocol):
    async def context(self, scope: TenantScope, sender: str | None, now: datetime) -> SenderContext:
        """What holds for this client and `sender`; an address that is not the tenant's gives no account (SND-10)."""
        ...

    async def accept(
        self, scope: TenantScope, message: NewMessage, key: IdempotencyKey, answer: StoredAnswer, config_version: int
    ) -> Accepted:
        """Message, content, outbox, idempotency key, event and journal in one transaction, durable on return."""
        ...

    async def replay(self, scope: TenantScope, key: IdempotencyKey) -> Accepted | None:
        """The answer of an earlier request with this key, before anything is examined; None if the key is new."""
        ...

    async def note_refusal(self, scope: TenantScope, rules: Sequence[str], trace_id: str | None, now: datetime) -> None:
        """Enters a refused submission in the journal by the numbers of its broken rules (SND-100); no content."""
        ...

    async def upload(
        self,
        scope: TenantScope,
        upload_id: UUID,
        filename: str,
        content_type: str,
        chunks: AsyncIterator[bytes],
        limit_bytes: int,
        expected_sha256: bytes | None,
        now: datetime,
    ) -> UploadFacts:
        """Streams one file into storage with constant memory.

        Raises Conflict('digest-mismatch'), RuleViolation (``too-large``); whatever `chunks` raises undoes it all.
        """
        ...

    async def uploads(self, scope: TenantScope, ids: Sequence[UUID]) -> Mapping[UUID, UploadFacts]: ...

    async def discard_upload(self, scope: TenantScope, upload_id: UUID) -> None:
        """Deletes an upload whose id nobody was told; nothing when it is not there."""
        ...

    async def cancel(self, scope: TenantScope, message_id: UUID, now: datetime) -> MessageView:
        """Raises NotFound, Conflict('not-cancellable') once hand-over has begun (SND-40)."""
        ...


class Answers(Protocol):
    """First answers of creating requests other than sending, kept at least 72 h (`contract.md` §3).

    Sending keeps its own answer within `Submissions.accept`; keys of both share one space per client.
    """

    async def reserve(self, scope: TenantScope | OperatorScope, key: IdempotencyKey, now: datetime) -> Accepted | None:
        """None: the key is new, and now this request's. Else REPLAYED with the answer, or REUSED.

        Raises Conflict('idempotency-in-progress') while the first request still runs; a reservation without an
        answer that is older than five minutes counts as abandoned and is taken over.
        """
        ...

    async def keep(self, scope: TenantScope | OperatorScope, key: IdempotencyKey, answer: StoredAnswer) -> None:
        """Keeps the answer of a reserved key (sealed: it may hold a secret that is shown once).

        Nothing happens when an answer is kept already, or the key was taken over by another request.
        """
        ...

    async def forget(self, scope: TenantScope | OperatorScope, key: IdempotencyKey) -> None:
        """Frees a reserved key whose request was refused: it may be used again; else nothing, as with `keep`."""
        ...


# --- handing over ----------------------------------------------------------------------------------------------------


class WorkKind(StrEnum):
    DISPATCH = "dispatch"
    """Hand one copy over."""
    RECONCILE = "reconcile"
    """Settle an unknown outcome (SND-43)."""
    RECEIVED = "received"
    """Verify and classify octets that came in."""
    REVIEW = "review"
    """Derive a message's state anew because a clock ran out (SND-51)."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A claimed row of the outbox. Every write that rests on it names its token (fencing)."""

    work_id: UUID
    kind: WorkKind
    subject_id: UUID
    """Copy, received item or message, by kind."""
    token: UUID
    tries: int
    """How often it has been tried before."""
    trace_id: str | None


@dataclass(frozen=True, slots=True)
class CopyContent:
    """All that composing one copy needs."""

    tenant_id: UUID
    message_id: UUID
    copy_id: UUID
    connection_id: UUID
    account_id: UUID
    sender: str
    account_holder: str
    reply_to: str | None
    subject: str
    text: str | None
    html: str | None
    options: SendOptions
    sign: bool
    encrypt: bool
    split: bool
    recipient_certificates: Mapping[str, bytes]
    created_at: datetime
    private_id: str
    internet_message_id: str
    recipients: tuple[NewRecipient, ...]
    """Of the whole message, with the copy each belongs to."""
    refused: frozenset[UUID]
    """Recipients of this copy that the provider has already refused alone."""
    attachments: tuple[tuple[str, str, bytes], ...]
    """Filename, content type, octets; in order."""
    octets: bytes | None
    """What an earlier attempt composed: sent again unchanged."""


@dataclass(frozen=True, slots=True)
class HandOversSoFar:
    """What is on record of a copy's hand-overs."""

    begun: int = 0
    last_begun_at: datetime | None = None
    absent_since: datetime | None = None
    """When the provider first said that it has not taken the last of them."""


@dataclass(frozen=True, slots=True)
class ClaimedCopy:
    lease: Lease
    content: CopyContent
    so_far: HandOversSoFar = HandOversSoFar()
    """Read for reconciliation alone."""


@dataclass(frozen=True, slots=True)
class AttemptBegin:
    """Recorded and committed before the first SMTP octet (decision 2)."""

    lease: Lease
    attempt_id: UUID
    copy_id: UUID
    octets: bytes
    at: datetime


class AttemptEnd(StrEnum):
    TAKEN = "taken"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"
    FAILED = "failed"
    """Could not be composed or signed; no attempt was begun."""


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    lease: Lease
    copy_id: UUID
    attempt_id: UUID | None
    end: AttemptEnd
    reply: str
    """The provider's answer, at most 500 characters."""
    refused_recipients: tuple[UUID, ...]
    """Refused alone while others of the copy were taken."""
    at: datetime
    next_at: datetime | None
    """When the next step is due (retry, look-up); None: nothing follows by itself."""
    absent: bool = False
    """The provider says that it has not taken the last hand-over; the first such moment is kept."""
    begun: int = 0
    """After a look-up: hand-overs begun so far, so that the back-off of the next goes on from there (SND-52)."""


class Dispatches(Protocol):
    async def claim(
        self, tenant_id: UUID, kinds: Sequence[WorkKind], now: datetime, limit: int, lease_s: float, worker: str
    ) -> list[Lease]:
        """Due rows of one tenant, FOR UPDATE SKIP LOCKED, oldest first."""
        ...

    async def load(self, tenant_id: UUID, leases: Sequence[Lease]) -> list[ClaimedCopy]: ...

    async def begin(self, tenant_id: UUID, attempts: Sequence[AttemptBegin]) -> frozenset[UUID]:
        """Stores the octets to be handed over and records the attempts; returns the copies whose lease still holds
        and whose message is not cancelled: only these may be sent."""
        ...

    async def finish(self, tenant_id: UUID, outcomes: Sequence[AttemptOutcome]) -> None:
        """Writes outcomes, derives the states anew (core.delivery), writes events, journal and the next work."""
        ...

    async def release(self, tenant_id: UUID, leases: Sequence[Lease], due_at: datetime) -> None:
        """Gives rows back that were claimed but not begun."""
        ...

    async def done(self, tenant_id: UUID, lease: Lease) -> None: ...

    async def review(self, tenant_id: UUID, lease: Lease, now: datetime) -> None:
        """Derives the message's state anew and plans the next review (clocks of §5.4)."""
        ...


@dataclass(frozen=True, slots=True)
class SweepResult:
    reopened: int
    """Leases that ran out before any attempt: open again."""
    uncertain: int
    """Leases that ran out with an attempt begun: to reconciliation, never straight back (SND-43)."""
    tenants: tuple[UUID, ...]
    """Tenants with due work, to be woken."""


class Sweeping(Protocol):
    async def sweep(self, now: datetime) -> SweepResult: ...

    async def seal_journal(self) -> int:
        """Chains the journal entries that were committed since; returns how many."""
        ...

    async def queue_age_s(self, now: datetime) -> float:
        """Age of the oldest due work over all tenants; 0.0 if none."""
        ...


# --- receiving -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mailbox:
    tenant_id: UUID
    account_id: UUID
    address: str
    connection_id: UUID
    """Of the account: the provider that holds it, and the only one that may deliver to it."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Octets as they came, for one mailbox."""

    id: UUID
    mailbox: Mailbox
    connection_id: UUID
    octets: bytes
    envelope_sender: str
    peer_fingerprint: str
    """SHA-256 of the certificate the provider showed."""
    received_at: datetime
    trace_id: str | None


@dataclass(frozen=True, slots=True)
class StoredArrival:
    id: UUID
    mailbox_address: str
    connection_id: UUID
    octets: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class SentCopyRecord:
    """A copy as handed over, with what is known of it, for the proof (steps 10 to 15 of `confirmations.md` §8)."""

    message_id: UUID
    copy_id: UUID
    sender: str
    reply_to: str | None
    subject: str
    options: SendOptions
    private_id: str
    internet_message_id: str
    demail_message_id: str | None
    integrity_value: str | None
    submitted_at: datetime | None
    octets: bytes | None
    recipients: tuple[NewRecipient, ...]
    """Of this copy."""
    provider_domains: frozenset[str] = frozenset()
    """Domains of the system addresses of the provider that it was given to; empty: not known (CO-2)."""


@dataclass(frozen=True, slots=True)
class NewEvidence:
    id: UUID
    received_id: UUID
    message_id: UUID | None
    copy_id: UUID | None
    recipient_id: UUID | None
    kind: str
    """``confirmation of dispatch`` …, ``malware-acknowledge``, ``notification unknown-recipient`` …"""
    notification_type: NotificationType | None
    issuer: str
    issued_at: datetime | None
    delivery_time: datetime | None
    demail_message_id: str | None
    integrity_value: str | None
    recipient_address: str | None
    outcome: Outcome
    verdict: str
    checks: tuple[Check, ...]
    findings: tuple[str, ...]
    fact: EvidenceFact | None
    """What it means for the state (core.delivery); None: moves nothing."""
    validation: Mapping[str, Sequence[bytes]]
    """Certificates and revocation lists the verdict rests on: ``certificates``, ``crls`` (GWT-90)."""
    at: datetime
    recheck_at: datetime | None = None
    """When an indeterminate verdict is made anew; the octets stay on the work list until then."""


@dataclass(frozen=True, slots=True)
class NewInbound:
    """An inbound De-Mail that is no proof of ours: an inbox entry."""

    id: UUID
    received_id: UUID
    mailbox_address: str
    message_type: str
    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str
    options: SendOptions
    demail_message_id: str | None
    private_id: str | None
    sent_at: datetime | None
    size_bytes: int
    attachments: tuple[tuple[int, str, str, int], ...]
    """Number from 1, filename, content type, decoded size."""
    verification: Mapping[str, Any]
    """``outcome``, ``protection``, ``checks`` as the REST answer shows them."""
    quarantine: str | None
    auth_level: AuthLevel | None
    at: datetime


class Arrivals(Protocol):
    async def mailbox(self, address: str) -> Mailbox | None:
        """Whose mailbox an envelope recipient is, before any tenant is known."""
        ...

    async def store(self, arrivals: Sequence[Arrival]) -> frozenset[UUID]:
        """Durable on return. Identical octets for one mailbox are stored once; returns the ids of those new."""
        ...

    async def load(self, tenant_id: UUID, lease: Lease) -> StoredArrival | None: ...

    async def find_sent(
        self,
        tenant_id: UUID,
        *,
        private_id: str | None,
        demail_message_id: str | None,
        integrity_value: str | None,
        internet_message_id: str | None,
    ) -> Mapping[str, SentCopyRecord]:
        """Copies found per key (names of the arguments), for CO-16."""
        ...

    async def record_evidence(self, tenant_id: UUID, lease: Lease, evidence: NewEvidence) -> None:
        """Evidence, states derived anew under the message's row lock, events and journal in one transaction."""
        ...

    async def record_inbound(self, tenant_id: UUID, lease: Lease, inbound: NewInbound) -> None: ...

    async def postpone(self, tenant_id: UUID, lease: Lease, due_at: datetime) -> None:
        """Checked again later, e.g. when no certificate status could be had."""
        ...


# --- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecipientView:
    id: UUID
    address: str
    kind: RecipientKind
    state: RecipientState
    reason: str | None
    dispatched_at: datetime | None
    delivered_at: datetime | None
    retrieved_at: datetime | None


@dataclass(frozen=True, slots=True)
class MessageView:
    id: UUID
    direction: Direction
    state: MessageState
    reference: str | None
    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    bcc: tuple[str, ...]
    subject: str
    size_bytes: int
    options: SendOptions
    profile: str | None
    signed: bool
    encrypted: bool
    recipients: tuple[RecipientView, ...]
    attachments: tuple[tuple[int, str, str, int], ...]
    created_at: datetime
    submitted_at: datetime | None
    completed_at: datetime | None
    overdue_since: datetime | None
    next_attempt_at: datetime | None
    """When a hand-over that failed for a while is tried again; None before the first and during one."""
    # inbound alone
    mailbox: str | None = None
    message_type: str | None = None
    private: bool = False
    quarantine: str | None = None
    verification: Mapping[str, Any] | None = None
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventView:
    id: UUID
    type: str
    at: datetime
    message_id: UUID | None
    recipient_id: UUID | None
    reference: str | None
    state: str | None


@dataclass(frozen=True, slots=True)
class EvidenceView:
    id: UUID
    message_id: UUID
    kind: str
    recipient: str | None
    issuer: str
    issued_at: datetime | None
    delivery_time: datetime | None
    outcome: Outcome
    verdict: str
    checks: tuple[Check, ...]
    findings: tuple[str, ...]
    demail_message_id: str | None
    received_at: datetime
    checked_at: datetime | None = None
    """Of the check whose outcome this is; later than `received_at` where a status was awaited (IN-26)."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    items: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class MessageFilter:
    direction: Direction | None = None
    states: tuple[MessageState, ...] = ()
    reference: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    mailbox: str | None = None


@dataclass(frozen=True, slots=True)
class EvidenceMaterial:
    """Everything an evidence package holds (GWT-90, SND-101)."""

    message: MessageView
    handed_over: tuple[tuple[UUID, bytes], ...]
    """Per copy: the octets handed to the provider."""
    evidence: tuple[tuple[EvidenceView, bytes], ...]
    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]
    events: tuple[EventView, ...]
    journal: tuple[Mapping[str, Any], ...]


class Reading(Protocol):
    async def message(self, scope: TenantScope, message_id: UUID) -> MessageView:
        """Raises NotFound."""
        ...

    async def messages(
        self, scope: TenantScope, where: MessageFilter, limit: int, cursor: str | None
    ) -> Page[MessageView]:
        """Newest first. Raises CursorInvalid for a cursor that this list did not give out (as do all lists)."""
        ...

    async def events_of(self, scope: TenantScope, message_id: UUID) -> tuple[EventView, ...]: ...

    async def evidence_of(self, scope: TenantScope, message_id: UUID) -> tuple[EvidenceView, ...]: ...

    async def evidence_octets(self, scope: TenantScope, message_id: UUID, evidence_id: UUID) -> bytes: ...

    async def raw(self, scope: TenantScope, message_id: UUID, recipient_id: UUID | None) -> bytes:
        """As handed over or as received; without a recipient the copy of the first `to` recipient.

        Raises NotFound, also while that copy is not composed yet, and for a recipient of an inbound message.
        """
        ...

    async def attachment(self, scope: TenantScope, message_id: UUID, number: int) -> tuple[str, str, bytes]:
        """Filename, content type, octets of an outbound attachment; inbound ones are read from the raw octets."""
        ...

    async def evidence_material(self, scope: TenantScope, message_id: UUID) -> EvidenceMaterial:
        """All of one moment. Raises NotFound: no outbound message of the tenant."""
        ...


# --- administration --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TenantRecord:
    id: UUID
    slug: str
    name: str
    kind: str
    public_body: bool
    state: str
    effects: Mapping[str, bool]
    permissions: frozenset[str]
    policy: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AccountRecord:
    id: UUID
    tenant_id: UUID
    connection_id: UUID
    holder: str
    state: AccountState
    retrieval_entitlement: bool
    natural_person: bool


@dataclass(frozen=True, slots=True)
class AddressRecord:
    id: UUID
    tenant_id: UUID
    account_id: UUID
    address: str


@dataclass(frozen=True, slots=True)
class ClientSummary:
    id: UUID
    tenant_id: UUID | None
    name: str
    scopes: frozenset[Scope]
    active: bool
    created_at: datetime
    has_secret: bool = True
    jwks: Mapping[str, Any] | None = None
    certificates: tuple[PinnedCertificate, ...] = ()


ReadPinnedCertificate = Callable[[str], PinnedCertificate]
"""Reads a client's certificate in PEM. Raises CertificateMalformed."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A tenant's S/MIME key (purpose ``smime``). The private key never leaves storage except to the signer."""

    id: UUID
    tenant_id: UUID
    purpose: str
    state: str
    """``requested`` (CSR made), ``active``, ``retired``."""
    csr_pem: str | None
    certificate_der: bytes | None
    chain: tuple[bytes, ...]
    not_after: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Connection:
    """Technical access to one provider (GWT-10). Differences between providers are data (`profile`)."""

    id: UUID
    name: str
    auth_level: AuthLevel
    profile: Mapping[str, Any]
    """Validated by `providers.profile`: host, port, server name, TLS, domains, look-up, directory, crl urls, peers …"""
    active: bool
    created_at: datetime


class Administration(Protocol):
    """Operator's work (GWT-30, GWT-60). Every change writes the journal in the same transaction.

    What a new or changed row refers to must exist and be the tenant's, else NotFound. Changes of nothing are none: they
    return the row as it is and write no journal.
    """

    async def create_tenant(self, scope: OperatorScope, tenant: TenantRecord) -> TenantRecord:
        """Raises Conflict('slug-taken')."""
        ...

    async def tenants(self, scope: OperatorScope, limit: int, cursor: str | None) -> Page[TenantRecord]: ...

    async def tenant(self, scope: OperatorScope, tenant_id: UUID) -> TenantRecord: ...

    async def change_tenant(
        self,
        scope: OperatorScope,
        tenant_id: UUID,
        changes: Mapping[str, Any] | Callable[[TenantRecord], Mapping[str, Any]],
        now: datetime,
        *,
        expected_state: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> TenantRecord:
        """Sets the fields named in `changes` (as in `TenantRecord`); `detail` goes to the journal entry alone.

        What rests on the present values is given as a function of them: it is called with the row locked, so that of
        two changes at once none is lost. A tenant that is no public body any more loses its accounts' entitlements
        to Abholbestätigungen with the same change (SND-16).

        Raises NotFound, Conflict('state-changed') when the tenant is no longer in `expected_state`.
        """
        ...

    async def create_account(self, scope: OperatorScope, account: AccountRecord, now: datetime) -> AccountRecord:
        """Raises Conflict('entitlement-needs-public-body'), as `change_account` (SND-16, ADR-71)."""
        ...

    async def change_account(
        self, scope: OperatorScope, tenant_id: UUID, account_id: UUID, changes: Mapping[str, Any], now: datetime
    ) -> AccountRecord: ...

    async def accounts(self, scope: TenantScope | OperatorScope, tenant_id: UUID) -> tuple[AccountRecord, ...]: ...

    async def create_address(self, scope: OperatorScope, address: AddressRecord, now: datetime) -> AddressRecord:
        """Raises Conflict('address-taken')."""
        ...

    async def addresses(self, scope: OperatorScope, tenant_id: UUID) -> tuple[AddressRecord, ...]: ...

    async def create_client(
        self, scope: OperatorScope, client: ClientSummary, secret_sha256: bytes | None
    ) -> ClientSummary: ...

    async def clients(self, scope: OperatorScope, tenant_id: UUID) -> tuple[ClientSummary, ...]: ...

    async def change_client(
        self, scope: OperatorScope, tenant_id: UUID, client_id: UUID, changes: Mapping[str, Any], now: datetime
    ) -> ClientSummary: ...

    async def permit_sender(
        self,
        scope: OperatorScope,
        tenant_id: UUID,
        client_id: UUID,
        address: str,
        options: frozenset[str] | None,
        quota_per_day: int | None,
        now: datetime,
    ) -> None: ...

    async def senders(self, scope: OperatorScope, tenant_id: UUID) -> tuple[Mapping[str, Any], ...]: ...

    async def revoke_sender(
        self, scope: OperatorScope, tenant_id: UUID, client_id: UUID, address: str, now: datetime
    ) -> None: ...

    async def create_key(self, scope: OperatorScope, key: KeyRecord, pkcs8: bytes) -> KeyRecord: ...

    async def install_certificate(
        self,
        scope: OperatorScope,
        tenant_id: UUID,
        key_id: UUID,
        certificate_der: bytes,
        chain: Sequence[bytes],
        not_after: datetime,
        now: datetime,
    ) -> KeyRecord:
        """Makes the key the active one of its purpose; the former one is retired.

        Raises NotFound, Conflict('state-changed') for a key that is retired itself.
        """
        ...

    async def keys(self, scope: OperatorScope, tenant_id: UUID) -> tuple[KeyRecord, ...]: ...

    async def key_material(self, scope: OperatorScope, tenant_id: UUID, key_id: UUID) -> bytes:
        """PKCS#8 of a requested key, for making its CSR or checking a certificate against it."""
        ...

    async def create_connection(self, scope: OperatorScope, connection: Connection) -> Connection:
        """Raises Conflict('connection-name-taken'), as `change_connection`."""
        ...

    async def connections(self, scope: OperatorScope) -> tuple[Connection, ...]: ...

    async def change_connection(
        self,
        scope: OperatorScope,
        connection_id: UUID,
        changes: Mapping[str, Any] | Callable[[Connection], Mapping[str, Any]],
        now: datetime,
    ) -> Connection:
        """Changes as with `change_tenant`; what a function of them raises leaves everything as it was."""
        ...

    async def journal(
        self, scope: OperatorScope, tenant_id: UUID | None, limit: int, cursor: str | None
    ) -> Page[Mapping[str, Any]]:
        """Chained entries in the form of `core.journal`, as exported; the operator's own chain without a tenant."""
        ...


# --- what workers and listeners need of the installation --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SigningMaterial:
    key_id: UUID
    pkcs8: bytes
    certificate_der: bytes
    chain: tuple[bytes, ...]


class Installation(Protocol):
    async def connection(self, connection_id: UUID) -> Connection:
        """Raises NotFound."""
        ...

    async def connections(self) -> tuple[Connection, ...]: ...

    async def signing_material(self, tenant_id: UUID, purpose: str) -> SigningMaterial | None: ...

    async def store_crl(
        self,
        issuer_sha256: str,
        source: str,
        der: bytes,
        this_update: datetime,
        next_update: datetime | None,
        now: datetime,
    ) -> None: ...

    async def crls(self) -> tuple[bytes, ...]: ...

    async def ping(self) -> None:
        """Raises StoreUnavailable."""
        ...


# --- providers -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HandOverRequest:
    connection: Connection
    envelope_sender: str
    envelope_recipients: tuple[str, ...]
    octets: bytes
    private_id: str
    trace_id: str | None


@dataclass(frozen=True, slots=True)
class HandOverReceipt:
    reply: str
    """The final 250 line."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Recipients refused for good (address → reply) while the others were taken."""


class Provider(Protocol):
    """One provider's submission side. Connections are kept and reused; TLS is mutual and checked (DIR-32)."""

    async def hand_over(self, request: HandOverRequest) -> HandOverReceipt:
        """Raises ProviderRefused, ProviderUnavailable or ProviderOutcomeUnknown, and no other provider error."""
        ...

    async def look_up(self, connection: Connection, private_id: str) -> bool | None:
        """True: taken; False: proven absent; None: this provider offers no look-up. Raises ProviderUnavailable."""
        ...

    async def recipient_certificates(self, connection: Connection, addresses: Sequence[str]) -> Mapping[str, bytes]:
        """S/MIME certificates (DER) from the provider's directory, where there are. Raises ProviderUnavailable."""
        ...

    async def close(self) -> None: ...


class Waker(Protocol):
    """Wakes the workers for a tenant. May be lost, doubled or late without harm: the sweeper finds due rows."""

    async def wake(self, tenant_id: UUID) -> None: ...


class Observe(Protocol):
    """Reports what happened, for log and metrics: an event's name and facts (ids, codes, counts, durations).

    Never content, subjects, file names, clear addresses or secrets (GWT-51).
    """

    def __call__(self, event: str, /, **facts: object) -> None: ...


# --- trust -----------------------------------------------------------------------------------------------------------


class Sealer(Protocol):
    """S/MIME of a tenant: signs and encrypts MIME entities. CPU work; run it in a thread."""

    def sign(self, entity: bytes, material: SigningMaterial, at: datetime) -> tuple[bytes, str]:
        """Detached CMS signature (DER) and its micalg, e.g. ``sha-256``. Raises ComposeFailed, KeyUnavailable."""
        ...

    def encrypt(self, entity: bytes, certificates: Sequence[bytes]) -> tuple[bytes, str]:
        """CMS (DER) and the smime-type, ``enveloped-data`` or ``authEnveloped-data``. Raises ComposeFailed."""
        ...


@dataclass(frozen=True, slots=True)
class CertifiedKey:
    """A certificate that fits a key, as the operator handed it in."""

    certificate_der: bytes
    chain: tuple[bytes, ...]
    not_after: datetime


class KeyWorkshop(Protocol):
    """Makes tenants' keys and their certificate requests. CPU work; run it in a thread."""

    def make(self, algorithm: str) -> bytes:
        """A new private key (PKCS#8 DER) of ``rsa-3072`` or ``p256``."""
        ...

    def request(self, pkcs8: bytes, common_name: str, address: str) -> str:
        """PKCS#10 request (PEM) for an S/MIME certificate of `address`."""
        ...

    def match(self, pkcs8: bytes, certificate_pem: str, chain_pem: Sequence[str], now: datetime) -> CertifiedKey:
        """Raises CertificateMalformed, Conflict('certificate-key-mismatch'), Conflict('certificate-expired')."""
        ...


class PackageSigner(Protocol):
    """The installation's own signature (`contract.md` §5, Evidence)."""

    def sign(self, manifest: bytes, at: datetime) -> bytes:
        """Detached CMS signature, DER. Raises KeyUnavailable. CPU work; run it in a thread."""
        ...

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """DER, own certificate first."""
        ...

    @property
    def crls(self) -> tuple[bytes, ...]:
        """Status answers that cover `certificates`, as last fetched."""
        ...


CheckProfile = Callable[[Mapping[str, Any]], None]
"""Raises RuleViolation when a connection profile cannot be used (`providers.profile`), and
Conflict('connection-not-for-tests') for that of a live provider in a test installation (GWT-25)."""

Clock = Callable[[], datetime]
"""Aware UTC now."""

Randomness = Callable[[int], bytes]
"""So many random octets."""
