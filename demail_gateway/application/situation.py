"""What is known of a sender, as the rules of `core.draft` take it, and the memory of it between requests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from demail_gateway.application.ports.submissions import SenderContext, Submissions
from demail_gateway.core.address import TrustedDomains, parse_address
from demail_gateway.core.draft import QuotaUse, SenderPermission, SenderSituation
from demail_gateway.core.errors import AddressInvalid
from demail_gateway.core.limits import GUIDELINE, Limits, smallest_of
from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.tenancy.scope import TenantScope

_LIMIT_NAMES = ("net_bytes", "gross_bytes", "reference_chars", "recipients", "messages_per_day", "recipients_per_day")


def situation_of(context: SenderContext) -> SenderSituation:
    """The context in the words of the rules. The court check is on unless the tenant's policy says no (LAW-2)."""
    return SenderSituation(
        may_use={address: SenderPermission(options) for address, options in context.may_use.items()},
        trusted=TrustedDomains(context.provider_domains),
        account_known=context.account_id is not None,
        auth_level=context.auth_level,
        tenant_may_send=context.tenant_sending,
        account_state=context.account_state,
        retrieval_entitlement=context.retrieval_entitlement,
        natural_person=context.natural_person,
        polled_addresses=context.tenant_addresses,
        system_local_parts=context.system_local_parts,
        court_addresses=context.court_addresses if context.policy.get("court_check", True) else frozenset(),
        limits=effective_limits(context),
        quota=QuotaUse(**{name: context.quota_used.get(name, 0) for name in QuotaUse.__dataclass_fields__}),
        sign_by_default=bool(context.policy.get("sign_by_default", False)),
    )


def effective_limits(context: SenderContext) -> Limits:
    """The smallest of guideline, provider's contract and tenant's policy (SND-60)."""
    return smallest_of(GUIDELINE, _limits(context.provider_limits), _limits(context.policy))


class Situations:
    """Contexts of senders, remembered between requests.

    A remembered context is safe to *accept* with, because `Submissions.accept` compares its version; it is not safe to
    *refuse* with, so a refusal is made from a context just read. Where a quota counts nothing is remembered (SND-61).
    """

    def __init__(self, submissions: Submissions, remembered: int) -> None:
        self._submissions = submissions
        self._remembered = remembered
        self._contexts: dict[tuple[UUID, UUID | None, str | None], tuple[SenderContext, SenderSituation]] = {}

    def __len__(self) -> int:
        return len(self._contexts)

    def remembered(self, scope: TenantScope, sender: str) -> tuple[SenderContext, SenderSituation] | None:
        return self._contexts.get(_key(scope, sender))

    async def read(self, scope: TenantScope, sender: str, now: datetime) -> tuple[SenderContext, SenderSituation]:
        """The context as it is now."""
        key = _key(scope, sender)
        context = await self._submissions.context(scope, key[2], now)
        known = context, situation_of(context)
        self._contexts.pop(key, None)
        if not _counted(known[1]):
            if len(self._contexts) >= self._remembered:
                self._contexts.clear()
            self._contexts[key] = known
        return known


def _key(scope: TenantScope, sender: str) -> tuple[UUID, UUID | None, str | None]:
    try:
        address = str(parse_address(sender))
    except AddressInvalid:
        address = None
    return scope.tenant_id, scope.client_id, address


def _counted(situation: SenderSituation) -> bool:
    limits = situation.limits
    return (
        situation.auth_level is not AuthLevel.HIGH
        or limits.messages_per_day is not None
        or limits.recipients_per_day is not None
    )


def _limits(source: Mapping[str, Any]) -> Limits:
    return Limits(**{name: source[name] for name in _LIMIT_NAMES if isinstance(source.get(name), int)})
