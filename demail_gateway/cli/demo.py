"""`demo`: one De-Mail after the other through the whole path, until every proof is there and verified.

Exit code 0 only if every expected proof arrived and verified, the evidence packages verify offline, a package with one
flipped byte does not, and the citizens' mailboxes hold exactly one copy each with the attachments byte for byte.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from demail_gateway.application.inspect_package import inspect_package
from demail_gateway.bootstrap.offline import inspection_tools
from demail_gateway.cli.letters import (
    BINARY_NAME,
    DISPATCH,
    PDF_NAME,
    RECEIPT,
    RETRIEVE,
    binary_file,
    encrypted_letter,
    formal_letter,
    tax_notice,
)
from demail_gateway.cli.rest import Rest, RestFailed
from demail_gateway.cli.sandbox_client import mailbox
from demail_gateway.cli.screen import Screen
from demail_gateway.cli.seed import AMT, STADT, Seeded
from demail_gateway.cli.stack import Running, Stack
from demail_gateway.cli.supervise import ChildFailed, StopRequested
from demail_gateway.cli.timeline import show
from demail_gateway.embedded import EmbeddedError
from demail_gateway.embedded.ports import free_port

PATIENCE_S = 45.0
"""How long the proofs may take altogether; they need about three seconds."""


@dataclass(slots=True)
class Sent:
    """One De-Mail of the demonstration and what became of it."""

    tenant: Seeded
    to: tuple[str, ...]
    id: str
    expected: tuple[str, ...]
    message: dict[str, Any] = field(default_factory=dict)
    evidence: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    package: bytes = b""
    faults: list[str] = field(default_factory=list)

    def proven(self) -> bool:
        """Whether every expected proof is there and verified."""
        passed = [each["kind"] for each in self.evidence if each["verification"]["outcome"] == "passed"]
        return all(kind in passed for kind in self.expected)


async def run_demo(*, as_json: bool) -> int:
    """Exit code of the command."""
    begin = time.monotonic()
    with Screen(steps=7, quiet=as_json) as screen:
        try:
            sent, tampered = await _perform(screen)
        except StopRequested:
            return 130
        except (ChildFailed, EmbeddedError, RestFailed) as error:
            print(f"demo: {error}", file=sys.stderr)
            return 1
        seconds = time.monotonic() - begin
        screen.done(f"Fertig nach {seconds:.1f} s.")
    passed = tampered and all(each.proven() and not each.faults for each in sent)
    if as_json:
        json.dump(_document(sent, seconds, passed=passed, tampered=tampered), sys.stdout, ensure_ascii=False)
        print()
    else:
        show([(each.tenant.name, each.message, each.events, each.evidence, each.faults) for each in sent], tampered)
    return 0 if passed else 1


async def _perform(screen: Screen) -> tuple[list[Sent], bool]:
    async with Stack(api_port=free_port(), wanted=(STADT, AMT), step=screen.step, environ=os.environ) as stack:
        running = await stack.start()
        return await stack.supervisor.unless_told(_show(running, screen))


async def _show(running: Running, screen: Screen) -> tuple[list[Sent], bool]:
    """What was sent and became of it, and whether tampering showed."""
    town, office = running.tenants
    screen.step("De-Mails senden")
    async with running.client(town) as as_town, running.client(office) as as_office:
        upload = await as_town.upload(
            f"/v1/tenants/{town.slug}/attachments", BINARY_NAME, "application/octet-stream", binary_file()
        )
        sent = [
            await _send(as_town, town, tax_notice(town.addresses[0], upload["id"]), (DISPATCH, RECEIPT)),
            await _send(as_office, office, formal_letter(office.addresses[0]), (DISPATCH, RETRIEVE)),
            await _send(as_office, office, encrypted_letter(office.addresses[0]), (DISPATCH, RECEIPT)),
        ]
        clients = [as_town, as_office, as_office]
        screen.step("Auf verifizierte Nachweise warten")
        await asyncio.gather(*(_wait(client, each) for client, each in zip(clients, sent, strict=True)))
        screen.step("Nachweispakete holen und offline prüfen")
        await asyncio.gather(*(_fetch(client, each) for client, each in zip(clients, sent, strict=True)))
    await _check_mailboxes(running, sent)
    return sent, _verify(running, sent)


async def _send(client: Rest, tenant: Seeded, letter: dict[str, Any], expected: tuple[str, ...]) -> Sent:
    accepted = await client.post(f"/v1/tenants/{tenant.slug}/messages", letter)
    return Sent(tenant, tuple(letter["to"]), accepted["id"], expected)


async def _wait(client: Rest, sent: Sent) -> None:
    """Until every proof is there, or patience ends."""
    base = f"/v1/tenants/{sent.tenant.slug}/messages/{sent.id}"
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        sent.evidence = (await client.get(f"{base}/evidence"))["items"]
        if sent.proven():
            return
        await asyncio.sleep(0.2)
    sent.faults.append("nicht alle Nachweise kamen rechtzeitig an")


async def _fetch(client: Rest, sent: Sent) -> None:
    base = f"/v1/tenants/{sent.tenant.slug}/messages/{sent.id}"
    sent.message = await client.get(base)
    sent.events = (await client.get(f"{base}/events"))["items"]
    sent.package = await client.octets(f"{base}/evidence.zip")


async def _check_mailboxes(running: Running, sent: Sequence[Sent]) -> None:
    """Exactly one copy for each recipient, and the attachments byte for byte."""
    for each in sent:
        for address in each.to:
            items = await mailbox(running.sandbox.url, address)
            if len(items) != 1:
                each.faults.append(f"{len(items)} Exemplare im Postfach statt einem")
    items = await mailbox(running.sandbox.url, sent[0].to[0])
    parts = {part["filename"]: part["content"] for item in items for part in item["parts"] if part["filename"]}
    if base64.b64decode(parts.get(BINARY_NAME, "")) != binary_file():
        sent[0].faults.append(f"{BINARY_NAME} kam nicht unverändert an")
    if not base64.b64decode(parts.get(PDF_NAME, "")).startswith(b"%PDF-"):
        sent[0].faults.append(f"{PDF_NAME} kam nicht an")


def _verify(running: Running, sent: Sequence[Sent]) -> bool:
    """Every package verifies with the sandbox's anchor alone; with one flipped byte it does not."""
    tools = inspection_tools([running.sandbox.trust_anchor.read_bytes()], [])
    for each in sent:
        inspection = inspect_package(io.BytesIO(each.package), tools, None)
        if inspection.outcome != "passed":
            failed = [
                f"{c.name} {c.detail}" for c in inspection.checks if c.outcome not in ("passed", "not-applicable")
            ]
            each.faults.append(f"Nachweispaket: {inspection.outcome}: {'; '.join(failed[:5])}")
    return all(_tampering_shows(each.package, tools) for each in sent)


def timeline(events: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """When the message reached which state; events that reached none are left aside."""
    return [{"at": event["at"], "state": event["state"]} for event in events if event.get("state")]


def _tampering_shows(package: bytes, tools: Any) -> bool:
    """Whether a package with one byte changed fails."""
    changed = bytearray(package)
    changed[len(changed) // 2] ^= 0x01
    return inspect_package(io.BytesIO(changed), tools, None).outcome == "failed"


def _document(sent: Sequence[Sent], seconds: float, *, passed: bool, tampered: bool) -> dict[str, Any]:
    return {
        "outcome": "passed" if passed else "failed",
        "seconds": round(seconds, 2),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "messages": [
            {
                "id": each.id,
                "tenant": each.tenant.slug,
                "to": list(each.to),
                "expected": list(each.expected),
                "state": each.message.get("state"),
                "recipients": each.message.get("recipients", []),
                "evidence": [
                    {"kind": proof["kind"], "outcome": proof["verification"]["outcome"]} for proof in each.evidence
                ],
                "timeline": timeline(each.events),
                "faults": each.faults,
            }
            for each in sent
        ],
        "tamper_detected": tampered,
    }
