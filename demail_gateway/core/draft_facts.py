"""A draft as submitted, and what the gateway knows of its sender: the values that `draft.examine` takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from demail_gateway.core.address import TrustedDomains
from demail_gateway.core.limits import GUIDELINE, Limits
from demail_gateway.core.options import PROFILES, RequestedOptions
from demail_gateway.core.vocabulary import AccountState, AuthLevel


@dataclass(frozen=True, slots=True)
class AttachmentFacts:
    """An attachment as far as rules need it; its octets are elsewhere."""

    filename: str = field(repr=False)
    content_type: str
    size_bytes: int
    """Decoded."""


@dataclass(frozen=True, slots=True)
class FormalService:
    """The fields of SND-7 as submitted; what is missing is None."""

    authority: str | None = None
    """The sending authority."""
    addressee_name: str | None = field(default=None, repr=False)
    addressee_postal_address: str | None = field(default=None, repr=False)
    official: str | None = field(default=None, repr=False)
    """Name of the official who handed the document over."""
    notice: bool | None = None
    """The opening notice that this is service against Abholbestätigung is wanted: must be true."""


@dataclass(frozen=True, slots=True)
class DraftInput:
    """A draft exactly as submitted; addresses are text."""

    sender: str = field(repr=False)
    to: tuple[str, ...] = field(default=(), repr=False)
    cc: tuple[str, ...] = field(default=(), repr=False)
    bcc: tuple[str, ...] = field(default=(), repr=False)
    reply_to: str | None = field(default=None, repr=False)
    subject: str = field(default="", repr=False)
    text: str | None = field(default=None, repr=False)
    html: str | None = field(default=None, repr=False)
    options: RequestedOptions | None = None
    profile: str | None = None
    """Instead of `options`, never beside them (SND-6)."""
    formal_service: FormalService | None = None
    reference: str | None = None
    """The client's own reference (Geschäftszeichen); stays inside the gateway (SND-47)."""
    attachments: tuple[AttachmentFacts, ...] = ()
    split_recipients: bool | None = None
    """None: on when any proof is requested (SND-48)."""
    sign: bool | None = None
    """None: the tenant's policy."""
    encrypt: bool = False


@dataclass(frozen=True, slots=True)
class SenderPermission:
    """A row of the matrix of GWT-30 for one address."""

    options: frozenset[str] | None = None
    """Names of the options that may be used; None: all."""


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """What the account has used up, in the calendar day (legal time) and in the last 24 hours (SND-61)."""

    messages_day: int = 0
    messages_24h: int = 0
    recipients_day: int = 0
    recipients_24h: int = 0


@dataclass(frozen=True, slots=True)
class SenderSituation:
    """What the gateway knows of the sender when the draft comes in."""

    may_use: Mapping[str, SenderPermission]
    """Addresses, in lower case, that this client may send from."""
    trusted: TrustedDomains
    """Of the sender's connection; while the account is not known, of all connections of the tenant."""
    account_known: bool = True
    """False: the sender address is of no account of the tenant. Nothing is judged by account or connection then."""
    auth_level: AuthLevel = AuthLevel.NORMAL
    """Of the connection now, not of the account (ADR-62)."""
    tenant_may_send: bool = False
    account_state: AccountState = AccountState.UNKNOWN
    retrieval_entitlement: bool = False
    natural_person: bool = False
    polled_addresses: frozenset[str] = frozenset()
    """Addresses, in lower case, whose mail the gateway fetches for this tenant (SND-13)."""
    system_local_parts: frozenset[str] = frozenset()
    """Further reserved names of the provider (ADR-31)."""
    court_addresses: frozenset[str] = frozenset()
    """In lower case; empty when the tenant has switched the check off (LAW-2)."""
    limits: Limits = GUIDELINE
    """The smallest of all parties' (SND-60)."""
    quota: QuotaUse = QuotaUse()
    sign_by_default: bool = False
    profiles: Mapping[str, RequestedOptions] = field(default_factory=lambda: PROFILES)
