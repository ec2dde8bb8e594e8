"""The answer of the integrity check, and the same as named checks for reports (IN-22)."""

from __future__ import annotations

from dataclasses import dataclass, field

from demail_gateway.core.checks import Check, Outcome
from demail_gateway.core.primitives import TRUST_ANCHOR_MISSING, CertificateFacts, CertificateVerdict
from demail_gateway.core.vocabulary import Protection


@dataclass(frozen=True, slots=True)
class IntegrityResult:
    """What the check found (IN-22)."""

    verdict: Outcome
    """passed = valid, failed = invalid, indeterminate."""
    protection: Protection
    """A hash alone has no key: never call it signed or authentic (IN-1)."""
    code: str
    """``ok`` or the code of the first failing row."""
    findings: tuple[str, ...] = ()
    """Sorted."""
    algorithm: str | None = None
    """``a=``, e.g. ``sha256/rsa``; None before row 4."""
    value: str | None = field(default=None, repr=False)
    """Unfolded value of the field."""
    body_hash: str | None = None
    """Base64, as computed."""
    header_hash: str | None = None
    """Base64, as computed."""
    certificate: CertificateFacts | None = None
    certificate_verdict: CertificateVerdict | None = None
    """To be kept with the proof (IN-26)."""

    @property
    def told(self) -> tuple[str, ...]:
        """Code and findings as other checks tell them: nothing if all is well, and only what is really missing."""
        silent = self.code == "ok" or self.is_without_anchor
        return self.findings if silent else (self.code, *self.findings)

    @property
    def is_without_anchor(self) -> bool:
        """Nothing but a trust anchor is missing to judge the certificate: of rows 14 and 15 none could be decided."""
        return self.code == "certificate-status-unknown" and TRUST_ANCHOR_MISSING in self.findings


def checks(result: IntegrityResult) -> tuple[Check, ...]:
    """The result as named checks for reports, one per row or pair of rows of `integrity.md` §5.

    Rows behind a failing one are indeterminate; rows that the mode does not have are not applicable. The row of the
    certificate names its subject, that of the path what is wrong with it. Without any trust anchor the row of the path
    is indeterminate, too.
    """
    reached = True
    found = []
    for name, codes, mode, source in _REPORT:
        if result.code in codes or (name == _PATH and result.is_without_anchor):
            reached = False
            found.append(Check(name, result.verdict, _detail(name, result), source))
        elif mode not in (None, result.protection) and result.protection is not Protection.NONE:
            found.append(Check(name, Outcome.NOT_APPLICABLE, "", source))
        else:
            signer = result.certificate.subject if name == "integrity.certificate" and result.certificate else ""
            found.append(Check(name, Outcome.PASSED if reached else Outcome.INDETERMINATE, signer, source))
    return tuple(found)


def _detail(name: str, result: IntegrityResult) -> str:
    if result.is_without_anchor:
        return TRUST_ANCHOR_MISSING
    if name != _PATH:
        return result.code
    verdict = result.certificate_verdict
    reasons = () if verdict is None else verdict.details
    return ", ".join(dict.fromkeys((result.code, *(_KEY_USAGE & set(result.findings)), *reasons)))


_PATH = "certificate.path"
_KEY_USAGE = frozenset({"certificate-key-usage"})
_STEP = "TR 01201-3.1 step 48"
_TR = "TR 01201-3.4 §3.1.21"
_CERT = "TR 01201-3.4 §3.1.14"
_REPORT: tuple[tuple[str, frozenset[str], Protection | None, str], ...] = (
    ("integrity.message", frozenset({"message-malformed"}), None, f"{_STEP} FC-01; IN-22 row 1"),
    ("integrity.present", frozenset({"integrity-missing"}), None, f"{_TR}; IN-22 row 2"),
    ("integrity.form", frozenset({"integrity-malformed"}), None, f"{_TR}; IN-22 row 3"),
    ("integrity.algorithm", frozenset({"algorithm-unsupported"}), None, f"{_TR}; IN-22 row 4"),
    ("integrity.coverage", frozenset({"header-coverage"}), None, f"{_TR}; IN-20"),
    (
        "integrity.hash",
        frozenset({"body-hash-mismatch", "header-hash-mismatch"}),
        None,
        f"{_TR}; IN-22 rows 6, 7",
    ),
    ("integrity.signature-required", frozenset({"signature-required"}), Protection.HASH, f"{_STEP} FC-04; IN-23"),
    (
        "integrity.certificate",
        frozenset({"certificate-missing", "certificate-malformed"}),
        Protection.SIGNATURE,
        f"{_CERT}; IN-24, IN-11",
    ),
    ("integrity.key", frozenset({"key-mismatch", "key-not-permitted"}), Protection.SIGNATURE, f"{_TR}; IN-12, IN-14"),
    ("integrity.signature", frozenset({"signature-mismatch"}), Protection.SIGNATURE, f"{_TR}; IN-22 row 13"),
    (_PATH, frozenset({"certificate-invalid"}), Protection.SIGNATURE, f"{_STEP} FC-02; IN-22 row 14"),
    (
        "certificate.status",
        frozenset({"certificate-status-unknown"}),
        Protection.SIGNATURE,
        f"{_STEP} FC-03; IN-22 row 15",
    ),
)
