"""A test installation reaches no live provider (GWT-25)."""

from __future__ import annotations

import pytest

from demail_gateway.bootstrap.parts import profile_check
from demail_gateway.core.errors import Conflict
from demail_gateway.settings import load_settings

PROFILE = {"smtp": {"host": "127.0.0.1", "tls": "none"}, "domains": ["de-mail.de"]}


@pytest.mark.clause("GWT-25")
@pytest.mark.parametrize("environment", ["test", "dev"])
def test_a_test_installation_takes_test_providers_alone(environment: str) -> None:
    settings = load_settings({"DEMAIL_ENVIRONMENT": environment, "DEMAIL_ALLOW_PLAIN_SMTP": "true"})
    profile_check(settings)({**PROFILE, "test": True})
    for live in (PROFILE, {**PROFILE, "test": False}):
        with pytest.raises(Conflict, match="connection-not-for-tests"):
            profile_check(settings)(live)


def test_production_takes_both() -> None:
    check = profile_check(load_settings({"DEMAIL_ALLOW_PLAIN_SMTP": "true"}))
    check(PROFILE)
    check({**PROFILE, "test": True})
