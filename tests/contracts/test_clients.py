"""Clients, what they may use, and the lock against guessing (ports.Administration, ports.Clients; GWT-23, GWT-30)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from demail_gateway.application.ports.administration import ClientSummary
from demail_gateway.core.errors import NotFound
from demail_gateway.tenancy.client_authentication import ClientAuthentication, PinnedCertificate
from demail_gateway.tenancy.credentials import lock_after
from demail_gateway.tenancy.scope import TENANT_SCOPES, Scope
from tests.contracts.gateways import OPERATOR, SECRET, Gateway, new_client
from tests.storage.stage import NOW, Tenant, later

NOBODY = UUID(int=404)
HERE, THERE = "192.0.2.1", "2001:db8::1"
KEY_SET = {"keys": [{"kty": "EC", "kid": "ä\u2028", "crv": "P-256", "x": "eA", "y": "eQ"}]}
PINS = tuple(PinnedCertificate(bytes([n]) * 32, f"CN=CA {n},C=DE", "c0ffee", NOW, later(days=n)) for n in (1, 2))


async def test_client_is_found_before_its_tenant_is_known(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    found = await gateway.clients.find(elbtal.client_id, HERE, NOW)
    assert found is not None
    assert (found.tenant_id, found.tenant_slug, found.active) == (elbtal.id, "elbtal", True)
    assert (found.scopes, found.secret_sha256, found.locked_until) == (TENANT_SCOPES, SECRET, None)


async def test_operator_client_belongs_to_no_tenant(gateway: Gateway) -> None:
    made = ClientSummary(uuid4(), None, "Betrieb", frozenset({Scope.OPERATOR}), True, NOW)
    await gateway.administration.create_client(OPERATOR, made, SECRET)
    found = await gateway.clients.find(made.id, HERE, NOW)
    assert found is not None
    assert (found.tenant_id, found.tenant_slug, found.scopes) == (None, None, frozenset({Scope.OPERATOR}))


@pytest.mark.parametrize(
    "changes",
    [{"name": "Nachtdienst", "active": False}, {"jwks": None, "certificates": ()}, {"certificates": PINS}, {}],
)
async def test_operators_clients_are_listed_and_changed(
    gateway: Gateway, elbtal: Tenant, changes: Mapping[str, Any]
) -> None:
    made = ClientSummary(uuid4(), None, "Betrieb", frozenset({Scope.OPERATOR}), True, NOW, False, KEY_SET, PINS)
    await gateway.administration.create_client(OPERATOR, made, None)
    assert await gateway.administration.clients(OPERATOR, None) == (made,)
    changed = await gateway.administration.change_client(OPERATOR, None, made.id, changes, NOW)
    assert changed == replace(made, **changes)
    assert await gateway.administration.clients(OPERATOR, None) == (changed,)
    found = await gateway.clients.find(made.id, HERE, NOW)
    assert found is not None
    assert (found.active, found.jwks, found.certificates) == (changed.active, changed.jwks, changed.certificates)
    for nobodys in (elbtal.client_id, NOBODY):
        with pytest.raises(NotFound):
            await gateway.administration.change_client(OPERATOR, None, nobodys, {"name": "x"}, NOW)


async def test_unknown_client_is_none(gateway: Gateway, elbtal: Tenant) -> None:
    assert await gateway.clients.find(NOBODY, HERE, NOW) is None


async def test_client_needs_a_tenant(gateway: Gateway) -> None:
    lost = ClientSummary(uuid4(), NOBODY, "x", TENANT_SCOPES, True, NOW)
    with pytest.raises(NotFound):
        await gateway.administration.create_client(OPERATOR, lost, SECRET)


async def test_clients_are_listed_by_tenant(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    second = replace(new_client(elbtal), id=uuid4(), name="zweiter", created_at=later(hours=1))
    assert await gateway.administration.create_client(OPERATOR, second, SECRET) == second
    assert await gateway.administration.clients(OPERATOR, elbtal.id) == (new_client(elbtal), second)
    assert await gateway.administration.clients(OPERATOR, other.id) == (new_client(other),)


async def test_client_changes_take_effect(gateway: Gateway, elbtal: Tenant) -> None:
    changes: Mapping[str, Any] = {"scopes": frozenset({Scope.MESSAGES_READ}), "active": False, "name": "alt"}
    for told in (changes, {}):
        changed = await gateway.administration.change_client(OPERATOR, elbtal.id, elbtal.client_id, told, NOW)
        assert changed == replace(new_client(elbtal), **changes)
    found = await gateway.clients.find(elbtal.client_id, HERE, NOW)
    assert found is not None
    assert (found.active, found.scopes) == (False, frozenset({Scope.MESSAGES_READ}))


@pytest.mark.parametrize("changes", [{"active": False}, {}], ids=["change", "nothing"])
async def test_foreign_client_is_not_found(
    gateway: Gateway, elbtal: Tenant, other: Tenant, changes: Mapping[str, Any]
) -> None:
    with pytest.raises(NotFound):
        await gateway.administration.change_client(OPERATOR, other.id, elbtal.client_id, changes, NOW)
    assert await gateway.administration.clients(OPERATOR, elbtal.id) == (new_client(elbtal),)


# --- keys and certificates (GWT-20, GWT-21)


@pytest.mark.parametrize("owned", [True, False], ids=["tenant", "operator"])
async def test_client_is_found_with_its_keys(gateway: Gateway, elbtal: Tenant, owned: bool) -> None:
    made = ClientSummary(
        uuid4(), elbtal.id if owned else None, "x", frozenset({Scope.OPERATOR}), True, NOW, False, KEY_SET, PINS
    )
    if owned:
        made = replace(made, scopes=TENANT_SCOPES)
    assert await gateway.administration.create_client(OPERATOR, made, None) == made
    found = await gateway.clients.find(made.id, HERE, NOW)
    assert found is not None
    assert (found.secret_sha256, found.jwks, found.certificates, found.methods) == (None, KEY_SET, PINS, None)
    if owned:
        assert made in await gateway.administration.clients(OPERATOR, elbtal.id)


async def test_keys_are_changed_and_taken_away(gateway: Gateway, elbtal: Tenant) -> None:
    steps: tuple[Mapping[str, Any], ...] = (
        {"jwks": KEY_SET, "certificates": PINS},
        {"certificates": PINS[:1]},
        {"jwks": None},
        {"certificates": ()},
    )
    expected = new_client(elbtal)
    for changes in steps:
        expected = replace(expected, **changes)
        changed = await gateway.administration.change_client(OPERATOR, elbtal.id, elbtal.client_id, changes, NOW)
        assert changed == expected
        found = await gateway.clients.find(elbtal.client_id, HERE, NOW)
        assert found is not None
        assert (found.jwks, found.certificates) == (expected.jwks, expected.certificates)
        assert found.secret_sha256 == SECRET


async def test_client_is_found_with_the_methods_of_its_tenants_policy(
    gateway: Gateway, elbtal: Tenant, other: Tenant
) -> None:
    policy = {"client_authentication": ["private_key_jwt", "unheard-of"]}
    await gateway.administration.change_tenant(OPERATOR, elbtal.id, {"policy": policy}, NOW)
    mine, theirs = [await gateway.clients.find(tenant.client_id, HERE, NOW) for tenant in (elbtal, other)]
    assert mine is not None
    assert theirs is not None
    assert (mine.methods, theirs.methods) == (frozenset({ClientAuthentication.ASSERTION}), None)


async def test_assertion_is_used_once_for_each_client(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    async def use(tenant: Tenant, jti: bytes) -> bool:
        return await gateway.clients.use_assertion(tenant.client_id, jti * 32, later(minutes=5), NOW)

    assert [await use(elbtal, b"1"), await use(elbtal, b"1"), await use(elbtal, b"2"), await use(other, b"1")] == [
        True,
        False,
        True,
        True,
    ]


# --- the matrix (GWT-30)


async def permit(
    gateway: Gateway, tenant: Tenant, client_id: UUID, address: str, options: frozenset[str] | None, quota: int | None
) -> None:
    await gateway.administration.permit_sender(OPERATOR, tenant.id, client_id, address, options, quota, NOW)


async def test_permission_is_replaced_by_a_later_one(gateway: Gateway, elbtal: Tenant) -> None:
    for options, quota in ((frozenset({"private"}), 5), (frozenset[str](), None), (None, 7)):
        await permit(gateway, elbtal, elbtal.client_id, elbtal.address, options, quota)
        row = {
            "client_id": elbtal.client_id,
            "address": elbtal.address,
            "options": options,
            "quota_per_day": quota,
        }
        assert await gateway.administration.senders(OPERATOR, elbtal.id) == (row,)


async def test_matrix_is_of_one_tenant(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    (row,) = await gateway.administration.senders(OPERATOR, elbtal.id)
    assert (row["client_id"], row["address"]) == (elbtal.client_id, elbtal.address)


async def test_client_and_address_must_be_of_the_tenant(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    for client_id, address in ((other.client_id, elbtal.address), (elbtal.client_id, other.address)):
        with pytest.raises(NotFound):
            await permit(gateway, elbtal, client_id, address, None, None)
    assert len(await gateway.administration.senders(OPERATOR, elbtal.id)) == 1


async def test_revoked_sender_may_not_be_used(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    revoke = gateway.administration.revoke_sender
    with pytest.raises(NotFound):
        await revoke(OPERATOR, other.id, elbtal.client_id, elbtal.address, NOW)
    await revoke(OPERATOR, elbtal.id, elbtal.client_id, elbtal.address, NOW)
    assert await gateway.administration.senders(OPERATOR, elbtal.id) == ()
    context = await gateway.submissions.context(elbtal.scope, elbtal.address, NOW)
    assert context.may_use == {}
    with pytest.raises(NotFound):
        await revoke(OPERATOR, elbtal.id, elbtal.client_id, elbtal.address, NOW)


async def test_every_change_makes_earlier_contexts_stale(gateway: Gateway, elbtal: Tenant) -> None:
    async def version() -> int:
        return (await gateway.submissions.context(elbtal.scope, elbtal.address, NOW)).config_version

    administration, tenant, client = gateway.administration, elbtal.id, elbtal.client_id
    seen = [await version()]
    await administration.change_tenant(OPERATOR, tenant, {"policy": {"net_bytes": 1}}, NOW)
    seen.append(await version())
    await administration.change_account(OPERATOR, tenant, elbtal.account_id, {"holder": "x"}, NOW)
    seen.append(await version())
    await administration.change_client(OPERATOR, tenant, client, {"active": False}, NOW)
    seen.append(await version())
    await administration.change_connection(OPERATOR, elbtal.connection_id, {"active": False}, NOW)
    seen.append(await version())
    await administration.revoke_sender(OPERATOR, tenant, client, elbtal.address, NOW)
    seen.append(await version())
    assert seen == sorted(set(seen))


# --- the lock (GWT-23)


async def test_lock_grows_with_wrong_secrets_in_a_row(gateway: Gateway, elbtal: Tenant) -> None:
    for failures in range(1, 18):
        span = lock_after(failures)
        until = None if span is None else NOW + span
        assert await gateway.clients.record_attempt(elbtal.client_id, HERE, False, NOW) == until
        found = await gateway.clients.find(elbtal.client_id, HERE, NOW)
        assert found is not None
        assert found.locked_until == until


async def test_lock_holds_for_one_source(gateway: Gateway, elbtal: Tenant) -> None:
    for _ in range(3):
        await gateway.clients.record_attempt(elbtal.client_id, HERE, False, NOW)
    found = await gateway.clients.find(elbtal.client_id, THERE, NOW)
    assert found is not None
    assert found.locked_until is None
    assert await gateway.clients.record_attempt(elbtal.client_id, THERE, False, NOW) is None


async def test_right_secret_ends_the_count(gateway: Gateway, elbtal: Tenant) -> None:
    for _ in range(2):
        await gateway.clients.record_attempt(elbtal.client_id, HERE, False, NOW)
    assert await gateway.clients.record_attempt(elbtal.client_id, HERE, True, NOW) is None
    assert await gateway.clients.record_attempt(elbtal.client_id, HERE, False, NOW) is None


async def test_guessing_unknown_clients_leaves_nothing(gateway: Gateway) -> None:
    for _ in range(4):
        assert await gateway.clients.record_attempt(NOBODY, HERE, False, NOW) is None
