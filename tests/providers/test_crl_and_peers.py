from __future__ import annotations

import asyncio
import gzip
from typing import Any
from uuid import UUID

import httpx
import pytest

from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.revocation import RevocationSourceUnavailable
from demail_gateway.application.worker_services import PeerCertificate
from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.providers.bounded_http import bounded_answer
from demail_gateway.providers.crl import CrlFetcher
from demail_gateway.providers.ocsp import OcspPoster
from demail_gateway.providers.peers import ProfilePeers
from tests.providers.conftest import NOW, Peer, Pki, listening

PROFILE: dict[str, Any] = {
    "smtp": {"host": "h"},
    "domains": ["de-mail.de"],
    "client_certificate_file": "/c",
    "client_key_file": "/k",
}
MARK = "-----BEGIN CERTIFICATE-----"
PRINT = "ab" * 32


class Connections:
    def __init__(self, *profiles: dict[str, Any], active: bool = True) -> None:
        self.all = tuple(
            Connection(UUID(int=n), f"c{n}", AuthLevel.HIGH, {**PROFILE, **p}, active, NOW)
            for n, p in enumerate(profiles)
        )

    async def connections(self) -> tuple[Connection, ...]:
        return self.all


def peers(*profiles: dict[str, Any], active: bool = True, revoked: bytes | None = None) -> ProfilePeers:
    def is_below(der: bytes, anchors: bytes) -> bool:
        return der in anchors

    async def is_revoked(der: bytes, anchors: bytes) -> bool:
        assert MARK.encode() in anchors
        return der == revoked

    return ProfilePeers(Connections(*profiles, active=active), is_below, is_revoked)  # type: ignore[arg-type]


def certificate(*names: str, fingerprint: str = "cd" * 32, der: bytes = b"one") -> PeerCertificate:
    return PeerCertificate(fingerprint, frozenset(names), der)


async def test_fingerprint_names_its_connection() -> None:
    found = await peers(
        {"tls_anchors": MARK, "peers": ["12" * 32]}, {"tls_anchors": MARK, "peers": [PRINT]}
    ).connection_of(certificate(fingerprint=PRINT))
    assert found is not None
    assert found.name == "c1"


async def test_name_counts_only_below_the_anchors_of_the_same_connection() -> None:
    known = peers(
        {"tls_anchors": f"{MARK} two", "peers": ["mail.provider.test"]},
        {"tls_anchors": f"{MARK} one", "peers": ["mail.provider.test"]},
    )
    found = await known.connection_of(certificate("mail.provider.test"))
    assert found is not None
    assert found.name == "c1"
    assert await known.connection_of(certificate("mail.provider.test", der=b"three")) is None


async def test_nobody_else_is_known() -> None:
    assert await peers({"tls_anchors": MARK, "peers": []}).connection_of(certificate("x")) is None
    assert await peers({"tls_anchors": MARK, "peers": ["y"]}).connection_of(certificate("x")) is None
    assert await peers({"tls_anchors": "/nowhere", "peers": ["x"]}).connection_of(certificate("x")) is None


@pytest.mark.clause("DIR-35")
@pytest.mark.parametrize("named", [PRINT, "mail.provider.test"])
async def test_a_revoked_certificate_lets_nobody_in_however_it_is_named(named: str) -> None:
    profile = {"tls_anchors": f"{MARK} one", "peers": [named]}
    peer = certificate("mail.provider.test", fingerprint=PRINT)
    assert await peers(profile, revoked=b"other").connection_of(peer) is not None
    assert await peers(profile, revoked=peer.der).connection_of(peer) is None


async def test_faulty_or_inactive_connection_lets_nobody_in() -> None:
    faulty = {"tls_anchors": MARK, "peers": [PRINT], "domains": []}
    assert await peers(faulty).connection_of(certificate(fingerprint=PRINT)) is None
    good = {"tls_anchors": MARK, "peers": [PRINT]}
    assert await peers(good, active=False).connection_of(certificate(fingerprint=PRINT)) is None


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [(404, "", b"no"), (500, "", b""), (302, "location: http://127.0.0.1:1/\r\n", b"")],
)
async def test_list_that_cannot_be_had_is_unavailable(pki: Pki, status: int, headers: str, body: bytes) -> None:
    fetch = CrlFetcher()
    async with listening(pki, answering(status, headers, body), None) as at:
        with pytest.raises(RevocationSourceUnavailable):
            await fetch(f"http://127.0.0.1:{at.port}/crl.der")
    with pytest.raises(RevocationSourceUnavailable):
        await fetch(f"http://127.0.0.1:{at.port}/crl.der")
    with pytest.raises(RevocationSourceUnavailable):
        await fetch("http://[::bad")
    await fetch.close()


async def test_list_is_fetched(pki: Pki) -> None:
    fetch = CrlFetcher()
    async with listening(pki, answering(200, "", b"\x30\x82"), None) as at:
        assert await fetch(f"http://127.0.0.1:{at.port}/crl.der") == b"\x30\x82"
    await fetch.close()


def answering(status: int, headers: str, body: bytes) -> Any:
    async def serve(peer: Peer) -> None:
        while await peer.hear():
            pass
        head = f"HTTP/1.1 {status} x\r\ncontent-length: {len(body)}\r\n{headers}connection: close\r\n\r\n"
        peer.writer.write(head.encode() + body)
        await peer.writer.drain()
        peer.writer.close()

    return serve


# --- OCSP responders --------------------------------------------------------------------------------------------------


async def test_request_reaches_the_responder_and_its_answer_comes_back(pki: Pki) -> None:
    heard: list[str] = []

    async def serve(peer: Peer) -> None:
        while line := await peer.hear():
            heard.append(line)
        heard.append((await peer.reader.readexactly(7)).decode())
        peer.writer.write(b"HTTP/1.1 200 x\r\ncontent-length: 6\r\nconnection: close\r\n\r\nanswer")
        await peer.writer.drain()
        peer.writer.close()

    post = OcspPoster()
    async with listening(pki, serve, None) as at:
        assert await post(f"http://127.0.0.1:{at.port}/ocsp", b"request") == b"answer"
    await post.close()
    assert heard[-1] == "request"
    assert {"content-type: application/ocsp-request", "accept-encoding: identity"} <= set(map(str.lower, heard))


@pytest.mark.parametrize(
    ("status", "headers", "body", "reason"),
    [
        (500, "", b"no", "HTTP 500"),
        (302, "location: http://127.0.0.1:1/\r\n", b"", "HTTP 302"),
        (200, "", bytes((64 << 10) + 1), "too long"),
    ],
)
async def test_responder_that_does_not_answer_as_it_should_tells_nothing(
    pki: Pki, status: int, headers: str, body: bytes, reason: str
) -> None:
    post = OcspPoster()
    async with listening(pki, answering(status, headers, body), None) as at:
        with pytest.raises(RevocationSourceUnavailable, match=reason):
            await post(f"http://127.0.0.1:{at.port}/", b"")
    await post.close()


async def test_octets_that_would_unpack_to_many_stay_as_they_are(pki: Pki) -> None:
    packed = gzip.compress(bytes(1 << 20))
    post = OcspPoster()
    async with listening(pki, answering(200, "content-encoding: gzip\r\n", packed), None) as at:
        assert await post(f"http://127.0.0.1:{at.port}/", b"") == packed
    await post.close()


async def test_who_sends_a_little_at_a_time_is_not_waited_for_without_end(pki: Pki) -> None:
    ended = asyncio.Event()

    async def serve(peer: Peer) -> None:
        peer.writer.write(b"HTTP/1.1 200 x\r\ncontent-length: 1000\r\n\r\n")
        while not peer.writer.transport.is_closing():
            peer.writer.write(b"x")
            await asyncio.sleep(0.02)
        ended.set()

    client = httpx.AsyncClient(timeout=5, trust_env=False)
    async with listening(pki, serve, None) as at:
        with pytest.raises(RevocationSourceUnavailable, match="too slow"):
            await bounded_answer(client, "GET", f"http://127.0.0.1:{at.port}/", most_octets=10_000, longest_s=0.3)
        await asyncio.wait_for(ended.wait(), 5)
    await client.aclose()
