"""Reading messages, proofs and history, each only by whom it may be read.

Outbound needs `messages:read`, inbound `inbox:read` (`contract.md` §5, Scopes). A persönlich inbound message shows
without `inbox:private` only that it exists (SND-91); a quarantined one gives its content out after a warning (SND-73).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from uuid import UUID

from demail_gateway.application.ports.page import Page
from demail_gateway.application.ports.reading import EventView, EvidenceView, MessageFilter, MessageView, Reading
from demail_gateway.application.ports.submissions import SenderContext, Submissions
from demail_gateway.application.ports.surroundings import Clock
from demail_gateway.application.situation import effective_limits
from demail_gateway.core.attachments import attachments_of
from demail_gateway.core.errors import Conflict, Forbidden, MalformedMessage, NotFound
from demail_gateway.core.limits import GUIDELINE_NORMAL, Limits, smallest_of
from demail_gateway.core.vocabulary import AuthLevel, Direction
from demail_gateway.tenancy.scope import Scope, TenantScope


def hidden(scope: TenantScope, view: MessageView) -> bool:
    """Whether only the existence of this message may be shown (SND-91)."""
    return view.private and view.direction is Direction.INBOUND and Scope.INBOX_PRIVATE not in scope.scopes


@dataclass(frozen=True, slots=True)
class EffectiveLimits:
    context: SenderContext
    limits: Limits


class Read:
    def __init__(self, reading: Reading, submissions: Submissions, clock: Clock) -> None:
        self._reading = reading
        self._submissions = submissions
        self._clock = clock

    async def message(self, scope: TenantScope, message_id: UUID) -> MessageView:
        """Raises NotFound, Forbidden."""
        view = await self._reading.message(scope, message_id)
        _require_direction(scope, view.direction)
        return view

    async def messages(
        self, scope: TenantScope, where: MessageFilter, limit: int, cursor: str | None
    ) -> Page[MessageView]:
        """Newest first. Without a direction those the token may read. Raises Forbidden, CursorInvalid."""
        if where.direction is not None:
            _require_direction(scope, where.direction)
        elif not {Scope.MESSAGES_READ, Scope.INBOX_READ} <= scope.scopes:
            outbound = Scope.MESSAGES_READ in scope.scopes
            where = replace(where, direction=Direction.OUTBOUND if outbound else Direction.INBOUND)
        return await self._reading.messages(scope, where, limit, cursor)

    async def events(self, scope: TenantScope, message_id: UUID) -> tuple[EventView, ...]:
        """The message's history, oldest first. Raises NotFound, Forbidden."""
        await self.message(scope, message_id)
        return await self._reading.events_of(scope, message_id)

    async def evidence(self, scope: TenantScope, message_id: UUID) -> tuple[EvidenceView, ...]:
        """Raises NotFound."""
        await self._reading.message(scope, message_id)
        return await self._reading.evidence_of(scope, message_id)

    async def evidence_octets(self, scope: TenantScope, message_id: UUID, evidence_id: UUID) -> bytes:
        """The provider's confirmation, byte for byte. Raises NotFound."""
        return await self._reading.evidence_octets(scope, message_id, evidence_id)

    async def raw(
        self, scope: TenantScope, message_id: UUID, recipient_id: UUID | None, *, risk_acknowledged: bool
    ) -> bytes:
        """The octets as handed over or as received. Raises NotFound, Forbidden, Conflict('quarantined')."""
        view = await self.message(scope, message_id)
        _require_content(scope, view, risk_acknowledged=risk_acknowledged)
        if recipient_id is not None and recipient_id not in {recipient.id for recipient in view.recipients}:
            raise NotFound
        return await self._reading.raw(scope, message_id, recipient_id)

    async def attachment(
        self, scope: TenantScope, message_id: UUID, number: int, *, risk_acknowledged: bool
    ) -> tuple[str, str, bytes]:
        """Filename, content type, octets. Raises NotFound, Forbidden, Conflict('quarantined')."""
        view = await self.message(scope, message_id)
        _require_content(scope, view, risk_acknowledged=risk_acknowledged)
        if view.direction is Direction.OUTBOUND:
            return await self._reading.attachment(scope, message_id, number)
        octets = await self._reading.raw(scope, message_id, None)
        return await asyncio.to_thread(_received, octets, number)

    async def limits(self, scope: TenantScope, sender: str | None) -> EffectiveLimits:
        """What holds for this client, and for `sender` where given (SND-60, SND-17)."""
        context = await self._submissions.context(scope, sender, self._clock())
        limits = effective_limits(context)
        if context.auth_level is not AuthLevel.HIGH:
            limits = smallest_of(limits, GUIDELINE_NORMAL)
        return EffectiveLimits(context, limits)


def _received(octets: bytes, number: int) -> tuple[str, str, bytes]:
    """An attachment of a received message. CPU work on hostile octets."""
    try:
        found = attachments_of(octets)
    except MalformedMessage as error:
        raise NotFound from error
    if number > len(found):
        raise NotFound
    chosen = found[number - 1]
    return chosen.filename, chosen.content_type, chosen.part.decode()


def _require_direction(scope: TenantScope, direction: Direction) -> None:
    needed = Scope.MESSAGES_READ if direction is Direction.OUTBOUND else Scope.INBOX_READ
    if needed not in scope.scopes:
        raise Forbidden(needed)


def _require_content(scope: TenantScope, view: MessageView, *, risk_acknowledged: bool) -> None:
    if hidden(scope, view):
        raise Forbidden(Scope.INBOX_PRIVATE)
    if view.quarantine is not None and not risk_acknowledged:
        raise Conflict("quarantined")
