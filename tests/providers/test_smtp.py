"""Hand-over by SMTP against real sockets with mutual TLS: what each ending means (SND-43)."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

import pytest

from demail_gateway.core.errors import ProviderOutcomeUnknown, ProviderRefused, ProviderUnavailable, StoreUnavailable
from demail_gateway.providers.profile import ProviderProfile
from demail_gateway.providers.smtp import SmtpProvider
from demail_gateway.trust.authority import Profile
from demail_gateway.trust.certificates import pem_to_der
from demail_gateway.trust.tls import TlsIdentity, server_context
from tests.providers.conftest import BODY, NOW, SENDER, Events, Listening, Peer, Pki, Script, listening, never_revoked

A, B, C = "a@sandbox.de-mail.de", "b@sandbox.de-mail.de", "c@sandbox.de-mail.de"


@pytest.fixture(params=[(), ("PIPELINING",)], ids=["one-by-one", "together"])
def script(request: pytest.FixtureRequest) -> Script:
    return Script(extensions=(*request.param, "SIZE 50000000"))


@pytest.fixture
async def provider(
    tls_contexts: Callable[[ProviderProfile], ssl.SSLContext], events: Events
) -> AsyncIterator[SmtpProvider]:
    made = SmtpProvider(tls_contexts, never_revoked, events, local_name="gateway.test", allow_plain=True)
    yield made
    await made.close()


@pytest.fixture
def there(
    pki: Pki, script: Script, provider_tls: ssl.SSLContext
) -> Callable[[], AbstractAsyncContextManager[Listening]]:
    return lambda: listening(pki, script.serve, provider_tls)


Where = Callable[[], AbstractAsyncContextManager[Listening]]


@pytest.mark.clause("TR 01201-3.1 step 9", "TR 01201-3.4 §2.1.3")
async def test_content_arrives_byte_for_byte(there: Where, script: Script, provider: SmtpProvider) -> None:
    async with there() as at:
        receipt = await provider.hand_over(at.request(A, B))
    assert receipt.reply == "250 2.0.0 taken"
    assert receipt.refused == {}
    assert script.taken == [(SENDER, (A, B), BODY)]
    assert f"MAIL FROM:<{SENDER}> SIZE={len(BODY)}" in script.commands
    assert script.commands[0] == "EHLO gateway.test"


@pytest.mark.parametrize("size", [256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 3_000_000])
async def test_large_content_arrives_byte_for_byte(
    there: Where, script: Script, provider: SmtpProvider, size: int
) -> None:
    line = b"." + b"x" * 75 + b"\r\n"
    body = (line * (size // len(line) + 1))[: size - 2] + b"\r\n"
    body = body.replace(b"\r\r\n", b"x\r\n")
    async with there() as at:
        await provider.hand_over(at.request(octets=body))
    assert script.taken[0][2] == body


async def test_one_connection_serves_many_messages(
    there: Where, script: Script, provider: SmtpProvider, events: Events
) -> None:
    async with there() as at:
        for _ in range(5):
            await provider.hand_over(at.request())
    assert script.connections == 1
    assert events.count("line_opened") == 1


async def test_no_more_connections_than_the_profile_says(there: Where, script: Script, provider: SmtpProvider) -> None:
    async with there() as at:
        request = at.request(connection=at.connection(connections=2))
        await asyncio.gather(*(provider.hand_over(request) for _ in range(20)))
    assert len(script.taken) == 20
    assert script.most_open == 2


async def test_connection_is_given_up_after_its_number_of_messages(
    there: Where, script: Script, provider: SmtpProvider
) -> None:
    async with there() as at:
        request = at.request(connection=at.connection(messages_per_connection=2))
        for _ in range(5):
            await provider.hand_over(request)
    assert script.connections == 3


async def test_idle_connection_is_closed_in_order(there: Where, script: Script, provider: SmtpProvider) -> None:
    async with there() as at:
        await provider.hand_over(at.request(connection=at.connection(idle_s=0.05)))
        async with asyncio.timeout(5):
            while script.open_now:
                await asyncio.sleep(0.01)
    assert script.commands[-1] == "QUIT"


async def test_connection_lost_while_idle_is_replaced_unnoticed(
    there: Where, script: Script, provider: SmtpProvider
) -> None:
    script.replies["MAIL"] = ["250 ok", "cut"]
    async with there() as at:
        await provider.hand_over(at.request())
        await provider.hand_over(at.request())
    assert len(script.taken) == 2
    assert script.connections == 2


async def test_provider_that_says_goodbye_to_a_kept_connection_is_called_again(
    there: Where, script: Script, provider: SmtpProvider
) -> None:
    script.replies["MAIL"] = ["250 ok", "421 4.4.2 idle too long"]
    async with there() as at:
        await provider.hand_over(at.request())
        await provider.hand_over(at.request())
    assert script.connections == 2


BEFORE_CONTENT = [
    ("MAIL", "451 4.3.0 later"),
    ("MAIL", "421 closing"),
    ("MAIL", "cut"),
    ("MAIL", "hang"),
    ("MAIL", "999 nonsense"),
    (f"RCPT {A}", "450 busy"),
    (f"RCPT {A}", "cut"),
    (f"RCPT {A}", "hang"),
    ("DATA", "451 not now"),
    ("DATA", "cut"),
    ("DATA", "hang"),
    ("DATA", "250 ok instead of 354"),
    ("CONTENT", "451 4.3.0 not stored"),
    ("CONTENT", "421 4.3.2 shutting down, not stored"),
]


@pytest.mark.clause("SND-43")
@pytest.mark.parametrize(("where", "reply"), BEFORE_CONTENT)
async def test_what_certainly_transferred_nothing_may_be_tried_again(
    there: Where, script: Script, provider: SmtpProvider, where: str, reply: str
) -> None:
    script.replies[where] = [reply]
    async with there() as at:
        with pytest.raises(ProviderUnavailable):
            await provider.hand_over(at.request(A))
        assert script.taken == []
        await provider.hand_over(at.request(A))
    assert len(script.taken) == 1


@pytest.mark.clause("SND-43", "TR 01201-3.1 step 9 FC-03")
@pytest.mark.parametrize("reply", ["cut", "hang", "garbage", "150 what", "354 again"])
async def test_silence_or_nonsense_after_the_content_is_an_unknown_outcome(
    there: Where, script: Script, provider: SmtpProvider, reply: str
) -> None:
    script.replies["CONTENT"] = [reply]
    async with there() as at:
        request = at.request(connection=at.connection(timeouts_s={"data": 0.2, "final": 0.2}))
        with pytest.raises(ProviderOutcomeUnknown):
            await provider.hand_over(request)
        await provider.hand_over(request)
    assert script.connections == 2, "a line with a lost answer is never used again"


@pytest.mark.clause("SND-43", "TR 01201-3.1 step 9 FC-03")
async def test_line_cut_before_the_last_piece_transferred_nothing(
    pki: Pki, provider_tls: ssl.SSLContext, provider: SmtpProvider
) -> None:
    script = Script(replies={"DURING": ["cut"]})
    async with listening(pki, script.serve, provider_tls) as at:
        with pytest.raises(ProviderUnavailable):
            await provider.hand_over(at.request(octets=b"x" * 70 + b"\r\n" + b"y" * 30_000_000 + b"\r\n"))


async def test_early_refusal_while_content_flows_is_heard(there: Where, script: Script, provider: SmtpProvider) -> None:
    script.replies["DURING"] = ["552 5.3.4 too much"]
    async with there() as at:
        with pytest.raises(ProviderRefused, match="552"):
            await provider.hand_over(at.request(octets=(b"y" * 998 + b"\r\n") * 60_000))


@pytest.mark.parametrize(
    ("where", "reply"),
    [
        ("MAIL", "550 5.1.8 sender"),
        ("MAIL", "553 5.1.7 sender"),
        ("MAIL", "550 not this sender"),
        ("MAIL", "501 5.1.7 syntax of the sender"),
        ("MAIL", "552 5.3.4 too big"),
        ("MAIL", "550 5.7.1x no status"),
        ("DATA", "554 5.7.1 no"),
        ("CONTENT", "550 5.7.1 no"),
        (f"RCPT {A}", "550 5.1.1 nobody"),
    ],
)
async def test_permanent_refusal_is_final_and_the_line_goes_on(
    there: Where, script: Script, provider: SmtpProvider, where: str, reply: str
) -> None:
    script.replies[where] = [reply]
    async with there() as at:
        with pytest.raises(ProviderRefused, match=reply[:3]):
            await provider.hand_over(at.request(A))
        await provider.hand_over(at.request(A))
    assert script.connections == 1
    assert len(script.taken) == 1


@pytest.mark.clause("SND-52")
@pytest.mark.parametrize(
    ("where", "reply"),
    [
        ("MAIL", "530 5.7.0 authenticate first"),
        ("MAIL", "535 certificate unknown"),
        ("MAIL", "538 encryption required"),
        ("MAIL", "503 5.5.1 say EHLO first"),
        ("MAIL", "550 5.7.1 certificate not admitted"),
        ("MAIL", "554 5.7.1 client host refused"),
        ("MAIL", "550 5.3.2 not accepting mail"),
        ("MAIL", "521 no mail here"),
        (f"RCPT {A}", "530 5.7.0 authenticate first"),
        ("DATA", "503 5.5.1 out of step"),
    ],
)
async def test_reply_about_us_rejects_no_draft_and_ends_the_line(
    there: Where, script: Script, provider: SmtpProvider, where: str, reply: str
) -> None:
    script.replies[where] = [reply]
    async with there() as at:
        with pytest.raises(ProviderUnavailable, match=reply[:3]):
            await provider.hand_over(at.request(A))
        await provider.hand_over(at.request(A))
    assert script.connections == 2, "another connection may show another certificate"
    assert len(script.taken) == 1


async def test_refused_reset_blames_no_draft(there: Where, script: Script, provider: SmtpProvider) -> None:
    script.replies |= {f"RCPT {A}": ["550 5.1.1 nobody"], "RSET": ["550 5.7.1 no"]}
    async with there() as at:
        with pytest.raises(ProviderUnavailable, match="550"):
            await provider.hand_over(at.request(A, B))
    assert script.taken == []


@pytest.mark.clause("TR 01201-3.1 steps 15-17", "TR 01201-3.1 steps 15–17")
async def test_refused_recipient_ends_the_transaction_and_the_others_go_on_in_the_same_session(
    there: Where, script: Script, provider: SmtpProvider
) -> None:
    script.replies[f"RCPT {B}"] = ["550 5.1.1 nobody here"]
    async with there() as at:
        receipt = await provider.hand_over(at.request(A, B, C))
    assert receipt.refused == {B: "550 5.1.1 nobody here"}
    assert script.taken == [(SENDER, (A, C), BODY)]
    assert script.connections == 1
    verbs = [command.split()[0] for command in script.commands]
    assert verbs[:9] == ["EHLO", "MAIL", "RCPT", "RCPT", "RCPT", "RSET", "MAIL", "RCPT", "RCPT"]


async def test_all_recipients_refused_names_them_all(there: Where, script: Script, provider: SmtpProvider) -> None:
    script.replies |= {f"RCPT {A}": ["550 no"], f"RCPT {B}": ["551 no"]}
    async with there() as at:
        with pytest.raises(ProviderRefused) as caught:
            await provider.hand_over(at.request(A, B))
    assert set(caught.value.recipients) == {A, B}
    assert "DATA" not in script.commands


async def test_one_recipient_put_off_puts_off_the_whole_copy(
    there: Where, script: Script, provider: SmtpProvider
) -> None:
    script.replies |= {f"RCPT {A}": ["550 no"], f"RCPT {B}": ["451 later"]}
    async with there() as at:
        with pytest.raises(ProviderUnavailable):
            await provider.hand_over(at.request(A, B, C))
    assert script.taken == []


async def test_refused_connection_blames_no_draft(
    pki: Pki, provider_tls: ssl.SSLContext, provider: SmtpProvider
) -> None:
    script = Script(greeting="554 5.7.1 you are not welcome")
    async with listening(pki, script.serve, provider_tls) as at:
        with pytest.raises(ProviderUnavailable, match="554"):
            await provider.hand_over(at.request())


async def test_provider_that_is_away_is_not_called_for_every_message(
    provider: SmtpProvider, there: Where, script: Script
) -> None:
    async with there() as at:
        request = at.request()
    replies = await asyncio.gather(*(provider.hand_over(request) for _ in range(50)), return_exceptions=True)
    assert all(isinstance(reply, ProviderUnavailable) for reply in replies)
    assert script.connections == 0


async def test_lone_line_end_never_leaves(there: Where, script: Script, provider: SmtpProvider) -> None:
    async with there() as at:
        for bad in (b"x\n.\nMAIL FROM:<y>\r\n", b"x\r\r\n", b"\rx\r\n"):
            with pytest.raises(ProviderRefused, match="CR LF"):
                await provider.hand_over(at.request(octets=bad))
    assert script.connections == 0


async def test_reply_is_shortened_and_made_printable(there: Where, script: Script, provider: SmtpProvider) -> None:
    script.replies["MAIL"] = ["550 \x1b[31m" + "z" * 2000]
    async with there() as at:
        with pytest.raises(ProviderRefused) as caught:
            await provider.hand_over(at.request())
    assert len(caught.value.reply) <= 500
    assert caught.value.reply.isprintable()


async def test_cancelled_hand_over_closes_its_line(there: Where, script: Script, provider: SmtpProvider) -> None:
    script.replies["CONTENT"] = ["hang"]
    async with there() as at:
        request = at.request(connection=at.connection(timeouts_s={"final": 30}))
        task = asyncio.create_task(provider.hand_over(request))
        async with asyncio.timeout(5):
            while not script.taken:
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await provider.hand_over(request)
    assert script.connections == 2


@asynccontextmanager
async def tls_server(pki: Pki, context: ssl.SSLContext) -> AsyncIterator[Listening]:
    async with listening(pki, Script().serve, context) as at:
        yield at


@pytest.mark.clause("DIR-32")
async def test_wrong_name_in_the_providers_certificate_is_refused(pki: Pki, provider: SmtpProvider) -> None:
    other = pki.identity(Profile.TLS_SERVER, dns="somebody.else.test")
    async with tls_server(pki, server_context(other, client_anchors=pki.authority.certificate_pem)) as at:
        with pytest.raises(ProviderUnavailable, match="tls-certificate: Hostname mismatch"):
            await provider.hand_over(at.request())


async def test_expired_certificate_of_the_provider_is_refused(pki: Pki, provider: SmtpProvider) -> None:
    old = pki.identity(Profile.TLS_SERVER, dns="mail.provider.test", until=NOW - timedelta(days=1))
    async with tls_server(pki, server_context(old, client_anchors=pki.authority.certificate_pem)) as at:
        with pytest.raises(ProviderUnavailable, match="tls-certificate: certificate has expired"):
            await provider.hand_over(at.request())


async def test_tls_below_1_2_is_refused(pki: Pki, provider: SmtpProvider) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    # the point of this server is to offer what must not be taken
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    for name, octets in (("s.pem", pki.server.certificate), ("s.key", pki.server.key)):
        assert isinstance(octets, bytes)
        (pki.directory / name).write_bytes(octets)
    context.load_cert_chain(pki.directory / "s.pem", pki.directory / "s.key")
    async with tls_server(pki, context) as at:
        with pytest.raises(ProviderUnavailable, match=r"tls|connection"):
            await provider.hand_over(at.request())


@pytest.mark.clause("TR 01201-3.1 step 9 FC-01")
async def test_provider_that_does_not_know_our_certificate_refuses_us(pki: Pki, provider: SmtpProvider) -> None:
    stranger = type(pki.authority).create("TEST other", NOW - timedelta(days=1), key_kind="p256")
    async with tls_server(pki, server_context(pki.server, client_anchors=stranger.certificate_pem)) as at:
        with pytest.raises(ProviderUnavailable):
            await provider.hand_over(at.request())


async def test_certificate_below_another_authority_is_refused(pki: Pki, provider: SmtpProvider) -> None:
    stranger = type(pki.authority).create("TEST other", NOW - timedelta(days=1), key_kind="p256")
    forged = Pki(stranger, TlsIdentity(b"", b""), TlsIdentity(b"", b""), pki.directory)
    identity = forged.identity(Profile.TLS_SERVER, dns="mail.provider.test")
    async with tls_server(pki, server_context(identity, client_anchors=pki.authority.certificate_pem)) as at:
        with pytest.raises(ProviderUnavailable, match="tls-certificate"):
            await provider.hand_over(at.request())


async def test_missing_key_file_blames_the_installation_not_the_draft(there: Where, provider: SmtpProvider) -> None:
    async with there() as at:
        request = at.request(connection=at.connection(client_key_file="/nowhere/key.pem"))
        with pytest.raises(ProviderUnavailable, match="cannot be read"):
            await provider.hand_over(request)


async def test_changed_profile_takes_effect_at_once(
    there: Where, script: Script, provider: SmtpProvider, pki: Pki, provider_tls: ssl.SSLContext
) -> None:
    other = Script()
    async with there() as at, listening(pki, other.serve, provider_tls) as moved:
        await provider.hand_over(at.request())
        await provider.hand_over(moved.request())
        await provider.hand_over(moved.request())
    assert (len(script.taken), len(other.taken)) == (1, 2)


async def test_plain_profile_works_only_where_the_installation_permits_it(
    pki: Pki, events: Events, tls_contexts: Callable[[ProviderProfile], ssl.SSLContext], provider: SmtpProvider
) -> None:
    script = Script()
    async with listening(pki, script.serve, None) as at:
        request = at.request(connection=at.connection(smtp={"tls": "none"}))
        await provider.hand_over(request)
        strict = SmtpProvider(tls_contexts, never_revoked, events)
        with pytest.raises(ProviderUnavailable, match="/profile/smtp/tls"):
            await strict.hand_over(request)
    assert len(script.taken) == 1


async def test_endless_reply_is_cut_off(pki: Pki, provider_tls: ssl.SSLContext, provider: SmtpProvider) -> None:
    async def serve(peer: Peer) -> None:
        try:
            while True:
                await peer.say("220-" + "x" * 4000)
        except ConnectionError:
            pass

    async with listening(pki, serve, provider_tls) as at:
        with pytest.raises(ProviderUnavailable):
            await provider.hand_over(at.request())


# --- commands together (RFC 2920) -------------------------------------------------------------------------------------


async def test_sender_and_recipients_go_out_before_any_reply(
    pki: Pki, provider_tls: ssl.SSLContext, provider: SmtpProvider
) -> None:
    script = Script(extensions=("PIPELINING",))
    heard: list[str] = []

    async def serve(peer: Peer) -> None:
        await peer.say("220 provider")
        await peer.hear()
        await peer.say("250-provider", "250 PIPELINING")
        heard.extend([await peer.hear() for _ in range(3)])
        await peer.say("250 sender", "550 5.1.1 unknown", "250 recipient")
        assert await peer.hear() == "RSET"
        await peer.say("250 ok")
        while await script._command(peer):
            pass

    async with listening(pki, serve, provider_tls) as at:
        receipt = await provider.hand_over(at.request(A, B))
    assert heard == [f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{A}>", f"RCPT TO:<{B}>"]
    assert receipt.refused == {A: "550 5.1.1 unknown"}
    assert script.taken[0][:2] == (SENDER, (B,))


async def test_more_replies_than_commands_end_the_line_before_the_content(
    pki: Pki, provider_tls: ssl.SSLContext, provider: SmtpProvider
) -> None:
    rest: asyncio.Queue[str] = asyncio.Queue()

    async def serve(peer: Peer) -> None:
        await peer.say("220 provider")
        await peer.hear()
        await peer.say("250-provider", "250 PIPELINING")
        assert (await peer.hear()).startswith("MAIL")
        await peer.say("250 sender", "250 recipient", "354 content")
        try:
            while True:
                rest.put_nowait(await peer.hear())
        except (ConnectionError, asyncio.IncompleteReadError):
            rest.put_nowait("")

    async with listening(pki, serve, provider_tls) as at:
        with pytest.raises(ProviderUnavailable):
            await provider.hand_over(at.request(A))
        assert await rest.get() == f"RCPT TO:<{A}>"
        assert await rest.get() == ""


async def test_address_cannot_carry_a_command(there: Where, script: Script, provider: SmtpProvider) -> None:
    async with there() as at:
        with pytest.raises(ValueError, match=r"one line|control character"):
            await provider.hand_over(at.request("a@b.de>\r\nRCPT TO:<evil@sandbox.de-mail.de"))
    assert script.taken == []
    assert not any("evil" in command for command in script.commands)


# --- a revoked certificate --------------------------------------------------------------------------------------------


@pytest.mark.clause("DIR-35")
@pytest.mark.parametrize("told", [True, None])
async def test_no_line_is_kept_to_a_certificate_that_is_revoked_or_whose_status_cannot_be_looked_up(
    there: Where,
    script: Script,
    pki: Pki,
    tls_contexts: Callable[[ProviderProfile], ssl.SSLContext],
    events: Events,
    told: bool | None,
) -> None:
    asked: list[tuple[bytes, bytes]] = []

    async def is_revoked(certificate_der: bytes, anchors_pem: bytes) -> bool:
        asked.append((certificate_der, anchors_pem))
        if told is None:
            raise StoreUnavailable
        return told

    provider = SmtpProvider(tls_contexts, is_revoked, events)
    async with there() as at:
        with pytest.raises(ProviderUnavailable, match="tls: "):
            await provider.hand_over(at.request(A, B))
    await provider.close()
    assert isinstance(pki.server.certificate, bytes)
    assert asked == [(pem_to_der(pki.server.certificate), pki.authority.certificate_pem)]
    assert script.taken == []
    assert "MAIL" not in "".join(script.commands)
