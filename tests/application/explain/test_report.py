"""Reports in sentences: what a clerk reads about a file."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.application.explain.conclusions import conclusion
from demail_gateway.application.explain.report import explain
from demail_gateway.application.explain.wording import Language
from demail_gateway.application.inspect import Inspection, Kind
from demail_gateway.core.checks import Check, Outcome, worst
from demail_gateway.core.vocabulary import Protection

F, P, I, N = Outcome.FAILED, Outcome.PASSED, Outcome.INDETERMINATE, Outcome.NOT_APPLICABLE  # noqa: E741


def inspection(*checks: Check, kind: Kind = Kind.MESSAGE, mode: Protection = Protection.NONE) -> Inspection:
    return Inspection(kind, worst(check.outcome for check in checks), checks, mode=mode)


def findings(check: Check, language: Language = Language.GERMAN) -> list[str]:
    return [line.finding for line in explain(inspection(check), language).lines]


CHANGED = Check("integrity.hash", F, "body-hash-mismatch", "x")


def test_a_changed_message_says_what_that_means_and_what_to_do() -> None:
    german, english = (explain(inspection(CHANGED), language) for language in Language)
    assert (german.kind, german.word) == ("De-Mail-Nachricht", "durchgefallen")
    assert german.meaning == "Die Nachricht wurde nach dem Versiegeln verändert oder beschädigt. Sie beweist nichts."
    assert german.advice.startswith("Prüfen Sie, ob Ihnen die Originaldatei vorliegt")
    (line,) = german.lines
    assert (line.title, line.word) == ("Prüfsumme von Kopf und Inhalt", "durchgefallen")
    assert line.finding == "Der Inhalt ist nicht der, der versiegelt wurde. [body-hash-mismatch]"
    assert (english.kind, english.word) == ("De-Mail message", "failed")
    assert english.lines[0].finding == "The content is not the one that was sealed. [body-hash-mismatch]"


@pytest.mark.parametrize("language", Language)
def test_a_checksum_is_never_called_a_proof_of_origin(language: Language) -> None:
    """IN-1."""
    passed = Check("integrity.hash", P)
    hashed, signed = (
        explain(inspection(passed, mode=mode), language) for mode in (Protection.HASH, Protection.SIGNATURE)
    )
    assert not any(word in hashed.meaning for word in ("signiert", "signed", "echt", "genuine"))
    assert "signiert" in signed.meaning or "signed" in signed.meaning


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (Kind.MESSAGE, Check("certificate.path", I, "trust-anchor-missing")),
        (Kind.CONFIRMATION, Check("confirmation.06-xml-signature", I, "trust-anchor-missing")),
        (Kind.EVIDENCE_PACKAGE, Check("package.signer", I, "trust-anchor-missing; CN=Gateway, SHA-256 ab")),
    ],
)
def test_a_missing_anchor_is_asked_for_and_no_revocation_list(kind: Kind, check: Check) -> None:
    for language in Language:
        report = explain(inspection(check, kind=kind), language)
        assert "--trust-anchor" in report.advice
        assert "--crl" not in report.advice
        assert "[trust-anchor-missing]" in report.lines[0].finding
    assert "Vertrauensanker" in explain(inspection(check, kind=kind), Language.GERMAN).meaning


def test_the_gravest_stands_first_and_silence_is_summed_up() -> None:
    report = explain(
        inspection(
            Check("integrity.form", P),
            Check("certificate.status", I, "certificate-status-unknown"),
            Check("integrity.key", N),
            Check("integrity.signature", I),
            Check("header.matrix.value-case", N, "x-de-mail-auth-level"),
            CHANGED,
        ),
        Language.GERMAN,
    )
    assert [line.outcome for line in report.lines] == [F, I, N]
    assert report.passed == ("Form der Versiegelung",)
    assert report.not_reached == ("Signatur des Anbieters",)
    assert report.lines[-1].finding == "Groß- und Kleinschreibung weicht ab. [value-case: x-de-mail-auth-level]"
    assert report.lines[-1].word == "Hinweis"


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ("xml-schema, delivery-time-missing", ["[xml-schema]", "[delivery-time-missing]"]),
        ("metadata-changed:subject", ["[metadata-changed: subject]"]),
        ("certificate-expired; CN=Anbieter, C=DE", ["[certificate-expired]", "CN=Anbieter, C=DE"]),
        ("evidence/1.eml: rejected", ["evidence/1.eml: Zurückgewiesen"]),
        ("a-code-of-tomorrow", ["a-code-of-tomorrow"]),
        ("CN=Anbieter,O=Firma, C=DE", ["CN=Anbieter,O=Firma, C=DE"]),
    ],
)
def test_each_code_becomes_its_sentence_and_the_rest_stays(detail: str, expected: list[str]) -> None:
    (text,) = findings(Check("integrity.certificate", P, detail))
    positions = [text.index(each) for each in expected]
    assert positions == sorted(positions)


@pytest.mark.parametrize(
    ("check", "kind"),
    [
        ("mailbox.messages", "Postfachdatei"),
        ("ident.01-integrity", "Ident-Bestätigung"),
        ("integrity.hash", "De-Mail-Nachricht"),
    ],
)
def test_a_file_is_called_by_its_name(check: str, kind: str) -> None:
    assert explain(inspection(Check(check, P)), Language.GERMAN).kind == kind


CAUSES = (
    "integrity.hash", "integrity.present", "integrity.signature-required", "certificate.path", "certificate.status",
    "message.readable", "header.matrix.size", "confirmation.01-integrity", "notification.issuer", "ident.10-card",
    "proof.size", "package.signer", "package.unchanged", "package.proofs", "evidence.verdict", "journal.chain",
    "mailbox.messages", "something.new",
)  # fmt: skip


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("cause", CAUSES)
def test_every_result_has_a_conclusion(kind: Kind, cause: str) -> None:
    for outcome, mode in product((F, P, I), Protection):
        found = conclusion(inspection(Check(cause, outcome), kind=kind, mode=mode))
        assert found.meaning.de != found.meaning.en
        assert found.advice.de != found.advice.en


def test_no_result_at_all_is_undecided_and_has_a_conclusion() -> None:
    assert explain(inspection(), Language.ENGLISH).word == "undecided"


@given(st.text(max_size=80), st.sampled_from(Outcome), st.sampled_from(Language))
def test_any_detail_is_told_without_an_error(detail: str, outcome: Outcome, language: Language) -> None:
    report = explain(inspection(Check("content.signature", outcome, detail)), language)
    assert len(report.lines) + len(report.passed) + len(report.not_reached) <= 1


def test_a_package_without_requested_proofs_speaks_of_none_that_hold() -> None:
    """GWT-90."""
    whole = Check("package.complete", P)
    without, holding = (
        explain(inspection(whole, proofs, kind=Kind.EVIDENCE_PACKAGE), Language.GERMAN)
        for proofs in (Check("package.proofs", N, "proofs-not-requested"), Check("package.proofs", P, "2"))
    )
    assert "Nachweise waren nicht verlangt" in without.meaning
    assert "alle Nachweise darin halten" in holding.meaning
