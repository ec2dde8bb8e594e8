"""What reports mean for states: from the octets of a proof to the state of its recipient."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.address import parse_address
from demail_gateway.core.correlation import Correlation
from demail_gateway.core.delivery import (
    CopyFacts,
    Effect,
    EvidenceFact,
    MessageFacts,
    RecipientFacts,
    derive,
)
from demail_gateway.core.evidence import confirmation_fact, notification_fact
from demail_gateway.core.notification import build_malware_notification
from demail_gateway.core.vocabulary import (
    ConfirmationKind,
    HandOver,
    NotificationType,
    RecipientState,
    UndeliverableReason,
)
from tests.core.proofs import (
    ALL_REQUESTED,
    AT,
    COPY,
    ERIKA,
    ORIGINAL,
    PROVIDER_B,
    RECEIVED_AT,
    REVOKED,
    SENT,
    STAMP,
    notice,
    notification_report,
    pdf,
    report,
    sealed,
    unsealed,
)

ROW = UUID(int=9)
ROWS = {ERIKA: ROW}


def proven(kind: ConfirmationKind) -> EvidenceFact | None:
    return confirmation_fact(report(sealed(unsealed(kind))), copy_id=COPY, recipients=ROWS, received_at=RECEIVED_AT)


@pytest.mark.parametrize(
    ("kind", "effect", "recipient", "state"),
    [
        (ConfirmationKind.DISPATCH, Effect.DISPATCHED, None, RecipientState.DISPATCHED),
        (ConfirmationKind.RECEIPT, Effect.DELIVERED, ROW, RecipientState.DELIVERED),
        (ConfirmationKind.RETRIEVE, Effect.RETRIEVED, ROW, RecipientState.RETRIEVED),
        (ConfirmationKind.MALWARE, Effect.INFECTED, ROW, RecipientState.INFECTED),
    ],
)
def test_a_confirmation_moves_its_recipient(
    kind: ConfirmationKind, effect: Effect, recipient: UUID | None, state: RecipientState
) -> None:
    fact = proven(kind)
    assert fact is not None
    assert (fact.effect, fact.recipient_id, fact.at, fact.received_at) == (effect, recipient, AT, RECEIVED_AT)
    assert fact.delivered_at == (AT if kind is ConfirmationKind.RETRIEVE else None)
    message = MessageFacts(ALL_REQUESTED, (CopyFacts(COPY, HandOver.TAKEN, AT),), (RecipientFacts(ROW, COPY),))
    assert derive(message, (fact,), RECEIVED_AT).recipients[0].state is state


def test_what_was_not_verified_moves_nothing() -> None:
    """SND-42."""
    for refused in (
        report(sealed(unsealed(ConfirmationKind.RECEIPT)), judge=REVOKED),
        report(sealed(unsealed(ConfirmationKind.RECEIPT)), correlation=Correlation(None), sent=None),
    ):
        assert confirmation_fact(refused, copy_id=COPY, recipients=ROWS, received_at=RECEIVED_AT) is None


def test_a_receipt_with_a_delivery_time_tells_that_moment() -> None:
    """CO-10."""
    found = replace(report(sealed(unsealed(ConfirmationKind.RECEIPT))), delivery_time=AT - timedelta(minutes=1))
    fact = confirmation_fact(found, copy_id=COPY, recipients=ROWS, received_at=RECEIVED_AT)
    assert fact is not None
    assert fact.at == AT - timedelta(minutes=1)


def test_a_redirected_receipt_of_the_only_recipient_moves_its_row() -> None:
    found = report(sealed(unsealed(ConfirmationKind.RECEIPT, recipient=parse_address("neu@dmda-b.example"))))
    fact = confirmation_fact(found, copy_id=COPY, recipients=ROWS, received_at=RECEIVED_AT)
    assert fact is not None
    assert fact.recipient_id == ROW


def test_a_receipt_without_readable_time_counts_from_its_reception() -> None:
    found = replace(report(sealed(unsealed(ConfirmationKind.RECEIPT))), issued_at=None)
    fact = confirmation_fact(found, copy_id=COPY, recipients={}, received_at=RECEIVED_AT)
    assert fact is not None
    assert (fact.at, fact.recipient_id) == (RECEIVED_AT, None)


def test_a_notification_moves_its_recipient() -> None:
    found = notification_report(sealed(notice(NotificationType.CLOSED_ACCOUNT, "Konto gesperrt.")))
    fact = notification_fact(found, copy_id=COPY, recipients=ROWS, received_at=RECEIVED_AT)
    assert fact is not None
    assert (fact.effect, fact.reason) == (Effect.UNDELIVERABLE, UndeliverableReason.CLOSED_ACCOUNT)
    assert (fact.recipient_id, fact.at) == (ROW, AT)
    unnamed = replace(found, recipient=None, issued_at=None)
    fact = notification_fact(unnamed, copy_id=COPY, recipients=ROWS, received_at=RECEIVED_AT)
    assert fact is not None
    assert (fact.recipient_id, fact.at) == (None, RECEIVED_AT)


def test_a_notification_that_means_nothing_or_does_not_count_is_no_fact() -> None:
    message = sealed(notice(NotificationType.CLOSED_ACCOUNT, "Konto gesperrt."))
    for found in (
        notification_report(message, judge=REVOKED),
        notification_report(message, correlation=Correlation(None), sent=None),
        replace(notification_report(message), effect=None),
    ):
        assert notification_fact(found, copy_id=COPY, recipients=ROWS, received_at=RECEIVED_AT) is None


def test_everything_needed_is_in_the_report_of_a_sent_copy() -> None:
    found = report(sealed(unsealed(ConfirmationKind.DISPATCH)))
    assert found.private_id == SENT.private_id
    assert found.recipient is None


# --- every kind of proof, in every order -----------------------------------------------------------------------------


@cache
def every_fact() -> tuple[EvidenceFact, ...]:
    """What each kind of proof means, made, sealed and checked: confirmations, notifications of every type and text."""
    texts = {
        NotificationType.INVALID_FORMAT: "Der Nachrichtenentwurf hat ein ungültiges Format.",
        NotificationType.OTHER: "Der Hashwert der Nachricht stimmt nicht.",
    }
    notices = [notice(kind, texts.get(kind, "Grund.")) for kind in NotificationType]
    notices += [
        notice(NotificationType.OTHER, "Der Empfänger kann sich nicht mit dem Niveau „hoch“ anmelden."),
        notice(NotificationType.OTHER, "Ihr Speicherplatz wird knapp."),
        notice(NotificationType.CLOSED_ACCOUNT, "Niemand ist genannt.", recipient=None),
        build_malware_notification(ORIGINAL, issuer=PROVIDER_B, stamp=STAMP, recipient=ERIKA, pdf=pdf),
    ]
    meaning: dict[str, Any] = {"copy_id": COPY, "recipients": ROWS, "received_at": RECEIVED_AT}
    found = [confirmation_fact(report(sealed(unsealed(kind))), **meaning) for kind in ConfirmationKind]
    found += [notification_fact(notification_report(sealed(each)), **meaning) for each in notices]
    return tuple(each for each in found if each is not None)


def test_every_effect_is_among_them() -> None:
    assert {each.effect for each in every_fact()} == set(Effect)


@pytest.mark.clause("SND-44", "SND-45")
@given(st.data(), st.booleans())
def test_order_and_repetition_of_real_proofs_change_nothing(data: st.DataObject, alone: bool) -> None:
    others = () if alone else (RecipientFacts(UUID(int=10), COPY),)
    copies = (CopyFacts(COPY, data.draw(st.sampled_from(HandOver)), AT),)
    message = MessageFacts(ALL_REQUESTED, copies, (RecipientFacts(ROW, COPY), *others))
    came = data.draw(st.lists(st.sampled_from(every_fact()), max_size=8))
    again = data.draw(st.permutations([*came, *came[: data.draw(st.integers(0, 4))]]))
    now = AT + timedelta(hours=data.draw(st.integers(0, 48)))
    assert derive(message, again, now) == derive(message, came, now)
