"""What the gateway does not do: refusals over REST leave nothing behind, other tenants' objects do not exist."""

from __future__ import annotations

from typing import Any

import pytest

from demail_gateway.core.eicar import EICAR
from tests.journeys.installation import until
from tests.journeys.people import CITIZENS, WITH_ALL_PROOFS, Application, Sandbox, as_attachment

REFUSALS: dict[str, tuple[dict[str, Any], int, str, str | None]] = {
    "foreign sender": ({"from": "service@stadtwerke-elbtal.de-mail.de"}, 422, "sender-not-authorised", "SND-10"),
    "no De-Mail": ({"to": ["erika@example.com"]}, 422, "recipient-not-demail", "SND-11"),
    "mixed": ({"cc": ["erika@example.com"]}, 422, "recipient-not-demail", "SND-11"),
    "no address": ({"to": ["kein Empfänger"]}, 422, "recipient-invalid", "ADR-3"),
    "nobody": ({"to": []}, 422, "invalid-message", "SND-23"),
    "answers elsewhere": ({"reply_to": "erika@example.com"}, 422, "reply-to-not-demail", "SND-12"),
    "answers not polled": ({"reply_to": f"fremd{CITIZENS}"}, 422, "reply-to-not-polled", "SND-13"),
    "system sender": ({"from": "versandbestaetigung@stadt-elbtal.de-mail.de"}, 422, "system-address", "SND-21"),
    "long reference": ({"reference": "x" * 1025}, 422, "reference-too-long", "SND-22"),
    "not private": (
        {"options": {"confirmation_of_retrieve": True, "private": False}},
        422,
        "private-required",
        "SND-4",
    ),
    "profile and options": ({"profile": "standard", "options": {}}, 422, "invalid-message", "SND-23"),
    "line break in subject": ({"subject": "Bescheid\r\nBcc: x@y.de-mail.de"}, 422, "invalid-message", "SND-23"),
    "line break in a name": (
        {"attachments": [as_attachment("a\r\nb.pdf", "application/pdf", b"x")]},
        422,
        "invalid-message",
        "SND-23",
    ),
    "unknown field": ({"subjekt": "?"}, 422, "invalid-message", "SND-23"),
    "wrong type": ({"encrypt": "ja"}, 422, "invalid-message", "SND-23"),
    "malware": (
        {"attachments": [as_attachment("test.com", "application/octet-stream", EICAR)]},
        422,
        "malware-found",
        "SND-18",
    ),
    "broken base64": (
        {"attachments": [{"filename": "a", "content_type": "text/plain", "content": "%%%"}]},
        422,
        "invalid-message",
        "SND-23",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_names_rule_and_code_and_nothing_leaves(town: Application, sandbox: Sandbox, case: str) -> None:
    fields, status, code, rule = REFUSALS[case]
    address = f"never.sent{CITIZENS}"
    before = town.get("messages", direction="outbound", limit=1)
    refused = town.post(**{"to": address, **fields})
    document = refused.json()
    assert (refused.status_code, document["code"], document["rule"]) == (status, code, rule)
    assert refused.headers["content-type"] == "application/problem+json"
    assert document["errors"]
    assert all(error["code"] for error in document["errors"])
    assert document["trace_id"]
    assert town.get("messages", direction="outbound", limit=1) == before
    assert sandbox.mailbox(address) == []


def test_retrieval_proofs_are_for_public_bodies(works: Application) -> None:
    """SND-16; De-MailG §5(9)."""
    refused = works.post(f"buerger{CITIZENS}", options=WITH_ALL_PROOFS)
    assert (refused.status_code, refused.json()["code"]) == (422, "retrieval-proof-not-permitted")
    assert refused.json()["rule"] == "SND-16"


def test_all_broken_rules_come_at_once_and_in_the_callers_language(town: Application) -> None:
    body = {"from": town.address, "to": ["erika@example.com"], "subject": "x", "text": "x", "reference": "y" * 2000}
    refused = town.request(
        "POST", "messages", json=body, headers={"Idempotency-Key": "several", "Accept-Language": "en"}
    ).json()
    assert {error["code"] for error in refused["errors"]} >= {"recipient-not-demail", "reference-too-long"}
    assert {error["pointer"] for error in refused["errors"]} >= {"/to/0", "/reference"}
    assert refused["title"] == "Recipient is not a De-Mail address"


def test_a_dry_run_forecasts_and_has_no_effect(town: Application, sandbox: Sandbox) -> None:
    address = f"only.forecast{CITIZENS}"
    body = {"from": town.address, "to": [address], "subject": "Probe", "text": "Probe"}
    forecast = town.request("POST", "messages?dry_run=true", json=body)
    assert forecast.status_code == 200, forecast.text
    body["to"] = ["erika@example.com"]
    refused = town.request("POST", "messages?dry_run=true", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "recipient-not-demail")
    assert sandbox.mailbox(address) == []


def test_a_repeated_request_makes_one_message(town: Application, sandbox: Sandbox) -> None:
    address = f"once{CITIZENS}"
    first = town.post(address, key="journey-once")
    again = town.post(address, key="journey-once")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    other = town.post(address, key="journey-once", subject="Ein anderer")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    town.when(first.json()["id"])
    assert len(sandbox.mailbox(address)) == 1
    body = {"from": town.address, "to": [address], "subject": "x", "text": "x"}
    without = town.request("POST", "messages", json=body)
    assert (without.status_code, without.json()["code"]) == (400, "idempotency-key-missing")


def test_what_waits_can_be_withdrawn_and_what_has_left_cannot(town: Application, sandbox: Sandbox) -> None:
    """SND-40: while the provider is away everything waits."""
    address = f"withdrawn{CITIZENS}"
    sandbox.outage(30)
    try:
        message_id = town.send(address)
        # not while an attempt is under way: that it transfers nothing is known at its end
        cancelled = until(
            lambda: town.request("POST", f"messages/{message_id}/cancel"), lambda seen: seen.status_code != 409
        )
        assert (cancelled.status_code, cancelled.json().get("state")) == (200, "cancelled")
    finally:
        sandbox.outage(0)
    sent_id = town.send(f"kept{CITIZENS}")
    town.when(sent_id)
    refused = town.request("POST", f"messages/{sent_id}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (409, "not-cancellable")
    again = town.request("POST", f"messages/{message_id}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "not-cancellable")
    assert town.message(message_id)["state"] == "cancelled"
    assert town.events(message_id)[-1] == "message.cancelled"
    assert sandbox.mailbox(address) == []


def test_another_tenants_messages_do_not_exist(town: Application, works: Application) -> None:
    """GWT-39: a foreign tenant answers exactly like one that does not exist."""
    message_id = town.send(f"ours{CITIZENS}")
    town.when(message_id)
    proof = town.evidence(message_id)[0]["id"]
    paths = ["", "/events", "/evidence", "/raw", "/evidence.zip", "/attachments/1", f"/evidence/{proof}/raw"]
    for path in paths:
        answer = works.request("GET", f"messages/{message_id}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), path
    assert works.request("POST", f"messages/{message_id}/cancel").status_code == 404
    for tenant in (town.slug, town.id, "kein-mandant", "ten_01a20c3e-0000-7000-8000-000000000000"):
        for path in (f"messages/{message_id}", "inbox", "limits"):
            answer = works.request("GET", f"../{tenant}/{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), (tenant, path)
    body = {"from": town.address, "to": [f"x{CITIZENS}"], "subject": "x", "text": "x"}
    foreign = works.request("POST", f"../{town.slug}/messages", json=body)
    nowhere = works.request("POST", "../kein-mandant/messages", json=body)
    assert (foreign.status_code, nowhere.status_code) == (404, 404)
    assert {**foreign.json(), "trace_id": ""} == {**nowhere.json(), "trace_id": ""}


def test_another_tenants_upload_cannot_be_attached(town: Application, works: Application) -> None:
    upload = town.request("POST", "attachments?filename=geheim.txt", content=b"geheim").json()
    refused = works.post(f"x{CITIZENS}", attachments=[{"attachment_id": upload["id"]}])
    assert refused.status_code in (404, 422), refused.text
    assert works.get("messages", direction="outbound", reference="never")["items"] == []


def test_a_lesser_token_does_less(town: Application) -> None:
    message_id = town.send(f"scopes{CITIZENS}")
    with town.narrowed("messages:read") as reader:
        assert reader.message(message_id)["id"] == message_id
        for method, path in (("POST", f"messages/{message_id}/cancel"), ("GET", f"messages/{message_id}/evidence")):
            answer = reader.request(method, path)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert reader.post(f"x{CITIZENS}").status_code == 403
        assert reader.request("GET", "inbox").status_code == 403
    town.when(message_id)


def test_without_a_valid_token_nothing_is_said(town: Application) -> None:
    for value in ("", "Bearer x", "Basic eDp5"):
        answer = town.request("GET", "messages", headers={"Authorization": value})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
