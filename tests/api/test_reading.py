"""Reading: messages, inbox, history, content, proofs."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from demail_gateway.application.ports.reading import EvidenceView
from demail_gateway.core.checks import Check, Outcome
from demail_gateway.core.package import check_members, member_digests, read_manifest
from demail_gateway.core.vocabulary import MessageState
from demail_gateway.tenancy.scope import Scope
from tests.fakes.gateway import Gateway

INBOUND = (
    b"From: buergerin@sandbox.de-mail.de\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nGuten Tag\r\n"
    b"--b\r\nContent-Type: application/pdf; name=antrag.pdf\r\nContent-Disposition: attachment; filename=antrag.pdf\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n"
    b"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Disposition: attachment\r\n\r\n<script>\r\n--b--\r\n"
)


async def sent(gateway: Gateway, key: str = "k", **changes: Any) -> str:
    answer = await gateway.send(key, **changes)
    assert answer.status_code == 202, answer.text
    public_id: str = answer.json()["id"]
    return public_id


def hand_over(gateway: Gateway) -> None:
    for number, entry in enumerate(gateway.world.sent.values()):
        entry.handed_over = {copy.id: b"copy %d.%d" % (number, copy.position) for copy in entry.message.copies}


# --- lists


@pytest.mark.clause("TR 01201-3.1 step 81", "TR 01201-3.1 function 12")
async def test_lists_come_in_pages_newest_first(gateway: Gateway) -> None:
    ids = []
    for number in range(5):
        ids.append(await sent(gateway, f"k{number}"))
        gateway.world.time.advance(seconds=1)
    first = (await gateway.call("GET", "messages?limit=2")).json()
    second = (await gateway.call("GET", f"messages?limit=2&cursor={first['next_cursor']}")).json()
    third = (await gateway.call("GET", f"messages?limit=2&cursor={second['next_cursor']}")).json()
    found = [item["id"] for page in (first, second, third) for item in page["items"]]
    assert found == ids[::-1]
    assert third["next_cursor"] is None


@pytest.mark.clause("TR 01201-3.1 function 12")
async def test_filters_narrow_the_list(gateway: Gateway) -> None:
    first = await sent(gateway, "a", reference="AZ 1")
    gateway.world.time.advance(minutes=1)
    second = await sent(gateway, "b", reference="AZ 2")
    await gateway.call("POST", f"messages/{second}/cancel")

    async def ids(query: str) -> list[str]:
        answer = await gateway.call("GET", f"messages?{query}")
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    assert await ids("reference=AZ%201") == [first]
    assert await ids("state=cancelled") == [second]
    assert await ids("state=cancelled&state=queued") == [second, first]
    assert await ids("created_after=2026-11-24T08:00:00Z") == [second]
    assert await ids("created_before=2026-11-24T09:00:30%2B01:00") == [first]
    assert await ids("direction=inbound") == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=a",
        "limit=99999999999999999999",
        "cursor=unsinn",
        "cursor=WyJvdGhlciIsMV0",
        "cursor=%00",
        "cursor=" + "a" * 600,
        "created_after=2026-02-30T00:00:00Z",
        "created_after=2026-13-01T00:00:00Z",
        "created_after=2026-11-24",
        "created_after=2026-11-24T08:00:00",
        "created_after=1764000000",
        "created_after=0001-01-01T00:00:00%2B14:00",
        "created_after=9999-12-31T23:59:59-14:00",
        "created_before=gestern",
        "state=unsinn",
        "direction=sideways",
        "reference=a%00b",
        "reference=" + "x" * 1025,
    ],
)
async def test_impossible_filters_are_422_in_both_languages(gateway: Gateway, query: str) -> None:
    answers = [
        await gateway.call("GET", f"messages?{query}", headers={"Accept-Language": language})
        for language in ("de", "en")
    ]
    assert {answer.status_code for answer in answers} == {422}
    assert answers[0].json()["title"] != answers[1].json()["title"]


async def test_a_cursor_of_another_list_is_refused(gateway: Gateway) -> None:
    for slug in ("eins", "zwei"):
        await gateway.operate(
            "POST", "tenants", json={"slug": slug, "name": slug, "kind": "other", "public_body": False}
        )
    cursor = (await gateway.operate("GET", "tenants?limit=1")).json()["next_cursor"]
    answer = await gateway.call("GET", f"messages?cursor={cursor}")
    assert (answer.status_code, answer.json()["code"]) == (422, "cursor-invalid")


@pytest.mark.clause("TR 01201-3.1 function 4 FC-02")
@pytest.mark.parametrize("path", ["", "/events", "/raw", "/attachments/1", "/evidence", "/evidence.zip"])
@pytest.mark.parametrize(
    "unknown", ["msg_01990000-0000-7000-8000-000000000000", "msg_x", "evt_01990000-0000-7000-8000-000000000000", "%00"]
)
async def test_what_does_not_exist_is_404(gateway: Gateway, path: str, unknown: str) -> None:
    answer = await gateway.call("GET", f"messages/{unknown}{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


@pytest.mark.clause("GWT-39")
@pytest.mark.parametrize("path", ["", "/events", "/raw", "/attachments/1", "/evidence", "/evidence.zip"])
async def test_another_tenants_message_does_not_exist(gateway: Gateway, path: str) -> None:
    message = await sent(gateway)
    hand_over(gateway)
    assert (await gateway.call("GET", f"messages/{message}{path}", kit=gateway.firm)).status_code == 404


async def test_the_history_begins_with_the_first_event(gateway: Gateway) -> None:
    message = await sent(gateway, reference="AZ")
    (event,) = (await gateway.call("GET", f"messages/{message}/events")).json()["items"]
    assert event["id"].startswith("evt_")
    assert (event["type"], event["message_id"], event["reference"]) == ("message.queued", message, "AZ")


# --- content


@pytest.mark.clause("TR 01201-3.1 step 84", "TR 01201-3.1 function 4", "TR 01201-3.4 §3.6 single")
async def test_raw_is_the_chosen_copy_byte_for_byte(gateway: Gateway) -> None:
    message = await sent(gateway, bcc=["presse@sandbox.de-mail.de"], split_recipients=False)
    assert (await gateway.call("GET", f"messages/{message}/raw")).status_code == 404
    hand_over(gateway)
    first = await gateway.call("GET", f"messages/{message}/raw")
    assert (first.content, first.headers["content-type"]) == (b"copy 0.0", "message/rfc822")
    recipients = (await gateway.call("GET", f"messages/{message}")).json()["recipients"]
    bcc = next(r["id"] for r in recipients if r["kind"] == "bcc")
    assert (await gateway.call("GET", f"messages/{message}/raw?recipient={bcc}")).content == b"copy 0.1"
    other = "rcp_01990000-0000-7000-8000-000000000000"
    assert (await gateway.call("GET", f"messages/{message}/raw?recipient={other}")).status_code == 404
    assert (await gateway.call("GET", f"messages/{message}/raw?recipient=x")).status_code == 404


async def attached(gateway: Gateway, octets: bytes, filename: str = "bär.bin") -> str:
    content = base64.b64encode(octets).decode()
    item = {"filename": filename, "content_type": "text/html", "content": content}
    return await sent(gateway, attachments=[item])


async def test_an_attachment_is_a_download_that_no_browser_runs(gateway: Gateway) -> None:
    message = await attached(gateway, b"<script>")
    answer = await gateway.call("GET", f"messages/{message}/attachments/1")
    assert answer.content == b"<script>"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''b%C3%A4r.bin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.clause("TR 01201-3.1 step 84 FC-01")
@pytest.mark.parametrize(
    ("asked", "status", "content", "content_range"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=8-100", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-30", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=99999999999999999-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=5-2", 200, b"0123456789", None),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
async def test_ranges(
    gateway: Gateway, asked: str, status: int, content: bytes | None, content_range: str | None
) -> None:
    message = await attached(gateway, b"0123456789")
    answer = await gateway.call("GET", f"messages/{message}/attachments/1", headers={"Range": asked})
    assert answer.status_code == status
    assert answer.headers.get("content-range") == content_range
    if content is not None:
        assert answer.content == content
    else:
        assert answer.json()["code"] == "range-not-satisfiable"


@pytest.mark.parametrize("number", ["0", "2", "-1", "x", "1.0", "01", "99999", "999999999999"])
async def test_attachments_count_from_1(gateway: Gateway, number: str) -> None:
    message = await attached(gateway, b"x")
    assert (await gateway.call("GET", f"messages/{message}/attachments/{number}")).status_code == 404


# --- inbound


@pytest.mark.clause("TR 01201-3.1 steps 48, 81, 91")
async def test_inbound_messages_carry_their_verification_and_are_listed_in_the_inbox(gateway: Gateway) -> None:
    received = gateway.receive(gateway.city, INBOUND)
    await sent(gateway)
    (item,) = (await gateway.call("GET", "inbox")).json()["items"]
    assert item["id"] == received
    assert item["verification"]["protection"] == "hash"
    assert (item["state"], item["mailbox"], item["quarantine"], item["private"]) == (
        "received",
        gateway.city.address,
        None,
        False,
    )
    assert len((await gateway.call("GET", "messages")).json()["items"]) == 2
    mine = await gateway.call("GET", f"inbox?mailbox={gateway.city.address.upper()}")
    assert len(mine.json()["items"]) == 1
    assert (await gateway.call("GET", "inbox?mailbox=x@y.de")).json()["items"] == []
    assert (await gateway.call("GET", "inbox", kit=gateway.firm)).json()["items"] == []


async def test_attachments_of_inbound_messages_are_read_from_the_octets(gateway: Gateway) -> None:
    received = gateway.receive(gateway.city, INBOUND)
    pdf = await gateway.call("GET", f"messages/{received}/attachments/1")
    assert (pdf.content, pdf.headers["content-type"]) == (b"%PDF", "application/pdf")
    assert "antrag.pdf" in pdf.headers["content-disposition"]
    html = await gateway.call("GET", f"messages/{received}/attachments/2")
    assert html.content == b"<script>"
    assert (await gateway.call("GET", f"messages/{received}/attachments/3")).status_code == 404
    assert (await gateway.call("GET", f"messages/{received}/raw")).content == INBOUND


async def test_octets_that_are_no_message_have_no_attachments(gateway: Gateway) -> None:
    received = gateway.receive(gateway.city, b"\x00\xff")
    assert (await gateway.call("GET", f"messages/{received}/attachments/1")).status_code == 404


async def test_names_and_types_from_hostile_mail_break_no_header(gateway: Gateway) -> None:
    octets = (
        b'Content-Type: application/x; name="a\r\n b"\r\nContent-Disposition: attachment; '
        b"filename*=utf-8''%0D%0ASet-Cookie:x\r\n\r\nx"
    )
    received = gateway.receive(gateway.city, octets, subject="mit \udcff Rest")
    answer = await gateway.call("GET", f"messages/{received}/attachments/1")
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert (await gateway.call("GET", f"messages/{received}")).json()["subject"] == "mit ? Rest"


@pytest.mark.clause("SND-91", "TR 01201-3.1 steps 58–59, 77–80", "TR 01201-3.1 function 4 FC-01")
async def test_a_private_message_shows_only_that_it_exists_without_the_right(gateway: Gateway) -> None:
    received = gateway.receive(gateway.city, INBOUND, private=True)
    token_scopes = (Scope.INBOX_READ, Scope.MESSAGES_READ)
    (item,) = (await gateway.call("GET", "inbox", *token_scopes)).json()["items"]
    assert item.keys() == {"id", "received_at", "mailbox", "private"}
    assert (await gateway.call("GET", f"messages/{received}", *token_scopes)).json() == item
    for path in ("raw", "attachments/1"):
        answer = await gateway.call("GET", f"messages/{received}/{path}?acknowledge_risk=true", *token_scopes)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    allowed = await gateway.call("GET", f"messages/{received}/raw", *token_scopes, Scope.INBOX_PRIVATE)
    assert allowed.content == INBOUND


@pytest.mark.clause("SND-73", "TR 01201-3.1 function 2")
@pytest.mark.parametrize("reason", ["malware", "integrity", "unscanned"])
async def test_quarantined_content_needs_the_risk_acknowledged(gateway: Gateway, reason: str) -> None:
    received = gateway.receive(gateway.city, INBOUND, quarantine=reason)
    assert (await gateway.call("GET", f"messages/{received}")).json()["quarantine"] == reason
    for path in ("raw", "attachments/1"):
        refused = await gateway.call("GET", f"messages/{received}/{path}")
        assert (refused.status_code, refused.json()["code"]) == (409, "quarantined")
        assert (await gateway.call("GET", f"messages/{received}/{path}?acknowledge_risk=true")).status_code == 200


@pytest.mark.clause("TR 01201-3.1 steps 76–77", "TR 01201-3.1 step 76 FC-02")
async def test_each_scope_reads_its_own_direction(gateway: Gateway) -> None:
    outbound = await sent(gateway)
    inbound = gateway.receive(gateway.city, INBOUND)

    async def seen(*scopes: Scope) -> tuple[list[int], int]:
        answers = [(await gateway.call("GET", f"messages/{each}", *scopes)).status_code for each in (outbound, inbound)]
        return answers, len((await gateway.call("GET", "messages", *scopes)).json()["items"])

    assert await seen(Scope.INBOX_READ) == ([403, 200], 1)
    assert await seen(Scope.MESSAGES_READ) == ([200, 403], 1)
    assert await seen(Scope.MESSAGES_READ, Scope.INBOX_READ) == ([200, 200], 2)
    refused = await gateway.call("GET", "messages?direction=outbound", Scope.INBOX_READ)
    assert refused.status_code == 403
    assert (await gateway.call("GET", f"messages/{outbound}/events", Scope.INBOX_READ)).status_code == 403


# --- proofs


def prove(gateway: Gateway, message: str, octets: bytes = b"confirmation") -> EvidenceView:
    uuid = UUID(message[4:])
    at = datetime(2026, 11, 24, 8, 1, tzinfo=UTC)
    view = EvidenceView(
        id=gateway.world.id(),
        message_id=uuid,
        kind="confirmation of dispatch",
        recipient=None,
        issuer="versandbestaetigung@sandbox.de-mail.de",
        issued_at=at,
        delivery_time=None,
        outcome=Outcome.PASSED,
        verdict="confirmed",
        checks=(Check("confirmation.01", Outcome.PASSED, "", "TR 01201-3.4"),),
        findings=(),
        demail_message_id="<1@sandbox.de-mail.de>",
        received_at=at + timedelta(seconds=1),
    )
    gateway.world.evidence.setdefault((gateway.city.record.id, uuid), []).append((view, octets))
    return view


@pytest.mark.clause("TR 01201-3.1 steps 62, 91", "TR 01201-3.1 function 4")
async def test_proofs_are_listed_with_their_report_and_given_byte_for_byte(gateway: Gateway) -> None:
    message = await sent(gateway)
    view = prove(gateway, message)
    (item,) = (await gateway.call("GET", f"messages/{message}/evidence")).json()["items"]
    assert item.keys() >= {
        *("id", "kind", "recipient", "issuer", "issued_at", "delivery_time", "verification", "demail_message_id")
    }
    assert item["verification"]["outcome"] == "passed"
    assert item["verification"]["checks"][0]["name"] == "confirmation.01"
    raw = await gateway.call("GET", f"messages/{message}/evidence/{item['id']}/raw")
    assert (raw.content, raw.headers["content-type"]) == (b"confirmation", "message/rfc822")
    other = await sent(gateway, "other")
    assert (await gateway.call("GET", f"messages/{other}/evidence/evd_{view.id}/raw")).status_code == 404


async def test_proofs_need_their_own_scope(gateway: Gateway) -> None:
    message = await sent(gateway)
    for path in ("evidence", "evidence.zip", "evidence/evd_01990000-0000-7000-8000-000000000000/raw"):
        assert (await gateway.call("GET", f"messages/{message}/{path}", Scope.MESSAGES_READ)).status_code == 403


@pytest.mark.clause("GWT-90")
async def test_the_package_holds_everything_its_manifest_lists_and_nothing_else(gateway: Gateway) -> None:
    message = await sent(gateway, reference="AZ")
    hand_over(gateway)
    view = prove(gateway, message)
    ocsp_answer = bytes.fromhex("30030a0100")
    gateway.world.certificates = (b"provider certificate",)
    gateway.world.status_answers = (b"provider crl", ocsp_answer)
    answer = await gateway.call("GET", f"messages/{message}/evidence.zip")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = read_manifest(members["manifest.json"])
    assert manifest.message_id == message
    assert {check.outcome for check in check_members(manifest, member_digests(members))} == {Outcome.PASSED}
    assert members["manifest.json.p7s"] == b"signed:" + members["manifest.json"]
    assert members[f"evidence/evd_{view.id}.eml"] == b"confirmation"
    report = json.loads(members[f"reports/evd_{view.id}.json"])
    assert report["checks"] == [
        {"name": "confirmation.01", "outcome": "passed", "detail": "", "source": "TR 01201-3.4"}
    ]
    assert b"copy 0.0" in members.values()
    for octets in (b"provider certificate", b"installation certificate"):
        assert members[f"certificates/{hashlib.sha256(octets).hexdigest()}.der"] == octets
    for octets in (b"provider crl", b"installation crl"):
        assert members[f"crls/{hashlib.sha256(octets).hexdigest()}.crl"] == octets
    assert members[f"ocsp/{hashlib.sha256(ocsp_answer).hexdigest()}.ocsp"] == ocsp_answer
    assert json.loads(members["message.json"])["reference"] == "AZ"


async def test_the_same_material_gives_the_same_package(gateway: Gateway) -> None:
    message = await sent(gateway)
    hand_over(gateway)
    prove(gateway, message)
    packages = [(await gateway.call("GET", f"messages/{message}/evidence.zip")).content for _ in range(2)]
    assert packages[0] == packages[1]


# --- limits


@pytest.mark.clause("SND-60")
async def test_limits_are_the_smallest_of_all_parties(gateway: Gateway) -> None:
    mine = gateway.city.record
    gateway.world.tenants[mine.id] = replace(mine, policy={"net_bytes": 1000, "recipients": 5000})
    limits = (await gateway.call("GET", f"limits?from={gateway.city.address}")).json()
    assert (limits["net_bytes"], limits["gross_bytes"], limits["recipients"]) == (1000, 45 * 1024 * 1024, 1000)
    assert (limits["auth_level"], limits["messages_per_day"], limits["may_send"]) == ("high", None, True)
    assert [sender["address"] for sender in limits["senders"]] == [gateway.city.address]
    assert (await gateway.call("GET", "limits", Scope.INBOX_READ)).status_code == 403
    assert (await gateway.call("GET", "limits")).json()["auth_level"] is None


async def test_what_comes_later_is_not_there_yet(gateway: Gateway) -> None:
    for method, path in (
        ("POST", "inbox/lease"),
        ("GET", "events"),
        ("GET", "webhooks"),
        ("GET", "directory"),
        ("GET", "usage"),
    ):
        assert (await gateway.call(method, path)).status_code == 404


def test_every_state_of_a_message_can_be_asked_for() -> None:
    assert {"received", "acknowledged", "queued"} <= {str(state) for state in MessageState}
