"""All cases of the shared integrity vectors (`vectors/integrity/manifest.json`)."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from demail_gateway.core.checks import Outcome
from demail_gateway.core.digests import body_digest, header_digest
from demail_gateway.core.header import HeaderField, read_message
from demail_gateway.core.integrity import check_integrity, read_field, seal
from demail_gateway.core.integrity_field import write_field
from demail_gateway.core.primitives import CertificateStatus, HashName, SignatureScheme
from tests.core.vector_trust import VECTORS, VectorJudge, VectorSigner, VectorVerifier

MANIFEST = json.loads((VECTORS / "manifest.json").read_text(encoding="utf-8"))
VERDICTS = {"valid": Outcome.PASSED, "invalid": Outcome.FAILED, "indeterminate": Outcome.INDETERMINATE}


def cases(kind: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in MANIFEST["cases"] if case["kind"] == kind]


def message_of(case: dict[str, Any]) -> bytes:
    data = (VECTORS / str(case["file"])).read_bytes()
    assert hashlib.sha256(data).hexdigest() == case["sha256"], "the vector was damaged, e.g. by line end conversion"
    return data


def test_every_vector_is_tried() -> None:
    assert len(cases("verify")) + len(cases("sign")) == len(MANIFEST["cases"]) == 69
    files = {Path(case["file"]).name for case in MANIFEST["cases"]}
    assert files == {path.name for path in (VECTORS / "messages").iterdir()}


@pytest.mark.clause(
    "TR 01201-3.1 step 48",
    "TR 01201-3.4 §3.1.13 every",
    "TR 01201-3.4 §3.1.13 signed",
    "TR 01201-3.4 §3.1.14",
    "TR 01201-3.4 §3.1.21 a",
    "TR 01201-3.4 §3.1.21 algorithms",
    "TR 01201-3.4 §3.1.21 b",
    "TR 01201-3.4 §3.1.21 c",
    "TR 01201-3.4 §3.1.21 l",
    "TR 01201-3.4 §3.1.21 dkim",
    "TR 01201-3.4 §3.1.21 certificate",
    "TR 01201-3.4 §3.1.21 hash-only",
    "TR 01201-3.4 §3.1.21 duplicates",
    "TR 01201-3.4 §3.2 unchanged",
    "TR 01201-3.4 §3.3 unchanged",
)
@pytest.mark.parametrize("case", cases("verify"))
def test_verdict_protection_code_and_findings_are_those_of_the_vector(case: dict[str, Any]) -> None:
    result = check_integrity(
        message_of(case),
        verifier=VectorVerifier(),
        judge=VectorJudge(CertificateStatus(case["certificate_status"])),
        at=datetime.fromisoformat(MANIFEST["verification_time"]),
    )
    expect = case["expect"]
    assert result.code == expect["code"]
    assert result.verdict is VERDICTS[expect["verdict"]]
    assert result.protection.value == expect["protection"]
    assert list(result.findings) == expect["findings"]


@pytest.mark.clause("TR 01201-3.4 §3.1.21 dkim")
@pytest.mark.parametrize("case", [case for case in cases("verify") if "computed" in case.values[0]])
def test_hashes_are_those_of_the_vector(case: dict[str, Any]) -> None:
    octets = read_message(message_of(case))
    source = octets.header.first("x-de-mail-integrity")
    assert source is not None
    integrity = read_field(source)
    assert integrity.hash_name is not None
    computed = case["computed"]
    assert base64.b64encode(body_digest(octets.body, integrity.hash_name)).decode() == computed["body_hash_base64"]
    digest = header_digest(octets.header.first, integrity.h, source, integrity.hash_name)
    assert digest.hex() == computed["header_hash_hex"]


@pytest.mark.clause("TR 01201-3.4 §3.1.21 h", "TR 01201-3.4 §3.1.21 b", "TR 01201-3.4 §3.1.21 q")
@pytest.mark.parametrize("case", cases("sign"))
def test_field_is_made_as_in_the_vector(case: dict[str, Any]) -> None:
    message, expect = message_of(case), case["expect"]
    hash_name = HashName(case["parameters"]["a"].partition("/")[0])
    signer = VectorSigner("rsa3072", SignatureScheme.RSA) if "private_key" in case else None
    sealed = seal(message, hash_name=hash_name, domain=case["parameters"]["d"], signer=signer)
    assert sealed.startswith(case["given_header"].encode())
    assert sealed.endswith(message)
    source = read_message(sealed).header.first("x-de-mail-integrity")
    assert source is not None
    integrity = read_field(source)
    assert "".join(integrity.tags["b"].split()) == expect["b"]
    assert "".join(integrity.tags["bh"].split()) == "".join(expect["bh"].split())
    given = write_field(case["parameters"]["a"], case["parameters"]["d"], expect["h"], integrity.bh, None)
    assert given == case["given_header"].encode()
    octets = read_message(message)
    digest = header_digest(octets.header.first, expect["h"], HeaderField(given), hash_name)
    assert digest.hex() == expect["header_hash_hex"]
