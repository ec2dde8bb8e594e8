"""Accepting messages: one transaction, one message per key, nothing half."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from demail_gateway.application.ports.answers import AcceptResult, IdempotencyKey
from demail_gateway.application.ports.dispatches import AttemptBegin
from demail_gateway.application.ports.submissions import NewAttachment
from demail_gateway.application.ports.work import WorkKind
from demail_gateway.core.errors import Conflict, NotFound, RuleViolation
from demail_gateway.core.vocabulary import AuthLevel, MessageState, RecipientKind
from demail_gateway.storage.envelope import CHUNK_BYTES
from tests.storage.stage import ANSWER, NOW, Stage, Tenant, later, new_message, outcome

MIB = 1 << 20


async def stream(octets: bytes, step: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(octets), step):
        yield octets[start : start + step]


async def test_accepted_message_is_whole(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    view = await stage.reading.message(elbtal.scope, message.id)
    assert (view.state, view.subject, view.reference) == (MessageState.QUEUED, message.subject, "AZ 22.3")
    assert view.to == ("buergerin@sandbox.de-mail.de",)
    assert await stage.events(message) == ["message.queued"]
    assert await stage.work(elbtal) == [("dispatch", message.copies[0].id, False)]
    assert await stage.fetch("SELECT action, object FROM journal_intake") == [("message.accepted", f"msg_{message.id}")]


async def test_fifty_concurrent_equal_requests_make_one_message(stage: Stage, elbtal: Tenant) -> None:
    version = await stage.config_version(elbtal)
    key = IdempotencyKey("the key", b"\1" * 32)
    results = await asyncio.gather(
        *(stage.submissions.accept(elbtal.scope, new_message(elbtal), key, ANSWER, version) for _ in range(50))
    )
    assert sorted(r.result for r in results) == [AcceptResult.ACCEPTED] + [AcceptResult.REPLAYED] * 49
    assert {r.answer for r in results if r.answer} == {ANSWER}
    assert await stage.value("SELECT count(*) FROM message") == 1
    assert await stage.value("SELECT count(*) FROM outbox") == 1


async def test_same_key_with_another_request_is_told_apart(stage: Stage, elbtal: Tenant) -> None:
    await stage.accept(elbtal, key="k")
    version = await stage.config_version(elbtal)
    other_request = IdempotencyKey("k", b"\2" * 32)
    result = await stage.submissions.accept(elbtal.scope, new_message(elbtal), other_request, ANSWER, version)
    assert result.result is AcceptResult.REUSED
    replayed = await stage.submissions.replay(elbtal.scope, other_request)
    assert replayed is not None
    assert replayed.result is AcceptResult.REUSED


async def test_replay_finds_the_first_answer_and_no_other_clients(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    await stage.accept(elbtal, key="k")
    key = IdempotencyKey("k", b"\1" * 32)
    replayed = await stage.submissions.replay(elbtal.scope, key)
    assert replayed is not None
    assert replayed.answer == ANSWER
    assert await stage.submissions.replay(other.scope, key) is None
    assert await stage.submissions.replay(replace(elbtal.scope, client_id=uuid4()), key) is None


async def test_key_reserved_by_a_running_request_is_in_progress(stage: Stage, elbtal: Tenant) -> None:
    async with stage.superuser() as connection:
        await connection.execute(
            "INSERT INTO idempotency_key (tenant_id, client_id, key, request_sha256, created_at)"
            " VALUES ($1, $2, 'k', $3, $4)",
            elbtal.id,
            elbtal.client_id,
            b"\1" * 32,
            NOW,
        )
    with pytest.raises(Conflict, match="idempotency-in-progress"):
        await stage.try_accept(elbtal, new_message(elbtal), "k")
    with pytest.raises(Conflict, match="idempotency-in-progress"):
        await stage.submissions.replay(elbtal.scope, IdempotencyKey("k", b"\1" * 32))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tenant SET state = 'suspended' WHERE tenant_id = $1",
        "UPDATE account SET state = 'locked' WHERE tenant_id = $1",
        "UPDATE address SET created_at = now() WHERE tenant_id = $1",
        "UPDATE client SET active = false WHERE tenant_id = $1",
        "DELETE FROM sender_permission WHERE tenant_id = $1",
        "UPDATE connection c SET auth_level = 'normal' FROM account a WHERE a.connection_id = c.id AND tenant_id = $1",
    ],
)
async def test_changed_configuration_makes_the_examination_stale(stage: Stage, elbtal: Tenant, change: str) -> None:
    version = await stage.config_version(elbtal)
    async with stage.superuser() as connection:
        await connection.execute(change, elbtal.id)
    key = IdempotencyKey("k", b"\1" * 32)
    result = await stage.submissions.accept(elbtal.scope, new_message(elbtal), key, ANSWER, version)
    assert result.result is AcceptResult.STALE
    assert await stage.value("SELECT count(*) FROM message") == 0
    assert await stage.submissions.replay(elbtal.scope, key) is None


async def test_replay_is_answered_although_the_configuration_changed(stage: Stage, elbtal: Tenant) -> None:
    version = await stage.config_version(elbtal)
    await stage.accept(elbtal, key="k")
    async with stage.superuser() as connection:
        await connection.execute("UPDATE account SET state = 'locked'")
    key = IdempotencyKey("k", b"\1" * 32)
    result = await stage.submissions.accept(elbtal.scope, new_message(elbtal), key, ANSWER, version)
    assert result.result is AcceptResult.REPLAYED


async def test_a_change_of_one_tenant_leaves_the_other_alone(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    before = await stage.config_version(elbtal), await stage.config_version(other)
    async with stage.superuser() as connection:
        await connection.execute("UPDATE account SET state = 'locked' WHERE tenant_id = $1", other.id)
    assert await stage.config_version(elbtal) == before[0]
    assert await stage.config_version(other) == before[1] + 1


async def test_attachments_of_every_size_come_back_exactly(stage: Stage, elbtal: Tenant) -> None:
    octets = [b"", b"%PDF", os.urandom(CHUNK_BYTES), os.urandom(CHUNK_BYTES + 1), os.urandom(2 * MIB)]
    upload = await stage.submissions.upload(
        elbtal.scope, uuid4(), "groß.bin", "application/x-y", stream(octets[4]), 10 * MIB, None, NOW
    )
    attachments = [
        NewAttachment(n, f"ü{n}.pdf", "application/pdf", len(o), o, None) for n, o in enumerate(octets[:4], 1)
    ]
    attachments.append(NewAttachment(5, upload.filename, upload.content_type, upload.size_bytes, None, upload.id))
    message = await stage.accept(elbtal, new_message(elbtal, attachments=tuple(attachments)))
    copy = await stage.claim_copy(elbtal)
    assert [octets for _, _, octets in copy.content.attachments] == octets
    assert copy.content.attachments[4][:2] == ("groß.bin", "application/x-y")
    assert copy.content.text == message.text
    assert copy.content.recipient_certificates == message.recipient_certificates
    assert copy.lease.trace_id == message.trace_id
    assert await stage.value("SELECT count(*) FROM content_chunk") == 2 + 8


async def test_replayed_message_leaves_no_second_content(stage: Stage, elbtal: Tenant) -> None:
    large = NewAttachment(1, "a", "application/pdf", MIB, os.urandom(MIB), None)
    await stage.accept(elbtal, new_message(elbtal, attachments=(large,)), key="k")
    replayed = await stage.try_accept(elbtal, new_message(elbtal, attachments=(large,)), "k")
    assert replayed.result is AcceptResult.REPLAYED
    assert await stage.value("SELECT count(*) FROM content") == 1


async def test_upload_of_nobody_is_not_found(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    upload = await stage.submissions.upload(other.scope, uuid4(), "a", "b/c", stream(b"abc"), MIB, None, NOW)
    stolen = NewAttachment(1, "a", "b/c", 3, None, upload.id)
    with pytest.raises(NotFound):
        await stage.try_accept(elbtal, new_message(elbtal, attachments=(stolen,)))
    assert await stage.value("SELECT count(*) FROM message") == 0
    assert await stage.submissions.uploads(elbtal.scope, [upload.id]) == {}
    assert await stage.submissions.uploads(other.scope, [upload.id]) == {upload.id: upload}


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES, 2 * MIB + 17])
async def test_upload_is_digested_and_measured(stage: Stage, elbtal: Tenant, size: int) -> None:
    octets = os.urandom(size)
    digest = hashlib.sha256(octets).digest()
    facts = await stage.submissions.upload(elbtal.scope, uuid4(), "n", "a/b", stream(octets), 8 * MIB, digest, NOW)
    assert (facts.size_bytes, facts.sha256) == (size, digest)
    attached = NewAttachment(1, "n", "a/b", size, None, facts.id)
    await stage.accept(elbtal, new_message(elbtal, attachments=(attached,)))
    assert (await stage.claim_copy(elbtal)).content.attachments == (("n", "a/b", octets),)


async def test_upload_of_one_large_chunk_is_cut_into_rows(stage: Stage, elbtal: Tenant) -> None:
    octets = os.urandom(3 * CHUNK_BYTES + 5)
    facts = await stage.submissions.upload(
        elbtal.scope, uuid4(), "n", "a/b", stream(octets, len(octets)), 8 * MIB, None, NOW
    )
    assert facts.sha256 == hashlib.sha256(octets).digest()
    assert await stage.value("SELECT count(*) FROM content_chunk") == 4


@pytest.mark.parametrize("size", [10, 3 * MIB])
async def test_refused_upload_leaves_nothing(stage: Stage, elbtal: Tenant, size: int) -> None:
    octets = os.urandom(size)
    with pytest.raises(Conflict, match="digest-mismatch"):
        await stage.submissions.upload(elbtal.scope, uuid4(), "n", "a/b", stream(octets), 8 * MIB, b"\0" * 32, NOW)
    with pytest.raises(RuleViolation) as refusal:
        await stage.submissions.upload(elbtal.scope, uuid4(), "n", "a/b", stream(octets), size - 1, None, NOW)
    assert refusal.value.violations[0].rule == "SND-19"
    for table in ("content", "content_chunk", "upload"):
        assert await stage.value(f"SELECT count(*) FROM {table}") == 0


async def test_broken_stream_leaves_nothing(stage: Stage, elbtal: Tenant) -> None:
    async def broken() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * CHUNK_BYTES
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await stage.submissions.upload(elbtal.scope, uuid4(), "n", "a/b", broken(), 90 * MIB, None, NOW)
    assert await stage.value("SELECT count(*) FROM content") == 0


async def test_slow_upload_holds_no_connection(stage: Stage, elbtal: Tenant) -> None:
    going, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * 2 * MIB
        going.set()
        await go_on.wait()
        yield b"y"

    uploads = [
        asyncio.create_task(stage.submissions.upload(elbtal.scope, uuid4(), "n", "a/b", slow(), 9 * MIB, None, NOW))
        for _ in range(8)  # the pool holds four
    ]
    await going.wait()
    await stage.accept(elbtal)
    go_on.set()
    assert [facts.size_bytes for facts in await asyncio.gather(*uploads)] == [2 * MIB + 1] * 8


# --- what is known of a sender ----------------------------------------------------------------------------------------


async def test_context_tells_what_a_draft_is_examined_with(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    context = await stage.submissions.context(elbtal.scope, elbtal.address.upper(), NOW)
    assert context.account_id == elbtal.account_id
    assert context.connection_id == elbtal.connection_id
    assert context.may_use == {elbtal.address: None}
    assert context.tenant_addresses == {elbtal.address}
    assert context.tenant_sending
    assert context.auth_level is AuthLevel.HIGH
    assert context.provider_domains == {"sandbox.de-mail.de"}
    assert "versandbestaetigung" in context.system_local_parts
    assert context.provider_limits == {"net_bytes": 1000}
    assert context.quota_used == {}


async def test_foreign_sender_gives_no_account(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    context = await stage.submissions.context(elbtal.scope, other.address, NOW)
    assert (context.account_id, context.connection_id, context.may_use) == (None, None, {})
    assert context.provider_domains == {"sandbox.de-mail.de"}, "of the tenant's own connections"


async def test_a_tenant_without_accounts_knows_no_domains(stage: Stage, elbtal: Tenant) -> None:
    await stage.fetch("DELETE FROM sender_permission WHERE tenant_id = $1", elbtal.id)
    await stage.fetch("DELETE FROM address WHERE tenant_id = $1", elbtal.id)
    await stage.fetch("DELETE FROM account WHERE tenant_id = $1", elbtal.id)
    assert (await stage.submissions.context(elbtal.scope, elbtal.address, NOW)).provider_domains == frozenset()


async def test_without_sender_the_only_account_is_meant(stage: Stage, elbtal: Tenant) -> None:
    assert (await stage.submissions.context(elbtal.scope, None, NOW)).account_id == elbtal.account_id


async def test_suspended_tenant_and_stopped_connection_do_not_send(stage: Stage, elbtal: Tenant) -> None:
    async with stage.superuser() as connection:
        await connection.execute("UPDATE connection SET active = false")
        assert not (await stage.submissions.context(elbtal.scope, elbtal.address, NOW)).tenant_sending
        await connection.execute("UPDATE connection SET active = true")
        await connection.execute("""UPDATE tenant SET state = 'suspended', effects = '{"sending": false}'""")
    assert not (await stage.submissions.context(elbtal.scope, elbtal.address, NOW)).tenant_sending


async def test_quota_counts_the_calendar_day_and_the_last_24_hours(stage: Stage) -> None:
    tenant = await stage.tenant("normal", auth_level="normal")
    two = ((RecipientKind.TO, "a@sandbox.de-mail.de"), (RecipientKind.BCC, "b@sandbox.de-mail.de"))
    # NOW is 11:00 in Berlin: yesterday 12:00 is within 24 h and not today
    for at in (NOW - timedelta(hours=23), NOW - timedelta(hours=25), NOW - timedelta(hours=10, minutes=30)):
        await stage.accept(tenant, new_message(tenant, recipients=two, created_at=at))
    cancelled = await stage.accept(tenant)
    await stage.submissions.cancel(tenant.scope, cancelled.id, NOW)
    used = (await stage.submissions.context(tenant.scope, tenant.address, NOW)).quota_used
    assert used == {"messages_day": 1, "messages_24h": 2, "recipients_day": 2, "recipients_24h": 4}


# --- withdrawing ------------------------------------------------------------------------------------------------------


async def test_cancelled_message_has_no_work_left(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    view = await stage.submissions.cancel(elbtal.scope, message.id, NOW)
    assert view.state is MessageState.CANCELLED
    assert await stage.work(elbtal) == []
    assert await stage.events(message) == ["message.queued", "message.cancelled"]
    with pytest.raises(Conflict, match="not-cancellable"):
        await stage.submissions.cancel(elbtal.scope, message.id, NOW)


async def test_claimed_but_not_begun_message_is_cancelled_and_never_sent(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    copy = await stage.claim_copy(elbtal)
    await stage.submissions.cancel(elbtal.scope, message.id, NOW)
    attempt = AttemptBegin(copy.lease, uuid4(), copy.content.copy_id, b"octets", NOW)
    assert await stage.dispatches.begin(elbtal.id, [attempt]) == frozenset()


@pytest.mark.clause("SND-40")
async def test_begun_message_is_not_cancelled(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    attempt = await stage.begun(elbtal)
    with pytest.raises(Conflict, match="not-cancellable"):
        await stage.submissions.cancel(elbtal.scope, message.id, NOW)
    await stage.dispatches.finish(elbtal.id, [outcome(attempt, "unavailable", next_at=later(seconds=5))])  # type: ignore[arg-type]
    assert (await stage.submissions.cancel(elbtal.scope, message.id, NOW)).state is MessageState.CANCELLED


async def test_cancel_and_begin_at_once_agree(stage: Stage, elbtal: Tenant) -> None:
    for _ in range(10):
        message = await stage.accept(elbtal)
        copy = await stage.claim_copy(elbtal)
        attempt = AttemptBegin(copy.lease, uuid4(), copy.content.copy_id, b"octets", NOW)
        begun, cancelled = await asyncio.gather(
            stage.dispatches.begin(elbtal.id, [attempt]),
            stage.submissions.cancel(elbtal.scope, message.id, NOW),
            return_exceptions=True,
        )
        assert isinstance(cancelled, Conflict) == bool(begun)
        await stage.dispatches.done(elbtal.id, copy.lease)
    assert await stage.claim(elbtal, WorkKind.DISPATCH) == []


async def test_foreign_or_unknown_message_is_not_found(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    message = await stage.accept(elbtal)
    for message_id in (message.id, uuid4()):
        with pytest.raises(NotFound):
            await stage.submissions.cancel(other.scope, message_id, NOW)
    assert await stage.state(message) == "queued"
