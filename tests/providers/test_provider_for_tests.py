"""What `test` in a profile permits and tells (GWT-25)."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest

from demail_gateway.application.ports.connections import Connection
from demail_gateway.core.errors import ProviderUnavailable
from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.providers.profile import ProviderProfile
from demail_gateway.providers.smtp import SmtpProvider
from tests.providers.conftest import Events, never_revoked

TlsContexts = Callable[[ProviderProfile], ssl.SSLContext]


def connection(*, test: bool) -> Connection:
    profile = {"smtp": {"host": "127.0.0.1", "tls": "none"}, "domains": ["de-mail.de"], "test": test}
    return Connection(UUID(int=1), "anbieter", AuthLevel.HIGH, profile, True, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.clause("GWT-25")
async def test_a_live_provider_in_a_copied_database_is_not_reached(tls_contexts: TlsContexts, events: Events) -> None:
    provider = SmtpProvider(tls_contexts, never_revoked, events, allow_plain=True, tests_alone=True)
    with pytest.raises(ProviderUnavailable, match="GWT-25"):
        await provider.look_up(connection(test=False), "urn:uuid:1")
    assert await provider.look_up(connection(test=True), "urn:uuid:1") is None
    await provider.close()


@pytest.mark.parametrize(("test", "told"), [(True, 1), (False, 0)])
async def test_use_of_a_test_provider_is_told(tls_contexts: TlsContexts, events: Events, test: bool, told: int) -> None:
    provider = SmtpProvider(tls_contexts, never_revoked, events, allow_plain=True)
    for _ in range(2):
        await provider.look_up(connection(test=test), "urn:uuid:1")
    await provider.close()
    assert events.count("provider_for_tests") == told
