from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import rfc3161_client
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from demail_gateway.core.errors import CmsInvalid, ComposeFailed
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.certificates import der_to_pem
from demail_gateway.trust.cms import der, sign_detached, verify_detached
from demail_gateway.trust.cms.timestamps import read_token, timestamp_from
from demail_gateway.trust.keys import SoftwareSigner
from tests.harness.programs import program
from tests.harness.timestamper import Timestamper, refusal

SignerOf = Callable[..., SoftwareSigner]

CONTENT = b"Content-Type: text/plain\r\n\r\nText\r\n"


@pytest.fixture(scope="module")
def timestamper(authority: TestAuthority, now: datetime) -> Timestamper:
    return Timestamper.below(authority, now)


@pytest.mark.parametrize("kind", ["rsa-3072", "p256", "brainpool-p256"])
def test_signature_carries_a_timestamp_of_its_value(
    signer_of: SignerOf, timestamper: Timestamper, now: datetime, kind: str
) -> None:
    """CAdES-B-T (ETSI EN 319 122-1 §6.3)."""
    signed = sign_detached(CONTENT, signer_of(kind, pss=True), at=now, timestamp=timestamper.token)
    (signer,) = verify_detached(signed, CONTENT).signers
    (token,) = signer.timestamps
    stamp = read_token(token, signer.signature)
    assert (stamp.time, stamp.certificate_der) == (now, timestamper.signer.certificate_der)
    with pytest.raises(CmsInvalid, match="something else"):
        read_token(token, signer.signature + b"x")


def test_signature_without_timestamp_has_none(signer_of: SignerOf, now: datetime) -> None:
    assert verify_detached(sign_detached(CONTENT, signer_of("p256"), at=now), CONTENT).signers[0].timestamps == ()


def test_openssl_verifies_a_signature_with_a_timestamp_and_the_token_alone(
    tmp_path: Path, signer_of: SignerOf, authority: TestAuthority, timestamper: Timestamper, now: datetime
) -> None:
    signed = sign_detached(CONTENT, signer_of("p256"), at=now, timestamp=timestamper.token)
    (signer,) = verify_detached(signed, CONTENT).signers
    (tmp_path / "ca.pem").write_bytes(authority.certificate_pem)
    (tmp_path / "content").write_bytes(CONTENT)
    (tmp_path / "value").write_bytes(signer.signature)
    (tmp_path / "token").write_bytes(signer.timestamps[0])
    moment = ["-CAfile", "ca.pem", "-attime", str(int(now.timestamp()))]
    cms = [program("openssl"), "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-content", "content", *moment]
    assert subprocess.run(cms, input=signed, cwd=tmp_path, capture_output=True).returncode == 0
    ts = [program("openssl"), "ts", "-verify", "-token_in", "-in", "token", "-data", "value", *moment]
    done = subprocess.run(ts, cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    (tmp_path / "value").write_bytes(signer.signature[:-1])
    assert subprocess.run(ts, cwd=tmp_path, capture_output=True).returncode != 0


def test_token_of_openssl_is_read(tmp_path: Path, authority: TestAuthority, timestamper: Timestamper) -> None:
    answer = _openssl_answer(tmp_path, timestamper, b"value of a signature")
    token = der.parse(answer).children()[1].raw
    stamp = read_token(token, b"value of a signature")
    assert stamp.certificate_der == timestamper.signer.certificate_der
    # -accuracy and fractions of a second are in the configuration
    assert abs(stamp.time - datetime.now(UTC)) < timedelta(minutes=5)
    assert stamp.time.microsecond != 0


def test_second_opinion_verifies_the_test_service(authority: TestAuthority, timestamper: Timestamper) -> None:
    request = rfc3161_client.TimestampRequestBuilder(data=b"x", hash_algorithm=rfc3161_client.HashAlgorithm.SHA256)
    response = rfc3161_client.decode_timestamp_response(timestamper.answer(request.build().as_bytes()))
    root = x509.load_der_x509_certificate(authority.certificate_der)
    verifier = rfc3161_client.VerifierBuilder(roots=[root]).build()
    assert verifier.verify_message(response, b"x")


def test_service_is_asked_and_its_token_taken(signer_of: SignerOf, timestamper: Timestamper, now: datetime) -> None:
    asked: list[bytes] = []

    def post(request: bytes) -> bytes:
        asked.append(request)
        return timestamper.answer(request)

    signed = sign_detached(CONTENT, signer_of("p256"), at=now, timestamp=timestamp_from(post))
    (signer,) = verify_detached(signed, CONTENT).signers
    assert read_token(signer.timestamps[0], signer.signature).nonce is not None
    assert len(asked) == 1
    assert signer.signature not in asked[0]


@pytest.mark.parametrize(
    "post",
    [
        lambda _, __: b"",
        lambda _, __: refusal(),
        lambda tsa, request: tsa.answer(request)[:-1],
        # the answer to another request
        lambda tsa, _: tsa.answer(rfc3161_client.TimestampRequestBuilder(data=b"other").build().as_bytes()),
        lambda tsa, _: der.tlv(der.SEQUENCE, der.tlv(der.SEQUENCE, der.integer(0)), tsa.token(b"other")),
    ],
)
def test_service_that_gives_something_else_gives_no_signature(
    signer_of: SignerOf, timestamper: Timestamper, now: datetime, post: Callable[[Timestamper, bytes], bytes]
) -> None:
    with pytest.raises(ComposeFailed, match="no timestamp"):
        sign_detached(
            CONTENT, signer_of("p256"), at=now, timestamp=timestamp_from(lambda request: post(timestamper, request))
        )


def test_old_answer_over_the_same_value_is_refused(timestamper: Timestamper) -> None:
    """A token whose imprint fits but whose nonce is missing or another's could be a replayed one."""
    replayed = der.tlv(der.SEQUENCE, der.tlv(der.SEQUENCE, der.integer(0)), timestamper.token(b"value"))
    with pytest.raises(ComposeFailed):
        timestamp_from(lambda _: replayed)(b"value")


@pytest.mark.parametrize("profile", [Profile.SMIME, Profile.PROVIDER_SIGNATURE, Profile.TLS_SERVER])
def test_certificate_must_be_for_timestamps_alone(authority: TestAuthority, now: datetime, profile: Profile) -> None:
    """RFC 3161 §2.3."""
    with pytest.raises(CmsInvalid, match="not for timestamps"):
        read_token(Timestamper.below(authority, now, profile).token(b"x"), b"x")


def test_a_signature_is_no_timestamp(signer_of: SignerOf, now: datetime) -> None:
    with pytest.raises(CmsInvalid):
        read_token(sign_detached(b"x", signer_of("p256"), at=now), b"x")


def test_no_octet_of_a_token_can_be_changed_unnoticed(timestamper: Timestamper) -> None:
    """Version numbers and the list of hashes, which nothing rests on, are free."""
    token = timestamper.token(b"x")
    for at in range(len(token)):
        changed = token[:at] + bytes([token[at] ^ 0x04]) + token[at + 1 :]
        try:
            found = read_token(changed, b"x")
        except CmsInvalid:
            continue
        assert (found.time, found.certificate_der) == (timestamper.time, timestamper.signer.certificate_der)


def _openssl_answer(directory: Path, timestamper: Timestamper, value: bytes) -> bytes:
    pem = timestamper.signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "tsa.key").write_bytes(pem)
    (directory / "tsa.pem").write_bytes(der_to_pem(timestamper.signer.certificate_der))
    (directory / "value").write_bytes(value)
    (directory / "ts.cnf").write_text(
        "[tsa]\ndefault_tsa=one\n[one]\nserial=serial\nsigner_cert=tsa.pem\nsigner_key=tsa.key\n"
        "signer_digest=sha256\ndefault_policy=1.2.3.4.1\ndigests=sha256\naccuracy=secs:1\nordering=yes\ntsa_name=yes\n"
        "clock_precision_digits=6\ness_cert_id_alg=sha256\n"
    )
    query = [program("openssl"), "ts", "-query", "-data", "value", "-sha256", "-cert", "-out", "request"]
    subprocess.run(query, cwd=directory, capture_output=True, check=True)
    reply = [program("openssl"), "ts", "-reply", "-config", "ts.cnf", "-section", "one", "-queryfile", "request"]
    subprocess.run([*reply, "-out", "answer"], cwd=directory, capture_output=True, check=True)
    return (directory / "answer").read_bytes()
