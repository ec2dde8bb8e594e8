"""Ports Clients, Submissions and Answers over `World`."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from demail_gateway.application.ports.answers import Accepted, AcceptResult, IdempotencyKey, StoredAnswer
from demail_gateway.application.ports.clients import ClientRecord
from demail_gateway.application.ports.reading import EventView, MessageView
from demail_gateway.application.ports.submissions import NewMessage, SenderContext, UploadFacts
from demail_gateway.application.submission import first_view
from demail_gateway.core.errors import Conflict, NotFound, RuleViolation, Violation
from demail_gateway.core.vocabulary import AccountState, AuthLevel, MessageState
from demail_gateway.tenancy.client_authentication import POLICY_ENTRY, read_methods
from demail_gateway.tenancy.credentials import lock_after
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.lifecycle import may_send
from demail_gateway.tenancy.scope import OperatorScope, Scope, TenantScope
from tests.fakes.world import KeptAnswer, Sent, World, kept

ABANDONED_AFTER = timedelta(minutes=5)


class MemoryClients:
    def __init__(self, world: World) -> None:
        self._world = world

    async def find(self, client_id: UUID, source: str, now: datetime) -> ClientRecord | None:
        self._world.call("find")
        summary = self._world.clients.get(client_id)
        if summary is None:
            return None
        tenant = self._world.tenants.get(summary.tenant_id) if summary.tenant_id else None
        return ClientRecord(
            id=client_id,
            tenant_id=summary.tenant_id,
            tenant_slug=tenant.slug if tenant else None,
            scopes=summary.scopes if summary.tenant_id else frozenset({Scope.OPERATOR}),
            secret_sha256=self._world.secrets[client_id],
            active=summary.active,
            locked_until=self._world.attempts.get((client_id, source), (0, None))[1],
            jwks=summary.jwks,
            certificates=summary.certificates,
            methods=read_methods(tenant.policy[POLICY_ENTRY]) if tenant and POLICY_ENTRY in tenant.policy else None,
        )

    async def record_attempt(self, client_id: UUID, source: str, ok: bool, now: datetime) -> datetime | None:
        self._world.call("record_attempt")
        if client_id not in self._world.clients:
            return None
        if ok:
            self._world.attempts.pop((client_id, source), None)
            return None
        failures = self._world.attempts.get((client_id, source), (0, None))[0] + 1
        lock = lock_after(failures)
        until = None if lock is None else now + lock
        self._world.attempts[client_id, source] = (failures, until)
        return until

    async def use_assertion(self, client_id: UUID, jti_sha256: bytes, expires_at: datetime, now: datetime) -> bool:
        self._world.call("use_assertion")
        first = (client_id, jti_sha256) not in self._world.assertions
        self._world.assertions.add((client_id, jti_sha256))
        return first


class MemorySubmissions:
    def __init__(self, world: World) -> None:
        self._world = world

    async def context(self, scope: TenantScope, sender: str | None, now: datetime) -> SenderContext:
        world = self._world
        world.call("context")
        tenant = world.tenants[scope.tenant_id]
        own = {a.address: a for a in world.addresses.values() if a.tenant_id == scope.tenant_id}
        address = own.get(sender) if sender else None
        account = world.accounts[address.account_id] if address else None
        connection = world.connections[account.connection_id] if account else None
        profile = connection.profile if connection else {}
        near = {a.connection_id for a in world.accounts.values() if a.tenant_id == scope.tenant_id}
        profiles = [profile] if account else [world.connections[each].profile for each in near]
        may_use = {
            name: options
            for (tenant_id, client_id, name), (options, _) in world.senders.items()
            if (tenant_id, client_id) == (scope.tenant_id, scope.client_id)
            and (account is None or own[name].account_id == account.id)
        }
        return SenderContext(
            config_version=world.version,
            tenant_id=tenant.id,
            tenant_state=tenant.state,
            tenant_sending=may_send(tenant.state, tenant.effects, tenant.permissions),
            permissions=tenant.permissions,
            policy=tenant.policy,
            account_id=account.id if account else None,
            account_holder=account.holder if account else "",
            account_state=account.state if account else AccountState.UNKNOWN,
            retrieval_entitlement=account.retrieval_entitlement if account else False,
            natural_person=account.natural_person if account else False,
            connection_id=connection.id if connection else None,
            auth_level=connection.auth_level if connection else AuthLevel.NORMAL,
            provider_domains=frozenset(name for each in profiles for name in each.get("domains", ["de-mail.de"])),
            system_local_parts=frozenset(profile.get("system_local_parts", ())),
            court_addresses=world.courts,
            may_use=may_use,
            tenant_addresses=frozenset(own),
            provider_limits=profile.get("limits", {}),
            quota_used=world.used.get(account.id, {}) if account else {},
        )

    async def accept(
        self, scope: TenantScope, message: NewMessage, key: IdempotencyKey, answer: StoredAnswer, config_version: int
    ) -> Accepted:
        world = self._world
        world.call("accept")
        known = _known(world, scope, key)
        if known is not None:
            return known
        if config_version != world.version:
            return Accepted(AcceptResult.STALE)
        assert scope.client_id is not None
        world.sent[scope.tenant_id, message.id] = Sent(message, first_view(message))
        world.answers[scope.tenant_id, scope.client_id, key.key] = KeptAnswer(
            key.request_sha256, answer, world.time.now
        )
        world.events[message.id] = [
            EventView(world.id(), "message.queued", world.time.now, message.id, None, message.reference, "queued")
        ]
        return Accepted(AcceptResult.ACCEPTED)

    async def replay(self, scope: TenantScope, key: IdempotencyKey) -> Accepted | None:
        self._world.call("replay")
        return _known(self._world, scope, key)

    async def note_refusal(self, scope: TenantScope, rules: Sequence[str], trace_id: str | None, now: datetime) -> None:
        self._world.call("note_refusal")
        what = format_id(Prefix.TENANT, scope.tenant_id)
        entry = {"tenant_id": scope.tenant_id, "action": "message.refused", "object": what}
        self._world.journal.append({"seq": 0, **entry, "detail": {"rules": " ".join(rules)}})

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
        self._world.call("upload")
        octets = b""
        async for chunk in chunks:
            octets += chunk
            if len(octets) > limit_bytes:
                raise RuleViolation([Violation("too-large", "SND-19", "", "zu groß", "too large")])
        digest = hashlib.sha256(octets).digest()
        if expected_sha256 not in (None, digest):
            raise Conflict("digest-mismatch")
        facts = UploadFacts(upload_id, filename, content_type, len(octets), digest)
        self._world.uploads[scope.tenant_id, upload_id] = (facts, octets)
        return facts

    async def uploads(self, scope: TenantScope, ids: Sequence[UUID]) -> Mapping[UUID, UploadFacts]:
        self._world.call("uploads")
        found = self._world.uploads
        return {each: found[scope.tenant_id, each][0] for each in ids if (scope.tenant_id, each) in found}

    async def discard_upload(self, scope: TenantScope, upload_id: UUID) -> None:
        self._world.call("discard_upload")
        self._world.uploads.pop((scope.tenant_id, upload_id), None)

    async def cancel(self, scope: TenantScope, message_id: UUID, now: datetime) -> MessageView:
        self._world.call("cancel")
        found = self._world.sent.get((scope.tenant_id, message_id))
        if found is None:
            raise NotFound
        if found.view.state not in (MessageState.ACCEPTED, MessageState.HELD, MessageState.QUEUED):
            raise Conflict("not-cancellable")
        found.view = replace(found.view, state=MessageState.CANCELLED, completed_at=now)
        return found.view


class MemoryAnswers:
    def __init__(self, world: World) -> None:
        self._world = world

    async def reserve(self, scope: TenantScope | OperatorScope, key: IdempotencyKey, now: datetime) -> Accepted | None:
        self._world.call("reserve")
        owner, client_id = _owner(scope)
        found = kept(self._world, owner, client_id, key)
        if found is None or (found.answer is None and found.at + ABANDONED_AFTER < now):
            self._world.answers[owner, client_id, key.key] = KeptAnswer(key.request_sha256, None, now)
            return None
        if found.request_sha256 != key.request_sha256:
            return Accepted(AcceptResult.REUSED)
        if found.answer is None:
            raise Conflict("idempotency-in-progress")
        return Accepted(AcceptResult.REPLAYED, found.answer)

    async def keep(self, scope: TenantScope | OperatorScope, key: IdempotencyKey, answer: StoredAnswer) -> None:
        self._world.call("keep")
        owner, client_id = _owner(scope)
        found = kept(self._world, owner, client_id, key)
        if found and found.answer is None and found.request_sha256 == key.request_sha256:
            found.answer = answer

    async def forget(self, scope: TenantScope | OperatorScope, key: IdempotencyKey) -> None:
        self._world.call("forget")
        owner, client_id = _owner(scope)
        found = kept(self._world, owner, client_id, key)
        if found and found.answer is None and found.request_sha256 == key.request_sha256:
            del self._world.answers[owner, client_id, key.key]


def _owner(scope: TenantScope | OperatorScope) -> tuple[UUID | None, UUID]:
    assert scope.client_id is not None
    return (scope.tenant_id if isinstance(scope, TenantScope) else None), scope.client_id


def _known(world: World, scope: TenantScope, key: IdempotencyKey) -> Accepted | None:
    assert scope.client_id is not None
    found = kept(world, scope.tenant_id, scope.client_id, key)
    if found is None:
        return None
    if found.request_sha256 != key.request_sha256:
        return Accepted(AcceptResult.REUSED)
    if found.answer is None:
        raise Conflict("idempotency-in-progress")
    return Accepted(AcceptResult.REPLAYED, found.answer)
