"""A certificate judged: the first time, and when its path and the signatures of the status answers are known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from demail_gateway.core.primitives import CertificateStatus, CertificateVerdict
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.keys import generate_key
from demail_gateway.trust.ocsp_exchange import NONCE_OCTETS, ocsp_request
from demail_gateway.trust.paths import PathJudge
from demail_gateway.trust.responder import TestResponder

_NOW = datetime.now(UTC).replace(microsecond=0)
_DAY = timedelta(days=1)


def judgements(kind: str) -> dict[str, Callable[[], CertificateVerdict]]:
    """Of a certificate below a root and a subordinate with this kind of key; by lists, or by OCSP where it says so."""
    root = TestAuthority.create("TEST Root", _NOW - 9 * _DAY, key_kind=kind)
    below = root.subordinate("TEST Sub", _NOW - 8 * _DAY, key_kind=kind)
    key = generate_key("p256").public_key()
    profile = Profile.PROVIDER_SIGNATURE
    end = below.issue(key, profile, "DMDA A", not_before=_NOW - _DAY, not_after=_NOW + _DAY)
    lists = (root.crl(_NOW, _DAY), below.crl(_NOW, _DAY))
    request = ocsp_request(end, below.certificate_der, bytes(NONCE_OCTETS))
    answers = (lists[0], TestResponder(below, _NOW).answer(request, _NOW, _DAY))
    by_lists, by_ocsp = (PathJudge([root.certificate_der], below.chain, known) for known in (lists, answers))

    def good(judge: PathJudge) -> CertificateVerdict:
        verdict = judge.judge(end, _NOW)
        if verdict.findings or verdict.status is not CertificateStatus.GOOD:
            raise RuntimeError(f"what is measured does not pass: {verdict}")
        return verdict

    return {
        "certificate, first time": lambda: good(PathJudge([root.certificate_der], below.chain, lists)),
        "certificate, lists fetched anew": lambda: good(by_lists.with_answers(lists)),
        "certificate, known": lambda: good(by_lists),
        "certificate, known, OCSP": lambda: good(by_ocsp),
    }
