"""De-Mails that citizens write: received, checked, listed, kept from whom they are not for."""

from __future__ import annotations

import base64

import pytest

from demail_gateway.core.eicar import EICAR
from tests.journeys.installation import until
from tests.journeys.people import CITIZENS, Application, Sandbox, as_attachment

FILE = as_attachment("Übersicht.txt", "text/plain", "Anlage mit Ä".encode())

# tamper, authoritative → quarantine, outcome, the check that fails; TR 01201-3.1 step 48, IN-22, IN-23
TAMPERED = {
    "whole, hash": (None, False, None, "passed", None),
    "whole, signed": (None, True, None, "passed", None),
    "body, hash": ("body", False, "integrity", "failed", "integrity.hash"),
    "body, signed": ("body", True, "integrity", "failed", "integrity.hash"),
    "header, hash": ("header", False, "integrity", "failed", "integrity.hash"),
    "header, signed": ("header", True, "integrity", "failed", "integrity.signature"),
    "signature": ("signature", True, "integrity", "failed", "integrity.signature"),
    "unsigned": ("unsigned", True, "integrity", "failed", "integrity.signature-required"),
    "expired certificate": ("expired-certificate", True, "integrity", "failed", "certificate.path"),
}


@pytest.mark.clause(
    "TR 01201-3.1 step 48",
    "TR 01201-3.1 step 48 FC-01",
    "TR 01201-3.1 step 48 FC-02",
    "TR 01201-3.1 step 48 FC-04",
    "TR 01201-3.4 §3.6 integrity",
)
@pytest.mark.parametrize("case", TAMPERED)
def test_integrity_is_checked_and_what_fails_is_kept_apart(town: Application, sandbox: Sandbox, case: str) -> None:
    tamper, authoritative, quarantine, outcome, finding = TAMPERED[case]
    subject = f"Antrag ({case})"
    options = {"authoritative": authoritative}
    written = sandbox.write(
        f"erika.tamper{CITIZENS}", town.address, subject=subject, options=options, tamper=tamper, attachments=[FILE]
    )
    item = town.inbox_item(f"{subject} (2)" if tamper == "header" else subject)
    assert (item["direction"], item["state"], item["message_type"]) == ("inbound", "received", "normal")
    assert (item["quarantine"], item["verification"]["outcome"]) == (quarantine, outcome), item["verification"]
    failed = {check["name"] for check in item["verification"]["checks"] if check["outcome"] == "failed"}
    assert (finding in failed) if finding else not failed
    raw = f"messages/{item['id']}/raw"
    if quarantine is not None:
        for path in (raw, f"messages/{item['id']}/attachments/1"):
            refused = town.request("GET", path)
            assert (refused.status_code, refused.json()["code"]) == (409, "quarantined")
    assert town.octets(raw, acknowledge_risk="true") == base64.b64decode(written["raw"])
    if tamper is None:
        assert town.octets(f"messages/{item['id']}/attachments/1") == "Anlage mit Ä".encode()
        assert [each["filename"] for each in item["attachments"]] == ["Übersicht.txt"]
        assert item["verification"]["protection"] == ("signature" if authoritative else "hash")
    assert "inbound.received" in town.events(item["id"])


@pytest.mark.clause("TR 01201-3.1 function 2")
def test_malware_is_kept_in_quarantine_and_handed_out_only_after_a_warning(town: Application, sandbox: Sandbox) -> None:
    """SND-73; TR 01201-3.1 function 2."""
    infected = as_attachment("test.com", "application/octet-stream", EICAR)
    subject = "Anhang mit Testdatei"
    sandbox.write(f"erika.malware{CITIZENS}", town.address, subject=subject, attachments=[infected], scan=False)
    item = town.inbox_item(subject)
    assert (item["quarantine"], item["verification"]["outcome"]) == ("malware", "passed"), item["verification"]
    assert item["verification"]["scan"] == "infected"
    path = f"messages/{item['id']}/attachments/1"
    assert town.request("GET", path).json()["code"] == "quarantined"
    assert town.octets(path, acknowledge_risk="true") == EICAR


def test_private_mail_shows_without_the_right_only_that_it_exists(town: Application, sandbox: Sandbox) -> None:
    """SND-91."""
    sandbox.write(f"erika.private{CITIZENS}", town.address, subject="Vertraulich", options={"private": True})
    item = town.inbox_item("Vertraulich")
    assert item["private"] is True
    assert town.octets(f"messages/{item['id']}/raw")
    with town.narrowed("inbox:read") as clerk:
        (hidden,) = (each for each in clerk.get("inbox", limit=200)["items"] if each["id"] == item["id"])
        assert set(hidden) == {"id", "received_at", "mailbox", "private"}
        assert set(clerk.message(item["id"])) == set(hidden)
        for path in ("raw", "attachments/1"):
            answer = clerk.request("GET", f"messages/{item['id']}/{path}")
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert clerk.request("GET", f"messages/{item['id']}/raw?acknowledge_risk=true").status_code == 403
    with town.narrowed("messages:read") as sender:
        assert sender.request("GET", f"messages/{item['id']}").status_code == 403


def test_a_tenants_mail_is_not_in_anothers_inbox(town: Application, works: Application, sandbox: Sandbox) -> None:
    sandbox.write(f"erika.walls{CITIZENS}", town.address, subject="An die Stadt")
    sandbox.write(f"erika.walls{CITIZENS}", works.address, subject="An die Stadtwerke")
    to_town, to_works = town.inbox_item("An die Stadt"), works.inbox_item("An die Stadtwerke")
    for application, foreign in ((town, to_works), (works, to_town)):
        assert foreign["id"] not in [item["id"] for item in application.get("inbox", limit=200)["items"]]
        assert application.request("GET", f"messages/{foreign['id']}/raw").status_code == 404


def test_who_asked_for_it_gets_proof_that_the_gateway_took_it(town: Application, sandbox: Sandbox) -> None:
    """SND-90: storing at the gateway is receipt; the sandbox stands for the tenant's provider."""
    sender = f"erika.proof{CITIZENS}"
    options = {"confirmation_of_receipt": True}
    sandbox.write(sender, town.address, subject="Mit Nachweis", options=options)
    town.inbox_item("Mit Nachweis")
    until(lambda: [item["message_type"] for item in sandbox.mailbox(sender)] == ["confirmation of receipt"])


def test_mail_to_nobody_of_ours_goes_back(town: Application, sandbox: Sandbox) -> None:
    sender = f"erika.astray{CITIZENS}"
    sandbox.write(sender, "niemand@stadt-elbtal.de-mail.de", subject="Verirrt")
    until(lambda: [item["message_type"] for item in sandbox.mailbox(sender)] == ["notification"])
