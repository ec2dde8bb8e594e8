"""POST messages: accepted whole, replayed, refused whole."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from demail_gateway.core.eicar import EICAR
from demail_gateway.core.errors import ProviderUnavailable, StoreUnavailable
from demail_gateway.core.vocabulary import AccountState, AuthLevel
from demail_gateway.tenancy.scope import Scope
from demail_gateway.trust.authority import Profile, TestAuthority
from tests.fakes.api_client import draft
from tests.fakes.gateway import Gateway

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
"""Where the clock of the gateway under test stands."""
AUTHORITY = TestAuthority.create("TEST Root", NOW - timedelta(days=30), key_kind="p256")


def certificate(
    profile: Profile = Profile.SMIME,
    start: int = -1,
    end: int = 1,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | None = None,
) -> bytes:
    """Valid from `start` to `end`, in days from now."""
    return AUTHORITY.issue(
        (key or ec.generate_private_key(ec.SECP256R1())).public_key(),
        profile,
        "TEST Erika",
        not_before=NOW + timedelta(days=start),
        not_after=NOW + timedelta(days=end),
    )


MESSAGE_MEMBERS = {
    *("id", "direction", "state", "reference", "from", "to", "cc", "bcc", "subject", "size_bytes", "options"),
    *("signed", "encrypted", "recipients", "created_at", "submitted_at", "completed_at", "overdue_since"),
}


async def test_an_accepted_message_answers_202_with_location_and_the_message(gateway: Gateway) -> None:
    answer = await gateway.send(reference="AZ 1", cc=["amt@sandbox.de-mail.de"])
    assert answer.status_code == 202
    message = answer.json()
    assert message.keys() >= MESSAGE_MEMBERS
    assert (message["state"], message["direction"], message["reference"]) == ("queued", "outbound", "AZ 1")
    assert [r["state"] for r in message["recipients"]] == ["pending", "pending"]
    assert answer.headers["location"] == f"/v1/tenants/stadt-elbtal/messages/{message['id']}"
    assert message["created_at"] == "2026-11-24T08:00:00Z"
    again = await gateway.http.get(
        answer.headers["location"], headers={"Authorization": f"Bearer {await gateway.token(gateway.city)}"}
    )
    assert again.json() == message


async def test_the_workers_are_woken_after_a_message_was_accepted(gateway: Gateway) -> None:
    await gateway.send()
    await gateway.services.settle()
    assert gateway.world.woken == [gateway.city.record.id]


async def test_the_stored_message_has_one_private_id_and_message_id_per_copy(gateway: Gateway) -> None:
    await gateway.send(bcc=["presse@sandbox.de-mail.de"], split_recipients=False)
    (sent,) = gateway.world.sent.values()
    copies = sent.message.copies
    assert len(copies) == 2
    assert len({copy.private_id for copy in copies}) == len({copy.internet_message_id for copy in copies}) == 2
    assert all(copy.private_id.startswith("urn:uuid:") and copy.private_id[23] == "4" for copy in copies)
    assert all(copy.internet_message_id.endswith("@gateway.test>") for copy in copies)


@pytest.mark.clause("SND-48")
async def test_a_requested_proof_splits_the_recipients(gateway: Gateway) -> None:
    to = ["a@sandbox.de-mail.de", "b@sandbox.de-mail.de"]
    await gateway.send(to=to, options={"confirmation_of_receipt": True})
    (sent,) = gateway.world.sent.values()
    assert sent.message.split
    assert len(sent.message.copies) == 2


@pytest.mark.clause("SND-4")
async def test_a_confirmation_of_retrieval_sets_private(gateway: Gateway) -> None:
    answer = await gateway.send(options={"confirmation_of_retrieve": True})
    assert answer.json()["options"]["private"] is True


@pytest.mark.clause("TR 01201-3.1 step 5")
async def test_signing_follows_the_policy_unless_the_request_says_otherwise(gateway: Gateway) -> None:
    tenants, mine = gateway.world.tenants, gateway.city.record
    tenants[mine.id] = replace(mine, policy={"sign_by_default": True})
    assert (await gateway.send("a")).json()["signed"] is True
    assert (await gateway.send("b", sign=False)).json()["signed"] is False


@pytest.mark.clause("TR 01201-3.1 step 4")
async def test_attachments_come_inline_or_by_upload(gateway: Gateway) -> None:
    upload = await gateway.call("POST", "attachments?filename=b%C3%A4r.bin", content=b"x" * 70_000)
    attachments = [
        {"filename": "bescheid.pdf", "content_type": "application/pdf", "content": base64.b64encode(b"%PDF").decode()},
        {"attachment_id": upload.json()["id"]},
    ]
    answer = await gateway.send(attachments=attachments)
    assert answer.status_code == 202, answer.text
    (sent,) = gateway.world.sent.values()
    assert [(a.position, a.filename, a.size_bytes) for a in sent.message.attachments] == [
        (1, "bescheid.pdf", 4),
        (2, "bär.bin", 70_000),
    ]
    assert sent.message.attachments[0].octets == b"%PDF"


async def test_an_upload_that_does_not_exist_is_404_but_only_if_all_else_is_right(gateway: Gateway) -> None:
    missing = {"attachment_id": "att_01990000-0000-7000-8000-000000000000"}
    inline = {"filename": "a.txt", "content_type": "text/plain", "content": "YQ=="}
    answer = await gateway.send(attachments=[inline, missing])
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (404, "not-found")
    assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [("/attachments/1/attachment_id", "not-found")]
    assert "Upload" in problem["detail"]
    assert (await gateway.send(attachments=[missing], to=[])).status_code == 422
    assert gateway.world.sent == {}


async def test_another_tenants_upload_does_not_exist(gateway: Gateway) -> None:
    upload = await gateway.call("POST", "attachments?filename=a.bin", content=b"x", kit=gateway.firm)
    answer = await gateway.send(attachments=[{"attachment_id": upload.json()["id"]}])
    assert answer.status_code == 404


# --- idempotency


async def test_the_same_key_and_body_answer_with_the_first_answer(gateway: Gateway) -> None:
    first = await gateway.send()
    second = await gateway.send()
    assert second.status_code == 202
    assert second.content == first.content
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(gateway.world.sent) == 1


async def test_the_same_key_with_another_body_is_refused(gateway: Gateway) -> None:
    await gateway.send()
    answer = await gateway.send(subject="anderer Betreff")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")


async def test_a_repetition_is_answered_although_the_draft_would_be_refused_today(gateway: Gateway) -> None:
    first = await gateway.send()
    tenants, mine = gateway.world.tenants, gateway.city.record
    tenants[mine.id] = replace(mine, state="suspended", effects={"sending": False})
    gateway.world.version += 1
    assert (await gateway.send()).content == first.content
    assert (await gateway.send("key-2")).json()["code"] == "account-state"


@pytest.mark.parametrize("key", ["", "a" * 256, "mit leer", "ümlaut"])
async def test_a_malformed_key_is_refused(gateway: Gateway, key: str) -> None:
    token = await gateway.token(gateway.city)
    answer = await gateway.http.post(
        "/v1/tenants/stadt-elbtal/messages",
        json=draft(gateway.city),
        headers={b"Authorization": f"Bearer {token}".encode(), b"Idempotency-Key": key.encode("latin-1")},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-invalid")


async def test_without_a_key_nothing_is_sent_and_the_key_is_asked_for_before_the_body_is_judged(
    gateway: Gateway,
) -> None:
    answer = await gateway.call("POST", "messages", json={"unsinn": 1})
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-missing")


async def test_two_tenants_may_use_the_same_key(gateway: Gateway) -> None:
    assert (await gateway.send("k", gateway.city)).status_code == 202
    assert (await gateway.send("k", gateway.firm)).status_code == 202


async def test_fifty_equal_requests_at_once_make_one_message(gateway: Gateway) -> None:
    await gateway.token(gateway.city)
    answers = await asyncio.gather(*(gateway.send() for _ in range(50)))
    assert {answer.content for answer in answers} == {answers[0].content}
    assert len(gateway.world.sent) == 1


# --- dry run


async def test_a_dry_run_forecasts_and_has_no_effect(gateway: Gateway) -> None:
    before = dict(gateway.world.answers)
    answer = await gateway.call(
        "POST",
        "messages?dry_run=true",
        json=draft(gateway.city, options={"confirmation_of_dispatch": True, "confirmation_of_retrieve": True}),
        headers={"Idempotency-Key": "not even looked at ü".encode()},
    )
    assert answer.status_code == 200
    forecast = answer.json()
    assert forecast["options"]["private"] is True
    assert [(e["kind"], e["within_seconds"]) for e in forecast["expected_evidence"]] == [
        ("confirmation of dispatch", 3600),
        ("confirmation of retrieve", None),
    ]
    assert forecast["size_bytes"] > forecast["net_bytes"] == len("Sehr geehrte Frau Muster")
    assert forecast["account_id"].startswith("acc_")
    assert (gateway.world.sent, gateway.world.answers, gateway.world.woken) == ({}, before, [])


async def test_a_dry_run_refuses_what_sending_refuses(gateway: Gateway) -> None:
    body = draft(gateway.city, to=["a@example.org"])
    dry = await gateway.call("POST", "messages?dry_run=true", json=body)
    real = await gateway.call("POST", "messages", json=body, headers={"Idempotency-Key": "k"})
    assert dry.status_code == real.status_code == 422
    assert dry.json()["errors"] == real.json()["errors"]


@pytest.mark.parametrize("whose", ["nobody's", "another tenant's"])
async def test_a_wrong_sender_is_the_only_thing_wrong_with_an_otherwise_right_draft(
    gateway: Gateway, whose: str
) -> None:
    wrong = gateway.firm.address if whose == "another tenant's" else "niemand@stadt-elbtal.de-mail.de"
    options = {"confirmation_of_retrieve": True, "authoritative": True}
    right = await gateway.call("POST", "messages?dry_run=true", json=draft(gateway.city, options=options))
    assert right.status_code == 200
    body = draft(gateway.city, from_=wrong, options=options)
    answer = await gateway.call("POST", "messages?dry_run=true", json=body)
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [("/from", "sender-not-authorised")]
    body["to"].append("buergerin@example.org")
    answer = await gateway.call("POST", "messages?dry_run=true", json=body)
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [
        ("/from", "sender-not-authorised"),
        ("/to/1", "recipient-not-demail"),
        ("", "recipient-not-demail"),
    ]


# --- the memory of what is known of a sender


async def test_a_change_between_reading_and_accepting_is_examined_anew(gateway: Gateway) -> None:
    await gateway.send("a")
    connection = gateway.connection
    gateway.world.connections[connection.id] = replace(connection, auth_level=AuthLevel.NORMAL)
    gateway.world.version += 1
    answer = await gateway.send("b", options={"private": True})
    assert (answer.status_code, answer.json()["code"]) == (422, "auth-level-too-low")
    assert len(gateway.world.sent) == 1


async def test_a_permission_just_given_is_effective_at_once(gateway: Gateway) -> None:
    row = (gateway.city.record.id, gateway.city.client_uuid, gateway.city.address)
    kept = gateway.world.senders.pop(row)
    gateway.world.version += 1
    assert (await gateway.send("a")).json()["code"] == "sender-not-authorised"
    gateway.world.senders[row] = kept
    gateway.world.version += 1
    assert (await gateway.send("b")).status_code == 202


async def test_the_second_message_needs_no_look_at_the_configuration(gateway: Gateway) -> None:
    await gateway.send("a")
    gateway.world.calls.clear()
    await gateway.send("b")
    assert gateway.world.calls == ["accept"]


@pytest.mark.clause("SND-17", "TR 01201-3.1 step 26")
async def test_at_level_normal_the_quota_is_read_each_time(gateway: Gateway) -> None:
    gateway.world.connections[gateway.connection.id] = replace(gateway.connection, auth_level=AuthLevel.NORMAL)
    assert (await gateway.send("a")).status_code == 202
    gateway.world.used[gateway.city.account.id] = {"messages_day": 100}
    answer = await gateway.send("b")
    assert (answer.status_code, answer.json()["code"]) == (429, "quota-exceeded")
    assert int(answer.headers["retry-after"]) > 0


# --- encryption


@pytest.mark.clause("DIR-50", "TR 01201-3.1 steps 7–8", "TR 01201-3.1 step 8 FC-01")
async def test_encryption_needs_a_certificate_for_every_recipient(gateway: Gateway) -> None:
    to = ["a@sandbox.de-mail.de", "b@sandbox.de-mail.de"]
    gateway.provider.certificates[to[0]] = [certificate()]
    answer = await gateway.send(to=to, encrypt=True)
    assert (answer.status_code, answer.json()["code"]) == (422, "recipient-certificate-missing")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/to/1"]
    gateway.provider.certificates[to[1]] = [certificate()]
    assert (await gateway.send(to=to, encrypt=True)).json()["encrypted"] is True
    (sent,) = gateway.world.sent.values()
    assert {each: list(ders) for each, ders in sent.message.recipient_certificates.items()} == {
        each: gateway.provider.certificates[each] for each in to
    }


@pytest.mark.clause("DIR-51", "TR 01201-3.1 step 8 FC-03")
@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda: certificate(key=rsa.generate_private_key(65537, 2048)), "zu kurzen"),
        (lambda: certificate(Profile.TLS_CLIENT), "nicht zum Verschlüsseln"),
        (lambda: certificate(start=-9, end=-1), "abgelaufen"),
        (lambda: certificate(start=1, end=9), "noch nicht gültig"),
        (lambda: b"0\x80", "nicht lesbar"),
    ],
)
@pytest.mark.parametrize("path", ["messages", "messages?dry_run=true"])
async def test_a_certificate_that_may_not_be_encrypted_for_is_told_at_once(
    gateway: Gateway, made: Callable[[], bytes], reason: str, path: str
) -> None:
    to = ["a@sandbox.de-mail.de", "b@sandbox.de-mail.de"]
    gateway.provider.certificates = {to[0]: [certificate()], to[1]: [made()]}
    body = draft(gateway.city, to=to, encrypt=True)
    answer = await gateway.call("POST", path, json=body, headers={"Idempotency-Key": "key-1"})
    assert (answer.status_code, answer.json()["code"]) == (422, "recipient-certificate-unusable")
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["rule"]) == ("/to/1", "DIR-51")
    assert reason in error["detail"]
    assert gateway.world.sent == {}


@pytest.mark.clause("DIR-51")
async def test_a_message_is_encrypted_for_all_certificates_that_are_valid(gateway: Gateway) -> None:
    expired, one, other = certificate(start=-9, end=-1), certificate(), certificate(start=-2)
    gateway.provider.certificates["a@sandbox.de-mail.de"] = [expired, one, other]
    assert (await gateway.send(to=["a@sandbox.de-mail.de"], encrypt=True)).status_code == 202
    (sent,) = gateway.world.sent.values()
    assert [*sent.message.recipient_certificates["a@sandbox.de-mail.de"]] == [one, other]


async def test_a_directory_that_does_not_answer_is_503_and_nothing_is_stored(gateway: Gateway) -> None:
    gateway.provider.error = ProviderUnavailable("no connection")
    answer = await gateway.send(encrypt=True)
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (
        503,
        "provider-unavailable",
        True,
    )
    assert "retry-after" in answer.headers
    assert gateway.world.sent == {}


async def test_a_database_that_is_away_is_503_with_retry_after(gateway: Gateway) -> None:
    await gateway.send("a")
    gateway.world.failing = {"accept": StoreUnavailable(), "replay": StoreUnavailable()}
    answer = await gateway.send("b")
    assert (answer.status_code, answer.json()["code"]) == (503, "store-unavailable")
    assert answer.headers["retry-after"] == "5"


# --- every refusal of the table, in both languages, nothing stored


def _level_normal(gateway: Gateway) -> None:
    gateway.world.connections[gateway.connection.id] = replace(gateway.connection, auth_level=AuthLevel.NORMAL)


def _account(gateway: Gateway, **changes: Any) -> None:
    account = gateway.city.account
    gateway.world.accounts[account.id] = replace(account, **changes)


def _pseudonym(gateway: Gateway) -> None:
    _account(gateway, natural_person=True)
    kit, world = gateway.city, gateway.world
    address = "pn_elbhang42@stadt-elbtal.de-mail.de"
    world.addresses[address] = replace(world.addresses[kit.address], address=address)
    world.senders[kit.record.id, kit.client_uuid, address] = (None, None)


def _quota_used(gateway: Gateway) -> None:
    _level_normal(gateway)
    gateway.world.used[gateway.city.account.id] = {"recipients_24h": 300}


def _court(gateway: Gateway) -> None:
    gateway.world.courts = frozenset({"amtsgericht@justiz.de-mail.de"})


def _nothing(gateway: Gateway) -> None:
    pass


CITIZEN = "buergerin@sandbox.de-mail.de"
REFUSALS: list[tuple[str, str, str, Any, dict[str, Any]]] = [
    ("SND-10", "sender-not-authorised", "/from", _nothing, {"from_": "andere@stadt-elbtal.de-mail.de"}),
    ("SND-10", "sender-not-authorised", "/from", _nothing, {"from_": "poststelle@werke-elbtal.de-mail.de"}),
    ("SND-11", "recipient-not-demail", "/to/0", _nothing, {"to": ["a@example.org"]}),
    ("SND-12", "reply-to-not-demail", "/reply_to", _nothing, {"reply_to": "a@example.org"}),
    (
        "SND-13",
        "reply-to-not-polled",
        "/reply_to",
        _nothing,
        {"reply_to": "fremd@sandbox.de-mail.de", "options": {"confirmation_of_dispatch": True}},
    ),
    ("SND-14", "auth-level-too-low", "/options/private", _level_normal, {"options": {"private": True}}),
    (
        "SND-15",
        "pseudonym-not-allowed",
        "/options/authoritative",
        _pseudonym,
        {"from_": "pn_elbhang42@stadt-elbtal.de-mail.de", "options": {"authoritative": True}},
    ),
    (
        "SND-16",
        "retrieval-proof-not-permitted",
        "/options/confirmation_of_retrieve",
        lambda g: _account(g, retrieval_entitlement=False),
        {"options": {"confirmation_of_retrieve": True}},
    ),
    ("SND-17", "quota-exceeded", "", _quota_used, {}),
    (
        "SND-18",
        "malware-found",
        "/attachments/0",
        _nothing,
        {"attachments": [{"filename": "a", "content_type": "text/plain", "content": base64.b64encode(EICAR).decode()}]},
    ),
    ("SND-18", "malware-found", "/text", _nothing, {"text": f"Siehe {EICAR.decode()}"}),
    ("SND-19", "too-large", "", lambda g: _policy(g, net_bytes=10), {}),
    ("SND-20", "account-state", "/from", lambda g: _account(g, state=AccountState.LOCKED), {}),
    ("SND-21", "system-address", "/from", _nothing, {"from_": "Versandbestaetigung@stadt-elbtal.de-mail.de"}),
    ("SND-22", "reference-too-long", "/reference", _nothing, {"reference": "x" * 1025}),
    ("SND-23", "invalid-message", "/to", _nothing, {"to": []}),
    (
        "SND-4",
        "private-required",
        "/options/private",
        _nothing,
        {"options": {"confirmation_of_retrieve": True, "private": False}},
    ),
    ("SND-7", "formal-service-incomplete", "/formal_service/authority", _nothing, {"profile": "formal-service"}),
    ("ADR-3", "recipient-invalid", "/to/0", _nothing, {"to": ["müller@sandbox.de-mail.de"]}),
    ("ADR-33", "recipient-invalid", "/to/0", _nothing, {"to": ["meldung@sandbox.de-mail.de"]}),
    ("LAW-2", "recipient-court", "/to/0", _court, {"to": ["amtsgericht@justiz.de-mail.de"]}),
    ("SND-23", "invalid-message", "/profile", _nothing, {"profile": "standard", "options": {"private": False}}),
    ("SND-23", "invalid-message", "/subject", _nothing, {"subject": "Betreff\r\nBcc: x@example.org"}),
    ("SND-23", "invalid-message", "/subject", _nothing, {"subject": "mit\x00NUL"}),
    ("SND-23", "invalid-message", "/to/0", _nothing, {"to": [f"{CITIZEN}\nCc: b@sandbox.de-mail.de"]}),
    ("SND-23", "invalid-message", "/reference", _nothing, {"reference": "AZ\n1"}),
    (
        "SND-23",
        "invalid-message",
        "/attachments/0/filename",
        _nothing,
        {"attachments": [{"filename": "a\r\nb.pdf", "content_type": "application/pdf", "content": ""}]},
    ),
    (
        "SND-23",
        "invalid-message",
        "/attachments/0/content",
        _nothing,
        {"attachments": [{"filename": "a.pdf", "content_type": "application/pdf", "content": "Q!=="}]},
    ),
]


def _policy(gateway: Gateway, **policy: Any) -> None:
    mine = gateway.city.record
    gateway.world.tenants[mine.id] = replace(mine, policy=policy)


@pytest.mark.clause("TR 01201-3.1 steps 14, 17, 20, 22, 25, 28")
@pytest.mark.parametrize(
    ("rule", "code", "pointer", "prepare", "changes"),
    REFUSALS,
    ids=[f"{r[0]}{r[2]}-{n}" for n, r in enumerate(REFUSALS)],
)
async def test_each_refusal_names_code_rule_and_place_in_both_languages_and_stores_nothing(
    gateway: Gateway, rule: str, code: str, pointer: str, prepare: Any, changes: dict[str, Any]
) -> None:
    prepare(gateway)
    texts = []
    for language in ("de", "en"):
        answer = await gateway.call(
            "POST",
            "messages",
            json=draft(gateway.city, **changes),
            headers={"Idempotency-Key": "k", "Accept-Language": language},
        )
        assert 400 <= answer.status_code < 500
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        first = problem["errors"][0]
        assert (problem["code"], problem["rule"], first["pointer"]) == (code, rule, pointer)
        assert problem["status"] == answer.status_code
        texts.append((problem["title"], first["detail"]))
    assert texts[0] != texts[1]
    world = gateway.world
    assert (world.sent, world.answers, world.woken) == ({}, {}, [])


@pytest.mark.clause("SND-100")
async def test_a_refusal_is_entered_in_the_journal_by_its_rules_and_a_dry_run_is_not(gateway: Gateway) -> None:
    body = draft(gateway.city, to=["a@example.org", "b@example.org"], subject="")
    await gateway.call("POST", "messages?dry_run=true", json=body)
    assert gateway.world.journal == []
    await gateway.call("POST", "messages", json=body, headers={"Idempotency-Key": "k"})
    (entry,) = gateway.world.journal
    assert (entry["action"], entry["detail"]) == ("message.refused", {"rules": "SND-23 SND-11"})


@pytest.mark.clause("SND-24")
async def test_mixed_addressing_refuses_the_whole(gateway: Gateway) -> None:
    answer = await gateway.send(to=[CITIZEN, "a@example.org"])
    assert [error["rule"] for error in answer.json()["errors"]] == ["SND-11", "SND-24"]
    assert gateway.world.sent == {}


async def test_all_broken_rules_come_at_once_and_the_first_by_order_gives_the_code(gateway: Gateway) -> None:
    answer = await gateway.send(
        from_="fremd@stadt-elbtal.de-mail.de", to=["a@example.org"], reference="x" * 1025, subject=""
    )
    problem = answer.json()
    assert (problem["code"], problem["rule"]) == ("invalid-message", "SND-23")
    assert [e["rule"] for e in problem["errors"]] == ["SND-23", "SND-10", "SND-11", "SND-22"]


# --- bad input


BAD_BODIES: list[tuple[bytes, str]] = [
    (b"", ""),
    (b"{", ""),
    (b"nonsense", ""),
    (b'{"from": "a", "from": ', ""),
    (b"\xff\xfe", ""),
    (b'"text"', ""),
    (b"[]", ""),
    (b"[" * 100_000, ""),
    (b'{"from":"a","subject":"\\ud800"}', ""),
    (b'{"from":"a","subject":"s","to":' + b"9" * 10_000 + b"}", ""),
    (b'{"from":1,"subject":"s"}', "/from"),
    (b'{"from":null,"subject":"s"}', "/from"),
    (b'{"from":"a","subject":"s","to":"b"}', "/to"),
    (b'{"from":"a","subject":"s","to":[1e400]}', "/to/0"),
    (b'{"from":"a","subject":"s","encrypt":"true"}', "/encrypt"),
    (b'{"from":"a","subject":"s","sign":1}', "/sign"),
    (b'{"from":"a","subject":"s","options":{"private":"yes"}}', "/options/private"),
    (b'{"from":"a","subject":"s","options":{"privat":true}}', "/options/privat"),
    (b'{"from":"a","subject":"s","unbekannt":1}', "/unbekannt"),
    (b'{"from":"a","subject":"s","a/b~c":1}', "/a~1b~0c"),
    (b'{"from":"a","subject":"s","attachments":[{}]}', "/attachments/0"),
    (b'{"from":"a","subject":"s","attachments":[{"attachment_id":"msg_1"}]}', "/attachments/0/attachment_id"),
    (
        (
            b'{"from":"a","subject":"s","attachments":[{"attachment_id":"att_01990000-0000-7000-8000-000000000000",'
            b'"content":"","filename":"a","content_type":"b/c"}]}'
        ),
        "/attachments/0",
    ),
]


@pytest.mark.parametrize(("body", "pointer"), BAD_BODIES, ids=[f"{n}" for n in range(len(BAD_BODIES))])
async def test_what_is_no_submission_is_refused_in_both_languages_and_echoes_nothing(
    gateway: Gateway, body: bytes, pointer: str
) -> None:
    details = []
    for language in ("de", "en"):
        answer = await gateway.call(
            "POST",
            "messages",
            content=body,
            headers={"Idempotency-Key": "k", "Content-Type": "application/json", "Accept-Language": language},
        )
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["rule"]) == (422, "invalid-message", "SND-23")
        assert pointer in [error["pointer"] for error in problem["errors"]]
        details.append([error["detail"] for error in problem["errors"]])
    assert details[0] != details[1]
    assert gateway.world.sent == {}


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"])
async def test_another_content_type_is_415(gateway: Gateway, content_type: str) -> None:
    answer = await gateway.call(
        "POST",
        "messages",
        content=json.dumps(draft(gateway.city)).encode(),
        headers={"Idempotency-Key": "k", "Content-Type": content_type},
    )
    assert (answer.status_code, answer.headers["accept"]) == (415, "application/json")
    assert "erwartet: application/json" in answer.json()["detail"]


@pytest.mark.clause("SND-19")
@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_is_413_whether_announced_or_not(gateway: Gateway, *, announced: bool) -> None:
    async def pieces() -> Any:
        for _ in range(30):
            yield b" " * 100_000

    content = b" " * 3_000_000 if announced else pieces()
    answer = await gateway.call(
        "POST", "messages", content=content, headers={"Idempotency-Key": "k", "Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"], answer.json()["rule"]) == (413, "too-large", "SND-19")


# --- cancel


@pytest.mark.clause("SND-40")
async def test_a_queued_message_is_withdrawn_and_a_second_time_is_a_conflict(gateway: Gateway) -> None:
    message = (await gateway.send()).json()["id"]
    first = await gateway.call("POST", f"messages/{message}/cancel")
    assert (first.status_code, first.json()["state"]) == (200, "cancelled")
    second = await gateway.call("POST", f"messages/{message}/cancel")
    assert (second.status_code, second.json()["code"], second.json()["rule"]) == (409, "not-cancellable", "SND-40")


async def test_cancelling_needs_the_scope_to_send(gateway: Gateway) -> None:
    message = (await gateway.send()).json()["id"]
    answer = await gateway.call("POST", f"messages/{message}/cancel", Scope.MESSAGES_READ)
    assert answer.status_code == 403


async def test_another_tenants_message_cannot_be_cancelled(gateway: Gateway) -> None:
    message = (await gateway.send()).json()["id"]
    assert (await gateway.call("POST", f"messages/{message}/cancel", kit=gateway.firm)).status_code == 404
