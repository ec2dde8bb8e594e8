"""Certificates of clients that end soon are told in time (GWT-21)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from demail_gateway.application.ports import ClientSummary
from demail_gateway.bootstrap.expiring import expiring_clients
from demail_gateway.tenancy.client_authentication import PinnedCertificate
from tests.contracts.gateways import OPERATOR, MemoryGateway, new_client, onboard
from tests.storage.stage import NOW, later


def pin(days: float) -> PinnedCertificate:
    return PinnedCertificate(bytes(32), "CN=CA", "1", NOW, later(days=days))


def changed(client: ClientSummary, **changes: object) -> ClientSummary:
    return replace(client, **changes)  # type: ignore[arg-type]  # any field


@pytest.mark.clause("GWT-21")
async def test_only_active_clients_without_another_way_are_told() -> None:
    gateway = MemoryGateway()
    tenants = [await onboard(gateway, slug) for slug in ("ending", "ended", "renewed", "keyed", "stopped", "secret")]
    ending, ended, renewed, keyed, stopped, _ = map(new_client, tenants)
    for client in (
        changed(ending, certificates=(pin(29), pin(3))),
        changed(ended, certificates=(pin(-1),)),
        changed(renewed, certificates=(pin(3), pin(300))),
        changed(keyed, certificates=(pin(3),), jwks={"keys": []}),
        changed(stopped, certificates=(pin(3),), active=False),
    ):
        gateway.world.clients[client.id] = client
    found = await expiring_clients(gateway.administration, OPERATOR, NOW + timedelta(days=30))
    assert found == [
        f"ending/cli_{ending.id} ({later(days=29):%d.%m.%Y})",
        f"ended/cli_{ended.id} ({later(days=-1):%d.%m.%Y})",
    ]
