"""Port Reading over `World`."""

from __future__ import annotations

from uuid import UUID

from demail_gateway.application.ports.page import Page
from demail_gateway.application.ports.reading import (
    EventView,
    EvidenceMaterial,
    EvidenceView,
    MessageFilter,
    MessageView,
)
from demail_gateway.core.errors import NotFound
from demail_gateway.core.vocabulary import RecipientKind
from demail_gateway.tenancy.scope import TenantScope
from tests.fakes.world import World, page_of


class MemoryReading:
    def __init__(self, world: World) -> None:
        self._world = world

    async def message(self, scope: TenantScope, message_id: UUID) -> MessageView:
        self._world.call("message")
        key = scope.tenant_id, message_id
        if key in self._world.sent:
            return self._world.sent[key].view
        if key in self._world.inbound:
            return self._world.inbound[key][0]
        raise NotFound

    async def messages(
        self, scope: TenantScope, where: MessageFilter, limit: int, cursor: str | None
    ) -> Page[MessageView]:
        self._world.call("messages")
        mine = [sent.view for (tenant, _), sent in self._world.sent.items() if tenant == scope.tenant_id]
        mine += [view for (tenant, _), (view, _) in self._world.inbound.items() if tenant == scope.tenant_id]
        mine.sort(key=lambda view: (view.created_at, view.id), reverse=True)
        return page_of([view for view in mine if _fits(view, where)], limit, cursor, "messages")

    async def events_of(self, scope: TenantScope, message_id: UUID) -> tuple[EventView, ...]:
        self._world.call("events_of")
        mine = (scope.tenant_id, message_id)
        if mine not in self._world.sent and mine not in self._world.inbound:
            return ()
        return tuple(self._world.events.get(message_id, ()))

    async def evidence_of(self, scope: TenantScope, message_id: UUID) -> tuple[EvidenceView, ...]:
        self._world.call("evidence_of")
        return tuple(view for view, _ in self._world.evidence.get((scope.tenant_id, message_id), ()))

    async def evidence_octets(self, scope: TenantScope, message_id: UUID, evidence_id: UUID) -> bytes:
        self._world.call("evidence_octets")
        for view, octets in self._world.evidence.get((scope.tenant_id, message_id), ()):
            if view.id == evidence_id:
                return octets
        raise NotFound

    async def raw(self, scope: TenantScope, message_id: UUID, recipient_id: UUID | None) -> bytes:
        self._world.call("raw")
        key = scope.tenant_id, message_id
        if key in self._world.inbound and recipient_id is None:
            return self._world.inbound[key][1]
        if key not in self._world.sent:
            raise NotFound
        sent = self._world.sent[key]
        ranked = sorted(sent.message.recipients, key=lambda r: (list(RecipientKind).index(r.kind), r.position))
        wanted = next((each for each in ranked if recipient_id in (None, each.id)), None)
        if wanted is None or wanted.copy_id not in sent.handed_over:
            raise NotFound
        return sent.handed_over[wanted.copy_id]

    async def attachment(self, scope: TenantScope, message_id: UUID, number: int) -> tuple[str, str, bytes]:
        self._world.call("attachment")
        sent = self._world.sent.get((scope.tenant_id, message_id))
        for each in sent.message.attachments if sent else ():
            if each.position == number:
                octets = each.octets
                if octets is None:
                    assert each.upload_id is not None
                    octets = self._world.uploads[scope.tenant_id, each.upload_id][1]
                return each.filename, each.content_type, octets
        raise NotFound

    async def evidence_material(self, scope: TenantScope, message_id: UUID) -> EvidenceMaterial:
        self._world.call("evidence_material")
        key = scope.tenant_id, message_id
        if key not in self._world.sent:
            raise NotFound
        sent = self._world.sent[key]
        return EvidenceMaterial(
            message=sent.view,
            handed_over=tuple(sent.handed_over.items()),
            evidence=tuple(self._world.evidence.get(key, ())),
            certificates=self._world.certificates,
            status_answers=self._world.status_answers,
            events=tuple(self._world.events[message_id]),
            journal=(),
        )


def _fits(view: MessageView, where: MessageFilter) -> bool:
    return (
        where.direction in (None, view.direction)
        and (not where.states or view.state in where.states)
        and where.reference in (None, view.reference)
        and where.mailbox in (None, view.mailbox)
        and (where.created_after is None or view.created_at > where.created_after)
        and (where.created_before is None or view.created_at < where.created_before)
    )
