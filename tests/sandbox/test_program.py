"""`python -m demail_gateway.sandbox` as a process: ready file, clean end, no loss when it is killed, a silent log."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx
import pytest

from demail_gateway.core.options import SendOptions
from demail_gateway.sandbox.configuration import Configuration, GatewayPeer, read_configuration
from demail_gateway.trust.tls import client_context
from tests.sandbox.playground import SENDER, certified, make_draft

CITIZEN = "buergerin@sandbox.de-mail.de"


@asynccontextmanager
async def program(directory: Path, log: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    ready = directory.parent / "ready.json"
    ready.unlink(missing_ok=True)
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "demail_gateway.sandbox", "--directory", directory, "--ready-file", ready,
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            while not ready.exists():
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.02)
        yield process, json.loads(ready.read_text())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def line(facts: dict[str, Any]) -> AsyncIterator[aiosmtplib.SMTP]:
    async with httpx.AsyncClient(base_url=facts["url"]) as http:
        identity, _ = await certified(http, "tls-client", "gateway")
        context = client_context(Path(facts["trust_anchor"]).read_bytes(), identity)
        smtp = aiosmtplib.SMTP(hostname="localhost", port=facts["smtp_port"], use_tls=True, tls_context=context)
        await smtp.connect()
        yield smtp
        smtp.close()


async def test_the_ready_file_says_where_everything_is(configuration: Configuration, tmp_path: Path) -> None:
    async with program(configuration.directory, tmp_path / "log") as (process, facts):
        assert set(facts) >= {"url", "smtp_port", "provider_url", "trust_anchor", "crl_url", "certificates"}
        assert facts["pid"] == process.pid
        assert all(Path(path).is_file() for path in facts["certificates"].values())
        async with httpx.AsyncClient() as http:
            assert (await http.get(facts["url"] + "/livez")).json() == {"status": "ok"}
            assert (await http.get(facts["crl_url"])).headers["content-type"] == "application/pkix-crl"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly(configuration: Configuration, tmp_path: Path, number: int) -> None:
    async with program(configuration.directory, tmp_path / "log") as (process, facts), line(facts) as smtp:
        await smtp.sendmail(SENDER, [CITIZEN], make_draft(CITIZEN))
        process.send_signal(number)
        async with asyncio.timeout(10):
            assert await process.wait() == 0


async def test_what_was_answered_is_there_after_a_kill(configuration: Configuration, tmp_path: Path) -> None:
    taken: list[str] = []

    async def keep_sending(facts: dict[str, Any]) -> None:
        async with line(facts) as smtp:
            while True:
                draft = make_draft(CITIZEN, options=SendOptions())
                try:
                    await smtp.mail(SENDER)
                    await smtp.rcpt(CITIZEN)
                    answer = await smtp.data(draft)
                except (aiosmtplib.SMTPException, ConnectionError):
                    return
                taken.append(answer.message.rpartition(" ")[2])

    async with program(configuration.directory, tmp_path / "log") as (process, facts), asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(keep_sending(facts))
        while len(taken) < 60:
            await asyncio.sleep(0.01)
        process.kill()
    async with (
        program(configuration.directory, tmp_path / "log") as (_, facts),
        httpx.AsyncClient(base_url=facts["url"]) as http,
        asyncio.timeout(20),
    ):
        while True:
            items = (await http.get(f"/mailbox/{CITIZEN}")).json()["items"]
            kept = [item["demail_message_id"] for item in items]
            if set(taken) <= set(kept):
                break
            await asyncio.sleep(0.05)
        assert len(kept) == len(set(kept))


async def test_the_log_names_nobody_and_quotes_nothing(configuration: Configuration, tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with program(configuration.directory, log) as (process, facts):
        async with line(facts) as smtp:
            await smtp.sendmail(SENDER, [CITIZEN], make_draft(CITIZEN, subject="Geheimsache", text="Steuerschuld"))
            with pytest.raises(aiosmtplib.SMTPException):
                await smtp.sendmail(SENDER, ["x@example.org"], b"Subject: Geheimsache\r\n\r\nSteuerschuld\r\n")
            with pytest.raises(aiosmtplib.SMTPException):
                await smtp.sendmail(SENDER, [CITIZEN], b"Subject: Geheimsache\r\n\r\nSteuerschuld\r\n")
        async with httpx.AsyncClient(base_url=facts["url"]) as http:
            mail = {"from": CITIZEN, "to": [SENDER], "subject": "Geheimsache", "text": "Steuerschuld"}
            assert (await http.post("/mail", json=mail)).status_code == 201
            assert (await http.get(f"/mailbox/{CITIZEN}")).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    lines = log.read_text().splitlines()
    assert any("submission_refused" in text for text in lines)
    for word in ("Geheimsache", "Steuerschuld", CITIZEN, SENDER, "buergerin", "poststelle", "example.org"):
        assert not any(word in text for text in lines), word
    assert all(json.loads(text)["service"] == "sandbox" for text in lines)


async def test_a_taken_port_is_told_and_ends_with_1(configuration: Configuration, tmp_path: Path) -> None:
    async with program(configuration.directory, tmp_path / "log") as (_, facts):
        other = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "demail_gateway.sandbox", "--directory", tmp_path / "other",
            "--http-port", facts["url"].rpartition(":")[2],
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, error = await other.communicate()
        assert other.returncode == 1
        assert b"cannot start" in error


def test_arguments_go_before_the_environment() -> None:
    environment = {
        "DEMAIL_SANDBOX_DIRECTORY": "/a",
        "DEMAIL_SANDBOX_SMTP_PORT": "1465",
        "DEMAIL_SANDBOX_BIND": "0.0.0.0",
    }
    found = read_configuration(["--directory", "/b", "--gateway-host", "gw"], environment)
    assert (found.directory, found.smtp_port, found.bind) == (Path("/b"), 1465, "0.0.0.0")
    assert found.gateway == GatewayPeer("gw", 1465, "gw")


@pytest.mark.parametrize("arguments", [[], ["--directory", "x", "--smtp-port", "many"], ["--unknown"]])
def test_unusable_arguments_end_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_configuration(arguments, {})
    assert ended.value.code == 2
