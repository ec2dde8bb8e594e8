"""The way to the gateway: nothing is lost while it is away, refuses for now, or the sandbox itself ends."""

from __future__ import annotations

import socket

import pytest

from demail_gateway.sandbox.configuration import Configuration
from tests.sandbox.playground import PROOFS, Playground, playing

CITIZEN = "buergerin@sandbox.de-mail.de"


@pytest.mark.clause(
    "TR 01201-3.1 step 39 FC-01",
    "TR 01201-3.1 step 70 FC-01",
    "TR 01201-3.1 function 1 FC-01",
    "TR 01201-3.1 step 56 FC-03",
)
async def test_proofs_wait_while_the_gateway_is_away(configuration: Configuration) -> None:
    async with playing(configuration, listening=False) as playground:
        await playground.submit(CITIZEN, options=PROOFS)
        await playground.mailbox_until(CITIZEN, 1)
        assert playground.listener.arrived == []
        await playground.listener.start()
        assert len(await playground.listener.until(2)) == 2


async def test_proofs_wait_for_the_next_start(configuration: Configuration) -> None:
    async with playing(configuration, listening=False) as before:
        for _ in range(5):
            await before.submit(CITIZEN, options=PROOFS)
        await before.mailbox_until(CITIZEN, 5)
    async with playing(configuration) as after:
        assert len(await after.listener.until(10)) == 10
        assert len(await after.mailbox(CITIZEN)) == 5


async def test_a_later_event_survives_the_restart(configuration: Configuration) -> None:
    async with playing(configuration) as before:
        await before.submit("unknown+900@sandbox.de-mail.de")
        await before.listener.until(1, "confirmation of dispatch")
    async with playing(configuration) as after:
        await after.http.post("/clock", json={"advance_s": 901})
        await after.listener.until(1, "notification")
    async with playing(configuration) as last:
        assert last.sandbox._clock.offset_s == 901
        assert last.listener.arrived == []


async def test_what_was_registered_survives_the_restart(configuration: Configuration) -> None:
    async with playing(configuration) as before:
        await before.http.post("/connections", json={"fingerprint": "ab" * 32, "auth_level": "normal"})
        await before.http.post("/accounts", json={"address": "a@b.de-mail.de", "holder": "H"})
        await before.http.post("/certificates/revoke", json={"serial": 12345678901234567890123})
        anchor = before.anchor
    async with playing(configuration) as after:
        books = after.sandbox._desk._books
        assert (books.level("ab" * 32), books.accounts["a@b.de-mail.de"].holder) == ("normal", "H")
        assert after.sandbox._identity.revoked == {12345678901234567890123}
        assert after.anchor == anchor


async def test_a_restarted_sandbox_is_where_it_was(configuration: Configuration) -> None:
    async with playing(configuration) as before:
        facts = before.facts
    async with playing(configuration) as after:
        assert after.facts == facts
    with socket.create_server(("127.0.0.1", facts["smtp_port"])):
        async with playing(configuration) as elsewhere:
            assert elsewhere.facts["smtp_port"] != facts["smtp_port"]
            assert elsewhere.facts["url"] == facts["url"]


@pytest.mark.clause("TR 01201-3.1 step 39 FC-01", "TR 01201-3.1 step 40 FC-01", "TR 01201-3.1 step 70 FC-01")
async def test_a_temporary_refusal_is_tried_again(playground: Playground) -> None:
    answers = ["451 later", "451 later"]
    playground.listener.refuse = lambda _: answers.pop() if answers else None
    await playground.submit(CITIZEN, options=PROOFS)
    await playground.listener.until(2)
    assert answers == []


@pytest.mark.clause("TR 01201-3.1 step 45 FC-01", "TR 01201-3.1 step 56 FC-01", "TR 01201-3.1 step 56 FC-03")
async def test_a_refused_proof_is_tried_again_and_not_given_up(playground: Playground) -> None:
    answers = ["550 unknown", "550 unknown"]
    playground.listener.refuse = lambda _: answers.pop() if answers else None
    await playground.submit(CITIZEN, options=PROOFS)
    assert len(await playground.listener.until(2)) == 2


async def test_an_outage_holds_back_what_is_to_be_sent(playground: Playground) -> None:
    await playground.submit("unknown+900@sandbox.de-mail.de")
    await playground.listener.until(1)
    await playground.http.post("/outage", json={"seconds": 3600})
    await playground.http.post("/clock", json={"advance_s": 901})
    answer = await playground.http.post("/mail", json={"from": CITIZEN, "to": ["a@amt.de-mail.de"], "text": "x"})
    assert answer.status_code == 201
    assert len(playground.listener.arrived) == 1
    await playground.http.post("/outage", json={"seconds": 0})
    await playground.listener.until(3)


async def test_a_gateway_that_moved_is_found_again(configuration: Configuration) -> None:
    async with playing(configuration, listening=False) as playground:
        await playground.submit(CITIZEN, options=PROOFS)
        playground.listener.port = 0
        await playground.listener.start()
        peer = {"host": "127.0.0.1", "port": playground.listener.port, "server_name": "gateway.test"}
        assert (await playground.http.post("/gateway", json=peer)).status_code == 204
        await playground.listener.until(2)


async def test_a_gateway_under_another_name_gets_nothing(playground: Playground) -> None:
    peer = {"host": "127.0.0.1", "port": playground.listener.port, "server_name": "other.test"}
    await playground.http.post("/gateway", json=peer)
    await playground.submit(CITIZEN, options=PROOFS)
    await playground.mailbox_until(CITIZEN, 1, "copies")
    assert playground.listener.arrived == []
