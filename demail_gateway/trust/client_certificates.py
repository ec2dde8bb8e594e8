"""Reads the certificates that clients prove themselves by (ports.ReadPinnedCertificate, GWT-21)."""

from __future__ import annotations

from demail_gateway.tenancy.client_authentication import PinnedCertificate
from demail_gateway.trust.certificates import pem_to_der, read_certificate


def read_pinned_certificate(pem: str) -> PinnedCertificate:
    """The pin of the one certificate in `pem`. Its chain is not looked at: being registered is what makes it good.

    Raises:
        CertificateMalformed: not exactly one certificate.
    """
    facts = read_certificate(pem_to_der(pem.encode("utf-8", "replace")))
    return PinnedCertificate(
        sha256=bytes.fromhex(facts.fingerprint_sha256),
        issuer=facts.issuer,
        serial=f"{facts.serial_number:x}",
        not_before=facts.not_before,
        not_after=facts.not_after,
    )
