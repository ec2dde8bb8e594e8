"""The submission port: who gets in, what is taken, and that an answer means durable."""

from __future__ import annotations

import asyncio
import base64
import ssl
import uuid

import aiosmtplib
import pytest

from demail_gateway.core.eicar import EICAR
from demail_gateway.core.message import PartSource
from demail_gateway.core.options import SendOptions
from demail_gateway.trust.certificates import read_certificate
from demail_gateway.trust.tls import client_context
from tests.sandbox.playground import HOLDER, SENDER, Playground, certified, fingerprint, make_draft

CITIZEN = "buergerin@sandbox.de-mail.de"
PLAIN = SendOptions()


async def refusal(playground: Playground, *to: str, octets: bytes, sender: str = SENDER) -> str:
    """The provider's negative answer to a draft, with its code."""
    with pytest.raises(aiosmtplib.SMTPResponseException) as refused:
        await playground.submit(*to, octets=octets, sender=sender)
    return f"{refused.value.code} {refused.value.message}"


@pytest.mark.clause("TR 01201-3.1 step 9 FC-01")
async def test_a_client_without_certificate_gets_no_greeting(playground: Playground) -> None:
    context = client_context(playground.anchor, None)
    with pytest.raises((aiosmtplib.SMTPException, ssl.SSLError, ConnectionError)):
        async with playground.line(context) as smtp:
            await smtp.noop()


async def test_a_server_certificate_is_no_client_certificate(playground: Playground) -> None:
    identity, _ = await certified(playground.http, "tls-server", "x", dns=["x.test"])
    with pytest.raises((aiosmtplib.SMTPException, ssl.SSLError, ConnectionError)):
        async with playground.line(client_context(playground.anchor, identity)) as smtp:
            await smtp.noop()


async def test_a_revoked_client_gets_no_greeting(playground: Playground) -> None:
    identity, certificate = await certified(playground.http, "tls-client", "late")
    context = client_context(playground.anchor, identity)
    async with playground.line(context) as smtp:
        await smtp.noop()
    await revoke(playground, certificate)
    with pytest.raises((aiosmtplib.SMTPException, ConnectionError)):
        async with playground.line(context) as smtp:
            await smtp.noop()


async def revoke(playground: Playground, certificate: bytes) -> None:
    number = str(read_certificate(certificate).serial_number)
    assert (await playground.http.post("/certificates/revoke", json={"serial": number})).status_code == 204


@pytest.mark.clause("SND-43", "TR 01201-3.1 step 34")
async def test_an_accepted_draft_is_found_by_its_private_id(playground: Playground) -> None:
    private_id = f"urn:uuid:{uuid.uuid4()}"
    assert (await playground.provider(f"/submissions/{private_id}")).status_code == 404
    answer = await playground.submit(CITIZEN, private_id=private_id, options=PLAIN)
    found = await playground.provider(f"/submissions/{private_id}")
    assert found.status_code == 200
    assert found.json()["demail_message_id"] in answer
    assert found.json()["accepted_at"].endswith("+00:00")


@pytest.mark.clause("TR 01201-3.1 steps 18–20")
@pytest.mark.parametrize(
    ("option", "reply"),
    [("private", "Schritt 20"), ("authoritative", "Schritt 20"), ("confirmation_of_retrieve", "Schritt 20")],
)
async def test_level_normal_cannot_use_the_options_of_level_high(
    playground: Playground, option: str, reply: str
) -> None:
    level = {"fingerprint": fingerprint(playground.client_certificate), "auth_level": "normal"}
    assert (await playground.http.post("/connections", json=level)).status_code == 204
    draft = make_draft(CITIZEN, options=SendOptions(**{option: True}))
    assert reply in await refusal(playground, CITIZEN, octets=draft)


@pytest.mark.clause("TR 01201-3.1 §3.1.1.1", "TR 01201-3.1 steps 26–28")
async def test_level_normal_has_a_hundred_messages_a_day(playground: Playground) -> None:
    level = {"fingerprint": fingerprint(playground.client_certificate), "auth_level": "normal"}
    await playground.http.post("/connections", json=level)
    async with playground.line() as smtp:
        for _ in range(100):
            await smtp.sendmail(SENDER, [CITIZEN], make_draft(CITIZEN, options=PLAIN))
    assert "Schritt 28" in await refusal(playground, CITIZEN, octets=make_draft(CITIZEN, options=PLAIN))
    assert (await playground.http.post("/clock", json={"advance_s": 86_401})).status_code == 200
    await playground.submit(CITIZEN, options=PLAIN)


@pytest.mark.clause("TR 01201-3.1 steps 23–25")
async def test_retrieve_needs_private(playground: Playground) -> None:
    draft = make_draft(CITIZEN, options=SendOptions(confirmation_of_retrieve=True))
    assert "Schritt 25" in await refusal(playground, CITIZEN, octets=draft)


@pytest.mark.clause("TR 01201-3.1 steps 23–25")
async def test_retrieve_needs_the_entitlement_of_the_account(playground: Playground) -> None:
    account = {"address": SENDER, "holder": HOLDER, "retrieval_entitlement": False}
    assert (await playground.http.post("/accounts", json=account)).status_code == 204
    draft = make_draft(CITIZEN, options=SendOptions(confirmation_of_retrieve=True, private=True))
    assert "Schritt 25" in await refusal(playground, CITIZEN, octets=draft)


@pytest.mark.clause("TR 01201-3.1 steps 12–14")
async def test_an_account_belongs_to_its_client_certificate(playground: Playground) -> None:
    account = {"address": SENDER, "holder": HOLDER, "fingerprint": "ab" * 32}
    await playground.http.post("/accounts", json=account)
    assert "Schritt 14" in await refusal(playground, CITIZEN, octets=make_draft(CITIZEN))
    account["fingerprint"] = fingerprint(playground.client_certificate)
    await playground.http.post("/accounts", json=account)
    await playground.submit(CITIZEN, options=PLAIN)


async def test_a_gateway_does_not_speak_for_citizens(playground: Playground) -> None:
    draft = make_draft(CITIZEN, sender="erika@sandbox.de-mail.de")
    assert "Schritt 14" in await refusal(playground, CITIZEN, octets=draft, sender="erika@sandbox.de-mail.de")


@pytest.mark.clause("TR 01201-3.1 step 12")
@pytest.mark.parametrize(
    ("sender", "reply"),
    [("jemand@example.org", "Schritt 12"), ("versandbestaetigung@amt.de-mail.de", "Systemadressen")],
)
async def test_a_sender_must_be_an_ordinary_demail_address(playground: Playground, sender: str, reply: str) -> None:
    assert reply in await refusal(playground, CITIZEN, octets=make_draft(CITIZEN), sender=sender)


async def test_the_envelope_and_the_fields_name_the_same_sender(playground: Playground) -> None:
    draft = make_draft(CITIZEN)
    assert "Schritt 14" in await refusal(playground, CITIZEN, octets=draft, sender="amt@stadt-elbtal.de-mail.de")


@pytest.mark.clause("TR 01201-3.1 steps 15–17")
@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        ("a@example.org", "550"),
        ("meldung@sandbox.de-mail.de", "550"),
        ("nobody", "553"),
        ("rejects@sandbox.de-mail.de", "550"),
    ],
)
async def test_a_recipient_is_refused_before_the_data(playground: Playground, recipient: str, code: str) -> None:
    async with playground.line() as smtp:
        await smtp.mail(SENDER)
        with pytest.raises(aiosmtplib.SMTPRecipientRefused) as refused:
            await smtp.rcpt(recipient)
        assert str(refused.value.code) == code
        with pytest.raises(aiosmtplib.SMTPDataError):
            await smtp.data(b"x")


async def test_the_envelope_may_not_reach_whom_the_message_does_not_name(playground: Playground) -> None:
    draft = make_draft(CITIZEN)
    assert "Schritt 17" in await refusal(playground, CITIZEN, "anderer@sandbox.de-mail.de", octets=draft)


@pytest.mark.clause("MF-27", "TR 01201-3.1 step 10 FC-02", "TR 01201-3.4 §2.1")
async def test_a_field_that_only_the_provider_sets_is_refused(playground: Playground) -> None:
    draft = b"x-de-mail-auth-level: high\r\n" + make_draft(CITIZEN)
    assert "Schritt 10" in await refusal(playground, CITIZEN, octets=draft)


@pytest.mark.clause("TR 01201-3.1 step 10 FC-02")
async def test_a_missing_field_is_refused(playground: Playground) -> None:
    draft = make_draft(CITIZEN).replace(b"x-de-mail-private: no\r\n", b"")
    assert "Schritt 10" in await refusal(playground, CITIZEN, octets=draft)


@pytest.mark.clause("TR 01201-3.1 step 10 FC-02")
@pytest.mark.parametrize("octets", [b"", b"\r\n", b"no header at all", b": x\r\n\r\n", b"\x00\xff\r\n\r\n"])
async def test_what_cannot_be_read_is_refused(playground: Playground, octets: bytes) -> None:
    assert (await refusal(playground, CITIZEN, octets=octets)).startswith("554 5.6.0 Schritt 10")


@pytest.mark.clause("TR 01201-3.1 steps 26–28")
async def test_malware_in_a_submission_is_refused(playground: Playground) -> None:
    draft = make_draft(CITIZEN, attachments=(PartSource("x.com", "application/octet-stream", EICAR),))
    assert "Schritt 28" in await refusal(playground, CITIZEN, octets=draft)


@pytest.mark.clause("TR 01201-3.1 step 10", "TR 01201-3.4 §2.1.3")
async def test_dots_at_line_starts_and_large_messages_arrive_unchanged(playground: Playground) -> None:
    large = bytes(range(256)) * 12_000
    entity = b"Content-Type: text/plain\r\n\r\n.\r\n..\r\n.dots\r\n" + base64.encodebytes(large).replace(b"\n", b"\r\n")
    draft = make_draft(CITIZEN, options=PLAIN, entity=entity)
    await playground.submit(CITIZEN, octets=draft)
    (item,) = await playground.mailbox_until(CITIZEN, 1)
    assert base64.b64decode(item["raw"]).endswith(draft[draft.index(b"\r\n\r\n") :])


async def test_slow_is_refused_twice_and_then_taken(playground: Playground) -> None:
    draft = make_draft("slow@sandbox.de-mail.de", options=PLAIN)
    for _ in range(2):
        assert (await refusal(playground, "slow@sandbox.de-mail.de", octets=draft)).startswith("451")
    await playground.submit("slow@sandbox.de-mail.de", octets=draft)
    assert len(await playground.mailbox_until("slow@sandbox.de-mail.de", 1)) == 1


async def test_drops_takes_the_message_and_gives_no_answer(playground: Playground) -> None:
    private_id = f"urn:uuid:{uuid.uuid4()}"
    draft = make_draft("drops@sandbox.de-mail.de", options=PLAIN, private_id=private_id)
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await playground.submit("drops@sandbox.de-mail.de", octets=draft)
    assert (await playground.provider(f"/submissions/{private_id}")).status_code == 200
    assert len(await playground.mailbox_until("drops@sandbox.de-mail.de", 1)) == 1


async def test_every_copy_ever_taken_is_kept(playground: Playground) -> None:
    draft = make_draft(CITIZEN, options=PLAIN)
    await playground.submit(CITIZEN, octets=draft)
    await playground.submit(CITIZEN, octets=draft)
    items = await playground.mailbox_until(CITIZEN, 2)
    assert len({item["demail_message_id"] for item in items}) == 2


async def test_an_outage_cuts_and_refuses_and_ends(playground: Playground) -> None:
    async with playground.line() as smtp:
        assert (await playground.http.post("/outage", json={"seconds": 0.6})).status_code == 200
        with pytest.raises((aiosmtplib.SMTPException, ConnectionError)):
            await smtp.noop()
    with pytest.raises((aiosmtplib.SMTPException, ConnectionError)):
        await playground.submit(CITIZEN, options=PLAIN)
    async with asyncio.timeout(10):
        while True:
            try:
                await playground.submit(CITIZEN, options=PLAIN)
                break
            except (aiosmtplib.SMTPException, ConnectionError):
                await asyncio.sleep(0.05)
    assert (await playground.provider("/submissions/x")).status_code == 404


async def test_a_message_beyond_the_limit_is_refused_and_the_connection_goes_on(playground: Playground) -> None:
    large = b"Subject: x\r\n\r\n" + b"y" * 46 * 1024 * 1024
    async with playground.line() as smtp:
        await smtp.mail(SENDER)
        await smtp.rcpt(CITIZEN)
        with pytest.raises(aiosmtplib.SMTPDataError) as refused:
            await smtp.data(large, timeout=60)
        assert refused.value.code == 552
        await smtp.sendmail(SENDER, [CITIZEN], make_draft(CITIZEN, options=PLAIN))


async def test_a_size_announced_beyond_the_limit_is_refused_at_once(playground: Playground) -> None:
    async with playground.line() as smtp:
        await smtp.ehlo()
        with pytest.raises(aiosmtplib.SMTPSenderRefused):
            await smtp.mail(SENDER, options=[f"SIZE={46 * 1024 * 1024}"])


async def test_commands_out_of_order_are_refused(playground: Playground) -> None:
    async with playground.line() as smtp:
        await smtp.ehlo()
        assert (await smtp.execute_command(b"DATA")).code == 503
        await smtp.mail(SENDER)
        await smtp.rcpt(CITIZEN)
        assert (await smtp.execute_command(b"DATA", b"x")).code == 501


async def test_several_messages_go_over_one_connection(playground: Playground) -> None:
    async with playground.line() as smtp:
        for _ in range(5):
            await smtp.sendmail(SENDER, [CITIZEN], make_draft(CITIZEN, options=PLAIN))
    assert len(await playground.mailbox_until(CITIZEN, 5)) == 5


@pytest.mark.clause("TR 01201-3.1 step 10 FC-01")
async def test_a_message_that_ends_too_early_is_not_taken(playground: Playground) -> None:
    private_id = f"urn:uuid:{uuid.uuid4()}"
    draft = make_draft(CITIZEN, options=PLAIN, private_id=private_id)
    reader, writer = await asyncio.open_connection(
        "localhost", playground.facts["smtp_port"], ssl=playground.tls(), server_hostname="localhost"
    )
    for command in (b"EHLO x", b"MAIL FROM:<%s>" % SENDER.encode(), b"RCPT TO:<%s>" % CITIZEN.encode(), b"DATA"):
        writer.write(command + b"\r\n")
        await reader.readuntil(b"354 " if command == b"DATA" else b"250 ")
    writer.write(draft[:-40])
    await writer.drain()
    writer.close()
    await playground.submit(CITIZEN, options=PLAIN)
    assert (await playground.provider(f"/submissions/{private_id}")).status_code == 404
