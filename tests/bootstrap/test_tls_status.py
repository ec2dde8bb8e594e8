"""What the answers at hand tell of TLS certificates (DIR-35)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from demail_gateway.application.ports.installation import Installation, KnownAnswer
from demail_gateway.bootstrap.tls_status import RevokedPeers
from demail_gateway.core.errors import StoreUnavailable
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.certificates import parse_certificate
from demail_gateway.trust.keys import generate_key

NOW = datetime.now(UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass
class Stored:
    answers: tuple[KnownAnswer, ...] | None = ()

    async def status_answers(self) -> tuple[KnownAnswer, ...]:
        if self.answers is None:
            raise StoreUnavailable
        return self.answers


def _authority() -> tuple[TestAuthority, bytes]:
    root = TestAuthority.create("TEST Root", NOW - DAY, key_kind="p256")
    key = generate_key("p256").public_key()
    return root, root.issue(key, Profile.TLS_SERVER, "mail", not_before=NOW - DAY, not_after=NOW + DAY, dns=["mail"])


@pytest.mark.clause("DIR-35")
async def test_only_what_an_answer_accuses_is_revoked() -> None:
    root, certificate = _authority()
    stored = Stored()
    peers = RevokedPeers(cast(Installation, stored))
    assert not await peers(certificate, root.certificate_pem)
    root.revoke(parse_certificate(certificate).serial_number, NOW - HOUR)
    stored.answers = (KnownAnswer(root.crl(NOW - HOUR, DAY), NOW),)
    assert await RevokedPeers(cast(Installation, stored))(certificate, root.certificate_pem)
    other = TestAuthority.create("TEST Root", NOW - DAY, key_kind="p256")
    assert not await RevokedPeers(cast(Installation, stored))(certificate, other.certificate_pem)


async def test_an_accusation_stays_when_the_list_has_lapsed() -> None:
    root, certificate = _authority()
    root.revoke(parse_certificate(certificate).serial_number, NOW - HOUR)
    stored = Stored((KnownAnswer(root.crl(NOW - HOUR, timedelta(minutes=1)), NOW - 9 * DAY),))
    assert await RevokedPeers(cast(Installation, stored))(certificate, root.certificate_pem)


async def test_new_answers_count_and_paths_stay() -> None:
    root, certificate = _authority()
    stored = Stored()
    peers = RevokedPeers(cast(Installation, stored))
    assert not await peers(certificate, root.certificate_pem)
    root.revoke(parse_certificate(certificate).serial_number, NOW - HOUR)
    stored.answers = (KnownAnswer(root.crl(NOW - HOUR, DAY), NOW),)
    peers._answers.forget("all")
    assert await peers(certificate, root.certificate_pem)
    assert len(peers._judges) == 1


async def test_without_the_database_nothing_can_be_told() -> None:
    root, certificate = _authority()
    with pytest.raises(StoreUnavailable):
        await RevokedPeers(cast(Installation, Stored(None)))(certificate, root.certificate_pem)


async def test_what_cannot_be_read_is_on_no_list() -> None:
    root, _ = _authority()
    assert not await RevokedPeers(cast(Installation, Stored()))(b"no certificate", root.certificate_pem)
