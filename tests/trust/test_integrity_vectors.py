"""The shared vectors once more, now with the product's own verifier and judge instead of the tests' stand-ins."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from demail_gateway.core.checks import Outcome
from demail_gateway.core.integrity import check_integrity
from demail_gateway.core.primitives import CertificateStatus
from demail_gateway.trust.authority import TestAuthority
from demail_gateway.trust.certificates import read_certificate, read_pem_bundle
from demail_gateway.trust.keys import import_pkcs8
from demail_gateway.trust.paths import PathJudge
from demail_gateway.trust.verifier import CryptographyVerifier
from demail_gateway.trust.xmldsig import LxmlSignatures

VECTORS = Path(__file__).parents[1] / "core" / "vectors" / "integrity"
MANIFEST = json.loads((VECTORS / "manifest.json").read_text())
AT = datetime.fromisoformat(MANIFEST["verification_time"])
OUTCOMES = {"valid": Outcome.PASSED, "invalid": Outcome.FAILED, "indeterminate": Outcome.INDETERMINATE}
CASES = [case for case in MANIFEST["cases"] if case["kind"] == "verify"]


def _judge(case: dict[str, Any]) -> PathJudge:
    """The vectors' anchors, and a revocation list that gives the answer which the case names."""
    anchors = [der for name in MANIFEST["trust_anchors"] for der in read_pem_bundle((VECTORS / name).read_bytes())]
    authority = TestAuthority(import_pkcs8((VECTORS / "keys" / "ca.key.pem").read_bytes()), anchors[0])
    status = CertificateStatus(case.get("certificate_status", "good"))
    if status is CertificateStatus.UNKNOWN:
        return PathJudge(anchors)
    if status is CertificateStatus.REVOKED:
        for path in (VECTORS / "keys").glob("*.crt.pem"):
            authority.revoke(
                read_certificate(read_pem_bundle(path.read_bytes())[0]).serial_number, AT - timedelta(hours=1)
            )
    return PathJudge(anchors, answers=[authority.crl(AT, timedelta(days=1))])


@pytest.mark.clause(
    "TR 01201-3.1 step 48",
    "TR 01201-3.1 step 48 FC-02",
    "TR 01201-3.1 step 48 FC-03",
    "TR 01201-3.4 §3.1.21 certificate",
)
@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_vector_is_judged_as_its_manifest_says(case: dict[str, Any]) -> None:
    message = (VECTORS / case["file"]).read_bytes()
    result = check_integrity(message, verifier=CryptographyVerifier(), judge=_judge(case), at=AT)
    expected = case["expect"]
    assert (result.verdict, result.protection, result.code) == (
        OUTCOMES[expected["verdict"]],
        expected["protection"],
        expected["code"],
    )
    assert sorted(result.findings) == expected["findings"]


@pytest.mark.clause("TR 01201-3.4 §3.5.1 signature")
@pytest.mark.parametrize("path", sorted((VECTORS / "messages").glob("b-*.eml")), ids=lambda path: path.stem)
def test_confirmations_of_the_vectors_carry_valid_xml_signatures(path: Path) -> None:
    xml = next(
        part.get_payload(decode=True)
        for part in message_from_bytes(path.read_bytes()).walk()
        if part.get_content_type() == "application/xml"
    )
    assert isinstance(xml, bytes)
    signatures = LxmlSignatures()
    verified = signatures.verify(xml)
    assert (
        PathJudge(read_pem_bundle((VECTORS / "keys" / "ca.crt.pem").read_bytes()))
        .judge(verified.certificate_der, AT)
        .findings
        == ()
    )
    assert signatures.examine(xml).schema_errors == ()
