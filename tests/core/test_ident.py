"""Ident-Bestätigungen: read from what another library has signed, and each step that can fail (ID-1 to ID-3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demail_gateway.core.address import TrustedDomains
from demail_gateway.core.checks import Outcome
from demail_gateway.core.errors import MalformedMessage, XmlRefused
from demail_gateway.core.header import read_message
from demail_gateway.core.ident import STEPS, IdentReport, is_ident, read_ident
from demail_gateway.core.ident_xml import CardKind, read_assertion
from tests.core.idents import (
    ASSERTION,
    FORMAT,
    IDENT,
    MESSAGE,
    OWN_ADDRESS,
    PERSON,
    SERVICE,
    SYSTEM,
    assertion,
    card,
    other,
    report,
    signed,
    unsealed,
)
from tests.core.proofs import ERIKA, ORIGINAL, RECEIVED_AT, REVOKED, SIGNATURES, STATUS_UNKNOWN, sealed
from tests.core.vector_trust import VectorJudge

NAMES = [
    "ident.01-integrity",
    "ident.02-matrix",
    "ident.03-issuer",
    "ident.04-structure",
    "ident.05-xml-signature",
    "ident.06-assertion",
    "ident.07-assertion-issuer",
    "ident.08-audience",
    "ident.09-subject",
    "ident.10-card",
    "ident.11-times",
]


def message(xml: str, **changes: Any) -> bytes:
    return sealed(unsealed(signed(xml), **changes))


def outcome(found: IdentReport, step: int) -> Outcome:
    return found.checks[step - 1].outcome


@pytest.mark.clause("TR 01201-4.4 §2.6", "TR 01201-3.4 §3.4.1 ident", "TR 01201-3.1 steps 60–61")
def test_a_proper_ident_bestaetigung_passes_all_eleven_steps() -> None:
    found = report(MESSAGE)
    assert [check.name for check in found.checks] == NAMES == [name for name, _, _ in STEPS]
    assert {check.outcome for check in found.checks} == {Outcome.PASSED}
    assert all(check.source for check in found.checks)
    assert (found.outcome, found.findings) == (Outcome.PASSED, ())
    assert found.subject == str(ERIKA)
    assert found.validation["certificates"]


@pytest.mark.clause("TR 01201-4.4 §2.2")
def test_the_card_is_read_with_its_times_of_verification() -> None:
    found = report(MESSAGE).card
    assert found is not None
    assert found.kind is CardKind.NATURAL_PERSON
    assert found.values("surname") == ("Mustermann",)
    assert found.values("dateOfBirth") == ("12.08.<<<<",)
    assert found.values("zip") == ("51147",), "in the tables, not in the schema: ID-2"
    assert {each.validated_at for each in found.fields} == {datetime(2026, 1, 15, 10, tzinfo=UTC)}
    assert [each.name for each in found.fields][-1] == "de-mail-address"


@pytest.mark.parametrize("kind", list(CardKind))
@pytest.mark.parametrize("inside", ["Identcard", ""])
def test_every_card_is_read_wherever_it_is_nested(kind: CardKind, inside: str) -> None:
    """ID-2."""
    representatives = ("authorisedRepresentative", "A"), ("authorisedRepresentative", "B")
    fields = (*representatives, OWN_ADDRESS) if kind is CardKind.LEGAL_PERSON else (OWN_ADDRESS,)
    found = report(message(assertion(card=card(kind.value, *fields, inside=inside))))
    assert found.outcome is Outcome.PASSED
    assert found.card is not None
    assert found.card.kind is kind
    assert len(found.card.values("authorisedRepresentative")) == (2 if kind is CardKind.LEGAL_PERSON else 0)


def test_a_card_without_namespace_is_read_as_in_the_guideline_s_example() -> None:
    """ID-2."""
    assert report(message(assertion(card=PERSON.replace(f' xmlns="{IDENT}"', "")))).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "changes",
    [
        {"reference": ""},
        {"c14n": "http://www.w3.org/2001/10/xml-exc-c14n#"},
        {"key": "p256", "method": "ecdsa-sha256"},
        {"method": "sha256-rsa-MGF1"},
    ],
)
def test_permitted_forms_of_the_signature(changes: dict[str, Any]) -> None:
    """ID-3, CO-13: also a reference to the whole document, exclusive canonicalisation, ECDSA, PSS."""
    assert report(sealed(unsealed(signed(assertion(), **changes)))).outcome is Outcome.PASSED


@pytest.mark.clause("TR 01201-3.4 §3.4.1 ident", "TR 01201-3.1 step 61")
@pytest.mark.parametrize(
    ("octets", "changes", "step", "finding"),
    [
        (MESSAGE.replace(b"\r\nSubject: ", b"\r\nSubject: X"), {}, 1, "signature-mismatch"),
        (sealed(unsealed(ASSERTION), None), {}, 1, "signature-required"),
        (sealed(unsealed(ASSERTION, private=False)), {}, 2, "ident-private:x-de-mail-private"),
        (sealed(unsealed(ASSERTION, subject="Identität")), {}, 2, "ident-subject:subject"),
        (sealed(unsealed(ASSERTION, sender="Versandbestaetigung@dmda-b.example")), {}, 3, "system-sender"),
        (MESSAGE, {"trusted": TrustedDomains(frozenset({"dmda-a.example"}))}, 3, "system-sender"),
        (sealed(unsealed(ASSERTION).replace(b"multipart/mixed", b"multipart/related")), {}, 4,
         "structure-not-multipart-mixed"),
        (sealed(unsealed(b"<a/>")), {}, 5, "xml-missing"),
        (sealed(unsealed(ASSERTION.replace(b"Mustermann", b"Musterfrau"))), {}, 5, "xml-signature-invalid"),
        (message(assertion(version='Version="1.1"')), {}, 6, "assertion-version"),
        (sealed(unsealed(signed(assertion(id=""), reference=""))), {}, 6, "assertion-id"),
        (message(assertion(issued="")), {}, 6, "assertion-issue-instant"),
        (message(assertion(issuer="")), {}, 6, "assertion-issuer"),
        (message(assertion(issuer=f"<saml:Issuer>{SYSTEM}</saml:Issuer>" * 2)), {}, 6, "assertion-issuer"),
        (message(assertion(subject="")), {}, 6, "assertion-subject"),
        (message(assertion(subject=f'<saml:Subject><saml:NameID Format="{FORMAT}">{ERIKA}</saml:NameID>'
                                   "<saml:SubjectConfirmation/></saml:Subject>")), {}, 6, "assertion-subject"),
        (message(assertion(restriction="")), {}, 6, "assertion-conditions"),
        (message(assertion(restriction="<saml:OneTimeUse/>")), {}, 6, "assertion-conditions"),
        (message(assertion(restriction="<saml:AudienceRestriction/>" * 2)), {}, 6, "assertion-conditions"),
        (message(assertion(authn="")), {}, 6, "assertion-authn-statement"),
        (message(assertion(authn="<saml:AuthnStatement/>" * 2)), {}, 6, "assertion-authn-statement"),
        (message(assertion(attributes="<saml:AttributeStatement/>" * 2)), {}, 6, "assertion-attribute-statement"),
        (message(assertion(issuer=f'<saml:Issuer Format="{FORMAT}">Ident-Bestaetigung@a.example</saml:Issuer>')), {}, 7,
         "assertion-issuer-mismatch"),
        (sealed(unsealed(ASSERTION, to=(other("amt@dmda-a.example"),))), {}, 8, "audience-mismatch"),
        (sealed(unsealed(ASSERTION, cc=(other("max@dmda-b.example"),))), {}, 9, "subject-mismatch"),
        (sealed(unsealed(ASSERTION, cc=())), {}, 9, "subject-mismatch"),
        (message(assertion(card=" ")), {}, 10, "card-missing"),
        (message(assertion(card=PERSON + PERSON)), {}, 10, "card-several"),
        (message(assertion(card=card("Age", ("age", "61")))), {}, 10, "card-address-mismatch"),
        (message(assertion(card=card("Age", ("age", "61"), ("de-mail-address", "max@dmda-b.example")))), {}, 10,
         "card-address-mismatch"),
        (MESSAGE, {"at": RECEIVED_AT - timedelta(hours=1)}, 11, "time-implausible"),
        (message(assertion(issued='IssueInstant="2026-03-02T08:00:00Z"')), {}, 11, "time-implausible"),
        (message(assertion(limits=' NotOnOrAfter="2026-03-02T08:10:00Z"')), {}, 11, "assertion-expired"),
        (message(assertion(limits=' NotBefore="2026-03-02T09:10:00Z"')), {}, 11, "time-implausible"),
    ],
)  # fmt: skip
def test_each_step_fails_with_its_finding_and_fails_the_whole(
    octets: bytes, changes: dict[str, Any], step: int, finding: str
) -> None:
    found = report(octets, **changes)
    expected = Outcome.PASSED if finding.startswith("ident-subject") else Outcome.FAILED
    assert outcome(found, step) is expected
    assert finding in found.findings
    assert found.outcome is expected
    assert (found.card is None) is (expected is Outcome.FAILED)


@pytest.mark.parametrize(
    ("judge", "expected", "finding"),
    [
        (REVOKED, Outcome.FAILED, "certificate-revoked"),
        (VectorJudge(anchor="other-ca.crt.pem"), Outcome.FAILED, "certificate-untrusted"),
        (STATUS_UNKNOWN, Outcome.INDETERMINATE, "certificate-status-unknown"),
    ],
)
def test_the_certificate_decides(judge: VectorJudge, expected: Outcome, finding: str) -> None:
    found = report(MESSAGE, judge=judge)
    assert (outcome(found, 1), outcome(found, 5), found.outcome) == (expected,) * 3
    assert finding in found.findings
    assert (found.card, found.subject) == (None, None), "nothing unproven is taken for an identity"


def test_the_assertion_s_own_certificate_is_judged() -> None:
    found = report(sealed(unsealed(signed(assertion(), key="p256-expired", method="ecdsa-sha256"))))
    assert (outcome(found, 1), outcome(found, 5)) == (Outcome.PASSED, Outcome.FAILED)
    assert "certificate-expired" in found.findings


def test_without_a_verified_assertion_nothing_of_it_is_believed() -> None:
    found = report(sealed(unsealed(ASSERTION.replace(b"Mustermann", b"Musterfrau"))))
    assert [outcome(found, step) for step in range(6, 12)] == [Outcome.INDETERMINATE] * 6


@pytest.mark.parametrize(
    ("mailbox", "expected"),
    [
        (SERVICE, Outcome.PASSED),
        (ERIKA, Outcome.PASSED),
        (None, Outcome.PASSED),
        (other("amt@musterstadt.dmda-a.example"), Outcome.INDETERMINATE),
    ],
)
def test_an_identity_passes_for_nobody_but_its_audience_and_the_ordering_user(mailbox: Any, expected: Outcome) -> None:
    """Octets that were sent on to somebody else say nothing to him."""
    found = report(MESSAGE, mailbox=mailbox)
    assert (outcome(found, 8), found.outcome) == (expected, expected)
    assert ("audience-elsewhere" in found.findings) is (expected is Outcome.INDETERMINATE)


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"issuer": f"<saml:Issuer>{SYSTEM}</saml:Issuer>"}, "assertion-name-format"),
        ({"end": "<saml:Advice/>"}, "assertion-unused:Advice"),
        ({"issued": 'IssueInstant="2026-03-02T09:20:00"'}, "time-without-zone"),
        ({"card": card("Age", ("age", "61"), OWN_ADDRESS, when="")}, "validation-time-missing"),
    ],
)
def test_what_only_looks_odd_is_shown_and_decides_nothing(changes: dict[str, str], finding: str) -> None:
    """ID-1, ID-2."""
    found = report(message(assertion(**changes)))
    assert finding in found.findings
    assert found.outcome is Outcome.PASSED


UNREADABLE_TIMES = ["2020-13-01T00:00:00Z", "2020-01-01 00:00:00Z", "2099-1-01T00:00:00Z", "20200101", " ", ""]


@pytest.mark.parametrize("limit", ["NotBefore", "NotOnOrAfter"])
@pytest.mark.parametrize("text", UNREADABLE_TIMES)
def test_a_limit_of_validity_that_cannot_be_read_is_not_taken_for_none(limit: str, text: str) -> None:
    found = report(message(assertion(limits=f' {limit}="{text}"')))
    assert (outcome(found, 6), found.outcome, found.card) == (Outcome.FAILED, Outcome.FAILED, None)
    assert "assertion-conditions" in found.findings


@pytest.mark.parametrize("text", ["2026-03-02T09:20:00+01:00", "9999-12-31T23:59:59Z"])
def test_a_limit_of_validity_that_lies_ahead_does_no_harm(text: str) -> None:
    assert report(message(assertion(limits=f' NotOnOrAfter="{text}"'))).outcome is Outcome.PASSED


@pytest.mark.parametrize("text", UNREADABLE_TIMES)
def test_a_time_of_verification_that_cannot_be_read_leaves_the_card_undecided(text: str) -> None:
    """Whether the field was verified before the issue could not be checked."""
    found = report(message(assertion(card=card("Age", ("age", "61"), OWN_ADDRESS, when=f'validationTime="{text}"'))))
    assert (outcome(found, 11), found.outcome, found.card) == (Outcome.INDETERMINATE, Outcome.INDETERMINATE, None)
    assert "validation-time-unreadable" in found.findings
    assert "validation-time-missing" not in found.findings


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"issued": 'IssueInstant="9999-12-31T23:59:59Z"'}, Outcome.FAILED),
        ({"issued": 'IssueInstant="0001-01-01T00:00:00Z"'}, Outcome.FAILED),
        ({"limits": ' NotBefore="9999-12-31T23:59:59Z"'}, Outcome.FAILED),
        ({"limits": ' NotBefore="0001-01-01T00:00:00Z"'}, Outcome.PASSED),
    ],
)
def test_times_at_the_ends_of_reckoning_are_judged_without_an_error(changes: dict[str, str], expected: Outcome) -> None:
    assert outcome(report(message(assertion(**changes))), 11) is expected


def test_only_class_i_is_an_ident_bestaetigung() -> None:
    assert is_ident(read_message(MESSAGE).header)
    assert not is_ident(ORIGINAL.header)
    with pytest.raises(MalformedMessage, match="message-type"):
        read_ident(ORIGINAL, SIGNATURES)
    with pytest.raises(XmlRefused):
        read_assertion(b"<a/>")
