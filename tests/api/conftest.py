"""The API in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.gateway import Gateway


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = Gateway()
    async with made.http:
        yield made
    await made.services.settle()
