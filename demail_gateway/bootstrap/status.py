"""Asking OCSP responders: request and answer from `trust`, the way there from `providers`."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable

from demail_gateway.application.ask_status import AskStatus
from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.installation import FetchedAnswer, Installation
from demail_gateway.application.ports.surroundings import Observe
from demail_gateway.bootstrap.judging import ConnectionTools
from demail_gateway.bootstrap.parts import utc_now
from demail_gateway.core.primitives import StatusGap
from demail_gateway.trust.ocsp import responder_urls
from demail_gateway.trust.ocsp_exchange import NONCE_OCTETS, fetched_answer, ocsp_request


class StatusAsker:
    """`await asker(connection, gaps)`: whether `tools` know more now."""

    def __init__(
        self,
        installation: Installation,
        tools: ConnectionTools,
        post: Callable[[str, bytes], Awaitable[bytes]],
        observe: Observe,
    ) -> None:
        self._tools = tools
        self._post = post
        self._ask = AskStatus(installation, self._responder, responder_urls, utc_now, observe)

    async def __call__(self, connection: Connection, gaps: Iterable[StatusGap]) -> bool:
        """Raises StoreUnavailable."""
        told = await self._ask(connection, gaps)
        if told:
            self._tools.renew()
        return told

    async def _responder(self, url: str, gap: StatusGap) -> FetchedAnswer:
        """Raises RevocationSourceUnavailable."""
        nonce = os.urandom(NONCE_OCTETS)
        request = ocsp_request(gap.certificate_der, gap.issuer_der, nonce)
        response = await self._post(url, request)
        return fetched_answer(response, gap.certificate_der, gap.issuer_der, nonce, utc_now())
