"""Copies that were handed over carry what a proof of them is held against."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.storage.stage import Stage, Tenant


@pytest.mark.clause("CO-2")
@pytest.mark.parametrize(
    ("stated", "expected"),
    [(["Sandbox.De-Mail.de", "alt.de-mail.de"], {"sandbox.de-mail.de", "alt.de-mail.de"}), ([], set()), (None, set())],
)
async def test_a_copy_tells_where_the_provider_that_took_it_writes_from(
    stage: Stage, elbtal: Tenant, stated: Any, expected: set[str]
) -> None:
    message = await stage.accept(elbtal)
    keys = {"demail_message_id": None, "integrity_value": None, "internet_message_id": None}
    private_id = message.copies[0].private_id
    (record,) = (await stage.arrivals.find_sent(elbtal.id, private_id=private_id, **keys)).values()
    assert record.provider_domains == frozenset()
    async with stage.superuser() as c:
        await c.execute(
            "UPDATE connection SET profile = profile || $2::jsonb WHERE id = $1",
            elbtal.connection_id,
            json.dumps({"provider_domains": stated}),
        )
    (record,) = (await stage.arrivals.find_sent(elbtal.id, private_id=private_id, **keys)).values()
    assert record.provider_domains == expected
