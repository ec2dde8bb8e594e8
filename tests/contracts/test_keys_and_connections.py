"""Keys of tenants, connections to providers, the journal (ports.Administration, ports.Installation; GWT-10, GWT-36)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from demail_gateway.application.ports.administration import KeyRecord
from demail_gateway.core.errors import Conflict, CursorInvalid, NotFound
from demail_gateway.core.journal import chain_faults
from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.tenancy.identifiers import Prefix, format_id
from tests.contracts.gateways import OPERATOR, SECRET, Gateway, new_connection
from tests.storage.stage import NOW, Tenant, later

NOBODY = UUID(int=404)


async def make_key(gateway: Gateway, tenant_id: UUID, number: int = 1) -> KeyRecord:
    record = KeyRecord(uuid4(), tenant_id, "smime", "requested", "CSR", None, (), None, later(minutes=number))
    return await gateway.administration.create_key(OPERATOR, record, material(number))


async def install(gateway: Gateway, tenant_id: UUID, key_id: UUID) -> KeyRecord:
    return await gateway.administration.install_certificate(
        OPERATOR, tenant_id, key_id, b"certificate of " + key_id.bytes, (b"issuer", b"root"), later(days=365), NOW
    )


def material(number: int) -> bytes:
    return b"private key %d" % number


async def states(gateway: Gateway, tenant_id: UUID) -> list[str]:
    return [key.state for key in await gateway.administration.keys(OPERATOR, tenant_id)]


async def test_requested_key_signs_nothing(gateway: Gateway, elbtal: Tenant) -> None:
    key = await make_key(gateway, elbtal.id)
    assert await gateway.administration.keys(OPERATOR, elbtal.id) == (key,)
    assert await gateway.administration.key_material(OPERATOR, elbtal.id, key.id) == material(1)
    assert await gateway.installation.signing_material(elbtal.id, "smime") is None


async def test_certified_key_signs(gateway: Gateway, elbtal: Tenant) -> None:
    key = await make_key(gateway, elbtal.id)
    certified = await install(gateway, elbtal.id, key.id)
    assert (certified.state, certified.chain) == ("active", (b"issuer", b"root"))
    assert (certified.certificate_der, certified.not_after) == (b"certificate of " + key.id.bytes, later(days=365))
    signing = await gateway.installation.signing_material(elbtal.id, "smime")
    assert signing is not None
    assert (signing.key_id, signing.pkcs8) == (key.id, material(1))
    assert (signing.certificate_der, signing.chain) == (certified.certificate_der, certified.chain)
    assert await gateway.installation.signing_material(elbtal.id, "another purpose") is None


async def test_new_key_retires_the_former_one_which_is_kept(gateway: Gateway, elbtal: Tenant) -> None:
    former, key = await make_key(gateway, elbtal.id, 1), await make_key(gateway, elbtal.id, 2)
    for each in (former, key):
        await install(gateway, elbtal.id, each.id)
    assert await states(gateway, elbtal.id) == ["retired", "active"]
    signing = await gateway.installation.signing_material(elbtal.id, "smime")
    assert signing is not None
    assert signing.key_id == key.id
    # its private key is still there, for what was encrypted for it
    assert await gateway.administration.key_material(OPERATOR, elbtal.id, former.id) == material(1)


async def test_active_key_takes_a_new_certificate(gateway: Gateway, elbtal: Tenant) -> None:
    key = await make_key(gateway, elbtal.id)
    for _ in range(2):
        await install(gateway, elbtal.id, key.id)
    assert await states(gateway, elbtal.id) == ["active"]


async def test_retired_key_stays_retired(gateway: Gateway, elbtal: Tenant) -> None:
    former, key = await make_key(gateway, elbtal.id, 1), await make_key(gateway, elbtal.id, 2)
    for each in (former, key):
        await install(gateway, elbtal.id, each.id)
    with pytest.raises(Conflict) as refused:
        await install(gateway, elbtal.id, former.id)
    assert refused.value.reason == "state-changed"
    assert await states(gateway, elbtal.id) == ["retired", "active"]


async def test_keys_of_tenants_are_apart(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    key, foreign = await make_key(gateway, elbtal.id), await make_key(gateway, other.id, 2)
    await install(gateway, other.id, foreign.id)
    await install(gateway, elbtal.id, key.id)
    assert await states(gateway, other.id) == ["active"]
    for tenant_id, key_id in ((other.id, key.id), (elbtal.id, NOBODY), (NOBODY, key.id)):
        with pytest.raises(NotFound):
            await gateway.administration.key_material(OPERATOR, tenant_id, key_id)
        with pytest.raises(NotFound):
            await install(gateway, tenant_id, key_id)


async def test_key_needs_a_tenant(gateway: Gateway) -> None:
    with pytest.raises(NotFound):
        await make_key(gateway, NOBODY)
    assert await gateway.installation.signing_material(NOBODY, "smime") is None


# --- connections


async def test_connections_are_read_by_operator_and_workers(gateway: Gateway) -> None:
    first = replace(new_connection(uuid4(), "erster"), created_at=NOW)
    second = replace(new_connection(uuid4(), "zweiter"), created_at=later(hours=1))
    for each in (first, second):
        assert await gateway.administration.create_connection(OPERATOR, each) == each
    assert await gateway.administration.connections(OPERATOR) == (first, second)
    assert await gateway.installation.connections() == (first, second)
    assert await gateway.installation.connection(second.id) == second


async def test_unknown_connection_is_not_found(gateway: Gateway) -> None:
    with pytest.raises(NotFound):
        await gateway.installation.connection(NOBODY)
    for changes in ({"active": False}, {}):
        with pytest.raises(NotFound):
            await gateway.administration.change_connection(OPERATOR, NOBODY, changes, NOW)


async def test_connection_changes_as_told(gateway: Gateway) -> None:
    made = await gateway.administration.create_connection(OPERATOR, new_connection(uuid4()))
    changes: dict[str, Any] = {"auth_level": AuthLevel.NORMAL, "active": False, "name": "neu", "profile": {"a": [1]}}
    for told in (changes, {}):
        changed = await gateway.administration.change_connection(OPERATOR, made.id, told, NOW)
        assert changed == replace(made, **changes)
    assert await gateway.installation.connection(made.id) == changed


async def test_name_of_a_connection_is_taken_once(gateway: Gateway) -> None:
    first = await gateway.administration.create_connection(OPERATOR, new_connection(uuid4(), "erster"))
    second = await gateway.administration.create_connection(OPERATOR, new_connection(uuid4(), "zweiter"))
    with pytest.raises(Conflict) as refused:
        await gateway.administration.create_connection(OPERATOR, new_connection(uuid4(), "erster"))
    assert refused.value.reason == "connection-name-taken"
    with pytest.raises(Conflict) as refused:
        await gateway.administration.change_connection(OPERATOR, second.id, {"name": "erster"}, NOW)
    assert refused.value.reason == "connection-name-taken"
    assert {each.name for each in await gateway.administration.connections(OPERATOR)} == {first.name, second.name}


# --- journal (GWT-50, SND-100)


async def entries(gateway: Gateway, tenant_id: UUID | None) -> list[Any]:
    await gateway.chain_journal()
    return list((await gateway.administration.journal(OPERATOR, tenant_id, 200, None)).items)


async def test_every_change_is_in_the_journal(gateway: Gateway, elbtal: Tenant) -> None:
    administration, tenant = gateway.administration, elbtal.id
    await administration.change_tenant(OPERATOR, tenant, {"name": "neu"}, NOW, detail={"reason": "wish"})
    await administration.change_account(OPERATOR, tenant, elbtal.account_id, {"holder": "neu"}, NOW)
    await administration.change_client(OPERATOR, tenant, elbtal.client_id, {"active": False}, NOW)
    await administration.revoke_sender(OPERATOR, tenant, elbtal.client_id, elbtal.address, NOW)
    key = await make_key(gateway, tenant)
    await install(gateway, tenant, key.id)
    found = await entries(gateway, tenant)
    assert [entry["action"] for entry in found] == [
        "tenant.created",
        "account.created",
        "address.created",
        "client.created",
        "sender.permitted",
        "tenant.changed",
        "account.changed",
        "client.changed",
        "sender.revoked",
        "key.requested",
        "key.certified",
    ]
    assert {entry["tenant"] for entry in found} == {format_id(Prefix.TENANT, tenant)}
    assert {entry["actor"] for entry in found} == {format_id(Prefix.CLIENT, OPERATOR.client_id)}
    assert [entry["seq"] for entry in found] == list(range(1, 12))
    assert chain_faults(found) == ()


async def test_what_concerns_no_tenant_is_in_the_operators_journal(gateway: Gateway, elbtal: Tenant) -> None:
    await gateway.administration.change_connection(OPERATOR, elbtal.connection_id, {"active": False}, NOW)
    found = await entries(gateway, None)
    assert [entry["action"] for entry in found] == ["connection.created", "connection.changed"]
    assert {entry["object"] for entry in found} == {format_id(Prefix.CONNECTION, elbtal.connection_id)}
    assert {entry["tenant"] for entry in found} == {None}
    assert chain_faults(found) == ()


async def test_refused_or_empty_change_is_not_in_the_journal(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    before = await entries(gateway, elbtal.id)
    administration = gateway.administration
    with pytest.raises(NotFound):
        await administration.change_client(OPERATOR, elbtal.id, other.client_id, {"active": False}, NOW)
    with pytest.raises(Conflict):
        await administration.change_tenant(OPERATOR, elbtal.id, {"name": "x"}, NOW, expected_state="ended")
    await administration.change_tenant(OPERATOR, elbtal.id, {}, NOW)
    assert await entries(gateway, elbtal.id) == before


async def test_journal_holds_no_secret(gateway: Gateway, elbtal: Tenant) -> None:
    await make_key(gateway, elbtal.id)
    text = repr(await entries(gateway, elbtal.id))
    assert SECRET.hex() not in text
    assert repr(SECRET) not in text
    assert material(1).decode() not in text


async def test_pages_of_the_journal_follow_the_chain(gateway: Gateway, elbtal: Tenant) -> None:
    whole = await entries(gateway, elbtal.id)
    found: list[Any] = []
    cursor = None
    while True:
        page = await gateway.administration.journal(OPERATOR, elbtal.id, 2, cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == whole


@pytest.mark.parametrize("cursor", ["", "x", "W10", "WyJqb3VybmFsIl0", "WyJqb3VybmFsIiwidCJd", "ä"])
async def test_cursor_of_nobody_is_invalid(gateway: Gateway, elbtal: Tenant, cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        await gateway.administration.journal(OPERATOR, elbtal.id, 2, cursor)
