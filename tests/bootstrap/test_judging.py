"""A connection's profile decides whose certificates may sign what comes in on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from demail_gateway.application.ports.connections import Connection
from demail_gateway.bootstrap.judging import ConnectionTools
from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.certificates import fingerprint
from demail_gateway.trust.keys import generate_key
from tests.application.outbox_fake import FakeInstallation

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ROOT = TestAuthority.create("TEST", NOW - DAY, key_kind="p256")
SUBJECT = "CN=Anbieter,C=DE"
SIGNER = ROOT.issue(
    generate_key("p256").public_key(),
    Profile.PROVIDER_SIGNATURE,
    "Anbieter",
    not_before=NOW - DAY,
    not_after=NOW + DAY,
)


@pytest.mark.parametrize(
    ("named", "findings"),
    [
        ({}, ()),
        ({"signature_certificates": [fingerprint(SIGNER)]}, ()),
        ({"signature_subjects": [SUBJECT]}, ()),
        ({"signature_certificates": ["0" * 64], "signature_subjects": [SUBJECT]}, ()),
        ({"signature_certificates": ["0" * 64]}, ("signer-unknown",)),
        ({"signature_subjects": ["CN=Anderer,C=DE"]}, ("signer-unknown",)),
    ],
)
async def test_only_named_signers_count_where_any_are_named(named: dict[str, Any], findings: tuple[str, ...]) -> None:
    tools_for = ConnectionTools(FakeInstallation())
    profile = {
        "smtp": {"host": "provider.test", "tls": "none"},
        "domains": ["de-mail.de"],
        "signature_anchors": ROOT.certificate_pem.decode(),
    }
    # first without, so that nothing remembered of the same anchors is used again
    await tools_for(_connection(profile))
    tools = await tools_for(_connection({**profile, **named}))
    assert tools.judge.judge(SIGNER, NOW).findings == findings


def _connection(profile: dict[str, Any]) -> Connection:
    return Connection(UUID(int=1), "probe", AuthLevel.HIGH, profile, True, NOW)
