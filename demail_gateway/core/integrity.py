"""Integrity of a message: X-de-mail-integrity made and checked (TR 01201-3.4 §3.1.21, TR 01201-3.1 steps 30, 48, 83).

The check goes through the rows of `integrity.md` §5 (IN-22); the first failing row decides the code.
"""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import datetime
from hmac import compare_digest
from typing import Any

from demail_gateway.core.checks import Outcome
from demail_gateway.core.digests import BodyHasher, body_digest, covered_digest, header_digest
from demail_gateway.core.errors import CertificateMalformed, ComposeFailed, MalformedMessage
from demail_gateway.core.header import NEWLINE_NORMALISED, ChunkedMessage, Header, read_message
from demail_gateway.core.integrity_field import (
    CERTIFICATE,
    HEADER_LIST,
    INTEGRITY,
    ONLY_IF_PRESENT,
    IntegrityField,
    finished,
    read_certificate,
    read_field,
    same_integrity_value,
    write_certificate,
    write_field,
)
from demail_gateway.core.integrity_result import IntegrityResult, checks
from demail_gateway.core.metadata import message_type_of
from demail_gateway.core.primitives import (
    TRUST_ANCHOR_MISSING,
    CertificateFacts,
    CertificateStatus,
    DigestSigner,
    HashName,
    Judge,
    SignatureScheme,
    Verifier,
)
from demail_gateway.core.purposes import Purpose, usage_findings
from demail_gateway.core.vocabulary import CLASS_OF, MessageClass, Protection

__all__ = [
    "HEADER_LIST",
    "IntegrityField",
    "IntegrityResult",
    "body_digest",
    "check_integrity",
    "checks",
    "header_digest",
    "key_findings",
    "read_certificate",
    "read_field",
    "same_integrity_value",
    "seal",
    "seal_fields",
    "signature_required",
]

CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"})
"""IN-12."""
MIN_RSA_BITS = 2048
RECOMMENDED_RSA_BITS = 3000
"""IN-14 with TR-02102."""


def seal(message: bytes, *, hash_name: HashName, domain: str, signer: DigestSigner | None) -> bytes:
    """The message with the integrity field, and if signed the certificate field, in front (`integrity.md` §4).

    `message` is complete, without an integrity field. `domain` is the signing provider's (IN-8). Without `signer`
    the field holds the hash alone.

    Raises:
        ComposeFailed: there is an integrity field already, or `domain` is none.
        MalformedMessage: the header section cannot be read.
    """
    octets = read_message(message)
    return b"".join((seal_fields(octets, hash_name=hash_name, domain=domain, signer=signer), octets.data))


def seal_fields(message: ChunkedMessage, *, hash_name: HashName, domain: str, signer: DigestSigner | None) -> bytes:
    """What `seal` puts in front, for a message of any size; its body is read once.

    Raises:
        ComposeFailed: as `seal`.
    """
    header = message.header
    if header.first(INTEGRITY) or not _DOMAIN.fullmatch(domain):
        raise ComposeFailed("cannot be sealed")
    a = hash_name.value if signer is None else f"{hash_name}/{signer.scheme}"
    h = HEADER_LIST if header.first(ONLY_IF_PRESENT) else _WITHOUT_OPTIONAL
    hasher = BodyHasher(hash_name)
    for chunk in message.body_chunks():
        hasher.update(chunk)
    bh = hasher.digest()
    unfinished = write_field(a, domain, h, bh, None)
    digest = covered_digest(header.topmost(_COVERED), unfinished, hash_name)
    if signer is None:
        return finished(unfinished, digest)
    return finished(unfinished, signer.sign_digest(hash_name, digest)) + write_certificate(signer.certificate_der)


def check_integrity(
    message: ChunkedMessage | bytes, *, verifier: Verifier, judge: Judge, at: datetime
) -> IntegrityResult:
    """Whether hash or signature hold. Never raises for anything a message contains.

    A message too large for the memory is given as `LargeMessage` or `StreamedMessage`; its body is read once.

    `at` is the moment of first reception (IN-26): the certificate is judged for it.
    """
    try:
        read = read_message(message) if isinstance(message, bytes) else message
    except MalformedMessage:
        return IntegrityResult(Outcome.FAILED, Protection.NONE, "message-malformed")
    try:
        return _Checker(read, verifier, judge, at).run()
    except _Row as row:
        return row.result
    except MalformedMessage:  # a body that comes in pieces shows only late that it is none
        return IntegrityResult(Outcome.FAILED, Protection.NONE, "message-malformed")


def signature_required(header: Header) -> bool:
    """Whether a hash alone is too little: class B or I, or authoritative exactly ``yes`` (IN-23, FC-04)."""
    message_type = message_type_of(header)
    message_class = None if message_type is None else CLASS_OF[message_type]
    return message_class in (MessageClass.B, MessageClass.I) or header.value("x-de-mail-authoritative") == "yes"


def key_findings(facts: CertificateFacts) -> tuple[str, ...] | None:
    """Findings about a permitted key (``key-size-deprecated``); None if the key is not permitted (IN-12, IN-14)."""
    if facts.key_type != "rsa":
        return () if facts.curve in CURVES else None
    if facts.key_bits < MIN_RSA_BITS:
        return None
    return ("key-size-deprecated",) if facts.key_bits < RECOMMENDED_RSA_BITS else ()


_WITHOUT_OPTIONAL = tuple(name for name in HEADER_LIST if name != ONLY_IF_PRESENT)
_COVERED = tuple(map(str.lower, HEADER_LIST))
_DOMAIN = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_KEY_TYPE = {SignatureScheme.RSA: "rsa", SignatureScheme.RSASSA_PSS: "rsa", SignatureScheme.EC_DSA: "ec"}


class _Row(Exception):
    """The first failing row."""

    def __init__(self, result: IntegrityResult) -> None:
        super().__init__(result.code)
        self.result = result


class _Checker:
    """Goes through the rows; what is learnt on the way stands in `known` and `findings`."""

    def __init__(self, message: ChunkedMessage, verifier: Verifier, judge: Judge, at: datetime) -> None:
        self.header, self.body_chunks = message.header, message.body_chunks
        self.verifier, self.judge, self.at = verifier, judge, at
        self.known: dict[str, Any] = {"protection": Protection.NONE}
        self.findings: set[str] = set()
        if NEWLINE_NORMALISED in message.findings:
            self.note(NEWLINE_NORMALISED)

    def run(self) -> IntegrityResult:
        duplicates = self.header.duplicates((*HEADER_LIST, INTEGRITY, CERTIFICATE))
        self.note(*(f"duplicate-header:{name}" for name in duplicates))
        integrity, hash_name = self.readable_field()
        self.covered(integrity)
        self.compare_body(integrity, hash_name)
        digest = header_digest(self.header.first, integrity.h, integrity.source, hash_name)
        self.known["header_hash"] = b64encode(digest).decode("ascii")
        if integrity.scheme is None:
            self.compare_header(integrity, digest)
        else:
            facts = self.usable_key(integrity.scheme)
            if not self.verifier.verify_digest(facts.der, integrity.scheme, hash_name, digest, integrity.b):
                raise self.failed("signature-mismatch")
            self.certificate_holds(facts)
        return self.result(Outcome.PASSED, "ok")

    def readable_field(self) -> tuple[IntegrityField, HashName]:
        """Rows 2 to 4."""
        source = self.header.first(INTEGRITY)
        if source is None:
            raise self.failed("integrity-missing")
        try:
            integrity = read_field(source)
        except MalformedMessage as error:
            raise self.failed("integrity-malformed") from error
        self.note(*integrity.findings)
        self.note(*(f"duplicate-header:{name}" for name in self.header.duplicates(integrity.h)))
        self.known["value"] = integrity.value
        if integrity.hash_name is None:
            raise self.failed("algorithm-unsupported")
        protection = Protection.HASH if integrity.scheme is None else Protection.SIGNATURE
        self.known |= {"protection": protection, "algorithm": integrity.a}
        return integrity, integrity.hash_name

    def covered(self, integrity: IntegrityField) -> None:
        """Row 5 (IN-20)."""
        missing = [name for name in _COVERED if name not in integrity.h and self.header.first(name)]
        if missing:
            self.note(*(f"h-incomplete:{name}" for name in missing))
            raise self.failed("header-coverage")

    def compare_body(self, integrity: IntegrityField, hash_name: HashName) -> None:
        """Row 6."""
        hasher = BodyHasher(hash_name)
        for chunk in self.body_chunks():
            hasher.update(chunk)
        digest = hasher.digest()
        self.known["body_hash"] = b64encode(digest).decode("ascii")
        if not compare_digest(digest, integrity.bh):
            raise self.failed("body-hash-mismatch")

    def compare_header(self, integrity: IntegrityField, digest: bytes) -> None:
        """Rows 7 and 8."""
        if self.header.first(CERTIFICATE):
            self.note("certificate-unexpected")
        if not compare_digest(digest, integrity.b):
            raise self.failed("header-hash-mismatch")
        if signature_required(self.header):
            raise self.failed("signature-required")

    def usable_key(self, scheme: SignatureScheme) -> CertificateFacts:
        """Rows 9 to 12."""
        source = self.header.first(CERTIFICATE)
        if source is None:
            raise self.failed("certificate-missing")
        try:
            facts = self.verifier.read_certificate(read_certificate(source))
        except CertificateMalformed as error:
            raise self.failed("certificate-malformed") from error
        self.known["certificate"] = facts
        if facts.key_type != _KEY_TYPE[scheme]:
            raise self.failed("key-mismatch")
        findings = key_findings(facts)
        if findings is None:
            raise self.failed("key-not-permitted")
        self.note(*findings)
        return facts

    def certificate_holds(self, facts: CertificateFacts) -> None:
        """Rows 14 and 15."""
        verdict = self.judge.judge(facts.der, self.at)
        self.known["certificate_verdict"] = verdict
        findings = (*usage_findings(facts, Purpose.SEAL), *verdict.findings)
        self.note(*findings)
        if verdict.status is CertificateStatus.REVOKED:
            self.note("certificate-revoked")
        if findings or verdict.status is CertificateStatus.REVOKED:
            raise self.failed("certificate-invalid")
        if not verdict.anchored:
            self.note(TRUST_ANCHOR_MISSING)
        if verdict.status is not CertificateStatus.GOOD:
            raise self.ended(Outcome.INDETERMINATE, "certificate-status-unknown")

    def note(self, *findings: str) -> None:
        self.findings.update(findings)

    def failed(self, code: str) -> _Row:
        return self.ended(Outcome.FAILED, code)

    def ended(self, verdict: Outcome, code: str) -> _Row:
        return _Row(self.result(verdict, code))

    def result(self, verdict: Outcome, code: str) -> IntegrityResult:
        return IntegrityResult(verdict, code=code, findings=tuple(sorted(self.findings)), **self.known)
