"""The operator's work on tenants, accounts and addresses (ports.Administration; GWT-12, GWT-13, GWT-60)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from demail_gateway.application.ports.administration import AccountRecord, AddressRecord, TenantRecord
from demail_gateway.core.errors import Conflict, CursorInvalid, NotFound
from demail_gateway.core.vocabulary import AccountState
from demail_gateway.tenancy.scope import OperatorScope, system_scope
from tests.contracts.gateways import OPERATOR, Gateway, new_account, new_connection, new_tenant
from tests.storage.stage import NOW, Tenant, later

NOBODY = UUID(int=404)


async def listed(gateway: Gateway, limit: int, cursor: str | None = None) -> tuple[list[str], str | None]:
    page = await gateway.administration.tenants(OPERATOR, limit, cursor)
    return [tenant.slug for tenant in page.items], page.next_cursor


async def make_tenants(gateway: Gateway, *slugs: str) -> list[TenantRecord]:
    # all at one moment: the order must hold all the same
    made = [new_tenant(UUID(int=1000 + number), slug) for number, slug in enumerate(slugs)]
    return [await gateway.administration.create_tenant(OPERATOR, record) for record in made]


async def test_tenant_is_read_as_it_was_created(gateway: Gateway) -> None:
    record = new_tenant(uuid4(), "elbtal")
    assert await gateway.administration.create_tenant(OPERATOR, record) == record
    assert await gateway.administration.tenant(OPERATOR, record.id) == record


async def test_unknown_tenant_is_not_found(gateway: Gateway) -> None:
    with pytest.raises(NotFound):
        await gateway.administration.tenant(OPERATOR, NOBODY)
    with pytest.raises(NotFound):
        await gateway.administration.change_tenant(OPERATOR, NOBODY, {"name": "x"}, NOW)


async def test_slug_is_taken_once(gateway: Gateway) -> None:
    await make_tenants(gateway, "elbtal")
    with pytest.raises(Conflict) as refused:
        await gateway.administration.create_tenant(OPERATOR, new_tenant(uuid4(), "elbtal"))
    assert refused.value.reason == "slug-taken"
    assert await listed(gateway, 10) == (["elbtal"], None)


async def test_pages_show_each_tenant_once(gateway: Gateway) -> None:
    slugs = ["a", "b", "c", "d", "e"]
    await make_tenants(gateway, *slugs)
    first, cursor = await listed(gateway, 2)
    second, cursor = await listed(gateway, 2, cursor)
    third, end = await listed(gateway, 2, cursor)
    assert (first + second + third, end) == (slugs, None)


async def test_last_full_page_has_no_cursor(gateway: Gateway) -> None:
    await make_tenants(gateway, "a", "b")
    assert await listed(gateway, 2) == (["a", "b"], None)


async def test_pages_are_stable_while_tenants_come(gateway: Gateway) -> None:
    await make_tenants(gateway, "a", "b", "c")
    first, cursor = await listed(gateway, 2)
    await gateway.administration.create_tenant(OPERATOR, replace(new_tenant(uuid4(), "new"), created_at=later(hours=1)))
    assert first + (await listed(gateway, 2, cursor))[0] == ["a", "b", "c", "new"]


@pytest.mark.parametrize("cursor", ["", "x", "W10", "WyJ0ZW5hbnRzIl0", "ä", "\ud800", "/..", "bnVsbA"])
async def test_cursor_of_nobody_is_invalid(gateway: Gateway, cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        await gateway.administration.tenants(OPERATOR, 2, cursor)


async def test_cursor_of_another_list_is_invalid(gateway: Gateway, elbtal: Tenant) -> None:
    await gateway.chain_journal()
    foreign = (await gateway.administration.journal(OPERATOR, elbtal.id, 1, None)).next_cursor
    assert foreign is not None
    with pytest.raises(CursorInvalid):
        await gateway.administration.tenants(OPERATOR, 2, foreign)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Stadt Neu", "public_body": False},
        {"permissions": frozenset({"send"})},
        {"policy": {"net_bytes": 5, "nested": {"on": True}}},
        {"state": "suspended", "effects": {"sending": False}},
        {},
    ],
    ids=lambda changes: "-".join(changes) or "nothing",
)
async def test_tenant_changes_as_told_and_not_else(gateway: Gateway, changes: Mapping[str, Any]) -> None:
    (record,) = await make_tenants(gateway, "elbtal")
    changed = await gateway.administration.change_tenant(OPERATOR, record.id, changes, NOW)
    assert changed == replace(record, **changes)
    assert await gateway.administration.tenant(OPERATOR, record.id) == changed


async def test_tenant_in_another_state_than_expected_stays_as_it_is(gateway: Gateway) -> None:
    (record,) = await make_tenants(gateway, "elbtal")
    with pytest.raises(Conflict) as refused:
        await gateway.administration.change_tenant(
            OPERATOR, record.id, {"state": "ended"}, NOW, expected_state="suspended"
        )
    assert refused.value.reason == "state-changed"
    assert await gateway.administration.tenant(OPERATOR, record.id) == record
    await gateway.administration.change_tenant(OPERATOR, record.id, {"state": "ended"}, NOW, expected_state="live")
    assert (await gateway.administration.tenant(OPERATOR, record.id)).state == "ended"


# --- accounts


async def test_account_is_read_by_operator_and_by_its_tenant(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    account = new_account(elbtal)
    for scope in (OPERATOR, elbtal.scope, system_scope(elbtal.id)):
        assert await gateway.administration.accounts(scope, elbtal.id) == (account,)
    assert await gateway.administration.accounts(other.scope, elbtal.id) == ()


@pytest.mark.parametrize("missing", ["tenant_id", "connection_id"])
async def test_account_needs_tenant_and_connection(gateway: Gateway, elbtal: Tenant, missing: str) -> None:
    lost: Mapping[str, Any] = {"id": uuid4(), missing: NOBODY}
    account: AccountRecord = replace(new_account(elbtal), **lost)
    with pytest.raises(NotFound):
        await gateway.administration.create_account(OPERATOR, account, NOW)
    assert len(await gateway.administration.accounts(OPERATOR, elbtal.id)) == 1


async def test_account_changes_as_told(gateway: Gateway, elbtal: Tenant) -> None:
    connection = await gateway.administration.create_connection(OPERATOR, new_connection(uuid4()))
    changes: Mapping[str, Any] = {
        "state": AccountState.LOCKED,
        "holder": "Stadt Elbtal",
        "connection_id": connection.id,
    }
    for told in (changes, {}):
        changed = await gateway.administration.change_account(OPERATOR, elbtal.id, elbtal.account_id, told, NOW)
        assert changed == replace(new_account(elbtal), **changes)
    assert await gateway.administration.accounts(OPERATOR, elbtal.id) == (changed,)


@pytest.mark.parametrize("changes", [{"holder": "x"}, {}], ids=["change", "nothing"])
async def test_foreign_account_is_not_found(
    gateway: Gateway, elbtal: Tenant, other: Tenant, changes: Mapping[str, Any]
) -> None:
    with pytest.raises(NotFound):
        await gateway.administration.change_account(OPERATOR, other.id, elbtal.account_id, changes, NOW)
    assert await gateway.administration.accounts(OPERATOR, elbtal.id) == (new_account(elbtal),)


@pytest.mark.clause("SND-16", "ADR-71")
async def test_only_accounts_of_public_bodies_are_entitled_to_retrieval(gateway: Gateway, elbtal: Tenant) -> None:
    administration, entitled = gateway.administration, {"retrieval_entitlement": True}
    await administration.change_tenant(OPERATOR, elbtal.id, {"public_body": False}, NOW)
    assert [each.retrieval_entitlement for each in await administration.accounts(OPERATOR, elbtal.id)] == [False]
    context = await gateway.submissions.context(elbtal.scope, elbtal.address, NOW)
    assert not context.retrieval_entitlement
    with pytest.raises(Conflict, match="entitlement-needs-public-body"):
        await administration.change_account(OPERATOR, elbtal.id, elbtal.account_id, entitled, NOW)
    with pytest.raises(Conflict, match="entitlement-needs-public-body"):
        await administration.create_account(OPERATOR, replace(new_account(elbtal), id=uuid4()), NOW)
    await administration.create_account(
        OPERATOR, replace(new_account(elbtal), id=uuid4(), retrieval_entitlement=False), NOW
    )
    await administration.change_tenant(OPERATOR, elbtal.id, {"public_body": True}, NOW)
    # what was withdrawn does not come back by itself
    assert not any(each.retrieval_entitlement for each in await administration.accounts(OPERATOR, elbtal.id))
    changed = await administration.change_account(OPERATOR, elbtal.id, elbtal.account_id, entitled, NOW)
    assert changed.retrieval_entitlement


async def test_changes_are_computed_from_what_is_stored(gateway: Gateway) -> None:
    (record,) = await make_tenants(gateway, "elbtal")
    changed = await gateway.administration.change_tenant(
        OPERATOR, record.id, lambda found: {"name": f"{found.name} neu"}, NOW
    )
    assert changed.name == f"{record.name} neu"


async def test_account_does_not_move_to_an_unknown_connection(gateway: Gateway, elbtal: Tenant) -> None:
    with pytest.raises(NotFound):
        await gateway.administration.change_account(
            OPERATOR, elbtal.id, elbtal.account_id, {"connection_id": NOBODY}, NOW
        )
    assert await gateway.administration.accounts(OPERATOR, elbtal.id) == (new_account(elbtal),)


# --- addresses


async def test_address_has_one_owner_over_all_tenants(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    stolen = AddressRecord(uuid4(), other.id, other.account_id, elbtal.address)
    with pytest.raises(Conflict) as refused:
        await gateway.administration.create_address(OPERATOR, stolen, NOW)
    assert refused.value.reason == "address-taken"
    assert [a.address for a in await gateway.administration.addresses(OPERATOR, other.id)] == [other.address]


async def test_address_needs_an_account_of_its_tenant(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    lost = AddressRecord(uuid4(), other.id, elbtal.account_id, "amt@other.de-mail.de")
    with pytest.raises(NotFound):
        await gateway.administration.create_address(OPERATOR, lost, NOW)


async def test_addresses_are_listed_by_tenant(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    second = AddressRecord(uuid4(), elbtal.id, elbtal.account_id, "zentrale@elbtal.de-mail.de")
    assert await gateway.administration.create_address(OPERATOR, second, NOW) == second
    found = await gateway.administration.addresses(OPERATOR, elbtal.id)
    assert {each.address for each in found} == {elbtal.address, second.address}
    assert second in found
    assert await gateway.administration.addresses(OPERATOR, NOBODY) == ()


async def test_any_operator_administers(gateway: Gateway, elbtal: Tenant) -> None:
    assert (await gateway.administration.tenant(OperatorScope(uuid4()), elbtal.id)).slug == "elbtal"
