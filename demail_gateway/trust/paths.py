"""The judge of certificates: validity, key usage, path, revocation at a moment (`integrity.md` §5, rows 14 and 15)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from cryptography import x509

from demail_gateway.core.primitives import CertificateStatus, CertificateVerdict
from demail_gateway.trust.certificates import parse_certificate, read_certificate
from demail_gateway.trust.chains import PathFinder, can_be_issuer
from demail_gateway.trust.revocation import RevocationIndex, StatusAnswer


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
    """Judges by fixed anchors and revocation lists. Safe to share between threads.

    Without any anchor there is nothing to judge by: every verdict is without findings and of unknown status, so that
    whatever is signed becomes indeterminate and not failed. Nothing is ever fetched from the network.
    """

    __slots__ = ("_finder", "_index", "_signers")

    def __init__(
        self,
        anchors: Sequence[bytes],
        intermediates: Sequence[bytes] = (),
        crls: Sequence[bytes] = (),
        signers: KnownSigners | None = None,
    ) -> None:
        """DER certificates and DER revocation lists (`read_pem_bundle`, `read_crls` make them from files).

        Whoever is not among `signers` gets the finding ``signer-unknown``; None: everybody is.

        Raises:
            CertificateMalformed: an anchor or intermediate cannot be read. A list that cannot be read gives no answer.
        """
        self._finder = PathFinder(anchors, intermediates)
        self._index = RevocationIndex(crls)
        self._signers = signers

    def with_crls(self, crls: Sequence[bytes]) -> PathJudge:
        """The same anchors and paths already found, with other revocation lists."""
        return self._with(self._finder, RevocationIndex(crls))

    def with_intermediates(self, intermediates: Sequence[bytes]) -> PathJudge:
        """The same anchors and lists, with further certificates to build paths from, as a CMS structure brings them.

        Those that cannot be read are passed over: they come from the other side.
        """
        more = (*self._finder.intermediates, *filter(can_be_issuer, intermediates))
        finder = PathFinder(self._finder.anchors, more)
        return self._with(finder, self._index)

    def judge(self, certificate_der: bytes, at: datetime) -> CertificateVerdict:
        """The verdict for `at`, which must be aware.

        The path of a certificate outside its validity is judged at the nearer end of it: expired is one finding, not
        two. The status is that of the whole path, the worst of its certificates; the anchor has none.

        Raises:
            CertificateMalformed
        """
        certificate = parse_certificate(certificate_der)
        if not self._finder.anchors:
            return CertificateVerdict()
        findings = _own_findings(certificate, at)
        if self._signers is not None and not self._signers.include(certificate_der):
            findings = (*findings, "signer-unknown")
        moment = min(max(at, certificate.not_valid_before_utc), certificate.not_valid_after_utc)
        chain = self._finder.find(certificate_der, moment)
        if not chain:
            return CertificateVerdict(findings=(*findings, "certificate-untrusted"))
        answer = self._status(chain, at)
        if answer.status is CertificateStatus.REVOKED:
            findings = (*findings, "certificate-revoked")
        return CertificateVerdict(findings, answer.status, chain, answer.evidence)

    def _status(self, chain: tuple[bytes, ...], at: datetime) -> StatusAnswer:
        answers = [self._index.status(der, issuer, at) for der, issuer in pairwise(chain)]
        revoked = [answer for answer in answers if answer.status is CertificateStatus.REVOKED]
        if revoked:
            return revoked[0]
        evidence = tuple(dict.fromkeys(crl for answer in answers for crl in answer.evidence))
        is_good = answers and all(answer.status is CertificateStatus.GOOD for answer in answers)
        return StatusAnswer(CertificateStatus.GOOD if is_good else CertificateStatus.UNKNOWN, evidence)

    def _with(self, finder: PathFinder, index: RevocationIndex) -> PathJudge:
        judge = PathJudge.__new__(PathJudge)
        judge._finder, judge._index, judge._signers = finder, index, self._signers
        return judge


def _own_findings(certificate: x509.Certificate, at: datetime) -> tuple[str, ...]:
    findings = []
    if at > certificate.not_valid_after_utc:
        findings.append("certificate-expired")
    if at < certificate.not_valid_before_utc:
        findings.append("certificate-not-yet-valid")
    if not _may_sign(certificate):
        findings.append("certificate-key-usage")
    return tuple(findings)


def _may_sign(certificate: x509.Certificate) -> bool:
    """digitalSignature or contentCommitment, if the extension exists."""
    usages = [e.value for e in certificate.extensions if isinstance(e.value, x509.KeyUsage)]
    return all(usage.digital_signature or usage.content_commitment for usage in usages)
