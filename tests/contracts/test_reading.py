"""What a tenant can look at (ports.Reading): its own messages, whole, in order, and nothing of another tenant's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from demail_gateway.application.ports.arrivals import NewInbound
from demail_gateway.application.ports.reading import MessageFilter, MessageView, RecipientView
from demail_gateway.application.ports.submissions import NewAttachment, NewMessage
from demail_gateway.core.checks import Check, Outcome
from demail_gateway.core.delivery import Effect
from demail_gateway.core.errors import CursorInvalid, NotFound
from demail_gateway.core.options import SendOptions
from demail_gateway.core.vocabulary import AuthLevel, Direction, MessageState, RecipientKind, RecipientState
from demail_gateway.tenancy.identifiers import Prefix, format_id
from demail_gateway.tenancy.scope import TenantScope
from tests.contracts.gateways import Gateway, accept
from tests.storage.stage import NOW, Tenant, later, new_evidence, new_message

NOBODY = UUID(int=404)
EVERYONE = (
    (RecipientKind.BCC, "geheim@sandbox.de-mail.de"),
    (RecipientKind.CC, "kopie@sandbox.de-mail.de"),
    (RecipientKind.TO, "buergerin@sandbox.de-mail.de"),
    (RecipientKind.TO, "buerger@sandbox.de-mail.de"),
)
LARGE = bytes(range(256)) * 1100
"""More than one chunk."""


def new_inbound(tenant: Tenant, number: int = 0, **changes: Any) -> NewInbound:
    given = NewInbound(
        id=UUID(int=5000 + number),
        received_id=uuid4(),
        mailbox_address=tenant.address,
        message_type="normal",
        sender="buergerin@sandbox.de-mail.de",
        to=(tenant.address, "amt@sandbox.de-mail.de"),
        cc=("kopie@sandbox.de-mail.de",),
        subject="Widerspruch \u00a7 70 VwGO",
        options=SendOptions(private=True),
        demail_message_id="<9@sandbox.de-mail.de>",
        private_id=None,
        sent_at=NOW,
        size_bytes=4711,
        attachments=((1, "Anlage \u00e4.pdf", "application/pdf", 3),),
        verification={"outcome": "passed", "protection": "hash", "checks": [{"name": "integrity.hash"}]},
        quarantine=None,
        auth_level=AuthLevel.HIGH,
        at=later(minutes=number),
    )
    return replace(given, **changes)


async def numbered(gateway: Gateway, tenant: Tenant, *numbers: int) -> list[NewMessage]:
    """Messages of one moment, told apart by their ids alone."""
    made = [replace(new_message(tenant), id=UUID(int=7000 + n), reference=f"AZ {n}") for n in numbers]
    return [await accept(gateway, tenant, message) for message in made]


async def listed(
    gateway: Gateway, scope: TenantScope, where: MessageFilter | None = None, limit: int = 50, cursor: str | None = None
) -> tuple[list[UUID], str | None]:
    page = await gateway.reading.messages(scope, where or MessageFilter(), limit, cursor)
    return [view.id for view in page.items], page.next_cursor


# --- one message


async def test_outbound_message_is_shown_whole(gateway: Gateway, elbtal: Tenant) -> None:
    attachments = (
        NewAttachment(1, "Bescheid \u00e4.pdf", "application/pdf", 3, b"abc", None),
        NewAttachment(2, "b.bin", "application/octet-stream", 0, b"", None),
    )
    message = new_message(elbtal, recipients=EVERYONE, attachments=attachments, subject="Bescheid \u20ac \u2603")
    message = replace(message, profile="formal-service", encrypt=True)
    await accept(gateway, elbtal, message)
    view = await gateway.reading.message(elbtal.scope, message.id)
    assert set(view.recipients) == {
        RecipientView(r.id, r.address, r.kind, RecipientState.PENDING, None, None, None, None)
        for r in message.recipients
    }
    assert replace(view, recipients=()) == MessageView(
        id=message.id,
        direction=Direction.OUTBOUND,
        state=MessageState.QUEUED,
        reference="AZ 22.3",
        sender=elbtal.address,
        to=("buergerin@sandbox.de-mail.de", "buerger@sandbox.de-mail.de"),
        cc=("kopie@sandbox.de-mail.de",),
        bcc=("geheim@sandbox.de-mail.de",),
        subject="Bescheid \u20ac \u2603",
        size_bytes=1000,
        options=message.options,
        profile="formal-service",
        signed=True,
        encrypted=True,
        recipients=(),
        attachments=(
            (1, "Bescheid \u00e4.pdf", "application/pdf", 3),
            (2, "b.bin", "application/octet-stream", 0),
        ),
        created_at=NOW,
        submitted_at=None,
        completed_at=None,
        overdue_since=None,
        next_attempt_at=None,
    )


async def test_inbound_message_is_shown_whole(gateway: Gateway, elbtal: Tenant) -> None:
    inbound = new_inbound(elbtal, quarantine="integrity")
    await gateway.receive(elbtal, inbound, b"octets")
    view = await gateway.reading.message(elbtal.scope, inbound.id)
    assert view == MessageView(
        id=inbound.id,
        direction=Direction.INBOUND,
        state=MessageState.RECEIVED,
        reference=None,
        sender=inbound.sender,
        to=inbound.to,
        cc=inbound.cc,
        bcc=(),
        subject=inbound.subject,
        size_bytes=4711,
        options=inbound.options,
        profile=None,
        signed=False,
        encrypted=False,
        recipients=(),
        attachments=inbound.attachments,
        created_at=NOW,
        submitted_at=None,
        completed_at=None,
        overdue_since=None,
        next_attempt_at=None,
        mailbox=elbtal.address,
        message_type="normal",
        private=True,
        quarantine="integrity",
        verification=inbound.verification,
        received_at=NOW,
    )


ONE_OBJECT: dict[str, Callable[[Gateway, TenantScope, UUID], Awaitable[object]]] = {
    "message": lambda gateway, scope, message: gateway.reading.message(scope, message),
    "raw": lambda gateway, scope, message: gateway.reading.raw(scope, message, None),
    "attachment": lambda gateway, scope, message: gateway.reading.attachment(scope, message, 1),
    "evidence_octets": lambda gateway, scope, message: gateway.reading.evidence_octets(scope, message, message),
    "evidence_material": lambda gateway, scope, message: gateway.reading.evidence_material(scope, message),
}


@pytest.mark.parametrize("read", ONE_OBJECT.values(), ids=ONE_OBJECT)
async def test_foreign_message_reads_like_one_that_does_not_exist(
    gateway: Gateway,
    elbtal: Tenant,
    other: Tenant,
    read: Callable[[Gateway, TenantScope, UUID], Awaitable[object]],
) -> None:
    attachment = NewAttachment(1, "a", "text/plain", 1, b"a", None)
    message = await accept(gateway, elbtal, new_message(elbtal, attachments=(attachment,)))
    await gateway.hand_over(elbtal, message, [b"octets"])
    # evidence and message of one id, so that one call fits all
    proof = replace(new_evidence(message, Effect.DISPATCHED), id=message.id)
    await gateway.prove(elbtal, proof, b"proof")
    assert await read(gateway, elbtal.scope, message.id)
    for scope, message_id in ((other.scope, message.id), (elbtal.scope, NOBODY)):
        with pytest.raises(NotFound):
            await read(gateway, scope, message_id)


async def test_foreign_history_is_empty(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    message = await accept(gateway, elbtal, new_message(elbtal))
    await gateway.prove(elbtal, new_evidence(message, Effect.DISPATCHED), b"proof")
    for scope, message_id in ((other.scope, message.id), (elbtal.scope, NOBODY)):
        assert await gateway.reading.events_of(scope, message_id) == ()
        assert await gateway.reading.evidence_of(scope, message_id) == ()


# --- lists


async def test_list_shows_the_newest_first(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    first, second = await numbered(gateway, elbtal, 1, 2)
    newer = await accept(gateway, elbtal, new_message(elbtal, created_at=later(hours=1)))
    await numbered(gateway, other, 9)
    assert await listed(gateway, elbtal.scope) == ([newer.id, second.id, first.id], None)


async def test_pages_show_each_message_once(gateway: Gateway, elbtal: Tenant) -> None:
    await numbered(gateway, elbtal, 1, 2, 3, 4, 5)
    found: list[UUID] = []
    cursor: str | None = None
    for _ in range(3):
        page, cursor = await listed(gateway, elbtal.scope, limit=2, cursor=cursor)
        found += page
    assert (found, cursor) == ([UUID(int=7000 + n) for n in (5, 4, 3, 2, 1)], None)


async def test_list_mixes_directions_in_order_of_time(gateway: Gateway, elbtal: Tenant) -> None:
    await numbered(gateway, elbtal, 1, 2, 3)
    for number in (1, 2, 3):
        await gateway.receive(elbtal, new_inbound(elbtal, number), b"octets %d" % number)
    inbound, outbound = ([UUID(int=base + n) for n in (3, 2, 1)] for base in (5000, 7000))
    found: list[UUID] = []
    cursor: str | None = None
    for _ in range(3):
        page, cursor = await listed(gateway, elbtal.scope, limit=2, cursor=cursor)
        found += page
    assert (found, cursor) == (inbound + outbound, None)
    assert (await listed(gateway, elbtal.scope, MessageFilter(Direction.INBOUND)))[0] == inbound
    assert (await listed(gateway, elbtal.scope, MessageFilter(Direction.OUTBOUND)))[0] == outbound


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (MessageFilter(states=(MessageState.QUEUED,)), [3, 2, 1]),
        (MessageFilter(states=(MessageState.FAILED, MessageState.QUEUED)), [3, 2, 1]),
        (MessageFilter(states=(MessageState.FAILED,)), []),
        (MessageFilter(reference="AZ 2"), [2]),
        (MessageFilter(reference="az 2"), []),
        (MessageFilter(created_after=NOW), [3]),
        (MessageFilter(created_before=later(hours=1)), [2, 1]),
        (MessageFilter(created_after=later(hours=1)), []),
        (MessageFilter(mailbox="post@elbtal.de-mail.de"), []),
        (MessageFilter(Direction.OUTBOUND, (MessageState.QUEUED,), "AZ 3", NOW, later(hours=2)), [3]),
    ],
)
async def test_list_is_filtered(gateway: Gateway, elbtal: Tenant, where: MessageFilter, expected: list[int]) -> None:
    await numbered(gateway, elbtal, 1, 2)
    late = replace(new_message(elbtal), id=UUID(int=7003), reference="AZ 3", created_at=later(hours=1))
    await accept(gateway, elbtal, late)
    assert (await listed(gateway, elbtal.scope, where))[0] == [UUID(int=7000 + n) for n in expected]


async def test_filter_holds_on_every_page(gateway: Gateway, elbtal: Tenant) -> None:
    for number in range(1, 5):
        message = replace(new_message(elbtal), id=UUID(int=7000 + number), reference="odd" if number % 2 else "even")
        await accept(gateway, elbtal, message)
    first, cursor = await listed(gateway, elbtal.scope, MessageFilter(reference="odd"), 1)
    second, end = await listed(gateway, elbtal.scope, MessageFilter(reference="odd"), 1, cursor)
    assert (first + second, end) == ([UUID(int=7003), UUID(int=7001)], None)


async def test_inbound_messages_are_listed_by_mailbox(gateway: Gateway, elbtal: Tenant) -> None:
    await gateway.receive(elbtal, new_inbound(elbtal, 1), b"octets 1")
    assert (await listed(gateway, elbtal.scope, MessageFilter(mailbox=elbtal.address)))[0] == [UUID(int=5001)]
    assert (await listed(gateway, elbtal.scope, MessageFilter(mailbox="amt@elbtal.de-mail.de")))[0] == []


@pytest.mark.parametrize("cursor", ["", "x", "W10", "WyJtZXNzYWdlcyJd", "ä", "bnVsbA", "WyJ0ZW5hbnRzIiwyXQ"])
async def test_cursor_of_nobody_is_invalid(gateway: Gateway, elbtal: Tenant, cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        await gateway.reading.messages(elbtal.scope, MessageFilter(), 2, cursor)


# --- octets


async def test_nothing_is_raw_before_it_is_composed(gateway: Gateway, elbtal: Tenant) -> None:
    message = await accept(gateway, elbtal, new_message(elbtal))
    with pytest.raises(NotFound):
        await gateway.reading.raw(elbtal.scope, message.id, None)
    await gateway.hand_over(elbtal, message, [LARGE])
    assert await gateway.reading.raw(elbtal.scope, message.id, None) == LARGE


async def test_raw_of_each_copy_is_chosen_by_its_recipient(gateway: Gateway, elbtal: Tenant) -> None:
    message = await accept(gateway, elbtal, new_message(elbtal, recipients=EVERYONE, split=True))
    await gateway.hand_over(elbtal, message, [b"bcc", b"cc", b"first to", b"second to"])
    raw = [await gateway.reading.raw(elbtal.scope, message.id, r.id) for r in message.recipients]
    assert raw == [b"bcc", b"cc", b"first to", b"second to"]
    assert await gateway.reading.raw(elbtal.scope, message.id, None) == b"first to"
    with pytest.raises(NotFound):
        await gateway.reading.raw(elbtal.scope, message.id, NOBODY)


async def test_raw_of_bcc_alone_is_the_first_bcc_copy(gateway: Gateway, elbtal: Tenant) -> None:
    recipients = [(RecipientKind.BCC, f"r{n}@sandbox.de-mail.de") for n in range(2)]
    message = await accept(gateway, elbtal, new_message(elbtal, recipients=recipients, split=True))
    await gateway.hand_over(elbtal, message, [b"first", b"second"])
    assert await gateway.reading.raw(elbtal.scope, message.id, None) == b"first"


async def test_recipient_of_another_message_chooses_nothing(gateway: Gateway, elbtal: Tenant) -> None:
    message = await accept(gateway, elbtal, new_message(elbtal))
    await gateway.hand_over(elbtal, message, [b"octets"])
    second = await accept(gateway, elbtal, new_message(elbtal))
    await gateway.hand_over(elbtal, second, [b"octets"])
    with pytest.raises(NotFound):
        await gateway.reading.raw(elbtal.scope, message.id, second.recipients[0].id)


async def test_inbound_message_is_raw_as_received(gateway: Gateway, elbtal: Tenant) -> None:
    inbound = new_inbound(elbtal)
    await gateway.receive(elbtal, inbound, LARGE)
    assert await gateway.reading.raw(elbtal.scope, inbound.id, None) == LARGE
    with pytest.raises(NotFound):
        await gateway.reading.raw(elbtal.scope, inbound.id, NOBODY)


async def test_attachments_are_read_as_given(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    async def chunks() -> Any:
        yield LARGE[:1000]
        yield LARGE[1000:]

    uploaded = await gateway.submissions.upload(
        elbtal.scope, uuid4(), "Plan ü.bin", "application/octet-stream", chunks(), 1 << 20, None, NOW
    )
    given = (
        NewAttachment(1, "a.txt", "text/plain", 3, b"abc", None),
        NewAttachment(2, "leer", "text/plain", 0, b"", None),
        NewAttachment(3, "groß.bin", "application/octet-stream", len(LARGE), LARGE, None),
        NewAttachment(4, uploaded.filename, uploaded.content_type, uploaded.size_bytes, None, uploaded.id),
    )
    message = await accept(gateway, elbtal, new_message(elbtal, attachments=given))
    read = [await gateway.reading.attachment(elbtal.scope, message.id, number) for number in (1, 2, 3, 4)]
    assert read == [
        ("a.txt", "text/plain", b"abc"),
        ("leer", "text/plain", b""),
        ("groß.bin", "application/octet-stream", LARGE),
        ("Plan ü.bin", "application/octet-stream", LARGE),
    ]
    for number in (0, -1, 5):
        with pytest.raises(NotFound):
            await gateway.reading.attachment(elbtal.scope, message.id, number)


async def test_attachments_of_a_received_message_are_in_its_octets(gateway: Gateway, elbtal: Tenant) -> None:
    inbound = new_inbound(elbtal)
    await gateway.receive(elbtal, inbound, b"octets")
    with pytest.raises(NotFound):
        await gateway.reading.attachment(elbtal.scope, inbound.id, 1)


# --- proofs


async def test_evidence_is_listed_with_its_report(gateway: Gateway, elbtal: Tenant) -> None:
    message = await accept(gateway, elbtal, new_message(elbtal))
    await gateway.hand_over(elbtal, message, [b"octets"])
    check = Check("xml.signature", Outcome.PASSED, "gültig", "TR 01201-3.4 §4")
    dispatch = replace(new_evidence(message, Effect.DISPATCHED), checks=(check,))
    forged = new_evidence(message, Effect.DELIVERED, at=later(seconds=5), passed=False)
    await gateway.prove(elbtal, dispatch, b"dispatch")
    await gateway.prove(elbtal, forged, LARGE)
    first, second = await gateway.reading.evidence_of(elbtal.scope, message.id)
    assert (first.id, first.message_id, first.recipient) == (dispatch.id, message.id, None)
    assert (first.kind, first.outcome, first.verdict) == (dispatch.kind, Outcome.PASSED, "confirmed")
    assert (first.checks, first.findings) == ((check,), ())
    assert (first.issuer, first.issued_at, first.delivery_time) == (dispatch.issuer, NOW, NOW)
    assert (first.demail_message_id, first.received_at) == ("<1@sandbox>", NOW)
    assert (second.id, second.outcome, second.findings) == (forged.id, Outcome.FAILED, ("xml-signature-invalid",))
    assert (second.recipient, second.received_at) == ("buergerin@sandbox.de-mail.de", later(seconds=5))
    octets = [await gateway.reading.evidence_octets(elbtal.scope, message.id, each.id) for each in (first, second)]
    assert octets == [b"dispatch", LARGE]


async def test_evidence_of_another_message_is_not_found(gateway: Gateway, elbtal: Tenant) -> None:
    message, second = await numbered(gateway, elbtal, 1, 2)
    evidence = new_evidence(message, Effect.DISPATCHED)
    await gateway.prove(elbtal, evidence, b"proof")
    for message_id, evidence_id in ((second.id, evidence.id), (message.id, NOBODY)):
        with pytest.raises(NotFound):
            await gateway.reading.evidence_octets(elbtal.scope, message_id, evidence_id)


async def test_material_holds_everything_that_proves(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    recipients = [(RecipientKind.TO, f"r{n}@sandbox.de-mail.de") for n in range(2)]
    message = await accept(gateway, elbtal, new_message(elbtal, recipients=recipients, split=True))
    await accept(gateway, elbtal, new_message(elbtal, created_at=later(days=1)))
    await gateway.hand_over(elbtal, message, [b"first", b"second"])
    await gateway.prove(elbtal, new_evidence(message, Effect.DISPATCHED), b"dispatch")
    await gateway.prove(elbtal, new_evidence(message, Effect.DELIVERED, at=later(seconds=1)), b"receipt")
    material = await gateway.reading.evidence_material(elbtal.scope, message.id)
    assert material.message == await gateway.reading.message(elbtal.scope, message.id)
    assert material.handed_over == ((message.copies[0].id, b"first"), (message.copies[1].id, b"second"))
    assert [octets for _, octets in material.evidence] == [b"dispatch", b"receipt"]
    views = tuple(view for view, _ in material.evidence)
    assert views == await gateway.reading.evidence_of(elbtal.scope, message.id)
    assert (material.certificates, material.status_answers) == ((b"cert",), (b"crl",))
    assert material.events == await gateway.reading.events_of(elbtal.scope, message.id)
    assert material.events[0].type == "message.queued"
    assert {entry["object"] for entry in material.journal} <= {format_id(Prefix.MESSAGE, message.id)}


async def test_received_message_has_no_material(gateway: Gateway, elbtal: Tenant) -> None:
    inbound = new_inbound(elbtal)
    await gateway.receive(elbtal, inbound, b"octets")
    with pytest.raises(NotFound):
        await gateway.reading.evidence_material(elbtal.scope, inbound.id)


async def test_history_begins_with_acceptance(gateway: Gateway, elbtal: Tenant) -> None:
    message = await accept(gateway, elbtal, new_message(elbtal))
    (event,) = await gateway.reading.events_of(elbtal.scope, message.id)
    assert (event.type, event.message_id, event.recipient_id) == ("message.queued", message.id, None)
    assert (event.reference, event.state) == ("AZ 22.3", MessageState.QUEUED)
