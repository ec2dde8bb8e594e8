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
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from demail_gateway.application.inspect_package import inspect_package
from demail_gateway.bootstrap.offline import inspection_tools
from demail_gateway.cli.last_words import last_words
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
from demail_gateway.cli.timeline import KINDS, show
from demail_gateway.core.vocabulary import MessageState
from demail_gateway.embedded import EmbeddedError
from demail_gateway.embedded.ports import free_port

_ENDS = frozenset({MessageState.REJECTED, MessageState.FAILED, MessageState.CANCELLED, MessageState.HELD})
"""States in which no further proof comes."""


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


@dataclass(slots=True)
class Shown:
    """What the demonstration found out."""

    sent: list[Sent]
    tampering_shows: bool | None = None
    """None where there was no package to tamper with."""
    last_words: list[str] = field(default_factory=list)
    """Log lines about De-Mails that were not proven."""
    kept: Path | None = None

    @property
    def passed(self) -> bool:
        return self.tampering_shows is True and not any(each.faults for each in self.sent)


async def run_demo(*, as_json: bool, keep: bool, patience_s: float) -> int:
    """Exit code of the command; logs and evidence packages stay when it failed, or with `keep`."""
    begin = time.monotonic()
    with Screen(steps=7, quiet=as_json) as screen:
        stack = Stack(api_port=free_port(), wanted=(STADT, AMT), step=screen.step, environ=os.environ)
        stack.keep = keep
        try:
            shown = await _perform(stack, screen, patience_s)
        except StopRequested:
            return 130
        except (ChildFailed, EmbeddedError, RestFailed, httpx.HTTPError) as error:
            return _broken_off(str(error) or type(error).__name__, stack.kept, as_json=as_json)
        seconds = time.monotonic() - begin
        screen.done(f"Fertig nach {seconds:.1f} s.")
    if as_json:
        json.dump(_document(shown, seconds), sys.stdout, ensure_ascii=False)
        print()
    else:
        show(
            [(each.tenant.name, each.message, each.events, each.evidence, each.faults) for each in shown.sent],
            shown.tampering_shows,
            shown.last_words,
            shown.kept,
        )
    return 0 if shown.passed else 1


def _broken_off(reason: str, kept: Path | None, *, as_json: bool) -> int:
    """Exit code; the reason on stderr, with `--json` also on stdout."""
    print(f"demo: {reason}", file=sys.stderr)
    if kept is not None:
        print(f"Protokolle: {kept}", file=sys.stderr)
    if as_json:
        print(json.dumps({"outcome": "failed", "reason": reason, "kept": kept and str(kept)}, ensure_ascii=False))
    return 1


async def _perform(stack: Stack, screen: Screen, patience_s: float) -> Shown:
    async with stack:
        running = await stack.start()
        shown = await stack.supervisor.unless_told(_show(running, screen, patience_s))
        if not shown.passed:
            stack.keep = True
            shown.last_words = last_words(stack.directory, [each.id for each in shown.sent if each.faults])
        if stack.keep:
            await asyncio.to_thread(_put_by, stack.directory, running, shown.sent)
    shown.kept = stack.kept
    return shown


def _put_by(directory: Path, running: Running, sent: Sequence[Sent]) -> None:
    """The packages and what they are held against, for `verify`."""
    for each in sent:
        if each.package:
            (directory / f"{each.id}.zip").write_bytes(each.package)
    shutil.copy(running.sandbox.trust_anchor, directory / "trust-anchor.pem")


async def _show(running: Running, screen: Screen, patience_s: float) -> Shown:
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
        await asyncio.gather(*(_wait(client, each, patience_s) for client, each in zip(clients, sent, strict=True)))
        screen.step("Nachweispakete holen und offline prüfen")
        await asyncio.gather(*(_fetch(client, each) for client, each in zip(clients, sent, strict=True)))
    await _check_mailboxes(running, sent)
    return Shown(sent, _verify(running, sent))


async def _send(client: Rest, tenant: Seeded, letter: dict[str, Any], expected: tuple[str, ...]) -> Sent:
    accepted = await client.post(f"/v1/tenants/{tenant.slug}/messages", letter)
    return Sent(tenant, tuple(letter["to"]), accepted["id"], expected)


async def _wait(client: Rest, sent: Sent, patience_s: float) -> None:
    """Until every proof is there, none can come any more, or patience ends."""
    base = f"/v1/tenants/{sent.tenant.slug}/messages/{sent.id}"
    deadline = time.monotonic() + patience_s
    while True:
        sent.message = await client.get(base)
        sent.evidence = (await client.get(f"{base}/evidence"))["items"]
        if sent.proven():
            return
        if sent.message["state"] in _ENDS or time.monotonic() >= deadline:
            break
        await asyncio.sleep(0.2)
    sent.faults.append(shortfall(sent))


def shortfall(sent: Sent) -> str:
    """Which proofs are missing, and how far the message came."""
    outcomes = {each["kind"]: each["verification"]["outcome"] for each in sent.evidence}
    wanting = [f"{KINDS[kind]} ({outcomes.get(kind, 'fehlt')})" for kind in sent.expected]
    missing = [told for kind, told in zip(sent.expected, wanting, strict=True) if outcomes.get(kind) != "passed"]
    reasons = sorted({each["reason"] for each in sent.message["recipients"] if each["reason"]})
    reached = f"Zustand {sent.message['state']}" + (f", {', '.join(reasons)}" if reasons else "")
    return f"nicht alle Nachweise kamen rechtzeitig an: {', '.join(missing)}; {reached}"


async def _fetch(client: Rest, sent: Sent) -> None:
    base = f"/v1/tenants/{sent.tenant.slug}/messages/{sent.id}"
    sent.message = await client.get(base)
    sent.events = (await client.get(f"{base}/events"))["items"]
    try:
        sent.package = await client.octets(f"{base}/evidence.zip")
    except RestFailed as error:
        sent.faults.append(f"kein Nachweispaket: {error}")


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


def _verify(running: Running, sent: Sequence[Sent]) -> bool | None:
    """Every package verifies with the sandbox's anchor alone, or gets a fault; whether one flipped byte shows."""
    tools = inspection_tools([running.sandbox.trust_anchor.read_bytes()], [])
    fetched = [each for each in sent if each.package]
    for each in fetched:
        inspection = inspect_package(io.BytesIO(each.package), tools, None)
        if inspection.outcome != "passed":
            failed = [
                f"{c.name} {c.detail}" for c in inspection.checks if c.outcome not in ("passed", "not-applicable")
            ]
            each.faults.append(f"Nachweispaket: {inspection.outcome}: {'; '.join(failed[:5])}")
    return all(_tampering_shows(each.package, tools) for each in fetched) if fetched else None


def timeline(events: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """When the message reached which state; events that reached none are left aside."""
    return [{"at": event["at"], "state": event["state"]} for event in events if event.get("state")]


def _tampering_shows(package: bytes, tools: Any) -> bool:
    """Whether a package with one byte changed fails."""
    changed = bytearray(package)
    changed[len(changed) // 2] ^= 0x01
    return inspect_package(io.BytesIO(changed), tools, None).outcome == "failed"


def _document(shown: Shown, seconds: float) -> dict[str, Any]:
    return {
        "outcome": "passed" if shown.passed else "failed",
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
            for each in shown.sent
        ],
        "tamper_detected": shown.tampering_shows,
        "last_words": shown.last_words,
        "kept": shown.kept and str(shown.kept),
    }
