"""Look-up of a submission and the directory over HTTPS with the connection's client certificate."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from demail_gateway.core.errors import ProviderUnavailable
from demail_gateway.providers.certificates_answer import read_certificates
from demail_gateway.providers.profile import ProviderProfile
from demail_gateway.providers.smtp import SmtpProvider
from tests.providers.conftest import Events, Listening, Peer, Pki, listening, never_revoked

PRIVATE_ID = "urn:uuid:3b7d6a52-0f0c-4d1e-9a55-5d0c6b0e3a11"
A = "buergerin@sandbox.de-mail.de"


class Web:
    """The smallest HTTP server: one answer for whatever path is asked."""

    def __init__(self) -> None:
        self.status, self.body, self.extra = 200, b"{}", ""
        self.paths: list[str] = []

    async def serve(self, peer: Peer) -> None:
        self.paths.append((await peer.hear()).split()[1])
        while await peer.hear():
            pass
        head = f"HTTP/1.1 {self.status} x\r\ncontent-length: {len(self.body)}\r\n{self.extra}connection: close\r\n\r\n"
        peer.writer.write(head.encode() + self.body)
        await peer.writer.drain()
        peer.writer.close()


@pytest.fixture
def web() -> Web:
    return Web()


@pytest.fixture
async def at(pki: Pki, web: Web, provider_tls: ssl.SSLContext) -> AsyncIterator[Listening]:
    async with listening(pki, web.serve, provider_tls) as where:
        yield where


@pytest.fixture
async def provider(
    tls_contexts: Callable[[ProviderProfile], ssl.SSLContext], events: Events
) -> AsyncIterator[SmtpProvider]:
    made = SmtpProvider(tls_contexts, never_revoked, events)
    yield made
    await made.close()


def urls(at: Listening) -> dict[str, Any]:
    base = f"https://127.0.0.1:{at.port}"
    return {"lookup_url": f"{base}/submissions", "directory_url": f"{base}/directory"}


@pytest.mark.clause("SND-43")
@pytest.mark.parametrize(("status", "taken"), [(200, True), (404, False)])
async def test_provider_says_whether_it_took_a_submission(
    provider: SmtpProvider, at: Listening, web: Web, status: int, taken: bool
) -> None:
    web.status = status
    assert await provider.look_up(at.connection(**urls(at)), PRIVATE_ID) is taken
    assert web.paths == [f"/submissions/{PRIVATE_ID.replace(':', '%3A')}"]


@pytest.mark.parametrize("status", [204, 301, 403, 410, 500, 503])
async def test_any_other_answer_proves_nothing(provider: SmtpProvider, at: Listening, web: Web, status: int) -> None:
    web.status = status
    web.extra = "location: https://elsewhere.test/\r\n" if status == 301 else ""
    web.body = b"" if status == 204 else b"{}"
    with pytest.raises(ProviderUnavailable, match=str(status)):
        await provider.look_up(at.connection(**urls(at)), PRIVATE_ID)


async def test_provider_without_look_up_says_none(provider: SmtpProvider, at: Listening) -> None:
    assert await provider.look_up(at.connection(), PRIVATE_ID) is None


async def test_provider_that_is_away_is_unavailable(provider: SmtpProvider, pki: Pki, web: Web) -> None:
    async with listening(pki, web.serve, None) as gone:
        connection = gone.connection(**urls(gone))
    with pytest.raises(ProviderUnavailable, match="ConnectError"):
        await provider.look_up(connection, PRIVATE_ID)


@pytest.mark.clause("TR 01201-3.1 step 8", "TR 01201-3.1 function 7")
async def test_certificates_of_exactly_the_address_are_taken(provider: SmtpProvider, at: Listening, web: Web) -> None:
    der = base64.b64encode(b"certificate").decode()
    web.body = json.dumps(
        {"items": [{"address": "other@x.de-mail.de", "certificates": ["QUFB"]}, {"address": A, "certificates": [der]}]}
    ).encode()
    assert await provider.recipient_certificates(at.connection(**urls(at)), [A]) == {A: [b"certificate"]}
    assert web.paths == ["/directory?address=buergerin%40sandbox.de-mail.de"]


@pytest.mark.clause("TR 01201-3.1 step 8 FC-01", "TR 01201-3.1 function 7")
async def test_address_without_entry_has_no_certificate(provider: SmtpProvider, at: Listening, web: Web) -> None:
    web.status = 404
    assert await provider.recipient_certificates(at.connection(**urls(at)), [A]) == {}
    assert await provider.recipient_certificates(at.connection(), [A]) == {}


async def test_directory_that_fails_is_unavailable_not_empty(provider: SmtpProvider, at: Listening, web: Web) -> None:
    web.status = 500
    with pytest.raises(ProviderUnavailable):
        await provider.recipient_certificates(at.connection(**urls(at)), [A])


async def test_endless_answer_is_cut_off(provider: SmtpProvider, at: Listening, web: Web) -> None:
    web.body = b" " * (2 << 20)
    with pytest.raises(ProviderUnavailable, match="too long"):
        await provider.recipient_certificates(at.connection(**urls(at)), [A])


PEM = "-----BEGIN CERTIFICATE-----\nQUFB\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("answer", "ders"),
    [
        ({"address": A, "certificate": PEM}, [b"AAA"]),
        ({"address": A.upper(), "certificate": "QUFB"}, [b"AAA"]),
        ({"mail": A, "userCertificate": [PEM, "QkJC"]}, [b"AAA", b"BBB"]),
        ({"items": [{"address": A, "certificates": [PEM + PEM]}]}, [b"AAA", b"AAA"]),
        ({"items": [{"address": A, "certificates": ["%%%", 7, None]}]}, []),
        ({"items": [{"address": "x@y", "certificates": [PEM]}]}, []),
        ({"items": "none"}, []),
        ([], []),
        ("text", []),
    ],
)
def test_answer_is_read_tolerantly(answer: object, ders: list[bytes]) -> None:
    assert read_certificates(json.dumps(answer).encode(), A) == ders


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_unreadable_answer_names_no_certificate(body: bytes) -> None:
    assert read_certificates(body, A) == []
