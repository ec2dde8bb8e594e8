"""The same API over the real storage: what only a database can get wrong."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any
from uuid import UUID

import pytest

from demail_gateway.core.journal import chain_faults
from demail_gateway.storage.engine import tenant_driver
from tests.api.stored import StoredGateway
from tests.fakes.api_client import draft


async def test_a_message_is_accepted_read_listed_replayed_and_cancelled(stored: StoredGateway) -> None:
    text = {"filename": "bär.txt", "content_type": "text/plain", "content": base64.b64encode(b"0123456789").decode()}
    first = await stored.send(reference="AZ 1", bcc=["presse@sandbox.de-mail.de"], attachments=[text])
    assert first.status_code == 202, first.text
    message = first.json()
    base = f"messages/{message['id']}"
    assert (await stored.call("GET", base)).json() == message
    again = await stored.send(reference="AZ 1", bcc=["presse@sandbox.de-mail.de"], attachments=[text])
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert (await stored.send(reference="AZ 2")).json()["code"] == "idempotency-key-reused"
    (listed,) = (await stored.call("GET", "messages?reference=AZ%201&state=queued&direction=outbound")).json()["items"]
    assert listed["id"] == message["id"]
    part = await stored.call("GET", f"{base}/attachments/1", headers={"Range": "bytes=8-"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"89", "bytes 8-9/10")
    assert "b%C3%A4r.txt" in part.headers["content-disposition"]
    events = (await stored.call("GET", f"{base}/events")).json()["items"]
    assert [event["type"] for event in events] == ["message.queued"]
    assert (await stored.call("GET", f"{base}/evidence")).json()["items"] == []
    assert (await stored.call("GET", f"{base}/raw")).status_code == 404
    assert (await stored.call("GET", f"{base}/evidence.zip")).status_code == 200
    assert (await stored.call("POST", f"{base}/cancel")).json()["state"] == "cancelled"
    assert (await stored.call("POST", f"{base}/cancel")).json()["code"] == "not-cancellable"


async def test_another_tenant_sees_nothing_of_it(stored: StoredGateway) -> None:
    upload = await stored.call("POST", "attachments?filename=a", content=b"x")
    message = (await stored.send()).json()["id"]
    for path in ("", "/events", "/raw", "/attachments/1", "/evidence", "/evidence.zip"):
        assert (await stored.call("GET", f"messages/{message}{path}", kit=stored.firm)).status_code == 404
    assert (await stored.call("POST", f"messages/{message}/cancel", kit=stored.firm)).status_code == 404
    assert (await stored.call("GET", "messages", kit=stored.firm)).json()["items"] == []
    stolen = {"attachments": [{"attachment_id": upload.json()["id"]}]}
    assert (await stored.send("other", stored.firm, **stolen)).status_code == 404


async def test_fifty_equal_requests_at_once_make_one_message(stored: StoredGateway) -> None:
    await stored.token(stored.city)
    answers = await asyncio.gather(*(stored.send() for _ in range(50)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, answers[0].content)}
    assert len((await stored.call("GET", "messages")).json()["items"]) == 1


async def test_an_upload_goes_into_as_many_messages_as_wanted(stored: StoredGateway) -> None:
    octets = bytes(range(256)) * 3000
    upload = await stored.call("POST", "attachments?filename=gro%C3%9F.bin", content=octets)
    assert (upload.status_code, upload.json()["size_bytes"]) == (201, len(octets))
    for key in ("a", "b"):
        sent = await stored.send(key, attachments=[{"attachment_id": upload.json()["id"]}])
        part = await stored.call("GET", f"messages/{sent.json()['id']}/attachments/1")
        assert part.content == octets


async def test_an_upload_that_is_too_large_leaves_nothing(stored: StoredGateway) -> None:
    answer = await stored.call("POST", "attachments", files={"file": ("a", b"x" * 1_000_001)})
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


async def test_every_change_of_what_a_sender_may_do_is_effective_at_once(stored: StoredGateway) -> None:
    base = f"tenants/{stored.city.id}"
    (account,) = (await stored.operate("GET", f"{base}/accounts")).json()["items"]
    sender = f"{base}/senders/{stored.city.client_id}/{stored.city.address}"
    assert (await stored.send("0", options={"private": True})).status_code == 202

    async def code(key: str) -> str:
        answer = await stored.send(key, options={"private": True})
        return str(answer.json().get("code", answer.status_code))

    await stored.changed(f"connections/{stored.connection}", {"auth_level": "normal"})
    assert await code("1") == "auth-level-too-low"
    await stored.changed(f"connections/{stored.connection}", {"auth_level": "high"})
    assert await code("2") == "202"
    await stored.changed(f"{base}/accounts/{account['id']}", {"state": "locked"})
    assert await code("3") == "account-state"
    await stored.changed(f"{base}/accounts/{account['id']}", {"state": "active"})
    await stored.operate("PUT", sender, json={"options": []})
    assert await code("4") == "sender-not-authorised"
    await stored.operate("PUT", sender, json={"options": ["private"]})
    assert await code("5") == "202"
    await stored.changed(base, {"policy": {"net_bytes": 3}})
    assert await code("6") == "too-large"
    await stored.changed(base, {"policy": {"net_bytes": None}})
    await stored.operate("POST", f"{base}/transitions", json={"to": "suspended", "reason": "wish"})
    assert await code("7") == "account-state"


async def test_pages_follow_each_other_and_foreign_cursors_are_refused(stored: StoredGateway) -> None:
    ids = [(await stored.send(str(number))).json()["id"] for number in range(5)]
    found: list[str] = []
    query = "limit=2"
    for _ in range(3):
        page = (await stored.call("GET", f"messages?{query}")).json()
        found += [item["id"] for item in page["items"]]
        query = f"limit=2&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert found == ids[::-1]
    for bad in ("AAAA", "W10", "bnVsbA", "WyJtZXNzYWdlcyIsMSwyXQ", "WyJtZXNzYWdlcyIsIjIwMjYiLCJ4Il0"):
        assert (await stored.call("GET", f"messages?cursor={bad}")).json()["code"] == "cursor-invalid"


@pytest.mark.clause("GWT-23")
async def test_the_third_wrong_secret_locks_the_client(stored: StoredGateway) -> None:
    form = {"grant_type": "client_credentials"}
    for _ in range(3):
        wrong = await stored.http.post("/oauth2/token", data=form, auth=(stored.firm.client_id, "falsch"))
        assert wrong.status_code == 401
    locked = await stored.http.post("/oauth2/token", data=form, auth=(stored.firm.client_id, stored.firm.secret))
    assert locked.status_code == 429
    assert int(locked.headers["retry-after"]) > 0
    other = await stored.http.post("/oauth2/token", data=form, auth=(stored.city.client_id, stored.city.secret))
    assert other.status_code == 200


async def test_creating_under_a_key_happens_once_for_tenant_and_operator(stored: StoredGateway) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {"name": "x", "scopes": ["messages:read"]}
    path = f"tenants/{stored.city.id}/clients"
    first, second = [await stored.operate("POST", path, json=body, headers=headers) for _ in range(2)]
    assert (first.status_code, first.content) == (201, second.content)
    assert second.headers["idempotency-replayed"] == "true"
    uploads = [await stored.call("POST", "attachments?filename=a", content=b"x", headers=headers) for _ in range(2)]
    assert uploads[0].content == uploads[1].content
    large: dict[str, Any] = {"content": bytes(700_000), "headers": {"Idempotency-Key": "large"}}
    again = [await stored.call("POST", "attachments?filename=a", **large) for _ in range(2)]
    assert again[0].content == again[1].content
    assert await count(stored, "content") == await count(stored, "upload") == 2
    assert (await stored.call("GET", f"attachments/{again[0].json()['id']}")).status_code == 200
    reused = await stored.send("k")
    assert reused.json()["code"] == "idempotency-key-reused"


async def test_slugs_addresses_and_names_have_one_owner(stored: StoredGateway) -> None:
    tenant = {"slug": "stadt-elbtal", "name": "x", "kind": "other", "public_body": False}
    assert (await stored.operate("POST", "tenants", json=tenant)).json()["code"] == "slug-taken"
    path = f"tenants/{stored.firm.id}/addresses"
    assert (await stored.operate("POST", path, json={"address": stored.city.address})).json()["code"] == "address-taken"
    connection = {"name": "sandbox", "auth_level": "high", "profile": {"smtp": {}}}
    assert (await stored.operate("POST", "connections", json=connection)).json()["code"] == "connection-name-taken"


async def count(stored: StoredGateway, table: str) -> int:
    """Rows of the city's table."""
    async with tenant_driver(stored.engine, UUID(stored.city.id[4:])) as connection:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))


async def test_of_policy_entries_changed_at_once_none_is_lost(stored: StoredGateway) -> None:
    path = f"tenants/{stored.city.id}"
    await stored.token(None)
    entries = {"sign_by_default": True, "net_bytes": 1000, "gross_bytes": 2000, "court_check": False}
    calls = (stored.operate("PATCH", path, json={"policy": {name: value}}) for name, value in entries.items())
    assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}
    assert (await stored.operate("GET", path)).json()["policy"] == entries


async def test_of_profile_entries_changed_at_once_none_is_lost(stored: StoredGateway) -> None:
    path = f"connections/{stored.connection}"
    await stored.token(None)
    entries = {"version": "1.7", "connections": 3, "idle_s": 5, "limits": {"net_bytes": 7}}
    calls = (stored.operate("PATCH", path, json={"profile": {name: value}}) for name, value in entries.items())
    assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}
    profile = (await stored.operate("GET", path)).json()["profile"]
    assert {name: profile[name] for name in entries} == entries


async def test_a_real_key_is_requested(stored: StoredGateway) -> None:
    made = await stored.made(f"tenants/{stored.city.id}/keys", {"algorithm": "p256"})
    assert "BEGIN CERTIFICATE REQUEST" in made["csr"]
    path = f"tenants/{stored.city.id}/keys/{made['id']}/certificate"
    pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    refused = await stored.operate("PUT", path, json={"certificate": pem})
    assert (refused.status_code, refused.json()["code"]) == (422, "certificate-malformed")


@pytest.mark.clause("GWT-50")
async def test_the_journal_of_all_that_is_a_chain_that_holds(stored: StoredGateway) -> None:
    await stored.send()
    await stored.send("refused", to=["a@example.org"])
    await stored.sweeping.seal_journal()
    export = await stored.operate("GET", f"journal/export?tenant={stored.city.id}")
    entries = [json.loads(line) for line in export.text.splitlines()]
    assert chain_faults(entries) == ()
    assert {"tenant.created", "tenant.changed", "client.created"} <= {entry["action"] for entry in entries}
    (refused,) = [entry for entry in entries if entry["action"] == "message.refused"]
    assert (refused["actor"], refused["detail"]["rules"]) == (stored.city.client_id, "SND-11")
    assert entries[0]["tenant"] == stored.city.id
    page = (await stored.operate("GET", f"journal?tenant={stored.city.id}&limit=3")).json()
    assert page["items"] == entries[:3]
    rest = (
        await stored.operate("GET", f"journal?tenant={stored.city.id}&limit=200&cursor={page['next_cursor']}")
    ).json()
    assert rest["items"] == entries[3:]


async def test_any_reference_is_stored_found_and_given_back(stored: StoredGateway) -> None:
    for text in ("", "ä" * 10, "\U0001f4e8", "' OR 1=1 --", "%", "_", "\\", "\u0301", "\ufdfa" * 100, "x" * 1024):
        sent = await stored.send(f"key-{len(text)}-{ord(text[:1] or 'a')}", reference=text)
        assert sent.status_code == 202
        found = (await stored.call("GET", "messages", params={"reference": text})).json()["items"]
        assert [item["reference"] for item in found] == [text]


async def test_limits_speak_of_the_account_of_the_sender(stored: StoredGateway) -> None:
    limits = (await stored.call("GET", f"limits?from={stored.city.address}")).json()
    assert (limits["auth_level"], limits["may_send"]) == ("high", True)
    assert [each["address"] for each in limits["senders"]] == [stored.city.address]
    assert (await stored.call("GET", "limits")).status_code == 200


async def test_a_dry_run_stores_nothing(stored: StoredGateway) -> None:
    answer = await stored.call("POST", "messages?dry_run=true", json=draft(stored.city))
    assert (answer.status_code, answer.json()["account_holder"]) == (200, "stadt-elbtal")
    assert (await stored.call("GET", "messages")).json()["items"] == []
