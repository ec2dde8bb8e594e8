"""The sandbox's identity is made once per run (two RSA keys) and copied; everything else is fresh for each test."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from demail_gateway.sandbox.clock import system_time
from demail_gateway.sandbox.configuration import Configuration
from demail_gateway.sandbox.identity import open_identity
from tests.sandbox.playground import Playground, playing


@pytest.fixture(scope="session")
def made_identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("identity")
    defaults = Configuration(directory)
    making = open_identity(
        directory,
        host_name=defaults.host_name,
        alternative_names=defaults.alternative_names,
        url="http://127.0.0.1",
        revoked=set(),
        at=system_time(),
    )
    asyncio.run(making)
    return directory


@pytest.fixture
def configuration(made_identity: Path, tmp_path: Path) -> Configuration:
    """Of a sandbox with nothing in its mailboxes."""
    directory = tmp_path / "sandbox"
    shutil.copytree(made_identity, directory)
    return Configuration(directory)


@pytest.fixture
async def playground(configuration: Configuration) -> AsyncIterator[Playground]:
    async with playing(configuration) as running:
        yield running
