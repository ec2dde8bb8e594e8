"""A certificate's verdict as an outcome with findings (rows 12, 14 and 15 of `integrity.md` §5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from demail_gateway.core.checks import Outcome
from demail_gateway.core.integrity import key_findings
from demail_gateway.core.primitives import CertificateFacts, CertificateStatus, CertificateVerdict, Judge
from demail_gateway.core.purposes import Purpose, usage_findings


def judged(
    judge: Judge, facts: CertificateFacts, at: datetime
) -> tuple[Outcome, tuple[str, ...], CertificateVerdict | None]:
    """Whether a certificate holds at `at`: outcome, findings, and the verdict to keep; None if it was not asked.

    Findings: ``key-not-permitted``, ``key-size-deprecated`` (which does not decide), ``certificate-key-usage`` (also
    for a certificate of a person or a TLS peer), those of the verdict, ``certificate-revoked``,
    ``certificate-status-unknown``, ``trust-anchor-missing``.
    """
    about_key = key_findings(facts)
    if about_key is None:
        return Outcome.FAILED, ("key-not-permitted",), None
    verdict = judge.judge(facts.der, at)
    revoked = ("certificate-revoked",) if verdict.status is CertificateStatus.REVOKED else ()
    against = tuple(dict.fromkeys((*usage_findings(facts, Purpose.SEAL), *verdict.findings, *revoked)))
    if against:
        return Outcome.FAILED, about_key + against, verdict
    if verdict.status is not CertificateStatus.GOOD:
        return Outcome.INDETERMINATE, (*about_key, verdict.unknown_because), verdict
    return Outcome.PASSED, about_key, verdict


def validation_of(verdicts: Iterable[CertificateVerdict]) -> Mapping[str, tuple[bytes, ...]]:
    """``certificates`` and ``status_answers`` (DER) that these verdicts rest on, each once: to be kept (IN-26)."""
    found = tuple(verdicts)
    return {
        "certificates": tuple(dict.fromkeys(der for verdict in found for der in verdict.chain)),
        "status_answers": tuple(dict.fromkeys(answer for verdict in found for answer in verdict.revocation)),
    }
