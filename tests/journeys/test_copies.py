"""Several recipients, attachments, encryption, formal service: from the REST body to the citizen's mailbox."""

from __future__ import annotations

import email
import hashlib
import random
import subprocess
from pathlib import Path

import pytest

from tests.harness.programs import program
from tests.journeys.installation import Installation, until
from tests.journeys.people import (
    CITIZENS,
    DISPATCH,
    RECEIPT,
    Application,
    Sandbox,
    as_attachment,
    body_of,
    kinds,
    octets_of,
    parts_of,
)

BINARY = random.Random("Anlage").randbytes(300_000)
TEXT_FILE = "Ämter & Höfe\r\nZeile zwei\nohne Ende".encode()


def _mentions(octets: bytes) -> set[str]:
    """Local parts of the citizens that a header section names."""
    header = octets.split(b"\r\n\r\n", 1)[0].decode("ascii").replace("\r\n", "")
    return {word for word in ("ada", "ben", "cem", "dora", "eva") if f"{word}.copies@" in header}


def test_a_bcc_copy_names_only_its_own_recipient(town: Application, sandbox: Sandbox) -> None:
    addresses = {name: f"{name}.copies{CITIZENS}" for name in ("ada", "ben", "cem", "dora", "eva")}
    message_id = town.send(
        [addresses["ada"], addresses["ben"]],
        cc=[addresses["cem"]],
        bcc=[addresses["dora"], addresses["eva"]],
        split_recipients=False,
    )
    message = town.when(message_id)
    assert message["state"] == "completed"
    assert {r["address"]: (r["kind"], r["state"]) for r in message["recipients"]} == {
        addresses["ada"]: ("to", "delivered"),
        addresses["ben"]: ("to", "delivered"),
        addresses["cem"]: ("cc", "delivered"),
        addresses["dora"]: ("bcc", "delivered"),
        addresses["eva"]: ("bcc", "delivered"),
    }
    public, demail_ids = {"ada", "ben", "cem"}, {}
    for recipient in message["recipients"]:
        name = recipient["address"].partition(".")[0]
        (item,) = sandbox.mailbox(recipient["address"])
        demail_ids[name] = item["demail_message_id"]
        handed_over = town.octets(f"messages/{message_id}/raw", recipient=recipient["id"])
        assert body_of(octets_of(item)) == body_of(handed_over)
        for octets in (handed_over, octets_of(item)):
            assert _mentions(octets) == (public if name in public else public | {name})
    # to and cc share one De-Mail, each bcc recipient has one of his own (TR 01201-3.1 step 29)
    assert len({demail_ids[name] for name in public}) == 1
    assert len(set(demail_ids.values())) == 3
    assert town.octets(f"messages/{message_id}/raw") == town.octets(
        f"messages/{message_id}/raw", recipient=message["recipients"][0]["id"]
    )
    # receipts complete the message, and may overtake the proofs of dispatch
    expected = [(DISPATCH, "passed")] * 3 + [(RECEIPT, "passed")] * 5
    until(lambda: kinds(town.evidence(message_id)), lambda seen: seen == expected)


def test_requested_proofs_split_a_message_into_one_for_each_recipient(town: Application, sandbox: Sandbox) -> None:
    """SND-48: a notification names no recipient, so each has a De-Mail of his own."""
    addresses = [f"fritz.split{CITIZENS}", f"unknown.split{CITIZENS}", f"gerd.split{CITIZENS}"]
    message = town.when(town.send(addresses))
    states = {r["address"]: (r["state"], r["reason"]) for r in message["recipients"]}
    assert states == {
        addresses[0]: ("delivered", None),
        addresses[1]: ("undeliverable", "unknown-recipient"),
        addresses[2]: ("delivered", None),
    }
    ids = [sandbox.mailbox(addresses[number])[0]["demail_message_id"] for number in (0, 2)]
    assert ids[0] != ids[1]
    until(lambda: [e["kind"] for e in town.evidence(message["id"])].count(DISPATCH), lambda seen: seen == 3)


def test_a_refused_copy_leaves_the_others_alone(town: Application, sandbox: Sandbox) -> None:
    addresses = [f"heike.mixed{CITIZENS}", f"rejects.mixed{CITIZENS}"]
    message = town.when(town.send(addresses))
    assert message["state"] == "completed"
    assert [(r["state"], r["reason"]) for r in message["recipients"]] == [
        ("delivered", None),
        ("undeliverable", "other"),
    ]
    assert [len(sandbox.mailbox(address)) for address in addresses] == [1, 0]


def test_attachments_arrive_byte_for_byte_under_their_names(town: Application, sandbox: Sandbox) -> None:
    files = {"Flurstücke – Übersicht.bin": BINARY, "Ämter.txt": TEXT_FILE, "leer.dat": b""}
    (inline, *rest) = files.items()
    upload = town.request(
        "POST",
        "attachments",
        files={"file": (inline[0], inline[1], "application/octet-stream")},
        headers={"Idempotency-Key": "copies-upload"},
    )
    assert upload.status_code == 201, upload.text
    stored = upload.json()
    assert (stored["sha256"], stored["size_bytes"]) == (hashlib.sha256(BINARY).hexdigest(), len(BINARY))
    attachments = [{"attachment_id": stored["id"]}]
    attachments += [as_attachment(name, "application/octet-stream", octets) for name, octets in rest]
    address = f"ida.files{CITIZENS}"
    message = town.when(town.send(address, attachments=attachments))
    assert message["state"] == "completed"
    (item,) = sandbox.mailbox(address)
    received = parts_of(item)
    assert {name: octets for name, octets in received.items() if name in files} == files
    for number, octets in enumerate(files.values(), start=1):
        assert town.octets(f"messages/{message['id']}/attachments/{number}") == octets
    part = town.request("GET", f"messages/{message['id']}/attachments/1", headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, BINARY[100:200])
    beyond = town.request("GET", f"messages/{message['id']}/attachments/1", headers={"Range": "bytes=300000-"})
    assert beyond.status_code == 416


def test_the_users_signature_holds_for_openssl(
    town: Application, sandbox: Sandbox, installation: Installation, tmp_path: Path
) -> None:
    address = f"jana.signed{CITIZENS}"
    message = town.when(town.send(address, text="Unterschrieben, mit Umlauten: äöüß\n"))
    assert message["signed"] is True
    anchor = installation.ready()["sandbox"]["trust_anchor"]
    (item,) = sandbox.mailbox(address)
    for name, octets in (("handed-over", town.octets(f"messages/{message['id']}/raw")), ("received", octets_of(item))):
        file = tmp_path / f"{name}.eml"
        file.write_bytes(octets)
        verified = subprocess.run(
            [
                program("openssl"),
                "cms",
                "-verify",
                "-in",
                file,
                "-CAfile",
                anchor,
                "-purpose",
                "any",
                "-out",
                tmp_path / "text",
            ],
            capture_output=True,
            text=True,
        )
        assert verified.returncode == 0, verified.stderr
        assert "CMS Verification successful" in verified.stderr
        file.write_bytes(octets.replace(b"Unterschrieben", b"Unterschrjeben", 1))
        assert (
            subprocess.run(
                [program("openssl"), "cms", "-verify", "-in", file, "-CAfile", anchor, "-purpose", "any"],
                capture_output=True,
            ).returncode
            != 0
        )


def test_unsigned_means_unsigned(town: Application, sandbox: Sandbox) -> None:
    address = f"karl.plain{CITIZENS}"
    message = town.when(town.send(address, sign=False, text="Ohne Unterschrift\n"))
    assert message["signed"] is False
    (item,) = sandbox.mailbox(address)
    assert b"pkcs7" not in octets_of(item)
    assert octets_of(item["parts"][0], "content").decode() == "Ohne Unterschrift\r\n"


def test_what_is_encrypted_only_its_recipient_reads(town: Application, sandbox: Sandbox) -> None:
    address, secret = f"lena.secret{CITIZENS}", "Nur für Lena bestimmt: 4711"
    message = town.when(
        town.send(address, encrypt=True, text=secret, attachments=[as_attachment("Akte Ü.bin", "image/png", BINARY)])
    )
    assert (message["state"], message["encrypted"]) == ("completed", True)
    (item,) = sandbox.mailbox(address)
    handed_over = town.octets(f"messages/{message['id']}/raw")
    for octets in (handed_over, octets_of(item)):
        found = email.message_from_bytes(octets)
        envelope = found.get_payload(decode=True)
        assert found.get_content_type() == "application/pkcs7-mime"
        assert isinstance(envelope, bytes)
        assert secret.encode() not in octets + envelope
    assert parts_of(item)["Akte Ü.bin"] == BINARY


def test_nobody_without_certificate_can_be_written_to_in_secret(town: Application) -> None:
    refused = town.post(f"unknown.secret{CITIZENS}", encrypt=True)
    assert (refused.status_code, refused.json()["code"]) == (422, "recipient-certificate-missing")


def test_formal_service_is_private_carries_its_notice_and_ends_with_retrieval(
    town: Application, sandbox: Sandbox
) -> None:
    """SND-6, SND-7; VwZG §5a(1)."""
    address = f"mara.formal{CITIZENS}"
    service = {
        "authority": "Stadt Elbtal, Bauordnungsamt",
        "addressee": {"name": "Mara Muster", "postal_address": "Musterweg 1\n01234 Elbtal"},
        "official": "A. Beispiel",
        "notice": True,
    }
    message = town.when(town.send(address, profile="formal-service", formal_service=service, text="Bescheid.\n"))
    assert message["state"] == "completed"
    assert message["profile"] == "formal-service"
    assert message["options"]["private"]
    assert message["options"]["confirmation_of_retrieve"]
    assert message["options"]["confirmation_of_dispatch"]
    assert message["recipients"][0]["state"] == "retrieved"
    (item,) = sandbox.mailbox(address)
    text = b"".join(octets_of(part, "content") for part in item["parts"]).decode("utf-8", "replace")
    for words in ("ABHOLBESTÄTIGUNG", "Stadt Elbtal, Bauordnungsamt", "Mara Muster", "Musterweg 1", "A. Beispiel"):
        assert words in text
    assert text.index("ABHOLBESTÄTIGUNG") < text.index("Bescheid.")


@pytest.mark.parametrize("missing", ["authority", "addressee", "official", "notice"])
def test_formal_service_without_one_of_its_four_fields_is_refused(town: Application, missing: str) -> None:
    service = {
        "authority": "Stadt Elbtal",
        "addressee": {"name": "N. N.", "postal_address": "Musterweg 1"},
        "official": "A. Beispiel",
        "notice": True,
    }
    del service[missing]
    refused = town.post(f"nina{CITIZENS}", profile="formal-service", formal_service=service)
    assert (refused.status_code, refused.json()["code"]) == (422, "formal-service-incomplete")
