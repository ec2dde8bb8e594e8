"""Certificates of clients that end soon are told in time (GWT-21)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from demail_gateway.application.ports.administration import ClientSummary, KeyRecord
from demail_gateway.bootstrap.diagnosis import client_end
from demail_gateway.bootstrap.expiring import expiring_clients, expiring_connections, expiring_keys
from demail_gateway.tenancy.client_authentication import PinnedCertificate
from demail_gateway.trust.authority import Profile, TestAuthority
from demail_gateway.trust.certificates import der_to_pem
from demail_gateway.trust.keys import KeyKind, generate_key
from tests.contracts.gateways import OPERATOR, MemoryGateway, new_client, new_connection, onboard
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


async def test_only_keys_in_use_are_told() -> None:
    gateway = MemoryGateway()
    ending, lasting = [await onboard(gateway, slug) for slug in ("ending", "lasting")]
    for tenant, state, days in ((ending, "active", 29), (ending, "retired", 3), (lasting, "active", 31)):
        key = KeyRecord(uuid4(), tenant.id, "smime", state, None, b"der", (), later(days=days), NOW)
        gateway.world.keys[key.id] = key
    found = await expiring_keys(gateway.administration, OPERATOR, NOW + timedelta(days=30))
    assert [line.partition("/")[0] for line in found] == ["ending"]


def test_only_active_connections_whose_client_certificate_ends_are_told() -> None:
    ends: dict[UUID, datetime | None] = {UUID(int=1): later(days=29), UUID(int=2): later(days=31), UUID(int=3): None}
    made = [new_connection(each, f"anbieter-{each.int}") for each in ends]
    off = replace(new_connection(UUID(int=4), "aus"), active=False)
    ends[off.id] = later(days=1)
    found = expiring_connections([*made, off], lambda each: ends[each.id], NOW + timedelta(days=30))
    assert found == [f"anbieter-1 ({later(days=29):%d.%m.%Y})"]


def test_the_end_of_a_connection_is_that_of_its_client_certificate(tmp_path: Path) -> None:
    authority, key = TestAuthority.create("TEST Root", NOW, key_kind="p256"), generate_key(KeyKind.P256).public_key()
    der = authority.issue(key, Profile.SMIME, "gateway", not_before=NOW, not_after=later(days=9))
    (tmp_path / "client.pem").write_bytes(der_to_pem(der))
    paths = {name: str(tmp_path / "client.pem") for name in ("client_certificate_file", "client_key_file")}
    smtp = {"host": "smtp.anbieter.de-mail.de"}
    profile = {"smtp": smtp, "domains": ["anbieter.de-mail.de"], "tls_anchors": "anchors.pem", **paths}
    connection = replace(new_connection(UUID(int=1)), profile=profile)
    assert client_end(connection) == later(days=9)
    plain = {"smtp": {**smtp, "tls": "none"}, "domains": ["anbieter.de-mail.de"]}
    assert client_end(replace(connection, profile=plain)) is None
