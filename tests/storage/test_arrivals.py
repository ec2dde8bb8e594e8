"""What comes in: stored once, matched within its tenant, counted once."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest

from demail_gateway.application.ports.arrivals import NewEvidence, NewInbound
from demail_gateway.application.ports.submissions import NewMessage
from demail_gateway.application.ports.work import WorkKind
from demail_gateway.core.checks import Check, Outcome
from demail_gateway.core.delivery import Effect
from demail_gateway.core.options import SendOptions
from demail_gateway.core.vocabulary import AuthLevel, RecipientKind, UndeliverableReason
from demail_gateway.storage.envelope import CHUNK_BYTES
from demail_gateway.storage.proofs import DUPLICATE
from tests.storage.stage import NOW, Stage, Tenant, later, new_arrival, new_evidence, new_message

HOSTILE = "a\x00b\ud800c\u202e"


def new_inbound(tenant: Tenant, **changes: Any) -> NewInbound:
    made = NewInbound(
        id=uuid4(),
        received_id=uuid4(),
        mailbox_address=tenant.address,
        message_type="normal",
        sender="buerger@sandbox.de-mail.de",
        to=(tenant.address,),
        cc=("c@sandbox.de-mail.de",),
        subject="Antrag",
        options=SendOptions(private=True),
        demail_message_id="<77@sandbox>",
        private_id=None,
        sent_at=NOW,
        size_bytes=99,
        attachments=((1, "antrag.pdf", "application/pdf", 12),),
        verification={"outcome": "passed", "protection": "hash", "checks": []},
        quarantine=None,
        auth_level=AuthLevel.HIGH,
        at=NOW,
    )
    return replace(made, **changes)


# --- storing ----------------------------------------------------------------------------------------------------------


@pytest.mark.clause("TR 01201-3.1 step 66", "TR 01201-3.4 §3.1.13 kept")
@pytest.mark.parametrize("size", [0, 5000, 3 * CHUNK_BYTES + 7])
async def test_octets_are_kept_exactly(stage: Stage, elbtal: Tenant, size: int) -> None:
    octets = os.urandom(size)
    lease = await stage.received(elbtal, octets)
    stored = await stage.arrivals.load(elbtal.id, lease)
    assert stored is not None
    assert (stored.octets, stored.mailbox_address, stored.received_at) == (octets, elbtal.address, NOW)


async def test_identical_octets_are_stored_once_per_mailbox(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    octets = os.urandom(CHUNK_BYTES + 1)
    arrivals = [new_arrival(elbtal, octets), new_arrival(elbtal, octets), new_arrival(other, octets)]
    assert await stage.arrivals.store(arrivals) == {arrivals[0].id, arrivals[2].id}
    again = await asyncio.gather(*(stage.arrivals.store([new_arrival(elbtal, octets)]) for _ in range(5)))
    assert again == [frozenset()] * 5
    assert await stage.value("SELECT count(*) FROM content") == 2
    assert await stage.value("SELECT count(*) FROM content_chunk") == 4
    assert [kind for kind, _, _ in await stage.work(elbtal)] == ["received"]


async def test_envelope_sender_may_be_anything(stage: Stage, elbtal: Tenant) -> None:
    arrival = replace(new_arrival(elbtal, b"x"), envelope_sender=HOSTILE)
    assert await stage.arrivals.store([arrival]) == {arrival.id}


async def test_mailbox_is_found_in_any_case_and_names_its_tenant(stage: Stage, elbtal: Tenant) -> None:
    assert await stage.arrivals.mailbox("Post@ELBTAL.de-mail.de") == elbtal.mailbox
    for unknown in ("post@elbtal.de-mail.d", "", HOSTILE, "post@elbtal.de-mail.de' OR '1'='1"):
        assert await stage.arrivals.mailbox(unknown) is None


async def test_postponed_octets_come_back_later(stage: Stage, elbtal: Tenant) -> None:
    lease = await stage.received(elbtal, b"x")
    await stage.arrivals.postpone(elbtal.id, lease, later(minutes=5))
    assert await stage.arrivals.load(elbtal.id, lease) is None
    assert await stage.claim(elbtal, WorkKind.RECEIVED, at=later(minutes=4)) == []
    (again,) = await stage.claim(elbtal, WorkKind.RECEIVED, at=later(minutes=5))
    assert again.tries == 1


# --- matching ---------------------------------------------------------------------------------------------------------


@pytest.mark.clause("SND-46")
async def test_copy_is_found_by_each_of_its_keys(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    await stage.begun(elbtal, b"sent octets")
    await stage.prove(elbtal, new_evidence(message, Effect.DISPATCHED))
    copy = message.copies[0]
    found = await stage.arrivals.find_sent(
        elbtal.id,
        private_id=copy.private_id,
        demail_message_id="<1@sandbox>",
        integrity_value="sha256/rsa;h=1",
        internet_message_id=copy.internet_message_id,
    )
    assert set(found) == {"private_id", "demail_message_id", "integrity_value", "internet_message_id"}
    assert {record.copy_id for record in found.values()} == {copy.id}
    record = found["private_id"]
    assert (record.octets, record.subject, record.options) == (b"sent octets", message.subject, message.options)
    assert record.recipients == message.recipients
    assert record.submitted_at == NOW


async def test_nothing_is_found_for_another_tenant(stage: Stage, elbtal: Tenant, other: Tenant) -> None:
    message = await stage.accept(elbtal)
    keys = {"demail_message_id": None, "integrity_value": None, "internet_message_id": None}
    assert await stage.arrivals.find_sent(other.id, private_id=message.copies[0].private_id, **keys) == {}
    assert await stage.arrivals.find_sent(elbtal.id, private_id=HOSTILE, **keys) == {}
    assert await stage.arrivals.find_sent(elbtal.id, private_id=None, **keys) == {}


async def test_endless_keys_are_not_learnt(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    await stage.taken(elbtal)
    evidence = new_evidence(message, Effect.DISPATCHED, demail_message_id=os.urandom(5000).hex())
    await stage.prove(elbtal, replace(evidence, integrity_value=os.urandom(9000).hex()))
    (learnt,) = await stage.fetch("SELECT demail_message_id, integrity_value FROM message_copy")
    assert tuple(learnt) == (None, None)


async def test_a_long_integrity_value_is_learnt_and_found(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    await stage.taken(elbtal)
    value = os.urandom(1900).hex()
    await stage.prove(elbtal, replace(new_evidence(message, Effect.DISPATCHED), integrity_value=value))
    found = await stage.arrivals.find_sent(
        elbtal.id, private_id=None, demail_message_id=None, integrity_value=value, internet_message_id=None
    )
    assert found["integrity_value"].copy_id == message.copies[0].id


# --- proofs -----------------------------------------------------------------------------------------------------------


async def test_proofs_move_message_and_recipient(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    await stage.taken(elbtal)
    await stage.prove(elbtal, new_evidence(message, Effect.DISPATCHED, at=later(minutes=1)))
    await stage.prove(elbtal, new_evidence(message, Effect.DELIVERED, at=later(minutes=2)))
    view = await stage.reading.message(elbtal.scope, message.id)
    assert (view.state, view.completed_at) == ("completed", later(minutes=2))
    assert (view.recipients[0].state, view.recipients[0].delivered_at) == ("delivered", later(minutes=2))
    assert await stage.events(message) == [
        "message.queued",
        "message.submitted",
        "message.dispatched",
        "recipient.dispatched",
        "recipient.delivered",
        "message.completed",
    ]
    assert await stage.work(elbtal) == []


@pytest.mark.clause("SND-45")
async def test_second_confirmation_of_a_kind_is_kept_and_moves_nothing(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    await stage.taken(elbtal)
    await stage.prove(elbtal, new_evidence(message, Effect.DELIVERED, at=later(minutes=1)))
    before = await stage.events(message)
    await stage.prove(elbtal, new_evidence(message, Effect.DELIVERED, at=later(minutes=2)))
    first, second = await stage.reading.evidence_of(elbtal.scope, message.id)
    assert (first.findings, second.findings) == ((), (DUPLICATE,))
    assert second.outcome is Outcome.PASSED
    assert await stage.events(message) == before
    view = await stage.reading.message(elbtal.scope, message.id)
    assert view.recipients[0].delivered_at == later(minutes=1)


def notification(message: NewMessage, effect: Effect, reason: UndeliverableReason | None, minute: int) -> NewEvidence:
    made = new_evidence(message, effect, at=later(minutes=minute))
    assert made.fact is not None
    return replace(made, kind="notification other", fact=replace(made.fact, reason=reason))


@pytest.mark.clause("SND-44")
@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_notifications_of_one_kind_end_alike_in_every_order(
    stage: Stage, elbtal: Tenant, order: tuple[int, ...]
) -> None:
    message = await stage.accept(elbtal)
    await stage.taken(elbtal)
    told = (
        notification(message, Effect.UNDELIVERABLE, UndeliverableReason.OTHER, 1),
        notification(message, Effect.INTEGRITY_FAILED, None, 2),
        notification(message, Effect.UNDELIVERABLE, UndeliverableReason.OTHER, 3),
    )
    for number in order:
        await stage.prove(elbtal, told[number])
    view = await stage.reading.message(elbtal.scope, message.id)
    assert (view.state, view.recipients[0].state) == ("completed", "integrity-failed")
    assert view.completed_at == later(minutes=2)
    findings = [each.findings for each in await stage.reading.evidence_of(elbtal.scope, message.id)]
    assert sorted(findings) == [(), (), (DUPLICATE,)]


@pytest.mark.clause("SND-45")
async def test_a_repeated_receipt_with_an_earlier_time_moves_no_time(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    await stage.taken(elbtal)
    first = new_evidence(message, Effect.DELIVERED, at=later(minutes=5))
    await stage.prove(elbtal, first)
    assert first.fact is not None
    backdated = replace(first.fact, at=later(minutes=1), received_at=later(minutes=6))
    await stage.prove(elbtal, replace(first, id=uuid4(), fact=backdated, at=later(minutes=6)))
    view = await stage.reading.message(elbtal.scope, message.id)
    assert view.recipients[0].delivered_at == later(minutes=5)


async def test_the_same_kind_for_another_recipient_is_no_duplicate(stage: Stage, elbtal: Tenant) -> None:
    two = ((RecipientKind.TO, "a@sandbox.de-mail.de"), (RecipientKind.CC, "b@sandbox.de-mail.de"))
    message = await stage.accept(elbtal, new_message(elbtal, recipients=two))
    await stage.taken(elbtal)
    for recipient in (0, 1):
        await stage.prove(elbtal, new_evidence(message, Effect.DELIVERED, recipient=recipient))
    assert await stage.state(message) == "completed"


async def test_proofs_at_once_are_counted_one_after_the_other(stage: Stage, elbtal: Tenant) -> None:
    two = tuple((RecipientKind.TO, f"r{n}@sandbox.de-mail.de") for n in range(8))
    message = await stage.accept(elbtal, new_message(elbtal, recipients=two))
    await stage.taken(elbtal)
    proofs = [new_evidence(message, Effect.DELIVERED, recipient=n) for n in range(8)]
    await stage.arrivals.store([new_arrival(elbtal, proof.id.bytes) for proof in proofs])
    leases = await stage.claim(elbtal, WorkKind.RECEIVED)
    await asyncio.gather(
        *(
            stage.arrivals.record_evidence(elbtal.id, lease, replace(proof, received_id=lease.subject_id))
            for lease, proof in zip(leases, proofs, strict=True)
        )
    )
    assert await stage.state(message) == "completed"
    assert (await stage.events(message)).count("message.completed") == 1


@pytest.mark.clause("SND-42")
async def test_rejected_proof_is_listed_and_moves_nothing(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    await stage.taken(elbtal)
    await stage.prove(elbtal, new_evidence(message, Effect.DELIVERED, passed=False))
    assert await stage.state(message) == "submitted"
    (listed,) = await stage.reading.evidence_of(elbtal.scope, message.id)
    assert (listed.outcome, listed.findings) == (Outcome.FAILED, ("xml-signature-invalid",))
    assert (await stage.events(message))[-1] == "evidence.failed"
    # a forged one first does not make the true one a duplicate
    await stage.prove(elbtal, new_evidence(message, Effect.DELIVERED))
    assert await stage.state(message) == "completed"


async def test_indeterminate_proof_is_checked_again_and_then_counts(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    await stage.taken(elbtal)
    lease = await stage.received(elbtal, b"proof")
    sure = replace(new_evidence(message, Effect.DELIVERED), received_id=lease.subject_id)
    unsure = replace(
        sure, outcome=Outcome.INDETERMINATE, verdict="indeterminate", fact=None, recheck_at=later(minutes=10)
    )
    await stage.arrivals.record_evidence(elbtal.id, lease, unsure)
    assert await stage.state(message) == "submitted"
    (again,) = await stage.claim(elbtal, WorkKind.RECEIVED, at=later(minutes=10))
    assert (again.subject_id, again.tries) == (lease.subject_id, 1)
    await stage.arrivals.record_evidence(elbtal.id, again, replace(sure, id=uuid4()))
    (listed,) = await stage.reading.evidence_of(elbtal.scope, message.id)
    assert (listed.id, listed.outcome) == (unsure.id, Outcome.PASSED)
    assert await stage.state(message) == "completed"
    assert [kind for kind, _, _ in await stage.work(elbtal)] == []


async def test_proof_on_a_lost_lease_is_not_recorded(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    await stage.taken(elbtal)
    lease = await stage.received(elbtal, b"proof")
    await stage.arrivals.postpone(elbtal.id, lease, NOW)
    await stage.claim(elbtal, WorkKind.RECEIVED)
    proof = replace(new_evidence(message, Effect.DELIVERED), received_id=lease.subject_id)
    await stage.arrivals.record_evidence(elbtal.id, lease, proof)
    assert await stage.reading.evidence_of(elbtal.scope, message.id) == ()


async def test_proof_of_unknown_origin_is_kept(stage: Stage, elbtal: Tenant) -> None:
    message = await stage.accept(elbtal)
    lease = await stage.received(elbtal, b"proof")
    nobody = replace(
        new_evidence(message, Effect.DELIVERED),
        received_id=lease.subject_id,
        message_id=None,
        copy_id=None,
        recipient_id=None,
        fact=None,
        issuer=HOSTILE,
        recipient_address=HOSTILE,
        demail_message_id=HOSTILE,
        findings=(HOSTILE,),
        checks=(Check(HOSTILE, Outcome.FAILED, HOSTILE, HOSTILE),),
    )
    await stage.arrivals.record_evidence(elbtal.id, lease, nobody)
    assert await stage.value("SELECT count(*) FROM evidence WHERE message_id IS NULL") == 1
    assert [kind for kind, _, _ in await stage.work(elbtal)] == ["dispatch"]


# --- inbox ------------------------------------------------------------------------------------------------------------


async def test_inbound_message_is_an_inbox_entry(stage: Stage, elbtal: Tenant) -> None:
    lease = await stage.received(elbtal, b"raw octets")
    inbound = new_inbound(elbtal, received_id=lease.subject_id)
    await stage.arrivals.record_inbound(elbtal.id, lease, inbound)
    view = await stage.reading.message(elbtal.scope, inbound.id)
    assert (view.state, view.direction, view.subject, view.private) == ("received", "inbound", "Antrag", True)
    assert (view.to, view.cc) == (inbound.to, inbound.cc)
    assert view.attachments == ((1, "antrag.pdf", "application/pdf", 12),)
    assert await stage.reading.raw(elbtal.scope, inbound.id, None) == b"raw octets"
    assert await stage.work(elbtal) == []
    assert [row[0] for row in await stage.fetch("SELECT type FROM event")] == ["inbound.received"]
    # a second worker that had the row before does nothing
    await stage.arrivals.record_inbound(elbtal.id, lease, replace(inbound, id=uuid4()))
    assert await stage.value("SELECT count(*) FROM message") == 1


async def test_hostile_texts_of_an_inbound_message_are_stored(stage: Stage, elbtal: Tenant) -> None:
    lease = await stage.received(elbtal, b"raw")
    inbound = new_inbound(
        elbtal,
        received_id=lease.subject_id,
        sender=HOSTILE,
        subject=HOSTILE,
        to=(HOSTILE,),
        message_type=HOSTILE,
        demail_message_id=HOSTILE * 1000,
        attachments=((1, HOSTILE, HOSTILE, 0),),
        verification={"outcome": HOSTILE, HOSTILE: [HOSTILE, {"x": HOSTILE}]},
    )
    await stage.arrivals.record_inbound(elbtal.id, lease, inbound)
    view = await stage.reading.message(elbtal.scope, inbound.id)
    assert view.subject == HOSTILE
    assert view.sender == "a\ufffdb\ufffdc\u202e"
