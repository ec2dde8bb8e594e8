"""Key usage and extended key usage per purpose (RFC 5280 §4.2.1.3, §4.2.1.12)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from demail_gateway.core.primitives import CertificateFacts
from demail_gateway.core.purposes import Purpose, usage_findings

AT = datetime(2026, 3, 2, tzinfo=UTC)
ANY, SERVER, CLIENT = "2.5.29.37.0", "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"
EMAIL, OCSP, OTHER = "1.3.6.1.5.5.7.3.4", "1.3.6.1.5.5.7.3.9", "1.3.6.1.4.1.99999.1"
ANYTHING, SEAL, SIGN, ENCRYPT, STATUS = (
    Purpose.ANY_SIGNATURE,
    Purpose.SEAL,
    Purpose.SMIME_SIGNATURE,
    Purpose.SMIME_ENCRYPTION,
    Purpose.OCSP,
)


def allowed(usages: set[str] | None, purposes: set[str]) -> set[Purpose]:
    kinds = None if usages is None else frozenset(usages)
    facts = CertificateFacts(b"", "rsa", 3072, None, "", "", 1, AT, AT, "00", frozenset(purposes), kinds)
    found = {purpose: usage_findings(facts, purpose) for purpose in Purpose}
    assert set(found.values()) <= {(), ("certificate-key-usage",)}
    return {purpose for purpose, findings in found.items() if not findings}


@pytest.mark.clause("TR 01201-3.4 §3.1.14")
@pytest.mark.parametrize(
    ("usages", "purposes", "expected"),
    [
        (None, set(), {ANYTHING, SEAL, SIGN, ENCRYPT}),
        ({"digitalSignature"}, set(), {ANYTHING, SEAL, SIGN}),
        ({"contentCommitment"}, set(), {ANYTHING, SEAL, SIGN}),
        ({"keyEncipherment"}, set(), {ENCRYPT}),
        ({"keyAgreement"}, set(), {ENCRYPT}),
        ({"dataEncipherment"}, set(), set()),
        ({"keyCertSign", "cRLSign"}, set(), set()),
        (set(), set(), set()),
        (None, {EMAIL}, {ANYTHING, SIGN, ENCRYPT}),
        (None, {SERVER, CLIENT}, {ANYTHING}),
        (None, {SERVER, CLIENT, EMAIL}, {ANYTHING, SIGN, ENCRYPT}),
        (None, {ANY}, {ANYTHING, SEAL, SIGN, ENCRYPT}),
        (None, {OTHER}, {ANYTHING, SEAL}),
        (None, {OTHER, EMAIL}, {ANYTHING, SEAL, SIGN, ENCRYPT}),
        (None, {OCSP}, {ANYTHING, STATUS}),
        ({"digitalSignature"}, {OCSP}, {ANYTHING, STATUS}),
        ({"keyEncipherment"}, {OCSP}, set()),
        ({"digitalSignature"}, {EMAIL}, {ANYTHING, SIGN}),
    ],
)
def test_usages_decide_what_a_certificate_is_for(
    usages: set[str] | None, purposes: set[str], expected: set[Purpose]
) -> None:
    assert allowed(usages, purposes) == expected
