"""The sandbox's OCSP responder, asked over HTTP: by the gateway's own parts, and by openssl."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest

from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.installation import FetchedAnswer, Installation, KnownAnswer
from demail_gateway.bootstrap.judging import ConnectionTools
from demail_gateway.bootstrap.status import StatusAsker
from demail_gateway.core.primitives import CertificateStatus, CertificateVerdict
from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.providers.ocsp import OcspPoster
from demail_gateway.trust.certificates import der_to_pem, make_csr, pem_to_der
from demail_gateway.trust.keys import KeyKind, generate_key
from demail_gateway.trust.ocsp import responder_urls
from tests.harness.programs import program
from tests.sandbox.playground import Playground


@dataclass
class Stored:
    """Status answers as the database keeps them."""

    by_source: dict[str, KnownAnswer] = field(default_factory=dict)

    async def store_status_answer(self, source: str, answer: FetchedAnswer, now: datetime) -> None:
        self.by_source[source] = KnownAnswer(answer.der, now)

    async def status_answers(self) -> tuple[KnownAnswer, ...]:
        return tuple(self.by_source.values())


class Gateway:
    """What a worker has: tools of one connection, and a way to ask."""

    def __init__(self, playground: Playground, **profile: Any) -> None:
        self.stored = Stored()
        self.events: list[str] = []
        installation = cast(Installation, self.stored)
        self._tools = ConnectionTools(installation)
        self._post = OcspPoster()
        self._ask = StatusAsker(installation, self._tools, self._post, lambda event, /, **_: self.events.append(event))
        smtp = {"host": "provider.test", "tls": "none"}
        anchors = playground.anchor.decode()
        everything = {"smtp": smtp, "domains": ["de-mail.de"], "signature_anchors": anchors, **profile}
        self._connection = Connection(UUID(int=1), "probe", AuthLevel.HIGH, everything, True, datetime.now(UTC))

    async def judge(self, certificate: bytes) -> CertificateVerdict:
        return (await self._tools(self._connection)).judge.judge(certificate, datetime.now(UTC))

    async def ask(self, verdict: CertificateVerdict) -> bool:
        return await self._ask(self._connection, verdict.gaps)

    async def close(self) -> None:
        await self._post.close()


async def _certificate(playground: Playground) -> tuple[bytes, str]:
    csr = make_csr(generate_key(KeyKind.P256), "Stadt Elbtal").decode()
    answer = (await playground.http.post("/certificates", json={"csr": csr, "profile": "installation"})).json()
    return pem_to_der(answer["certificate"].encode()), answer["serial"]


@pytest.mark.clause("DIR-35", "IN-26")
async def test_a_status_is_asked_for_and_kept(playground: Playground) -> None:
    certificate, serial = await _certificate(playground)
    gateway = Gateway(playground, ocsp_urls=[f"{playground.sandbox.url}/ocsp"])
    assert responder_urls(certificate) == (f"{playground.sandbox.url}/ocsp",)
    unknown = await gateway.judge(certificate)
    assert (unknown.findings, unknown.status) == ((), CertificateStatus.UNKNOWN)
    assert await gateway.ask(unknown)
    good = await gateway.judge(certificate)
    assert (good.status, good.gaps) == (CertificateStatus.GOOD, ())
    assert good.revocation == tuple(each.der for each in gateway.stored.by_source.values())

    await playground.http.post("/certificates/revoke", json={"serial": serial, "reason": "keyCompromise"})
    another = Gateway(playground, ocsp_urls=[f"{playground.sandbox.url}/ocsp"])
    assert await another.ask(await another.judge(certificate))
    revoked = await another.judge(certificate)
    assert (revoked.findings, revoked.revocation_reason) == (("certificate-revoked",), "keyCompromise")
    assert another.events == ["ocsp_stored"]
    await asyncio.gather(gateway.close(), another.close())


async def test_a_connection_that_names_no_responder_asks_nobody(playground: Playground) -> None:
    certificate, _ = await _certificate(playground)
    gateway = Gateway(playground)
    assert not await gateway.ask(await gateway.judge(certificate))
    assert gateway.events == []
    await gateway.close()


@pytest.mark.parametrize("path", ["/crl.der", "/nowhere", "/livez"])
async def test_what_is_no_responder_tells_nothing(playground: Playground, path: str) -> None:
    certificate, _ = await _certificate(playground)
    gateway = Gateway(playground, ocsp_urls=[f"{playground.sandbox.url}{path}"])
    assert not await gateway.ask(await gateway.judge(certificate))
    assert gateway.events == ["ocsp_unavailable"]
    await gateway.close()


@pytest.mark.parametrize("size", [0, 100, 5000])
async def test_garbage_is_answered_and_much_of_it_is_not(playground: Playground, size: int) -> None:
    answer = await playground.http.post("/ocsp", content=bytes(size))
    assert answer.status_code == (200 if size < 4096 else 413)


async def test_openssl_gets_the_same_answer(playground: Playground, tmp_path: Path) -> None:
    certificate, serial = await _certificate(playground)
    (tmp_path / "ca.pem").write_bytes(playground.anchor)
    (tmp_path / "end.pem").write_bytes(der_to_pem(certificate))
    command = [program("openssl"), "ocsp", "-issuer", "ca.pem", "-cert", "end.pem", "-CAfile", "ca.pem"]
    command += ["-url", f"{playground.sandbox.url}/ocsp"]

    async def asked() -> str:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, stdout=pipe, stderr=pipe)
        output, errors = await process.communicate()
        assert b"Response verify OK" in errors
        return output.decode()

    assert "end.pem: good" in await asked()
    await playground.http.post("/certificates/revoke", json={"serial": serial, "reason": "superseded"})
    told = await asked()
    assert "end.pem: revoked" in told
    assert "Reason: superseded" in told
