"""Every scripted recipient, end to end: submission over TLS, proofs back over TLS, checked with the core's rules."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from demail_gateway.core.checks import Outcome
from demail_gateway.core.confirmation_xml import read_acknowledgement, read_notification
from demail_gateway.core.errors import XmlSignatureInvalid
from demail_gateway.core.header import read_message
from demail_gateway.core.integrity import IntegrityResult, check_integrity, same_integrity_value
from demail_gateway.core.metadata import read_metadata
from demail_gateway.core.mime import leaves, read_parts
from demail_gateway.core.options import SendOptions
from demail_gateway.core.vocabulary import Protection
from demail_gateway.trust.certificates import pem_to_der
from demail_gateway.trust.paths import PathJudge
from demail_gateway.trust.verifier import CryptographyVerifier
from demail_gateway.trust.xmldsig import LxmlSignatures
from tests.sandbox.playground import ALL_PROOFS, PROOFS, SENDER, Arrived, Playground, make_draft

DISPATCH, RECEIPT, RETRIEVE = (f"confirmation of {kind}" for kind in ("dispatch", "receipt", "retrieve"))
DOMAIN = "sandbox.de-mail.de"


def judged(playground: Playground, octets: bytes) -> IntegrityResult:
    """Integrity as the gateway would check it, with the authority's list."""
    judge = PathJudge([pem_to_der(playground.anchor)], answers=[playground.sandbox.crl()])
    return check_integrity(octets, verifier=CryptographyVerifier(), judge=judge, at=datetime.now(UTC))


def part(octets: bytes, content_type: str) -> bytes:
    message = read_message(octets)
    return next(p.decode() for p in leaves(read_parts(message.header, message.body)) if p.content_type == content_type)


def verified_xml(arrived: Arrived) -> bytes:
    return LxmlSignatures().verify(part(arrived.octets, "application/xml")).canonical


def assert_genuine(playground: Playground, arrived: Arrived) -> None:
    result = judged(playground, arrived.octets)
    assert (result.verdict, result.protection, result.algorithm) == (Outcome.PASSED, Protection.SIGNATURE, "sha256/rsa")
    assert part(arrived.octets, "application/pdf").startswith(b"%PDF-")
    acknowledged = read_acknowledgement(verified_xml(arrived))
    assert acknowledged.sender is not None
    assert acknowledged.sender.lower() == str(arrived.metadata.sender)


async def delivered(playground: Playground, address: str) -> bytes:
    (item,) = await playground.mailbox_until(address, 1)
    return base64.b64decode(item["raw"])


@pytest.mark.clause(
    "TR 01201-3.1 steps 38–39, 66, 69–70",
    "TR 01201-3.4 §3.1.17 copied",
    "TR 01201-3.4 §3.5.1 signed",
    "TR 01201-3.4 §3.5.1 facts",
)
async def test_a_citizen_gets_the_message_and_the_sender_three_proofs(playground: Playground) -> None:
    address = f"buergerin@{DOMAIN}"
    await playground.submit(address, options=ALL_PROOFS)
    proofs = await playground.listener.until(3)
    assert {proof.kind for proof in proofs} == {DISPATCH, RECEIPT, RETRIEVE}
    original = read_metadata(read_message(await delivered(playground, address)).header)
    for proof in proofs:
        assert_genuine(playground, proof)
        assert proof.recipient == SENDER
        assert proof.metadata.private_id == original.private_id
        told = read_acknowledgement(verified_xml(proof))
        assert told.hash is not None
        assert original.integrity is not None
        assert same_integrity_value(told.hash, original.integrity)


@pytest.mark.clause(
    "TR 01201-3.1 steps 29–31",
    "TR 01201-3.4 §3.1.11",
    "TR 01201-3.4 §3.1.13 every",
    "TR 01201-3.4 §3.1.16",
    "TR 01201-3.4 §3.1.19",
    "TR 01201-3.4 §3.1.21 moment",
)
async def test_the_message_is_sealed_and_completed(playground: Playground) -> None:
    address = f"buergerin@{DOMAIN}"
    await playground.submit(address, options=SendOptions())
    octets = await delivered(playground, address)
    result = judged(playground, octets)
    assert (result.verdict, result.protection, result.findings) == (Outcome.PASSED, Protection.HASH, ())
    metadata = read_metadata(read_message(octets).header)
    assert metadata.account_holder == "Stadt Elbtal"
    assert (metadata.auth_level, metadata.version, metadata.message_type) == ("high", "1.8", "normal")
    assert metadata.originator_provider == f"mail.{DOMAIN}"
    assert metadata.date is not None
    assert abs(metadata.date - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.clause("TR 01201-3.1 step 30", "TR 01201-3.1 steps 30–31", "TR 01201-3.4 §3.1.13 signed")
async def test_an_authoritative_message_is_signed(playground: Playground) -> None:
    address = f"buergerin@{DOMAIN}"
    await playground.submit(address, options=SendOptions(authoritative=True))
    result = judged(playground, await delivered(playground, address))
    assert (result.verdict, result.protection) == (Outcome.PASSED, Protection.SIGNATURE)


@pytest.mark.clause("TR 01201-3.1 steps 36–39, 67–70")
async def test_confirmations_come_only_where_they_are_asked_for(playground: Playground) -> None:
    address = f"buergerin@{DOMAIN}"
    await playground.submit(address, options=SendOptions(confirmation_of_receipt=True))
    await playground.submit(address, options=SendOptions(confirmation_of_dispatch=True))
    await playground.submit(address, options=SendOptions())
    await playground.mailbox_until(address, 3)
    assert sorted(proof.kind for proof in await playground.listener.until(2)) == [DISPATCH, RECEIPT]


@pytest.mark.clause("TR 01201-3.1 function 1")
async def test_the_login_comes_a_second_after_delivery(playground: Playground) -> None:
    await playground.submit(f"buergerin@{DOMAIN}", options=ALL_PROOFS)
    (retrieve,) = await playground.listener.until(1, RETRIEVE)
    told = read_acknowledgement(verified_xml(retrieve))
    assert told.time is not None
    assert told.delivery_time is not None
    assert timedelta(seconds=1) <= told.time - told.delivery_time <= timedelta(seconds=3)


@pytest.mark.clause("TR 01201-3.1 step 70")
async def test_the_recipients_own_copy_of_a_proof_lies_in_another_folder(playground: Playground) -> None:
    address = f"buergerin@{DOMAIN}"
    await playground.submit(address, options=PROOFS)
    (copy,) = await playground.mailbox_until(address, 1, "copies")
    assert copy["message_type"] == RECEIPT
    assert [item["message_type"] for item in await playground.mailbox(address)] == ["normal"]


@pytest.mark.clause("TR 01201-3.1 steps 38, 69")
async def test_proofs_go_to_the_reply_address(playground: Playground) -> None:
    await playground.submit(f"buergerin@{DOMAIN}", reply_to="antwort@stadt-elbtal.de-mail.de")
    assert {proof.recipient for proof in await playground.listener.until(2)} == {"antwort@stadt-elbtal.de-mail.de"}


@pytest.mark.clause("TR 01201-3.1 function 1")
async def test_never_retrieves_gets_the_message_and_does_not_log_in(playground: Playground) -> None:
    address = f"never-retrieves@{DOMAIN}"
    await playground.submit(address, options=ALL_PROOFS)
    await playground.submit(f"citizen@{DOMAIN}", options=ALL_PROOFS)
    await playground.http.post("/clock", json={"advance_s": 3600})
    (retrieve,) = await playground.listener.until(1, RETRIEVE)
    assert len(await playground.listener.until(4)) == 5
    assert str(retrieve.metadata.chosen_recipients.cc[0].address) == f"citizen@{DOMAIN}"
    assert len(await playground.mailbox(address)) == 1


@pytest.mark.clause("TR 01201-3.1 steps 42–43, 45")
@pytest.mark.parametrize(
    ("local", "kind", "words"),
    [
        ("unknown", "unknown-recipient", "unbekannt"),
        ("closed", "closed-account", "gesperrt"),
        ("normal-level", "other", "Authentisierungsniveau"),
    ],
)
async def test_an_undeliverable_message_is_told_and_not_confirmed(
    playground: Playground, local: str, kind: str, words: str
) -> None:
    address = f"{local}@{DOMAIN}"
    await playground.submit(address, options=ALL_PROOFS)
    (notice,) = await playground.listener.until(1, "notification")
    assert notice.metadata.notification_type == kind
    assert notice.metadata.private_id
    told = read_notification(part(notice.octets, "application/xml"))
    assert told.text is not None
    assert words in told.text
    assert address in told.text
    assert judged(playground, notice.octets).verdict is Outcome.PASSED
    assert {one.kind for one in await playground.listener.until(2)} == {DISPATCH, "notification"}
    assert await playground.mailbox(address) == []


@pytest.mark.clause("TR 01201-3.1 step 42")
async def test_normal_level_gets_what_needs_no_login_at_high(playground: Playground) -> None:
    await playground.submit(f"normal-level@{DOMAIN}", options=PROOFS)
    assert {proof.kind for proof in await playground.listener.until(2)} == {DISPATCH, RECEIPT}


@pytest.mark.clause("TR 01201-3.1 step 56", "TR 01201-3.1 steps 54–57")
async def test_malware_is_acknowledged_where_a_proof_was_asked_for(playground: Playground) -> None:
    await playground.submit(f"malware@{DOMAIN}", options=PROOFS)
    (found,) = await playground.listener.until(1, "malware-acknowledge")
    assert_genuine(playground, found)
    assert await playground.mailbox(f"malware@{DOMAIN}") == []


@pytest.mark.clause("TR 01201-3.1 step 56", "TR 01201-3.1 steps 54–56")
async def test_malware_is_notified_where_no_proof_was_asked_for(playground: Playground) -> None:
    await playground.submit(f"malware@{DOMAIN}", options=SendOptions())
    (found,) = await playground.listener.until(1)
    assert found.kind == "malware-notification"
    assert found.metadata.sender is not None
    assert found.metadata.sender.local == "schadsoftware-warnung"


async def test_a_forged_receipt_is_one_confirmation_that_does_not_hold(playground: Playground) -> None:
    await playground.submit(f"forged-receipt@{DOMAIN}", options=ALL_PROOFS)
    (forged,) = await playground.listener.until(1, RECEIPT)
    result = judged(playground, forged.octets)
    assert (result.verdict, result.code) == (Outcome.FAILED, "signature-mismatch")
    with pytest.raises(XmlSignatureInvalid):
        verified_xml(forged)
    await playground.http.post("/clock", json={"advance_s": 86_400})
    await playground.submit(f"citizen@{DOMAIN}", options=ALL_PROOFS)
    await playground.listener.until(1, RETRIEVE)
    about_forger = [one for one in playground.listener.arrived if one.metadata.private_id == forged.metadata.private_id]
    assert sorted(one.kind for one in about_forger) == [DISPATCH, RECEIPT]


async def test_duplicate_receipt_confirms_everything_twice_the_last_first(playground: Playground) -> None:
    await playground.submit(f"duplicate-receipt@{DOMAIN}", options=ALL_PROOFS)
    proofs = await playground.listener.until(6)
    assert sorted(proof.kind for proof in proofs) == sorted([DISPATCH, RECEIPT, RETRIEVE] * 2)
    # several lines deliver at once, so neighbours may change places; the order of issue is not that of the stages
    assert proofs[0].kind != DISPATCH
    assert len({proof.octets for proof in proofs}) == 6
    for proof in proofs:
        assert_genuine(playground, proof)


async def test_duplicate_receipt_without_a_login_confirms_at_delivery(playground: Playground) -> None:
    await playground.submit(f"duplicate-receipt@{DOMAIN}", options=PROOFS)
    assert sorted(p.kind for p in await playground.listener.until(4)) == [DISPATCH, DISPATCH, RECEIPT, RECEIPT]


async def test_replies_answers_with_a_signed_message_and_an_attachment(playground: Playground) -> None:
    await playground.submit(f"replies@{DOMAIN}", options=SendOptions())
    (answer,) = await playground.listener.until(1)
    assert (answer.kind, answer.recipient) == ("normal", SENDER)
    assert answer.metadata.authoritative
    assert (answer.metadata.subject or "").startswith("AW: ")
    result = judged(playground, answer.octets)
    assert (result.verdict, result.protection) == (Outcome.PASSED, Protection.SIGNATURE)
    assert part(answer.octets, "application/pdf").startswith(b"%PDF-")


async def test_a_number_behind_a_plus_delays_the_last_event(playground: Playground) -> None:
    await playground.submit(f"unknown+600@{DOMAIN}")
    await playground.submit(f"normal+600@{DOMAIN}", options=ALL_PROOFS)
    await playground.listener.until(1, RECEIPT)
    await playground.listener.until(2, DISPATCH)
    assert {one.kind for one in playground.listener.arrived} == {DISPATCH, RECEIPT}
    await playground.http.post("/clock", json={"advance_s": 601})
    await playground.listener.until(1, RETRIEVE)
    await playground.listener.until(1, "notification")


@pytest.mark.clause("TR 01201-3.1 steps 39, 70")
async def test_several_recipients_have_one_dispatch_and_a_receipt_each(playground: Playground) -> None:
    first, second = f"erika@{DOMAIN}", f"max@{DOMAIN}"
    await playground.submit(first, second)
    await playground.listener.until(1, DISPATCH)
    receipts = await playground.listener.until(2, RECEIPT)
    assert {str(r.metadata.chosen_recipients.cc[0].address) for r in receipts} == {first, second}
    assert len(playground.listener.arrived) == 3


@pytest.mark.clause("TR 01201-3.4 §3.1.8 bcc", "TR 01201-3.4 §3.1.18", "TR 01201-3.1 step 29")
async def test_a_bcc_copy_names_only_its_own_recipient(playground: Playground) -> None:
    to, bcc = f"erika@{DOMAIN}", (f"eins@{DOMAIN}", f"zwei@{DOMAIN}")
    draft = make_draft(to, bcc=bcc)
    await playground.submit(to, *bcc, octets=draft)
    dispatches = await playground.listener.until(3, DISPATCH)
    assert len({read_acknowledgement(verified_xml(one)).hash for one in dispatches}) == 3
    seen = read_metadata(read_message(await delivered(playground, to)).header)
    assert seen.chosen_recipients.bcc == seen.actual_recipients.bcc == ()
    for hidden in bcc:
        lists = read_metadata(read_message(await delivered(playground, hidden)).header).chosen_recipients
        assert [str(m.address) for m in lists.bcc] == [hidden]
        assert [str(m.address) for m in lists.to] == [to]


@pytest.mark.clause("TR 01201-3.1 step 40")
async def test_another_tenants_mailbox_is_reached_at_the_gateway(playground: Playground) -> None:
    other = "poststelle@amt.de-mail.de"
    await playground.submit(other, options=ALL_PROOFS)
    arrived = await playground.listener.until(4)
    assert {(one.kind, one.recipient) for one in arrived} == {
        ("normal", other), (DISPATCH, SENDER), (RECEIPT, SENDER), (RETRIEVE, SENDER),
    }  # fmt: skip


@pytest.mark.clause("TR 01201-3.1 step 45")
async def test_an_address_that_the_gateway_does_not_know_is_unknown(playground: Playground) -> None:
    playground.listener.refuse = lambda address: "550 no such mailbox" if address.startswith("niemand") else None
    await playground.submit("niemand@amt.de-mail.de")
    (notice,) = await playground.listener.until(1, "notification")
    assert notice.metadata.notification_type == "unknown-recipient"


async def test_the_provider_shows_its_certificate(playground: Playground) -> None:
    await playground.submit(f"buergerin@{DOMAIN}")
    (proof, *_) = await playground.listener.until(1)
    pem = (playground.configuration.directory / "tls-client.pem").read_bytes()
    assert proof.peer_certificate == pem_to_der(pem)
    assert proof.envelope_sender.endswith(f"@{DOMAIN}")
