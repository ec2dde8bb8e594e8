"""Cryptography with the anchors of a connection and the lists and OCSP answers as last had."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from demail_gateway.application.inspect import Tools
from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.installation import Installation, KnownAnswer
from demail_gateway.application.remembered import Remembered
from demail_gateway.bootstrap.offline import cms_signers
from demail_gateway.bootstrap.parts import utc_now
from demail_gateway.core.address import TrustedDomains
from demail_gateway.core.primitives import Judge
from demail_gateway.providers.profile import ProviderProfile, parse_profile
from demail_gateway.trust.certificates import read_pem_bundle
from demail_gateway.trust.paths import KnownSigners, PathJudge
from demail_gateway.trust.verifier import CryptographyVerifier
from demail_gateway.trust.xmldsig import LxmlSignatures

_KEEP_S = 2.0
"""How old the lists in use may be beside those in the database; a proof that came too early is checked again."""


class ConnectionTools:
    """`await tools(connection)`. Paths found are kept as long as the connection's anchors stay the same."""

    def __init__(self, installation: Installation) -> None:
        async def fetch(_: str) -> tuple[KnownAnswer, ...]:
            return await installation.status_answers()

        self._answers = Remembered(fetch, _KEEP_S)
        self._kept: dict[tuple[bytes, frozenset[str], KnownSigners | None], tuple[tuple[KnownAnswer, ...], Tools]] = {}

    async def __call__(self, connection: Connection) -> Tools:
        """Raises StoreUnavailable; OSError, CertificateMalformed or RuleViolation for a faulty profile."""
        answers = await self._answers("all")
        profile = parse_profile(connection.profile, allow_plain=True)
        anchors = await asyncio.to_thread(profile.signature_anchor_pem)
        signers = _known_signers(profile)
        name = (anchors, profile.domains, signers)
        kept = self._kept.get(name)
        if kept is None:
            tools = _tools(anchors, profile.domains, answers, signers)
        elif kept[0] != answers:
            judge = kept[1].judge
            assert isinstance(judge, PathJudge), "made below"
            tools = replace(kept[1], judge=judge.with_answers(*_separated(answers)))
        else:
            return kept[1]
        self._kept[name] = (answers, tools)
        return tools

    def renew(self) -> None:
        """The next tools know what has been stored until now."""
        self._answers.forget("all")


def is_below(certificate_der: bytes, anchors_pem: bytes) -> bool:
    """Whether a certificate leads to one of these anchors now."""
    judge = PathJudge(read_pem_bundle(anchors_pem)) if anchors_pem else PathJudge(())
    verdict = judge.judge(certificate_der, utc_now())
    return bool(verdict.chain) and not verdict.findings


def _known_signers(profile: ProviderProfile) -> KnownSigners | None:
    fingerprints, subjects = profile.signature_certificates, profile.signature_subjects
    return KnownSigners(fingerprints, subjects) if fingerprints or subjects else None


def _separated(answers: Sequence[KnownAnswer]) -> tuple[tuple[bytes, ...], dict[bytes, datetime]]:
    return tuple(each.der for each in answers), {each.der: each.fetched_at for each in answers}


def _tools(
    anchors_pem: bytes, domains: frozenset[str], answers: Sequence[KnownAnswer], signers: KnownSigners | None
) -> Tools:
    anchors = read_pem_bundle(anchors_pem) if anchors_pem else ()
    ders, fetched_at = _separated(answers)

    def judge_with(certificates: Sequence[bytes], more_answers: Sequence[bytes]) -> Judge:
        return PathJudge(anchors, (), more_answers).with_intermediates(certificates)

    return Tools(
        verifier=CryptographyVerifier(),
        xml_signatures=LxmlSignatures(),
        judge=PathJudge(anchors, (), ders, signers, fetched_at=fetched_at),
        judge_with=judge_with,
        cms_signers=cms_signers,
        trusted=TrustedDomains(domains),
    )
