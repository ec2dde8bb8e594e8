"""Reading on PostgreSQL, beyond the contract: what comes of events, what is sealed, what a refusal costs."""

from __future__ import annotations

from uuid import UUID

import pytest

from demail_gateway.application.ports.dispatches import AttemptEnd
from demail_gateway.application.ports.reading import MessageFilter
from demail_gateway.core.delivery import Effect
from demail_gateway.core.errors import KeyUnavailable, NotFound
from demail_gateway.core.journal import chain_faults
from demail_gateway.core.vocabulary import MessageState, RecipientKind, RecipientState
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.engine import tenant_driver
from demail_gateway.storage.envelope import MasterKey, MasterKeys
from demail_gateway.storage.message_rows import page_query
from demail_gateway.storage.reading import PostgresReading
from tests.storage.stage import NOW, Stage, Tenant, later, new_evidence, new_message, outcome

NOBODY = UUID(int=404)


async def test_view_follows_the_evidence(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    await stage.taken(elbtal)
    await stage.prove(elbtal, new_evidence(message, Effect.DISPATCHED, at=later(seconds=1)))
    await stage.prove(elbtal, new_evidence(message, Effect.DELIVERED, at=later(seconds=2)))
    view = await stage.reading.message(elbtal.scope, message.id)
    assert (view.state, view.submitted_at) == (MessageState.COMPLETED, NOW)
    (recipient,) = view.recipients
    assert (recipient.state, recipient.dispatched_at, recipient.delivered_at) == (
        RecipientState.DELIVERED,
        later(seconds=1),
        later(seconds=2),
    )
    events = await stage.reading.events_of(elbtal.scope, message.id)
    assert [event.type for event in events] == await stage.events(message)
    assert [event.at for event in events] == sorted(event.at for event in events)


async def test_next_attempt_is_shown_after_one_that_failed(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)

    async def next_attempt_at() -> object:
        page = await stage.reading.messages(elbtal.scope, MessageFilter(), 1, None)
        view = await stage.reading.message(elbtal.scope, message.id)
        assert page.items == (view,)
        return view.next_attempt_at

    assert await next_attempt_at() is None
    attempt = await stage.begun(elbtal)
    due = later(minutes=5)
    await stage.dispatches.finish(elbtal.id, [outcome(attempt, AttemptEnd.UNAVAILABLE, next_at=due)])
    assert await next_attempt_at() == due
    await stage.claim(elbtal, at=due)
    assert await next_attempt_at() is None


async def test_raw_waits_for_the_first_to_copy(stage: Stage, elbtal: Tenant) -> None:
    """An answer that changed later would be no answer: not the octets of another copy meanwhile."""
    recipients = [(RecipientKind.TO, "a@sandbox.de-mail.de"), (RecipientKind.CC, "b@sandbox.de-mail.de")]
    message = await stage.accept(elbtal, new_message(elbtal, recipients=recipients, split=True))
    async with tenant_driver(stage.engine, elbtal.id) as connection:
        await connection.execute(
            "UPDATE outbox SET due_at = $2 WHERE subject_id = $1", message.copies[0].id, later(hours=1)
        )
    await stage.begun(elbtal, b"cc copy")
    assert await stage.reading.raw(elbtal.scope, message.id, message.recipients[1].id) == b"cc copy"
    with pytest.raises(NotFound):
        await stage.reading.raw(elbtal.scope, message.id, None)


async def test_material_holds_the_chained_journal(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    await stage.accept(elbtal, new_message(elbtal))
    assert (await stage.reading.evidence_material(elbtal.scope, message.id)).journal == ()
    await stage.sweeping.seal_journal()
    (entry,) = (await stage.reading.evidence_material(elbtal.scope, message.id)).journal
    assert (entry["action"], chain_faults([entry])) == ("message.accepted", ())


async def test_material_names_each_certificate_once(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    await stage.taken(elbtal)
    for effect in (Effect.DISPATCHED, Effect.DELIVERED):
        await stage.prove(elbtal, new_evidence(message, effect))
    material = await stage.reading.evidence_material(elbtal.scope, message.id)
    assert (len(material.evidence), material.certificates, material.status_answers) == (2, (b"cert",), (b"crl",))


async def test_nothing_is_read_without_the_master_key(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    strange = ContentKeys(stage.engine, MasterKeys(MasterKey("1", bytes(32))))
    with pytest.raises(KeyUnavailable):
        await PostgresReading(stage.engine, strange).message(elbtal.scope, message.id)


async def test_refusal_keeps_the_connection(stage: Stage, elbtal: Tenant) -> None:
    """Whoever asks for what does not exist must not make the gateway connect anew each time."""

    async def backend() -> object:
        async with tenant_driver(stage.engine, elbtal.id) as connection:
            return await connection.fetchval("SELECT pg_backend_pid()")

    before = await backend()
    for _ in range(3):
        with pytest.raises(NotFound):
            await stage.reading.raw(elbtal.scope, NOBODY, None)
    assert await backend() == before


async def test_list_uses_its_index(stage: Stage, elbtal: Tenant) -> None:
    """Without a filter no sort of the tenant's whole post, in either direction or both."""
    async with stage.superuser() as connection:
        await connection.execute(
            "INSERT INTO message (tenant_id, id, direction, state, sender, options, size_bytes, dek, sealed_head,"
            " created_at) SELECT $1, gen_random_uuid(), CASE n % 2 WHEN 0 THEN 'inbound' ELSE 'outbound' END, 'queued',"
            " '', '{}', 0, '', '', $2::timestamptz + n * interval '1 second' FROM generate_series(1, 5000) n",
            elbtal.id,
            NOW,
        )
        await connection.execute("ANALYZE message")
    query, values = page_query(elbtal.id, MessageFilter(), 50, None)
    async with tenant_driver(stage.engine, elbtal.id) as connection:
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {query}", *values))
    assert ("ix_message_outbound" in plan, "ix_message_inbound" in plan) == (True, True), plan
