"""Whom the gateway asks about certificates, about which, and how often."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from demail_gateway.application.ask_status import AskStatus, Gaps
from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.installation import FetchedAnswer, Installation
from demail_gateway.application.revocation import RevocationSourceUnavailable
from demail_gateway.core.primitives import CertificateStatus, CertificateVerdict, StatusGap
from demail_gateway.core.vocabulary import AuthLevel

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
GAP, OTHER = StatusGap(b"certificate", b"issuer"), StatusGap(b"other", b"issuer")
FIRST, SECOND = "http://one.example/", "http://two.example/"


@dataclass
class Scene:
    """Responders that know what they are told to know, and what was asked and stored."""

    telling: frozenset[str] = frozenset({FIRST, SECOND})
    named: tuple[str, ...] = ()
    asked: list[tuple[str, StatusGap]] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    reported: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ask = AskStatus(
            cast(Installation, self), self._respond, lambda der: self.named, lambda: NOW, self._observe
        )

    async def about(self, *gaps: StatusGap, urls: Any = (FIRST, SECOND)) -> bool:
        profile = {} if urls is None else {"ocsp_urls": urls}
        return await self.ask(Connection(UUID(int=1), "c", AuthLevel.HIGH, profile, True, NOW), gaps)

    async def store_status_answer(self, source: str, answer: FetchedAnswer, now: datetime) -> None:
        self.stored.append(source)

    async def _respond(self, url: str, gap: StatusGap) -> FetchedAnswer:
        self.asked.append((url, gap))
        await asyncio.sleep(0)
        if url not in self.telling:
            raise RevocationSourceUnavailable("tryLater")
        return FetchedAnswer(b"answer", "00", NOW, None)

    def _observe(self, event: str, /, **facts: object) -> None:
        self.reported.append((event, facts))


@pytest.mark.parametrize("urls", [None, (), "http://text.example/", [7]])
async def test_without_a_responder_of_the_connection_nobody_is_asked(urls: Any) -> None:
    scene = Scene(named=("http://evil.example/",))
    assert not await scene.about(GAP, urls=urls)
    assert scene.asked == []


async def test_what_a_certificate_names_decides_the_order_and_never_the_address() -> None:
    """A certificate of the other side must not decide where the gateway connects to."""
    scene = Scene(named=("http://evil.example/", SECOND))
    assert await scene.about(GAP)
    assert scene.asked == [(SECOND, GAP)]


async def test_the_next_responder_is_asked_where_one_cannot_tell() -> None:
    scene = Scene(telling=frozenset({SECOND}))
    assert await scene.about(GAP)
    assert scene.asked == [(FIRST, GAP), (SECOND, GAP)]
    assert [event for event, _ in scene.reported] == ["ocsp_unavailable", "ocsp_stored"]
    assert scene.reported[0][1]["error"] == "tryLater"


async def test_each_answer_has_a_source_of_its_own() -> None:
    scene = Scene()
    assert await scene.about(GAP, OTHER, GAP)
    assert len(set(scene.stored)) == 2
    assert all(source.startswith(f"{FIRST}#") for source in scene.stored)


async def test_who_asks_at_the_same_time_asks_once() -> None:
    scene = Scene()
    assert await asyncio.gather(*(scene.about(GAP) for _ in range(20))) == [True] * 20
    assert scene.asked == [(FIRST, GAP)]


async def test_a_responder_that_could_not_tell_is_left_alone_for_a_while() -> None:
    scene = Scene(telling=frozenset())
    assert not await scene.about(GAP)
    assert not await scene.about(GAP)
    assert len(scene.asked) == 2


async def test_what_is_remembered_stays_bounded() -> None:
    scene = Scene()
    for number in range(0, 4200, 30):
        await scene.about(*(StatusGap(str(number + n).encode(), b"issuer") for n in range(30)), urls=(FIRST,))
    assert len(scene.ask._told) < 4200


@pytest.mark.parametrize(
    ("verdict", "noted"),
    [
        (CertificateVerdict(gaps=(GAP,)), [GAP]),
        (CertificateVerdict(("certificate-expired",), gaps=(GAP,)), []),
        (CertificateVerdict(status=CertificateStatus.GOOD), []),
    ],
)
def test_only_what_could_still_pass_is_asked_about(verdict: CertificateVerdict, noted: list[StatusGap]) -> None:
    class Judging:
        def judge(self, certificate_der: bytes, at: datetime) -> CertificateVerdict:
            return verdict

    gaps = Gaps(Judging())
    assert gaps.judge(b"", NOW) is verdict
    assert gaps.judge(b"", NOW) is verdict
    assert list(gaps.found) == noted
