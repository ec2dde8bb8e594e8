"""The control surface: citizens write, mailboxes, certificates, clock."""

from __future__ import annotations

import base64
import io
import ssl
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from demail_gateway.core.checks import Outcome
from demail_gateway.core.eicar import EICAR
from demail_gateway.core.header import read_message
from demail_gateway.core.integrity import check_integrity
from demail_gateway.core.message import PartSource, build_entity, enveloped, multipart_signed
from demail_gateway.core.metadata import read_metadata
from demail_gateway.core.options import SendOptions
from demail_gateway.core.primitives import CertificateStatus
from demail_gateway.core.vocabulary import Protection
from demail_gateway.trust.certificates import make_csr, pem_to_der, read_certificate
from demail_gateway.trust.cms.encryption import encrypt
from demail_gateway.trust.cms.signing import sign_detached
from demail_gateway.trust.keys import KeyKind, SoftwareSigner, generate_key
from demail_gateway.trust.paths import PathJudge
from demail_gateway.trust.tls import client_context
from demail_gateway.trust.verifier import CryptographyVerifier
from tests.sandbox.playground import PROOFS, SENDER, Playground, certified, make_draft

CITIZEN = "erika.mustermann@sandbox.de-mail.de"


def mail(**changes: Any) -> dict[str, Any]:
    return {"from": CITIZEN, "to": [SENDER], "subject": "Frage zum Bescheid", "text": "Grüße", **changes}


async def written(playground: Playground, **changes: Any) -> bytes:
    """Octets of a citizen's mail as they went out, after the gateway has them."""
    answer = await playground.http.post("/mail", json=mail(**changes))
    assert answer.status_code == 201, answer.text
    octets = base64.b64decode(answer.json()["raw"])
    arrived = await playground.listener.until(1, "normal")
    assert arrived[-1].octets == octets
    assert arrived[-1].metadata.message_id == answer.json()["demail_message_id"]
    return octets


def judged(playground: Playground, octets: bytes) -> tuple[Outcome, str, Protection, tuple[str, ...]]:
    judge = PathJudge([pem_to_der(playground.anchor)], answers=[playground.sandbox.crl()])
    result = check_integrity(octets, verifier=CryptographyVerifier(), judge=judge, at=datetime.now(UTC))
    return result.verdict, result.code, result.protection, result.findings


async def test_a_citizen_writes_to_a_tenant(playground: Playground) -> None:
    octets = await written(playground)
    metadata = read_metadata(read_message(octets).header)
    assert (metadata.subject, metadata.account_holder) == ("Frage zum Bescheid", "Erika Mustermann")
    assert judged(playground, octets)[:3] == (Outcome.PASSED, "ok", Protection.HASH)


async def test_a_citizen_gets_proofs_when_the_gateway_took_the_mail(playground: Playground) -> None:
    options = {"confirmation_of_dispatch": True, "confirmation_of_receipt": True}
    await written(playground, options=options)
    items = await playground.mailbox_until(CITIZEN, 2)
    assert {item["message_type"] for item in items} == {"confirmation of dispatch", "confirmation of receipt"}


@pytest.mark.clause("TR 01201-3.1 step 48")
@pytest.mark.parametrize(
    ("tamper", "options", "verdict"),
    [
        ("body", {}, (Outcome.FAILED, "body-hash-mismatch", Protection.HASH)),
        ("header", {}, (Outcome.FAILED, "header-hash-mismatch", Protection.HASH)),
        ("header", {"authoritative": True}, (Outcome.FAILED, "signature-mismatch", Protection.SIGNATURE)),
        ("signature", {"authoritative": True}, (Outcome.FAILED, "signature-mismatch", Protection.SIGNATURE)),
        ("signature", {}, (Outcome.FAILED, "signature-mismatch", Protection.SIGNATURE)),
        ("unsigned", {}, (Outcome.FAILED, "signature-required", Protection.HASH)),
        ("expired-certificate", {}, (Outcome.FAILED, "certificate-invalid", Protection.SIGNATURE)),
    ],
)
async def test_a_tampered_mail_fails_as_asked_for(
    playground: Playground, tamper: str, options: dict[str, bool], verdict: tuple[Outcome, str, Protection]
) -> None:
    octets = await written(playground, tamper=tamper, options=options)
    found = judged(playground, octets)
    assert found[:3] == verdict
    assert ("certificate-expired" in found[3]) is (tamper == "expired-certificate")


@pytest.mark.clause("TR 01201-3.1 step 69 FC-01", "TR 01201-3.1 step 48 FC-01")
@pytest.mark.parametrize("tamper", ["body", "header"])
async def test_a_mail_to_a_citizen_that_was_tampered_with_is_not_delivered(playground: Playground, tamper: str) -> None:
    neighbour = "max@sandbox.de-mail.de"
    answer = await playground.http.post("/mail", json=mail(to=[neighbour], tamper=tamper))
    assert answer.status_code == 201
    (notice,) = await playground.mailbox_until(CITIZEN, 1)
    assert notice["message_type"] == "notification"
    assert judged(playground, base64.b64decode(notice["raw"]))[2] is Protection.SIGNATURE
    assert await playground.mailbox(neighbour) == []
    assert len(await playground.mailbox(neighbour, "copies")) == 1


def zipped(octets: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x.com", octets)
    return archive.getvalue()


@pytest.mark.clause("TR 01201-3.1 steps 54–55")
@pytest.mark.parametrize("octets", [EICAR, zipped(EICAR), zipped(zipped(EICAR))], ids=["plain", "zip", "zip in zip"])
async def test_a_citizens_malware_is_found_unless_nobody_looks(playground: Playground, octets: bytes) -> None:
    attachments = [{"filename": "x.zip", "content": base64.b64encode(octets).decode()}]
    refused = await playground.http.post("/mail", json=mail(attachments=attachments))
    assert (refused.status_code, refused.json()) == (422, {"detail": {"code": "malware-found"}})
    await written(playground, attachments=attachments, scan=False)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"from": "erika@example.org"}, "recipient-not-demail"),
        ({"from": "poststelle@amt.de-mail.de"}, "sender-not-authorised"),
        ({"from": "Meldung@sandbox.de-mail.de"}, "sender-not-authorised"),
        ({"to": ["x@example.org"]}, "recipient-not-demail"),
        ({"to": ["x"]}, "recipient-invalid"),
        ({"subject": "a\r\nBcc: b"}, "invalid-message"),
        ({"options": {"confirmation_of_retrieve": True}}, "private-required"),
        ({"attachments": [{"filename": "a\n.txt", "content": ""}]}, "invalid-message"),
    ],
)
async def test_what_cannot_be_sent_is_refused(playground: Playground, changes: dict[str, Any], code: str) -> None:
    answer = await playground.http.post("/mail", json=mail(**changes))
    assert (answer.status_code, answer.json()) == (422, {"detail": {"code": code}})


@pytest.mark.parametrize(
    "body",
    [{}, mail(to=[]), mail(unknown=1), mail(tamper="x"), mail(attachments=[{"filename": "a", "content": "%"}])],
)
async def test_a_request_of_another_shape_is_refused(playground: Playground, body: dict[str, Any]) -> None:
    assert (await playground.http.post("/mail", json=body)).status_code == 422


async def test_an_unknown_mailbox_is_empty(playground: Playground) -> None:
    answer = await playground.http.get("/mailbox/nobody@nowhere")
    assert (answer.status_code, answer.json()) == (200, {"items": []})


async def test_a_mailbox_shows_the_parts_inside_a_signed_message(playground: Playground) -> None:
    key = generate_key(KeyKind.P256)
    signer = SoftwareSigner(key, playground.client_certificate)
    entity = build_entity("Anbei.", None, (PartSource("müll.bin", "application/x-y", b"\x00\xff" * 5000),), "b1")
    signed = multipart_signed(entity, sign_detached(entity, signer, at=datetime.now(UTC)), "sha-256", "b2")
    await playground.submit(CITIZEN, octets=make_draft(CITIZEN, options=SendOptions(), entity=signed))
    (item,) = await playground.mailbox_until(CITIZEN, 1)
    assert set(item) == {"demail_message_id", "message_type", "received_at", "raw", "wire", "parts"}
    assert [(p["filename"], p["content_type"]) for p in item["parts"]] == [
        (None, "text/plain"),
        ("müll.bin", "application/x-y"),
        ("smime.p7s", "application/pkcs7-signature"),
    ]
    assert base64.b64decode(item["parts"][1]["content"]) == b"\x00\xff" * 5000
    assert item["raw"] == item["wire"]


@pytest.mark.clause("TR 01201-3.1 step 54 FC-02")
async def test_a_mailbox_shows_what_was_encrypted_for_its_citizen(playground: Playground) -> None:
    answer = await playground.provider("/directory", address=CITIZEN)
    (entry,) = answer.json()["items"]
    assert (entry["address"], entry["demail_max_auth_level"]) == (CITIZEN, "HIGH")
    certificate = base64.b64decode(entry["certificates"][0])
    entity = build_entity("Geheim", None, (PartSource("a.txt", "text/plain", b"x"),), "b1")
    encrypted = enveloped(encrypt(entity, [certificate], at=datetime.now(UTC)), "authEnveloped-data")
    await playground.submit(CITIZEN, octets=make_draft(CITIZEN, options=SendOptions(), entity=encrypted))
    (item,) = await playground.mailbox_until(CITIZEN, 1)
    assert [base64.b64decode(p["content"]) for p in item["parts"]] == [b"Geheim", b"x"]
    assert b"pkcs7-mime" in base64.b64decode(item["raw"])


async def test_what_was_encrypted_for_another_stays_closed(playground: Playground) -> None:
    answer = await playground.provider("/directory", address="max@sandbox.de-mail.de")
    certificate = base64.b64decode(answer.json()["items"][0]["certificates"][0])
    await playground.provider("/directory", address=CITIZEN)
    sealed = encrypt(build_entity("Geheim", None, (), "b"), [certificate], at=datetime.now(UTC))
    encrypted = enveloped(sealed, "authEnveloped-data")
    await playground.submit(CITIZEN, octets=make_draft(CITIZEN, options=SendOptions(), entity=encrypted))
    (item,) = await playground.mailbox_until(CITIZEN, 1)
    assert [p["content_type"] for p in item["parts"]] == ["application/pkcs7-mime"]


async def test_the_directory_keeps_a_citizens_certificate(playground: Playground) -> None:
    first, second = [await playground.provider("/directory", address=CITIZEN) for _ in range(2)]
    assert first.json() == second.json()
    facts = read_certificate(base64.b64decode(first.json()["items"][0]["certificates"][0]))
    judge = PathJudge([pem_to_der(playground.anchor)], answers=[playground.sandbox.crl()])
    assert judge.judge(facts.der, datetime.now(UTC)).status is CertificateStatus.GOOD
    assert facts.key_bits == 3072


@pytest.mark.parametrize(
    "address", ["unknown@sandbox.de-mail.de", "closed@sandbox.de-mail.de", SENDER, "x", "meldung@sandbox.de-mail.de"]
)
async def test_who_has_no_account_has_no_entry(playground: Playground, address: str) -> None:
    assert (await playground.provider("/directory", address=address)).json() == {"items": []}


async def test_the_directory_tells_who_cannot_reach_level_high(playground: Playground) -> None:
    answer = await playground.provider("/directory", address="normal-level@sandbox.de-mail.de")
    assert answer.json()["items"][0]["demail_max_auth_level"] == "NORMAL"


async def test_a_certificate_is_issued_and_can_be_revoked(playground: Playground) -> None:
    csr = make_csr(generate_key(KeyKind.P256), "Stadt Elbtal", email=SENDER).decode()
    answer = (await playground.http.post("/certificates", json={"csr": csr, "profile": "smime"})).json()
    certificate = pem_to_der(answer["certificate"].encode())
    assert answer["chain"] == []
    anchors = [pem_to_der(playground.anchor)]

    async def status() -> CertificateStatus:
        crl = (await playground.http.get("/crl.der")).content
        return PathJudge(anchors, answers=[crl]).judge(certificate, datetime.now(UTC)).status

    assert await status() is CertificateStatus.GOOD
    await playground.http.post("/certificates/revoke", json={"serial": answer["serial"]})
    assert await status() is CertificateStatus.REVOKED


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/certificates", {"csr": "x", "profile": "smime"}),
        ("/certificates", {"csr": "x", "profile": "provider-signature"}),
        ("/certificates/revoke", {"serial": "x"}),
        ("/clock", {"advance_s": -1}),
        ("/outage", {"seconds": -1}),
        ("/connections", {"fingerprint": "x", "auth_level": "high"}),
        ("/accounts", {"address": "x", "holder": "y"}),
        ("/gateway", {"host": "", "port": 1}),
    ],
)
async def test_unusable_values_are_refused(playground: Playground, path: str, body: dict[str, Any]) -> None:
    assert (await playground.http.post(path, json=body)).status_code == 422


async def test_the_registered_holder_stands_in_the_message(playground: Playground) -> None:
    await playground.http.post("/accounts", json={"address": SENDER, "holder": "Stadt Elbtal, Kämmerei"})
    await playground.submit(CITIZEN, options=SendOptions())
    (item,) = await playground.mailbox_until(CITIZEN, 1)
    metadata = read_metadata(read_message(base64.b64decode(item["raw"])).header)
    assert metadata.account_holder == "Stadt Elbtal, Kämmerei"


async def test_mail_lives_by_the_clock_that_was_moved(playground: Playground) -> None:
    answer = await playground.http.post("/clock", json={"advance_s": 3600})
    moved = datetime.fromisoformat(answer.json()["now"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < moved < timedelta(minutes=61)
    await playground.submit(CITIZEN, options=PROOFS)
    (proof, *_) = await playground.listener.until(1)
    assert proof.metadata.date is not None
    assert proof.metadata.date - datetime.now(UTC) > timedelta(minutes=58)


async def test_livez_answers(playground: Playground) -> None:
    answer = await playground.http.get("/livez")
    assert (answer.status_code, "server" in answer.headers) == (200, False)


async def test_the_providers_port_wants_a_client_certificate_of_the_authority(playground: Playground) -> None:
    url = f"{playground.facts['provider_url']}/submissions/x"
    async with httpx.AsyncClient(verify=client_context(playground.anchor, None)) as client:
        with pytest.raises((httpx.HTTPError, ssl.SSLError)):
            await client.get(url)
    identity, certificate = await certified(playground.http, "tls-client", "revoked")
    serial = str(read_certificate(certificate).serial_number)
    await playground.http.post("/certificates/revoke", json={"serial": serial})
    async with httpx.AsyncClient(verify=client_context(playground.anchor, identity)) as client:
        with pytest.raises(httpx.HTTPError):
            await client.get(url)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/mail", {"to": []}, 422, "invalid-request"),
        ("POST", "/outage", {"seconds": "bald"}, 422, "invalid-request"),
        ("GET", "/mailbox/x@sandbox.de-mail.de?folder=nix", None, 422, "invalid-request"),
        ("GET", "/nothing", None, 404, "not-found"),
        ("GET", "/mail", None, 405, "method-not-allowed"),
        ("POST", "/certificates", {"csr": "x", "profile": "smime"}, 422, "csr-malformed"),
    ],
)
async def test_refusals_have_one_shape(
    playground: Playground, method: str, path: str, body: dict[str, Any] | None, status: int, code: str
) -> None:
    answer = await playground.http.request(method, path, json=body)
    assert (answer.status_code, answer.json()["detail"]["code"]) == (status, code)


async def test_a_faulty_request_is_told_where_and_not_quoted(playground: Playground) -> None:
    answer = await playground.http.post("/mail", json=mail(to="erika@sandbox.de-mail.de"))
    (error,) = answer.json()["detail"]["errors"]
    assert error["pointer"] == "/to"
    assert "erika" not in answer.text
