"""What all processes of an installation wrote down: no content, no address in clear, no secret (GWT-51)."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from tests.journeys.installation import Installation, Json, until
from tests.journeys.people import CITIZENS, WITH_ALL_PROOFS, Application, Sandbox, as_attachment

ADDRESS = re.compile(r"[\w.+%-]+@[\w-]+(\.[\w-]+)+")
WORDS = {
    "subject": "Räumungsklage Ahornweg",
    "text": "Der Schlüssel liegt unter der Fußmatte",
    "file name": "Mietvertrag-Ahornweg",
    "reference": "GZ-Ahorn-4711",
    "file": "Inhalt der Anlage Ahorn",
    "local part": "anna.ahorn",
}


def _spellings(word: str) -> list[str]:
    """As it is, and as encodings would show it."""
    octets = word.encode()
    return [word, word.encode("unicode_escape").decode(), base64.b64encode(octets).decode().rstrip("="), octets.hex()]


def _secrets(installation: Installation) -> dict[str, str]:
    ready = installation.ready()
    found = {f"secret of {tenant['slug']}": tenant["client_secret"] for tenant in ready["tenants"]}
    found["operator's secret"] = ready["operator"]["client_secret"]
    directory = Path(ready["sandbox"]["trust_anchor"]).parents[1]
    for name in ("master_key", "token_secret", "log_key", "database_url"):
        found[name] = (directory / name).read_text().strip()
    for name in ("database_url", "owner_database_url"):
        found[f"password in {name}"] = ready[name].split(":")[2].rpartition("@")[0]
    return found


def test_logs_hold_no_content_no_address_and_no_secret(
    installation: Installation, town: Application, sandbox: Sandbox
) -> None:
    fields: Json = {
        "subject": WORDS["subject"],
        "text": WORDS["text"],
        "reference": WORDS["reference"],
        "attachments": [as_attachment(f"{WORDS['file name']}.txt", "text/plain", WORDS["file"].encode())],
    }
    ends = [
        f"{kind}.{WORDS['local part']}{CITIZENS}" for kind in ("eva", "rejects", "drops", "unknown", "forged-receipt")
    ]
    ids = [town.send(address, options=WITH_ALL_PROOFS, **fields) for address in ends]
    refused = town.post(f"{WORDS['local part']}@example.com", **fields)
    assert refused.status_code == 422
    for tamper in (None, "body", "signature"):
        sandbox.write(
            f"{WORDS['local part']}{CITIZENS}",
            town.address,
            subject=f"{WORDS['subject']} {tamper}",
            attachments=fields["attachments"],
            tamper=tamper,
            options={"authoritative": True},
        )
        town.inbox_item(f"{WORDS['subject']} {tamper}")
    for message_id in ids[:-1]:
        town.when(message_id)
    until(lambda: "evidence.failed" in town.events(ids[-1]))
    logs = installation.logs()
    assert {"api", "worker", "inbound", "scheduler", "sandbox", "dev"} <= logs.keys()
    assert all(logs[name] for name in ("api", "worker", "inbound", "sandbox"))
    for name, text in logs.items():
        for what, word in WORDS.items():
            assert not any(spelling in text for spelling in _spellings(word)), f"{what} in the log of {name}"
        for what, secret in _secrets(installation).items():
            assert secret not in text, f"{what} in the log of {name}"
        # addresses of this run and of all journeys before it
        assert not ADDRESS.findall(text), f"{ADDRESS.search(text)} in the log of {name}"
        assert "Bearer ey" not in text
        assert "PRIVATE KEY" not in text


def test_one_trace_leads_from_the_request_to_the_hand_over(installation: Installation, town: Application) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    body = {"from": town.address, "to": [f"trace{CITIZENS}"], "subject": "Spur", "text": "Spur"}
    headers = {"Idempotency-Key": "trace", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    accepted = town.request("POST", "messages", json=body, headers=headers)
    assert accepted.status_code == 202
    until(lambda: town.message(accepted.json()["id"])["state"], lambda state: state == "submitted")
    for name in ("api", "worker"):
        until(lambda name=name: trace in installation.logs()[name])  # type: ignore[misc]
