"""Whether a TLS certificate has been revoked, as far as the answers at hand tell (DIR-35)."""

from __future__ import annotations

import asyncio

from demail_gateway.application.ports.installation import Installation, KnownAnswer
from demail_gateway.application.remembered import Remembered
from demail_gateway.bootstrap.parts import utc_now
from demail_gateway.core.errors import CertificateMalformed
from demail_gateway.core.primitives import CertificateStatus
from demail_gateway.trust.certificates import read_pem_bundle
from demail_gateway.trust.paths import PathJudge

_KEEP_S = 5.0


class RevokedPeers:
    """`await revoked(certificate, anchors_pem)`: True if a list or OCSP answer says so now.

    Nobody is asked. A certificate that nothing at hand tells of is not revoked here: its path and its name were checked
    in the handshake.
    """

    def __init__(self, installation: Installation) -> None:
        async def fetch(_: str) -> tuple[KnownAnswer, ...]:
            return await installation.status_answers()

        self._answers = Remembered(fetch, _KEEP_S)
        self._judges: dict[bytes, tuple[tuple[KnownAnswer, ...], PathJudge]] = {}

    async def __call__(self, certificate_der: bytes, anchors_pem: bytes) -> bool:
        """Raises StoreUnavailable."""
        answers = await self._answers("all")
        return await asyncio.to_thread(self._is_revoked, certificate_der, anchors_pem, answers)

    def _is_revoked(self, certificate_der: bytes, anchors_pem: bytes, answers: tuple[KnownAnswer, ...]) -> bool:
        try:
            verdict = self._judge(anchors_pem, answers).judge(certificate_der, utc_now())
        except CertificateMalformed:
            return False  # OpenSSL took it; what cannot be read here is on no list
        return verdict.status is CertificateStatus.REVOKED

    def _judge(self, anchors_pem: bytes, answers: tuple[KnownAnswer, ...]) -> PathJudge:
        """Paths found are kept as long as the anchors stay the same."""
        kept = self._judges.get(anchors_pem)
        if kept is not None and kept[0] == answers:
            return kept[1]
        ders = tuple(each.der for each in answers)
        judge = PathJudge(read_pem_bundle(anchors_pem)) if kept is None else kept[1]
        self._judges[anchors_pem] = (answers, judge.with_answers(ders))
        return self._judges[anchors_pem][1]
