"""What the core needs from cryptography, as interfaces; `trust/` provides them.

The core computes digests itself (hashlib) and asks for nothing but these.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class HashName(StrEnum):
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


class SignatureScheme(StrEnum):
    """Second part of ``a=`` of the integrity field (TR 01201-3.4 §3.1.21)."""

    RSA = "rsa"
    EC_DSA = "ec-dsa"
    RSASSA_PSS = "rsassa-pss"


class CertificateStatus(StrEnum):
    """Answer of the revocation source."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What the core must know of a certificate to apply IN-12, IN-14 and row 11, 12 of `integrity.md` §5."""

    der: bytes
    key_type: str
    """``rsa``, ``ec`` or the library's name of another kind."""
    key_bits: int
    curve: str | None
    """Name as OpenSSL writes it, e.g. ``secp256r1``, ``brainpoolP256r1``; None for RSA."""
    subject: str
    issuer: str
    serial_number: int
    not_before: datetime
    not_after: datetime
    fingerprint_sha256: str
    """Lower-case hex over the DER."""
    purposes: frozenset[str] = frozenset()
    """Extended key usage (RFC 5280 §4.2.1.12) as dotted numbers; empty without that extension."""
    usages: frozenset[str] | None = None
    """Key usage (RFC 5280 §4.2.1.3), e.g. ``digitalSignature``; None without that extension."""


@dataclass(frozen=True, slots=True)
class StatusGap:
    """A certificate of a path of which nobody has told the status yet, and who could."""

    certificate_der: bytes = field(repr=False)
    issuer_der: bytes = field(repr=False)


TRUST_ANCHOR_MISSING = "trust-anchor-missing"


@dataclass(frozen=True, slots=True)
class CertificateVerdict:
    """Judgement of a certificate at a stated moment (rows 14 and 15 of `integrity.md` §5).

    `findings` empty and status good: passed. Findings: failed. No findings and status unknown: indeterminate.
    """

    findings: tuple[str, ...] = ()
    """``certificate-expired``, ``-not-yet-valid``, ``-key-usage``, ``-untrusted``, ``-revoked``; ``signer-unknown``."""
    status: CertificateStatus = CertificateStatus.UNKNOWN
    chain: tuple[bytes, ...] = ()
    """DER, end certificate first, anchor last, as far as a path was found."""
    revocation: tuple[bytes, ...] = field(default=(), repr=False)
    """The lists and OCSP answers (DER) the status rests on, to be kept with the proof (GWT-90, IN-26)."""
    revoked_at: datetime | None = None
    """Since when, if revoked."""
    revocation_reason: str | None = None
    """As RFC 5280 §5.3.1 writes it, e.g. ``keyCompromise``; None: not stated."""
    gaps: tuple[StatusGap, ...] = ()
    """Of an unknown status: the certificates that no answer covers."""
    anchored: bool = True
    """False: there was no trust anchor at all to judge by, so that revocation lists say nothing either."""

    @property
    def unknown_because(self) -> str:
        """Of an unknown status: ``trust-anchor-missing`` or ``certificate-status-unknown``."""
        return "certificate-status-unknown" if self.anchored else TRUST_ANCHOR_MISSING

    @property
    def details(self) -> tuple[str, ...]:
        """`findings` as reports show them: a revocation with its date and, if stated, its reason."""
        if self.revoked_at is None:
            return self.findings
        since = " ".join(filter(None, (self.revoked_at.isoformat(), self.revocation_reason)))
        return tuple(f"{code}:{since}" if code == "certificate-revoked" else code for code in self.findings)


class Verifier(Protocol):
    """Reads certificates and verifies signatures over finished digests."""

    def read_certificate(self, der: bytes) -> CertificateFacts:
        """Raises CertificateMalformed."""
        ...

    def verify_digest(
        self, certificate_der: bytes, scheme: SignatureScheme, hash_name: HashName, digest: bytes, signature: bytes
    ) -> bool:
        """True if `signature` over `digest` holds. ECDSA is DER; every PSS salt length is accepted (IN-13)."""
        ...


class Judge(Protocol):
    """Judges a certificate's path and status. Anchors and status answers are the judge's own."""

    def judge(self, certificate_der: bytes, at: datetime) -> CertificateVerdict: ...


class DigestSigner(Protocol):
    """A key with its certificate that signs finished digests."""

    @property
    def certificate_der(self) -> bytes: ...

    @property
    def scheme(self) -> SignatureScheme: ...

    def sign_digest(self, hash_name: HashName, digest: bytes) -> bytes:
        """ECDSA as DER; PSS with MGF1 of the same hash and salt length = hash length (IN-13)."""
        ...


@dataclass(frozen=True, slots=True)
class VerifiedXml:
    """Exactly what an XML signature covers; nothing else of the document may be evaluated (CO-14)."""

    canonical: bytes
    """Canonical octets of the verified root element, without its Signature."""
    certificate_der: bytes
    """From KeyInfo; verified against the signature, its path not yet judged."""
    algorithm: str
    """Name of the signature method, e.g. ``rsa-sha256``."""


@dataclass(frozen=True, slots=True)
class ExaminedXml:
    """A signed document, read once."""

    schema_errors: tuple[str, ...]
    """Violations of `confirmation.xsd`; empty if none."""
    verified: VerifiedXml | None
    """None if its signature does not hold, or is outside CO-14."""


class XmlSignatures(Protocol):
    """Enveloped signatures of CO-13 and CO-14."""

    def examine(self, xml: bytes) -> ExaminedXml:
        """Schema and signature of a confirmation. Raises XmlRefused (DOCTYPE, entities, not well-formed)."""
        ...

    def verify_assertion(self, xml: bytes) -> VerifiedXml:
        """What the signature of a SAML assertion covers; its Reference may name the root by its ``ID`` (ID-3).

        Raises XmlRefused or XmlSignatureInvalid.
        """
        ...

    def sign(self, xml: bytes, signer: DigestSigner) -> bytes:
        """The document with the enveloped signature as last child of its root (CO-13)."""
        ...
