"""Sending: what is known of a sender, what is accepted, uploads, withdrawing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from demail_gateway.application.ports.answers import Accepted, IdempotencyKey, StoredAnswer
from demail_gateway.application.ports.reading import MessageView
from demail_gateway.core.options import SendOptions
from demail_gateway.core.vocabulary import AccountState, AuthLevel, RecipientKind
from demail_gateway.tenancy.scope import TenantScope


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
    """De-Mail domains of the trust list of the connection (ADR-4); without an account, of all the tenant's."""
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
    recipient_certificates: Mapping[str, Sequence[bytes]]
    """Address → DER of every usable certificate (DIR-51), needed when `encrypt`."""
    size_bytes: int
    created_at: datetime
    copies: tuple[NewCopy, ...]
    recipients: tuple[NewRecipient, ...]
    attachments: tuple[NewAttachment, ...]
    trace_id: str | None = None
    """Of the request (W3C trace context); goes with the work to the provider's line."""


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
