"""Proofs of attackers: whatever stands in their XML, a named check fails, nothing raises, nothing passes (CO-6)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from demail_gateway.core.checks import Outcome
from demail_gateway.core.confirmation_report import ConfirmationReport, Verdict
from demail_gateway.core.delivery import Effect
from demail_gateway.core.errors import MalformedMessage, XmlRefused
from demail_gateway.core.header import read_message
from demail_gateway.core.ident import IdentReport
from demail_gateway.core.notification_check import NotificationReport, read_notification_message
from demail_gateway.core.vocabulary import ConfirmationKind, NotificationType
from tests.core import idents
from tests.core.proofs import (
    ERIKA,
    OTHER_SIGNER,
    SIGNATURES,
    notice,
    notification_report,
    report,
    sealed,
    unsealed,
    with_xml,
    xml_of,
)
from tests.harness.hostile_xml import CHANGED, REFUSED, Change
from tests.harness.mutations import Mutation, octet_mutations, xml_mutations
from tests.trust.wrapping import ASSERTION_ATTACKS, ATTACKS, Attack, add_a_comment_behind, use_a_relative_namespace

CORPUS = Path(__file__).parent / "corpus" / "xml"
MESSAGES = Path(__file__).parent / "corpus" / "messages"
RECEIPT = unsealed(ConfirmationKind.RECEIPT, signer=OTHER_SIGNER)
RECEIPT_XML = xml_of(RECEIPT)
NOTICE = notice(NotificationType.UNKNOWN_RECIPIENT, "Der Empfänger ist nicht bekannt.")
NOTICE_XML = xml_of(NOTICE)
ASSERTION = idents.signed(idents.assertion(), key="p256", method="ecdsa-sha256")
IDENT = idents.unsealed(ASSERTION)
MOST_CPU_S = 2.0
"""For one hostile document of up to 9 MB, on a busy machine; the worst takes a tenth of it."""

hostile = settings(max_examples=80, deadline=None)


def confirmation(xml: bytes) -> ConfirmationReport:
    return report(sealed(with_xml(RECEIPT, xml), OTHER_SIGNER))


def notification(xml: bytes) -> NotificationReport:
    return notification_report(sealed(with_xml(NOTICE, xml), None))


def ident(xml: bytes) -> IdentReport:
    return idents.report(sealed(with_xml(IDENT, xml), OTHER_SIGNER))


def is_proof(found: ConfirmationReport) -> bool:
    """Whether the XML of a confirmation was believed."""
    return found.checks[5].outcome is Outcome.PASSED


def test_what_is_attacked_is_good() -> None:
    assert confirmation(RECEIPT_XML).verdict is Verdict.CONFIRMED
    assert notification(NOTICE_XML).verdict is Verdict.CONFIRMED
    assert ident(ASSERTION).outcome is Outcome.PASSED


@pytest.mark.parametrize("name", REFUSED)
def test_xml_that_must_not_be_read_fails_by_name(name: str) -> None:
    before = process_time()
    found = confirmation(REFUSED[name](RECEIPT_XML))
    assert found.verdict is Verdict.REJECTED
    assert (found.checks[4].outcome, found.checks[5].outcome) == (Outcome.FAILED, Outcome.FAILED)
    assert {"xml-missing", "xml-signature-invalid"} <= set(found.findings)
    proven = ident(REFUSED[name](ASSERTION))
    assert (proven.outcome, proven.checks[4].outcome) == (Outcome.FAILED, Outcome.FAILED)
    assert {"xml-missing", "xml-signature-invalid"} & set(proven.findings)
    told = notification(REFUSED[name](NOTICE_XML))
    assert {"xml-missing", "xml-schema"} & set(told.findings)
    assert told.verdict is Verdict.CONFIRMED_WITH_REMARKS, "a malformed notification counts by its six fields (SND-94)"
    assert "root:" not in told.text
    assert process_time() - before < MOST_CPU_S


@pytest.mark.parametrize("name", CHANGED)
def test_xml_that_was_changed_fails_by_name(name: str) -> None:
    before = process_time()
    found = confirmation(CHANGED[name](RECEIPT_XML))
    assert found.verdict is Verdict.REJECTED
    assert "xml-signature-invalid" in found.findings
    proven = ident(CHANGED[name](ASSERTION))
    # a reference to the root leaves out what stands in front of it
    expected = Outcome.PASSED if name == "stylesheet" else Outcome.FAILED
    assert (proven.outcome, proven.checks[4].outcome) == (expected, expected)
    told = notification(CHANGED[name](NOTICE_XML))
    assert told.verdict.moves
    assert "root:" not in told.text
    assert process_time() - before < MOST_CPU_S


def test_a_byte_order_mark_changes_nothing() -> None:
    mark = b"\xef\xbb\xbf"
    assert confirmation(mark + RECEIPT_XML).verdict is Verdict.CONFIRMED
    assert notification(mark + NOTICE_XML).verdict is Verdict.CONFIRMED
    assert ident(mark + ASSERTION).outcome is Outcome.PASSED


# --- signature wrapping ----------------------------------------------------------------------------------------------


def attacked(xml: bytes, attack: Attack) -> bytes:
    changed = etree.tostring(attack(etree.fromstring(xml)))
    assert changed != etree.tostring(etree.fromstring(xml))
    return changed


@pytest.mark.clause("CO-14")
@pytest.mark.parametrize(
    "attack", [each for each in ATTACKS if each is not use_a_relative_namespace], ids=lambda each: each.__name__
)
def test_no_wrapped_signature_confirms_anything(attack: Attack) -> None:
    found = confirmation(attacked(RECEIPT_XML, attack))
    assert found.verdict is Verdict.REJECTED
    assert not is_proof(found)
    assert {"xml-signature-invalid", "xml-missing"} & set(found.findings)


@pytest.mark.clause("ID-3")
@pytest.mark.parametrize(
    "attack",
    [
        *ASSERTION_ATTACKS,
        *(each for each in ATTACKS if each not in (use_a_relative_namespace, add_a_comment_behind)),
    ],
    ids=lambda each: each.__name__,
)
def test_no_wrapped_signature_proves_an_identity(attack: Attack) -> None:
    found = ident(attacked(ASSERTION, attack))
    assert (found.outcome, found.checks[4].outcome) == (Outcome.FAILED, Outcome.FAILED)
    assert (found.card, found.subject) == (None, None)


def test_a_comment_does_not_shorten_an_address() -> None:
    """The signed user may be ``erika…example.evil``: a reader that stops at a comment would take him for Erika."""
    longer = idents.assertion().replace(str(ERIKA), f"{ERIKA}.evil")
    split = idents.signed(longer, key="p256", method="ecdsa-sha256").replace(
        f"{ERIKA}.evil".encode(), f"{ERIKA}<!-- -->.evil".encode()
    )
    found = ident(split)
    assert found.checks[4].outcome is Outcome.PASSED, "comments are not signed"
    assert "subject-mismatch" in found.findings
    assert found.outcome is Outcome.FAILED


# --- mutations: the corpus, and what hypothesis makes of it ----------------------------------------------------------


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.stem)
def test_every_file_of_the_corpus_is_judged(path: Path) -> None:
    judge_all(path.read_bytes())


@pytest.mark.parametrize("path", sorted(MESSAGES.iterdir()), ids=lambda path: path.stem)
def test_every_message_of_the_corpus_counts_in_spite_of_its_form(path: Path) -> None:
    """SND-94: shape alone does not reject a notification; confirmations and Ident-Bestätigungen among them are good."""
    octets = path.read_bytes()
    if path.stem == "receipt":
        assert report(octets).verdict is Verdict.CONFIRMED
    elif path.stem == "ident":
        assert idents.report(octets).outcome is Outcome.PASSED
    else:
        assert notification_report(octets).verdict.moves


def judge_all(xml: bytes) -> None:
    """The laws: nothing raises; what is believed is what was signed."""
    found = confirmation(xml)
    if is_proof(found):
        assert canonical(SIGNATURES.verify, xml) == canonical(SIGNATURES.verify, RECEIPT_XML)
    proven = ident(xml)
    if proven.checks[4].outcome is Outcome.PASSED:
        assert canonical(SIGNATURES.verify_assertion, xml) == canonical(SIGNATURES.verify_assertion, ASSERTION)
    told = notification(xml)
    assert told.verdict.moves
    assert told.effect is Effect.UNDELIVERABLE, "the type is in the header section, which nobody changed"


def canonical(verify: Callable[[bytes], object], xml: bytes) -> bytes:
    found = verify(xml)
    return found.canonical  # type: ignore[attr-defined,no-any-return]


SEEDS = st.sampled_from([(CORPUS / name).read_bytes() for name in
                         ("acknowledgement.xml", "notification.xml", "assertion.xml")])  # fmt: skip


@hostile
@given(SEEDS, octet_mutations() | xml_mutations())
def test_mutated_xml_is_judged_and_never_believed(xml: bytes, mutate: Mutation) -> None:
    judge_all(mutate(xml))


@hostile
@given(st.sampled_from([path.read_bytes() for path in sorted(MESSAGES.iterdir())]), octet_mutations())
def test_a_mutated_notification_is_judged_or_is_none(message: bytes, mutate: Mutation) -> None:
    changed = mutate(message)
    try:
        found = notification_report(changed)
    except MalformedMessage:
        return
    # outside of what the hash covers much may change; what counts must be what was sealed
    if found.verdict.moves:
        sender = read_message(changed).header.value("x-de-mail-sender")
        assert sender in ("Meldung@dmda-b.example", "Schadsoftware-Warnung@dmda-b.example")
        assert found.effect is not None


@hostile
@given(octet_mutations())
def test_a_mutated_notification_is_read_whatever_its_hash(mutate: Mutation) -> None:
    """Sealed after the change, so that every reader behind the hash sees it."""
    try:
        changed = sealed(mutate(NOTICE), None)
        found = notification_report(changed)
    except MalformedMessage:
        return
    assert read_notification_message(read_message(changed)).text == found.text


@hostile
@given(octet_mutations())
def test_a_mutated_ident_message_is_judged_or_is_none(mutate: Mutation) -> None:
    try:
        changed = sealed(mutate(IDENT), OTHER_SIGNER)
        found = idents.report(changed)
    except MalformedMessage:
        return
    if found.outcome is Outcome.PASSED:
        assert found.card is not None
        assert found.card.values("surname") == ("Mustermann",)


@pytest.mark.parametrize("change", [*REFUSED.values()], ids=[*REFUSED])
def test_nothing_but_xml_refused_comes_out_of_the_reader(change: Change) -> None:
    with pytest.raises(XmlRefused):
        SIGNATURES.examine(change(RECEIPT_XML))
