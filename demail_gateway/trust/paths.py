"""The judge of certificates: validity, key usage, path, revocation at a moment (`integrity.md` §5, rows 14 and 15)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from demail_gateway.core.primitives import CertificateStatus, CertificateVerdict, StatusGap
from demail_gateway.core.purposes import Purpose, usage_findings
from demail_gateway.trust.certificates import parse_certificate, read_certificate
from demail_gateway.trust.chains import PathFinder, is_authority
from demail_gateway.trust.revocation import RevocationIndex


@dataclass(frozen=True, slots=True)
class KnownSigners:
    """The certificates that may sign at all, where the anchors serve for others, too."""

    fingerprints: frozenset[str]
    """SHA-256 over the DER, lower-case hex."""
    subjects: frozenset[str] = frozenset()
    """As RFC 4514 writes them."""

    def include(self, certificate_der: bytes) -> bool:
        """Raises CertificateMalformed."""
        facts = read_certificate(certificate_der)
        return facts.fingerprint_sha256 in self.fingerprints or facts.subject in self.subjects


class PathJudge:
    """Judges by fixed anchors and status answers. Safe to share between threads.

    Without any anchor there is nothing to judge by: every verdict is without findings and of unknown status, so that
    whatever is signed becomes indeterminate and not failed. Nothing is ever fetched from the network.
    """

    __slots__ = ("_finder", "_index", "_signers")

    def __init__(
        self,
        anchors: Sequence[bytes],
        intermediates: Sequence[bytes] = (),
        answers: Sequence[bytes] = (),
        signers: KnownSigners | None = None,
        *,
        fetched_at: Mapping[bytes, datetime] | None = None,
    ) -> None:
        """DER certificates, and in `answers` DER revocation lists and OCSP responses (`read_pem_bundle`, `read_crls`).

        `fetched_at` as for RevocationIndex. Whoever is not among `signers` gets the finding ``signer-unknown``; None:
        everybody is.

        Raises:
            CertificateMalformed: an anchor or intermediate cannot be read. An answer that cannot be read says nothing.
        """
        self._finder = PathFinder(anchors, intermediates)
        self._index = RevocationIndex(answers, fetched_at)
        self._signers = signers

    def with_answers(self, answers: Sequence[bytes], fetched_at: Mapping[bytes, datetime] | None = None) -> PathJudge:
        """The same anchors and paths already found, with other revocation lists and OCSP responses."""
        return self._with(self._finder, RevocationIndex(answers, fetched_at))

    def with_intermediates(self, intermediates: Sequence[bytes]) -> PathJudge:
        """The same anchors and answers, with further certificates to build paths from, as a CMS structure brings them.

        Those that cannot be read, and those that are no authorities, are passed over: they come from the other side.
        """
        more = (*self._finder.intermediates, *filter(is_authority, intermediates))
        return self._with(PathFinder(self._finder.anchors, more), self._index)

    def judge(self, certificate_der: bytes, at: datetime) -> CertificateVerdict:
        """The verdict for `at`, which must be aware.

        The path of a certificate outside its validity is judged at the nearer end of it: expired is one finding, not
        two. The status is that of the whole path, the worst of its certificates; the anchor has none.

        Raises:
            CertificateMalformed
        """
        certificate = parse_certificate(certificate_der)
        if not self._finder.anchors:
            return CertificateVerdict(anchored=False)
        findings = _own_findings(certificate_der, at)
        if self._signers is not None and not self._signers.include(certificate_der):
            findings = (*findings, "signer-unknown")
        moment = min(max(at, certificate.not_valid_before_utc), certificate.not_valid_after_utc)
        chain = self._finder.find(certificate_der, moment)
        if not chain:
            return CertificateVerdict(findings=(*findings, "certificate-untrusted"))
        return self._with_status(findings, chain, at)

    def _with_status(self, findings: tuple[str, ...], chain: tuple[bytes, ...], at: datetime) -> CertificateVerdict:
        pairs = tuple(StatusGap(certificate, issuer) for certificate, issuer in pairwise(chain))
        answers = [self._index.status(pair.certificate_der, pair.issuer_der, at) for pair in pairs]
        revoked = [answer for answer in answers if answer.status is CertificateStatus.REVOKED]
        if revoked and (revocation := revoked[0].revocation) is not None:
            return CertificateVerdict(
                findings=(*findings, "certificate-revoked"),
                status=CertificateStatus.REVOKED,
                chain=chain,
                revocation=revoked[0].evidence,
                revoked_at=revocation.at,
                revocation_reason=revocation.reason,
            )
        evidence = tuple(dict.fromkeys(der for answer in answers for der in answer.evidence))
        gaps = tuple(
            pair for pair, answer in zip(pairs, answers, strict=True) if answer.status is CertificateStatus.UNKNOWN
        )
        status = CertificateStatus.GOOD if answers and not gaps else CertificateStatus.UNKNOWN
        return CertificateVerdict(findings, status, chain, evidence, gaps=gaps)

    def _with(self, finder: PathFinder, index: RevocationIndex) -> PathJudge:
        judge = PathJudge.__new__(PathJudge)
        judge._finder, judge._index, judge._signers = finder, index, self._signers
        return judge


def _own_findings(certificate_der: bytes, at: datetime) -> tuple[str, ...]:
    certificate = parse_certificate(certificate_der)
    findings = []
    if at > certificate.not_valid_after_utc:
        findings.append("certificate-expired")
    if at < certificate.not_valid_before_utc:
        findings.append("certificate-not-yet-valid")
    return (*findings, *usage_findings(read_certificate(certificate_der), Purpose.ANY_SIGNATURE))
