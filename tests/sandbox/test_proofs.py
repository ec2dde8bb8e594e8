"""What the provider sends stands up to every rule of the receiving side: matrix, integrity, the fifteen steps."""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, datetime
from uuid import UUID

import pytest

from demail_gateway.core.address import TrustedDomains, parse_address
from demail_gateway.core.checker import check_message
from demail_gateway.core.confirmation_check import check_confirmation
from demail_gateway.core.confirmation_reading import read_confirmation
from demail_gateway.core.confirmation_report import ConfirmationReport, SentCopy, Verdict
from demail_gateway.core.correlation import Correlation
from demail_gateway.core.delivery_facts import Effect
from demail_gateway.core.header import read_message
from demail_gateway.core.notification_check import NotificationReport, check_notification, read_notification_message
from demail_gateway.core.options import SendOptions
from demail_gateway.core.vocabulary import UndeliverableReason
from demail_gateway.trust.certificates import pem_to_der
from demail_gateway.trust.paths import PathJudge
from demail_gateway.trust.verifier import CryptographyVerifier
from demail_gateway.trust.xmldsig import LxmlSignatures
from tests.sandbox.playground import ALL_PROOFS, SENDER, Arrived, Playground, make_draft

TRUSTED = TrustedDomains(frozenset({"de-mail.de", "sandbox.de-mail.de"}))
SUBJECT = "Bescheid – Aktenzeichen 22.3-1234/2026 über die Gewerbesteuer der Jahre 2024, 2025 und 2026 (Änderung)"
KNOWN = Correlation(UUID(int=1), "private_id")


def judge(playground: Playground) -> PathJudge:
    return PathJudge([pem_to_der(playground.anchor)], answers=[playground.sandbox.crl()])


async def submitted(playground: Playground, address: str, options: SendOptions) -> SentCopy:
    """A message on its way, and what the gateway remembers of it."""
    private_id = f"urn:uuid:{uuid.uuid4()}"
    octets = make_draft(address, options=options, private_id=private_id, subject=SUBJECT, reply_to=SENDER)
    before = datetime.now(UTC)
    await playground.submit(address, octets=octets)
    return SentCopy(
        sender=parse_address(SENDER),
        served=(parse_address(address),),
        subject=SUBJECT,
        options=options,
        private_id=private_id,
        reply_to=parse_address(SENDER),
        submitted_at=before,
        octets=octets,
        provider_domains=frozenset({"sandbox.de-mail.de"}),
    )


def report(playground: Playground, proof: Arrived, sent: SentCopy) -> ConfirmationReport:
    return check_confirmation(
        read_confirmation(proof.message, LxmlSignatures()),
        correlation=KNOWN,
        sent=sent,
        verifier=CryptographyVerifier(),
        judge=judge(playground),
        trusted=TRUSTED,
        at=datetime.now(UTC),
    )


def notice_report(playground: Playground, notice: Arrived, sent: SentCopy) -> NotificationReport:
    return check_notification(
        read_notification_message(notice.message),
        correlation=KNOWN,
        sent=sent,
        verifier=CryptographyVerifier(),
        judge=judge(playground),
        trusted=TRUSTED,
        at=datetime.now(UTC),
    )


@pytest.mark.clause("TR 01201-3.1 steps 38, 69", "TR 01201-3.1 function 1", "TR 01201-3.4 §3.4.1 parts")
@pytest.mark.parametrize("authoritative", [False, True])
async def test_every_confirmation_is_confirmed_without_remarks(playground: Playground, authoritative: bool) -> None:
    options = SendOptions(*(True, True, True), authoritative=authoritative, private=True)
    sent = await submitted(playground, "buergerin@sandbox.de-mail.de", options)
    for proof in await playground.listener.until(3):
        found = report(playground, proof, sent)
        assert (found.verdict, found.findings) == (Verdict.CONFIRMED, ()), found.checks
        assert check_message(proof.message) == ()


async def test_doubled_confirmations_are_confirmed_too(playground: Playground) -> None:
    sent = await submitted(playground, "duplicate-receipt@sandbox.de-mail.de", ALL_PROOFS)
    verdicts = {report(playground, proof, sent).verdict for proof in await playground.listener.until(6)}
    assert verdicts == {Verdict.CONFIRMED}


@pytest.mark.clause("TR 01201-3.1 step 56")
async def test_a_malware_acknowledgement_is_confirmed(playground: Playground) -> None:
    sent = await submitted(playground, "malware@sandbox.de-mail.de", SendOptions(confirmation_of_receipt=True))
    (proof,) = await playground.listener.until(1)
    assert report(playground, proof, sent).verdict.moves


async def test_a_forged_receipt_is_rejected(playground: Playground) -> None:
    sent = await submitted(playground, "forged-receipt@sandbox.de-mail.de", SendOptions(confirmation_of_receipt=True))
    (proof,) = await playground.listener.until(1)
    found = report(playground, proof, sent)
    assert found.verdict is Verdict.REJECTED
    assert {"signature-mismatch", "xml-signature-invalid"} <= set(found.findings)


@pytest.mark.clause("TR 01201-3.1 step 45", "TR 01201-3.4 §3.5.2 type")
@pytest.mark.parametrize(
    ("local", "options", "effect", "reason"),
    [
        ("unknown", SendOptions(), Effect.UNDELIVERABLE, UndeliverableReason.UNKNOWN_RECIPIENT),
        ("closed", SendOptions(), Effect.UNDELIVERABLE, UndeliverableReason.CLOSED_ACCOUNT),
        ("normal-level", SendOptions(private=True), Effect.UNDELIVERABLE, UndeliverableReason.NEEDS_HIGH_LOGIN),
        ("malware", SendOptions(), Effect.INFECTED, None),
    ],
)
async def test_a_notification_says_what_became_of_the_message(
    playground: Playground, local: str, options: SendOptions, effect: Effect, reason: UndeliverableReason | None
) -> None:
    sent = await submitted(playground, f"{local}@sandbox.de-mail.de", options)
    (notice,) = await playground.listener.until(1)
    found = notice_report(playground, notice, sent)
    assert (found.verdict, found.effect, found.reason) == (Verdict.CONFIRMED, effect, reason), found.checks
    assert check_message(notice.message) == ()


async def test_a_delivered_message_has_no_fault(playground: Playground) -> None:
    await submitted(playground, "buergerin@sandbox.de-mail.de", SendOptions())
    (item,) = await playground.mailbox_until("buergerin@sandbox.de-mail.de", 1)
    assert check_message(read_message(base64.b64decode(item["raw"]))) == ()
