"""The operator's work on PostgreSQL, beyond the contract: what is sealed, what happens at once, hostile texts."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from demail_gateway.application.ports.administration import ClientSummary, KeyRecord, TenantRecord
from demail_gateway.application.ports.installation import FetchedAnswer, KnownAnswer
from demail_gateway.core.errors import Conflict, KeyUnavailable, StoreUnavailable
from demail_gateway.core.journal import chain_faults
from demail_gateway.core.vocabulary import AccountState
from demail_gateway.storage.administration import PostgresAdministration
from demail_gateway.storage.clients import PostgresClients
from demail_gateway.storage.content_keys import ContentKeys
from demail_gateway.storage.engine import create_engine, operator_transaction
from demail_gateway.storage.envelope import MasterKey, MasterKeys
from demail_gateway.storage.installation import PostgresInstallation
from demail_gateway.storage.journal_intake import flat
from demail_gateway.tenancy.client_authentication import PinnedCertificate
from demail_gateway.tenancy.scope import OperatorScope, Scope
from tests.contracts.gateways import new_connection, new_tenant
from tests.storage.stage import NOW, Stage, Tenant, later

OPERATOR = OperatorScope(UUID(int=1))
PKCS8 = b"-- a private key --"


@pytest.fixture
def administration(stage: Stage) -> PostgresAdministration:
    return PostgresAdministration(stage.engine, stage.keys)


async def make_key(administration: PostgresAdministration, tenant: Tenant) -> KeyRecord:
    record = KeyRecord(uuid4(), tenant.id, "smime", "requested", "CSR", None, (), None, NOW)
    return await administration.create_key(OPERATOR, record, PKCS8)


async def install(administration: PostgresAdministration, key: KeyRecord) -> KeyRecord:
    return await administration.install_certificate(OPERATOR, key.tenant_id, key.id, b"cert", (), later(days=1), NOW)


# --- keys (GWT-36)


async def test_private_key_lies_sealed(stage: Stage, elbtal: Tenant, administration: PostgresAdministration) -> None:
    await make_key(administration, elbtal)
    text = str(await stage.value("SELECT k::text FROM tenant_key k"))
    assert PKCS8.hex() not in text
    assert PKCS8.decode() not in text


async def test_private_key_opens_in_its_own_row_alone(
    stage: Stage, elbtal: Tenant, other: Tenant, administration: PostgresAdministration
) -> None:
    mine, second, foreign = [await make_key(administration, tenant) for tenant in (elbtal, elbtal, other)]
    for stolen in (second, foreign):
        async with stage.superuser() as connection:
            await connection.execute(
                "UPDATE tenant_key k SET sealed_pkcs8 = s.sealed_pkcs8, dek = s.dek FROM tenant_key s"
                " WHERE k.id = $1 AND s.id = $2",
                mine.id,
                stolen.id,
            )
        with pytest.raises(KeyUnavailable):
            await administration.key_material(OPERATOR, elbtal.id, mine.id)
        await install(administration, mine)
        with pytest.raises(KeyUnavailable):
            await PostgresInstallation(stage.engine, stage.keys).signing_material(elbtal.id, "smime")


async def test_private_key_does_not_open_without_the_master_key(
    stage: Stage, elbtal: Tenant, administration: PostgresAdministration
) -> None:
    key = await make_key(administration, elbtal)
    strange = ContentKeys(stage.engine, MasterKeys(MasterKey("1", bytes(32))))
    with pytest.raises(KeyUnavailable):
        await PostgresAdministration(stage.engine, strange).key_material(OPERATOR, elbtal.id, key.id)


async def test_certificates_installed_at_once_leave_one_key_active(
    stage: Stage, elbtal: Tenant, administration: PostgresAdministration
) -> None:
    keys = [await make_key(administration, elbtal) for _ in range(4)]
    done = await asyncio.gather(*(install(administration, key) for key in keys), return_exceptions=True)
    # each was the active one for a moment, and none has been broken off
    assert [type(each) for each in done] == [KeyRecord] * 4
    states = sorted(key.state for key in await administration.keys(OPERATOR, elbtal.id))
    assert states == ["active", "retired", "retired", "retired"]


async def test_key_of_a_tenant_without_content_key_is_not_made(
    stage: Stage, elbtal: Tenant, administration: PostgresAdministration
) -> None:
    """After crypto-shredding nothing new can be sealed for the tenant (trap E21)."""
    async with stage.superuser() as connection:
        await connection.execute("DELETE FROM tenant_content_key WHERE tenant_id = $1", elbtal.id)
    with pytest.raises(KeyUnavailable):
        await make_key(administration, elbtal)


# --- changes


async def test_two_operators_do_not_take_the_same_step(
    stage: Stage, elbtal: Tenant, administration: PostgresAdministration
) -> None:
    def step(to: str) -> Any:
        return administration.change_tenant(OPERATOR, elbtal.id, {"state": to}, NOW, expected_state="live")

    done = await asyncio.gather(*(step(to) for to in ("suspended", "ending", "test")), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["Conflict", "Conflict", "TenantRecord"]
    (taken,) = [each for each in done if isinstance(each, TenantRecord)]
    assert (await administration.tenant(OPERATOR, elbtal.id)).state == taken.state


async def test_one_of_two_tenants_gets_the_slug(stage: Stage, administration: PostgresAdministration) -> None:
    records = [new_tenant(uuid4(), "elbtal") for _ in range(3)]
    done = await asyncio.gather(
        *(administration.create_tenant(OPERATOR, record) for record in records), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in done) == ["Conflict", "Conflict", "TenantRecord"]
    assert await stage.value("SELECT count(*) FROM tenant_content_key") == 1
    assert await stage.value("SELECT count(*) FROM journal_intake") == 1


async def test_refused_change_leaves_nothing_half(stage: Stage, administration: PostgresAdministration) -> None:
    first = await administration.create_connection(OPERATOR, new_connection(uuid4(), "erster"))
    await administration.create_connection(OPERATOR, new_connection(uuid4(), "zweiter"))
    before = await stage.value("SELECT count(*) FROM journal_intake")
    with pytest.raises(Conflict):
        await administration.change_connection(OPERATOR, first.id, {"name": "zweiter", "active": False}, NOW)
    assert await administration.connections(OPERATOR) != ()
    assert await stage.value("SELECT active FROM connection WHERE id = $1", first.id)
    assert await stage.value("SELECT count(*) FROM journal_intake") == before


async def test_operator_client_is_out_of_the_tables_reach(stage: Stage, administration: PostgresAdministration) -> None:
    made = ClientSummary(uuid4(), None, "Betrieb", frozenset({Scope.OPERATOR}), True, NOW)
    await administration.create_client(OPERATOR, made, b"\1" * 32)
    assert await stage.value("SELECT name FROM operator_client") == "Betrieb"
    assert await stage.value("SELECT count(*) FROM client") == 0


async def test_journal_names_keys_by_their_fingerprints(
    stage: Stage, elbtal: Tenant, administration: PostgresAdministration
) -> None:
    # the key of RFC 7638 §3.1, with its thumbprint
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
        "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
        "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
        "nqDKgw"
    )
    jwks = {"keys": [{"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}]}
    pin = PinnedCertificate(bytes(range(32)), "CN=CA", "1", NOW, later(days=1))
    changes = {"jwks": jwks, "certificates": (pin,)}
    await administration.change_client(OPERATOR, elbtal.id, elbtal.client_id, changes, NOW)
    await administration.change_client(OPERATOR, elbtal.id, elbtal.client_id, {"jwks": None}, NOW)
    await stage.sweeping.seal_journal()
    entries = [e for e in (await administration.journal(OPERATOR, elbtal.id, 50, None)).items if "jwks" in e["detail"]]
    thumbprint = base64.urlsafe_b64decode("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs=").hex()
    assert [entry["detail"] for entry in entries] == [
        {"jwks": thumbprint, "certificates": bytes(range(32)).hex()},
        {"jwks": "null"},
    ]


async def test_used_assertions_are_forgotten_some_time_after_they_end(stage: Stage, elbtal: Tenant) -> None:
    clients = PostgresClients(stage.engine)
    for number, (ends, now) in enumerate([(1, 0), (2, 1), (9, 5), (9, 6.5)]):
        jti = bytes([number]) * 32
        assert await clients.use_assertion(elbtal.client_id, jti, later(minutes=ends), later(minutes=now))
    kept = await stage.fetch("SELECT jti_sha256 FROM client_assertion ORDER BY 1")
    assert [row[0][0] for row in kept] == [1, 2, 3]


async def test_one_of_two_requests_gets_to_use_an_assertion(stage: Stage, elbtal: Tenant) -> None:
    clients = PostgresClients(stage.engine)
    uses = (clients.use_assertion(elbtal.client_id, bytes(32), later(minutes=5), NOW) for _ in range(8))
    assert sorted(await asyncio.gather(*uses)) == [False] * 7 + [True]


async def test_operators_transaction_reads_no_content(stage: Stage, elbtal: Tenant) -> None:
    """GWT-37: the operator administers and cannot read."""
    await stage.accept(elbtal)
    async with operator_transaction(stage.engine) as connection:
        for table in ("message", "content", "recipient", "event", "outbox", "idempotency_key"):
            assert (await connection.exec_driver_sql(f"SELECT count(*) FROM {table}")).scalar_one() == 0
        assert (await connection.exec_driver_sql("SELECT count(*) FROM tenant")).scalar_one() == 1


# --- what strangers type in


HOSTILE = "a\0b\ud800c\u2028\"'; DROP TABLE tenant; --"
STORED = "a\ufffdb\ufffdc\u2028\"'; DROP TABLE tenant; --"


async def test_documents_hold_any_text(stage: Stage, administration: PostgresAdministration) -> None:
    policy: Mapping[str, Any] = {"note": HOSTILE, HOSTILE: [HOSTILE, {"deep": HOSTILE}], "limit": 1.5, "off": None}
    record = await administration.create_tenant(OPERATOR, new_tenant(uuid4(), "elbtal"))
    changed = await administration.change_tenant(OPERATOR, record.id, {"policy": policy}, NOW)
    stored = {"note": STORED, STORED: [STORED, {"deep": STORED}], "limit": 1.5, "off": None}
    assert changed.policy == stored
    connection = await administration.create_connection(OPERATOR, new_connection(uuid4()))
    told = await administration.change_connection(OPERATOR, connection.id, {"profile": policy}, NOW)
    assert told.profile == stored
    await stage.sweeping.seal_journal()
    for tenant_id in (record.id, None):
        assert chain_faults((await administration.journal(OPERATOR, tenant_id, 50, None)).items) == ()


def test_journal_details_are_texts_whatever_they_were() -> None:
    assert flat(
        {
            "none": None,
            "yes": True,
            "number": 5,
            "set": frozenset({"b", "a"}),
            "list": ["b", "a"],
            "nested": {"on": False, "at": NOW, "deep": {"x": None}},
            "state": AccountState.LOCKED,
            "id": UUID(int=1),
            "text": HOSTILE,
        }
    ) == {
        "none": "null",
        "yes": "true",
        "number": "5",
        "set": "a, b",
        "list": "b, a",
        "nested": "at=2026-11-24T10:00:00+00:00, deep=x=null, on=false",
        "state": "locked",
        "id": "00000000-0000-0000-0000-000000000001",
        "text": STORED,
    }


# --- revocation lists and the database itself


async def test_revocation_list_is_replaced_by_a_later_one_alone(stage: Stage) -> None:
    installation = PostgresInstallation(stage.engine, stage.keys)

    async def store(der: bytes, at: timedelta, source: str = "http://ca/1.crl") -> tuple[bytes, ...]:
        await installation.store_status_answer(source, FetchedAnswer(der, "ab" * 32, NOW + at, None), NOW)
        return tuple(each.der for each in await installation.status_answers())

    assert await installation.status_answers() == ()
    assert await store(b"first", timedelta(0)) == (b"first",)
    assert await store(b"later", timedelta(hours=1)) == (b"later",)
    assert await store(b"older", timedelta(minutes=1)) == (b"later",)
    assert await store(b"again", timedelta(hours=1)) == (b"again",)
    assert await store(b"other", timedelta(0), "http://ca/2.crl") == (b"again", b"other")


@pytest.mark.clause("DIR-35")
async def test_answers_tell_when_they_were_had_and_go_when_no_source_gives_them_any_more(stage: Stage) -> None:
    installation = PostgresInstallation(stage.engine, stage.keys)
    one, other = "http://ocsp/#ab", "http://ocsp/#cd"
    for source, at in ((one, NOW), (other, NOW), (one, NOW + timedelta(hours=1))):
        await installation.store_status_answer(source, FetchedAnswer(b"answer", "ab" * 32, NOW, None), at)
    known = await installation.status_answers()
    assert known == (KnownAnswer(b"answer", NOW + timedelta(hours=1)), KnownAnswer(b"answer", NOW))
    late = NOW + timedelta(days=31, minutes=1)
    await installation.store_status_answer("http://ca/3.crl", FetchedAnswer(b"new", "ab" * 32, late, None), late)
    assert {each.der for each in await installation.status_answers()} == {b"new", b"answer"}
    later = late + timedelta(hours=1)
    await installation.store_status_answer("http://ca/3.crl", FetchedAnswer(b"new", "ab" * 32, late, None), later)
    assert await installation.status_answers() == (KnownAnswer(b"new", later),)


async def test_ping_and_clock_ask_the_database(stage: Stage) -> None:
    installation = PostgresInstallation(stage.engine, stage.keys)
    await installation.ping()
    first, second = await installation.clock(), await installation.clock()
    assert first.utcoffset() == timedelta(0)
    assert first <= second


async def test_absent_database_is_unavailable() -> None:
    engine = create_engine("postgresql://nobody:x@127.0.0.1:1/none")
    keys = ContentKeys(engine, MasterKeys(MasterKey("1", bytes(32))))
    installation, administration = PostgresInstallation(engine, keys), PostgresAdministration(engine, keys)
    for call in (
        installation.ping(),
        installation.connections(),
        installation.signing_material(UUID(int=1), "smime"),
        administration.tenants(OPERATOR, 1, None),
        administration.create_tenant(OPERATOR, new_tenant(uuid4(), "x")),
    ):
        with pytest.raises(StoreUnavailable):
            await call
    await engine.dispose()
