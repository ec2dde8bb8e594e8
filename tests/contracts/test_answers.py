"""First answers of creating requests (ports.Answers): the same key answers the same, for tenants and the operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from demail_gateway.application.ports.answers import Accepted, AcceptResult, IdempotencyKey, StoredAnswer
from demail_gateway.core.errors import Conflict
from demail_gateway.tenancy.scope import TENANT_SCOPES, OperatorScope, TenantScope
from tests.contracts.gateways import Gateway
from tests.storage.stage import NOW, Tenant, later, new_message

KEY = IdempotencyKey("4f6c…-1", b"\1" * 32)
OTHER_REQUEST = replace(KEY, request_sha256=b"\2" * 32)
ANSWER = StoredAnswer(201, '{"client_secret": "geheim", "name": "Bürgeramt"}'.encode(), "/v1/operator/tenants/ten_1")
JUST_ABANDONED = timedelta(minutes=5, microseconds=1)

AnyScope = TenantScope | OperatorScope
MakeScope = Callable[[UUID], AnyScope]


@pytest.fixture(params=["tenant", "operator"])
def scope_of(request: pytest.FixtureRequest, elbtal: Tenant) -> MakeScope:
    """The scope of a client."""

    def tenant_scope(client_id: UUID) -> TenantScope:
        return TenantScope(elbtal.id, client_id, TENANT_SCOPES)

    return tenant_scope if request.param == "tenant" else OperatorScope


@pytest.fixture
def scope(scope_of: MakeScope, elbtal: Tenant) -> AnyScope:
    return scope_of(elbtal.client_id)


async def in_progress(gateway: Gateway, scope: AnyScope, key: IdempotencyKey) -> bool:
    """Whether the key's request still runs; a new key is reserved by asking."""
    try:
        await gateway.answers.reserve(scope, key, NOW)
    except Conflict:
        return True
    return False


async def test_kept_answer_is_the_answer_again(gateway: Gateway, scope: AnyScope) -> None:
    assert await gateway.answers.reserve(scope, KEY, NOW) is None
    await gateway.answers.keep(scope, KEY, ANSWER)
    for at in (NOW, later(hours=72)):
        assert await gateway.answers.reserve(scope, KEY, at) == Accepted(AcceptResult.REPLAYED, ANSWER)


async def test_answer_may_be_without_body_and_location(gateway: Gateway, scope: AnyScope) -> None:
    await gateway.answers.reserve(scope, KEY, NOW)
    await gateway.answers.keep(scope, KEY, StoredAnswer(204, b"", None))
    assert await gateway.answers.reserve(scope, KEY, NOW) == Accepted(
        AcceptResult.REPLAYED, StoredAnswer(204, b"", None)
    )


async def test_key_of_another_request_is_reused(gateway: Gateway, scope: AnyScope) -> None:
    await gateway.answers.reserve(scope, KEY, NOW)
    assert await gateway.answers.reserve(scope, OTHER_REQUEST, NOW) == Accepted(AcceptResult.REUSED)
    await gateway.answers.keep(scope, KEY, ANSWER)
    assert await gateway.answers.reserve(scope, OTHER_REQUEST, NOW) == Accepted(AcceptResult.REUSED)


async def test_second_request_waits_while_the_first_runs(gateway: Gateway, scope: AnyScope) -> None:
    await gateway.answers.reserve(scope, KEY, NOW)
    for at in (NOW, later(minutes=5)):
        with pytest.raises(Conflict) as refused:
            await gateway.answers.reserve(scope, KEY, at)
        assert refused.value.reason == "idempotency-in-progress"


async def test_abandoned_reservation_is_taken_over(gateway: Gateway, scope: AnyScope) -> None:
    await gateway.answers.reserve(scope, KEY, NOW)
    assert await gateway.answers.reserve(scope, KEY, NOW + JUST_ABANDONED) is None
    with pytest.raises(Conflict):
        # the five minutes begin anew
        await gateway.answers.reserve(scope, KEY, NOW + JUST_ABANDONED + timedelta(minutes=4))


async def test_kept_answer_is_never_abandoned(gateway: Gateway, scope: AnyScope) -> None:
    await gateway.answers.reserve(scope, KEY, NOW)
    await gateway.answers.keep(scope, KEY, ANSWER)
    assert await gateway.answers.reserve(scope, OTHER_REQUEST, later(days=1)) == Accepted(AcceptResult.REUSED)


async def test_late_first_request_does_not_answer_for_another_one(gateway: Gateway, scope: AnyScope) -> None:
    await gateway.answers.reserve(scope, KEY, NOW)
    assert await gateway.answers.reserve(scope, OTHER_REQUEST, NOW + JUST_ABANDONED) is None
    await gateway.answers.keep(scope, KEY, ANSWER)
    await gateway.answers.forget(scope, KEY)
    with pytest.raises(Conflict):
        await gateway.answers.reserve(scope, OTHER_REQUEST, NOW + JUST_ABANDONED)


async def test_first_kept_answer_stays(gateway: Gateway, scope: AnyScope) -> None:
    await gateway.answers.reserve(scope, KEY, NOW)
    await gateway.answers.keep(scope, KEY, ANSWER)
    await gateway.answers.keep(scope, KEY, StoredAnswer(201, b"second", None))
    assert await gateway.answers.reserve(scope, KEY, NOW) == Accepted(AcceptResult.REPLAYED, ANSWER)


async def test_failed_request_frees_its_key(gateway: Gateway, scope: AnyScope) -> None:
    await gateway.answers.reserve(scope, KEY, NOW)
    await gateway.answers.forget(scope, KEY)
    assert await gateway.answers.reserve(scope, OTHER_REQUEST, NOW) is None


async def test_kept_answer_is_not_forgotten(gateway: Gateway, scope: AnyScope) -> None:
    await gateway.answers.reserve(scope, KEY, NOW)
    await gateway.answers.keep(scope, KEY, ANSWER)
    await gateway.answers.forget(scope, KEY)
    assert await gateway.answers.reserve(scope, KEY, NOW) == Accepted(AcceptResult.REPLAYED, ANSWER)


async def test_unreserved_key_keeps_nothing(gateway: Gateway, scope: AnyScope) -> None:
    await gateway.answers.keep(scope, KEY, ANSWER)
    await gateway.answers.forget(scope, KEY)
    assert await gateway.answers.reserve(scope, KEY, NOW) is None


async def test_clients_have_keys_of_their_own(gateway: Gateway, scope_of: MakeScope) -> None:
    first, second = scope_of(uuid4()), scope_of(uuid4())
    await gateway.answers.reserve(first, KEY, NOW)
    await gateway.answers.keep(first, KEY, ANSWER)
    assert await gateway.answers.reserve(second, KEY, NOW) is None
    await gateway.answers.forget(second, KEY)
    assert await gateway.answers.reserve(first, KEY, NOW) == Accepted(AcceptResult.REPLAYED, ANSWER)


async def test_tenants_and_operator_have_keys_of_their_own(gateway: Gateway, elbtal: Tenant, other: Tenant) -> None:
    client = elbtal.client_id
    scopes = (elbtal.scope, TenantScope(other.id, client, TENANT_SCOPES), OperatorScope(client))
    for each in scopes:
        assert not await in_progress(gateway, each, KEY)
    await gateway.answers.keep(elbtal.scope, KEY, ANSWER)
    assert [await in_progress(gateway, each, KEY) for each in scopes] == [False, True, True]


async def test_sending_shares_its_keys(gateway: Gateway, elbtal: Tenant) -> None:
    async def send() -> Accepted:
        version = (await gateway.submissions.context(elbtal.scope, elbtal.address, NOW)).config_version
        return await gateway.submissions.accept(elbtal.scope, new_message(elbtal), KEY, ANSWER, version)

    await gateway.answers.reserve(elbtal.scope, KEY, NOW)
    with pytest.raises(Conflict):
        await gateway.submissions.replay(elbtal.scope, KEY)
    with pytest.raises(Conflict):
        await send()
    await gateway.answers.keep(elbtal.scope, KEY, ANSWER)
    replayed = Accepted(AcceptResult.REPLAYED, ANSWER)
    assert await gateway.submissions.replay(elbtal.scope, KEY) == replayed
    assert await send() == replayed


async def test_key_of_a_sent_message_is_no_new_one(gateway: Gateway, elbtal: Tenant) -> None:
    version = (await gateway.submissions.context(elbtal.scope, elbtal.address, NOW)).config_version
    await gateway.submissions.accept(elbtal.scope, new_message(elbtal), KEY, ANSWER, version)
    assert await gateway.answers.reserve(elbtal.scope, KEY, NOW) == Accepted(AcceptResult.REPLAYED, ANSWER)
    assert await gateway.answers.reserve(elbtal.scope, OTHER_REQUEST, NOW) == Accepted(AcceptResult.REUSED)
