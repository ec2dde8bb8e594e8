"""Asking OCSP responders for a status that nothing at hand tells (RFC 6960; DIR-35, IN-26).

Asked are only responders that the connection names, and only about certificates whose path to its anchors has been
found: what arrives decides neither where the gateway connects to nor how often.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from functools import partial

from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.installation import FetchedAnswer, Installation
from demail_gateway.application.ports.surroundings import Clock, Observe
from demail_gateway.application.remembered import Remembered
from demail_gateway.application.revocation import RevocationSourceUnavailable
from demail_gateway.core.primitives import CertificateVerdict, Judge, StatusGap

AskResponder = Callable[[str, StatusGap], Awaitable[FetchedAnswer]]
"""Asks the responder at a URL about a certificate; raises RevocationSourceUnavailable."""

_AGAIN_S = 15.0
"""How long a responder is left alone about a certificate after it was asked."""
_REMEMBERED = 4096


class Gaps:
    """A judge that also notes the certificates whose status nobody could tell."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.found: dict[StatusGap, None] = {}

    def judge(self, certificate_der: bytes, at: datetime) -> CertificateVerdict:
        verdict = self._judge.judge(certificate_der, at)
        if not verdict.findings:
            self.found.update(dict.fromkeys(verdict.gaps))
        return verdict


class AskStatus:
    """`await ask(connection, gaps)`: whether a responder told something that is stored now."""

    def __init__(
        self,
        installation: Installation,
        ask: AskResponder,
        named_urls: Callable[[bytes], Sequence[str]],
        clock: Clock,
        observe: Observe,
    ) -> None:
        """`named_urls` gives the responders that a certificate itself names; of those that the connection names, they
        are asked first."""
        self._installation = installation
        self._ask = ask
        self._named_urls = named_urls
        self._clock = clock
        self._observe = observe
        self._told: dict[tuple[str, str], Remembered[StatusGap, bool]] = {}

    async def __call__(self, connection: Connection, gaps: Iterable[StatusGap]) -> bool:
        """Raises StoreUnavailable."""
        known = _responders(connection)
        if not known:
            return False
        told = await asyncio.gather(*(self._about(known, gap) for gap in dict.fromkeys(gaps)))
        return any(told)

    async def _about(self, known: Sequence[str], gap: StatusGap) -> bool:
        named = set(self._named_urls(gap.certificate_der))
        for url in sorted(known, key=lambda each: each not in named):
            if await self._remembered(url, gap):
                return True
        return False

    async def _remembered(self, url: str, gap: StatusGap) -> bool:
        """Once for all who want to know at the same time, and not again for a while."""
        name = (url, _fingerprint(gap))
        if name not in self._told and len(self._told) >= _REMEMBERED:
            self._told.clear()
        if name not in self._told:
            self._told[name] = Remembered(partial(self._one, url), _AGAIN_S)
        return await self._told[name](gap)

    async def _one(self, url: str, gap: StatusGap) -> bool:
        certificate = _fingerprint(gap)
        try:
            answer = await self._ask(url, gap)
        except RevocationSourceUnavailable as error:
            self._observe("ocsp_unavailable", source=url, certificate=certificate, error=str(error))
            return False
        await self._installation.store_status_answer(f"{url}#{certificate}", answer, self._clock())
        self._observe("ocsp_stored", source=url, certificate=certificate, octets=len(answer.der))
        return True


def _fingerprint(gap: StatusGap) -> str:
    return hashlib.sha256(gap.certificate_der).hexdigest()


def _responders(connection: Connection) -> tuple[str, ...]:
    urls = connection.profile.get("ocsp_urls")
    return tuple(url for url in urls if isinstance(url, str)) if isinstance(urls, list | tuple) else ()
