"""The four measurements. Each yields product and reference in turn, several rounds in one run."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import smtplib
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from benchmarks.load import LoadResult, drive, post
from benchmarks.postfix import Postfix
from benchmarks.stack import RECIPIENT, SENDER, Product
from demail_gateway.cli.supervise import listens
from demail_gateway.embedded import databases, process
from demail_gateway.embedded.ports import free_port

TEXT_BYTES = 10 * 1024
UPLOAD_BYTES = 25 * 1024 * 1024
CONNECTIONS = 32
_LINE = "Sehr geehrte Damen und Herren, anbei erhalten Sie die Unterlagen.\n"
_TEXT = (_LINE * (TEXT_BYTES // len(_LINE) + 1))[:TEXT_BYTES]


@dataclass(frozen=True, slots=True)
class Round:
    """One round: both figures in the unit of the case."""

    product: float
    reference: float


async def accept(product: Product, rounds: int, messages: int) -> AsyncIterator[Round]:
    """Messages/s accepted by REST (202 after commit) against a bare FastAPI route with one INSERT of the same body.

    The workers are stopped meanwhile, on both sides: what is measured is the accepting alone.
    """
    async with _bare(product) as bare_port:
        with product.paused("worker", "scheduler"):
            for _ in range(rounds):
                ours = await drive(product.port, lambda n: _submission(product, sign=False), messages, CONNECTIONS)
                bare = await drive(bare_port, lambda n: post("/messages", bare_port, _BODY, {}), messages, CONNECTIONS)
                yield Round(_rate(ours), _rate(bare))
    await _drained(product)


async def relay(product: Product, rounds: int, messages: int) -> AsyncIterator[Round]:
    """Messages/s end to end, REST to the sink's count, signed with RSA-3072, against Postfix relaying the same octets.

    Plain SMTP on both sides, the same sink. The better of 10 and 32 sessions counts for Postfix.
    """
    octets_file = await _relayed_octets(product)
    reference = Postfix(product.sink.port)
    try:
        for _ in range(rounds):
            before, begin = product.sink.count(), time.perf_counter()
            result = await drive(product.port, lambda n: _submission(product, sign=True), messages, CONNECTIONS)
            _rate(result)
            await _counted(product, before + messages)
            ours = messages / (time.perf_counter() - begin)
            await _drained(product)
            theirs = 0.0
            for sessions in (10, 32):
                before = product.sink.count()
                seconds = await asyncio.to_thread(reference.relay, octets_file, messages, sessions)
                await _counted(product, before + messages)
                theirs = max(theirs, messages / seconds)
            yield Round(ours, theirs)
    finally:
        reference.stop()
        octets_file.unlink()


async def latency(product: Product, rounds: int, messages: int) -> AsyncIterator[Round]:
    """Milliseconds from the 202 to the provider's 250, median, against an idle SMTP transaction on a kept line."""
    octets = (await _relayed_octets(product)).read_bytes()
    for _ in range(rounds):
        ours = [await _one_latency(product) for _ in range(messages)]
        theirs = await asyncio.to_thread(_transactions, product.sink.port, octets, messages)
        yield Round(statistics.median(ours) * 1000, statistics.median(theirs) * 1000)


async def upload(product: Product, rounds: int, messages: int) -> AsyncIterator[Round]:
    """MiB that the REST process needs above idle for a streamed upload of 25 MiB; the reference is the 32 MiB goal."""
    octets = secrets.token_bytes(UPLOAD_BYTES)
    headers = {"Authorization": f"Bearer {product.token}", "Content-Type": "application/octet-stream"}
    url = f"http://127.0.0.1:{product.port}/v1/tenants/{product.tenant.slug}/attachments?filename=plan.bin"

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(octets), 65536):
            yield octets[start : start + 65536]

    async with httpx.AsyncClient(timeout=60) as client:
        for _ in range(rounds):
            pid = product.pid("api")
            Path(f"/proc/{pid}/clear_refs").write_text("5")
            idle = _peak_mib(pid)
            once = {**headers, "Idempotency-Key": secrets.token_hex(8)}
            answer = await client.post(url, content=chunks(), headers=once)
            answer.raise_for_status()
            yield Round(_peak_mib(pid) - idle, 32.0)


CASES = {"accept": accept, "relay": relay, "latency": latency, "upload": upload}
UNITS = {"accept": "messages/s", "relay": "messages/s", "latency": "ms", "upload": "MiB"}
GOALS = {
    "accept": ("≥", 0.5, 0.8),
    "relay": ("≥", 0.5, 1.0),
    "latency": ("≤", 20.0, 8.0),
    "upload": ("≤", 1.0, 0.5),
}
"""Sense, what is to be reached here, the later goal, all as ratio product ÷ reference."""

_BODY = json.dumps(
    {
        "from": SENDER,
        "to": [RECIPIENT],
        "subject": "Messung",
        "text": _TEXT,
        "reference": "AZ 1/2026",
        "options": {"confirmation_of_dispatch": False},
        "sign": False,
    }
).encode()
_SIGNED_BODY = _BODY.replace(b'"sign": false', b'"sign": true')


def _submission(product: Product, *, sign: bool) -> bytes:
    headers = {"Authorization": f"Bearer {product.token}", "Idempotency-Key": secrets.token_hex(12)}
    return post(product.messages_path, product.port, _SIGNED_BODY if sign else _BODY, headers)


def _rate(result: LoadResult) -> float:
    if set(result.statuses) != {202}:
        raise RuntimeError(f"not everything was accepted: {result.statuses}")
    return result.per_second


@asynccontextmanager
async def _bare(product: Product) -> AsyncIterator[int]:
    """The reference server with a database of its own on the same PostgreSQL."""
    superuser, name = product.running.servers.superuser_url, "demail_bare"
    access = await databases.provision(superuser, name, owner_password="bare", app_password="bare")
    port = free_port()
    argv = [sys.executable, "-m", "uvicorn", "benchmarks.bare:app", "--port", str(port)]
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    environment = {**os.environ, "BENCH_BARE_DATABASE_URL": access.owner_url}
    child = process.spawn([*argv, *options], log=product.stack.directory / "bare.log", env=environment, cwd=Path.cwd())
    try:
        while not await listens(port):
            await asyncio.sleep(0.05)
        yield port
    finally:
        process.stop(child)
        await databases.drop(superuser, name)


async def _counted(product: Product, wanted: int) -> None:
    deadline = time.monotonic() + 120
    while product.sink.count() < wanted:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the sink counts {product.sink.count()} instead of {wanted}")
        await asyncio.sleep(0.005)


async def _drained(product: Product) -> None:
    """Until no work is due, so that the next round begins idle."""
    connection = await asyncpg.connect(product.running.servers.superuser_url_of_database())
    try:
        while await connection.fetchval("SELECT count(*) FROM outbox WHERE kind = 'dispatch'"):
            await asyncio.sleep(0.1)
    finally:
        await connection.close()


async def _one_latency(product: Product) -> float:
    reader, writer = await asyncio.open_connection("127.0.0.1", product.port)
    writer.write(_submission(product, sign=True))
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    body = json.loads(await reader.readexactly(length))
    answered = time.time()
    writer.close()
    await asyncio.sleep(0.05)
    return await _submitted_at(product, body["id"]) - answered


async def _submitted_at(product: Product, message_id: str) -> float:
    url = f"http://127.0.0.1:{product.port}{product.messages_path}/{message_id}"
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {product.token}"}) as client:
        while True:
            document: dict[str, Any] = (await client.get(url)).json()
            if document["submitted_at"] is not None:
                return datetime.fromisoformat(document["submitted_at"]).timestamp()
            await asyncio.sleep(0.02)


async def _relayed_octets(product: Product) -> Path:
    """A signed message as the product composes it, in a file for smtp-source."""
    headers = {"Authorization": f"Bearer {product.token}", "Idempotency-Key": secrets.token_hex(12)}
    base = f"http://127.0.0.1:{product.port}{product.messages_path}"
    async with httpx.AsyncClient(headers=headers) as client:
        answer = await client.post(base, content=_SIGNED_BODY, headers={"Content-Type": "application/json"})
        message_id = answer.raise_for_status().json()["id"]
        await _submitted_at(product, message_id)
        octets = (await client.get(f"{base}/{message_id}/raw")).raise_for_status().content
    path = product.stack.directory / "relayed.eml"
    path.write_bytes(octets.replace(b"\r\n", b"\n"))
    path.chmod(0o644)
    product.stack.directory.chmod(0o755)
    return path


def _transactions(port: int, octets: bytes, count: int) -> list[float]:
    """Seconds of each of `count` transactions on one kept connection, 20 ms apart."""
    found = []
    with smtplib.SMTP("127.0.0.1", port) as line:
        line.ehlo()
        for _ in range(count):
            begin = time.perf_counter()
            line.sendmail(SENDER, [RECIPIENT], octets)
            found.append(time.perf_counter() - begin)
            time.sleep(0.02)
    return found


def _peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
