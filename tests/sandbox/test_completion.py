"""Laws of completing and sealing a draft (TR 01201-3.1 steps 29 to 31)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demail_gateway.core.address import Address, parse_address
from demail_gateway.core.checks import Outcome
from demail_gateway.core.completion import ProviderFacts, complete, copies_of
from demail_gateway.core.header import read_message
from demail_gateway.core.integrity import check_integrity
from demail_gateway.core.metadata import read_metadata
from demail_gateway.core.primitives import CertificateVerdict
from demail_gateway.core.recipients import Mailbox, RecipientLists
from demail_gateway.core.vocabulary import AuthLevel
from demail_gateway.sandbox.letters import Tamper, tampered
from demail_gateway.sandbox.scripts import LARGEST_DELAY_S, scripted
from demail_gateway.sandbox.sealing import seal_completed
from demail_gateway.trust.verifier import CryptographyVerifier
from tests.sandbox.playground import make_draft

AT = datetime(2026, 3, 2, 8, 14, 5, tzinfo=UTC)
FACTS = ProviderFacts(AuthLevel.HIGH, "Token", "Stadt Elbtal – Kämmerei", "mail.sandbox.de-mail.de", AT)
ADDRESSES = [parse_address(f"r{number}@sandbox.de-mail.de") for number in range(6)]

kinds = st.dictionaries(st.sampled_from(ADDRESSES), st.sampled_from(["to", "cc", "bcc"]), min_size=1)


def lists_of(chosen: dict[Address, str]) -> RecipientLists:
    return RecipientLists(
        *(tuple(Mailbox("", a) for a, kind in chosen.items() if kind == name) for name in ("to", "cc", "bcc"))
    )


class NobodyJudges:
    def judge(self, certificate_der: bytes, at: datetime) -> CertificateVerdict:
        raise AssertionError("nothing is signed here")


def intact(octets: bytes) -> bool:
    result = check_integrity(octets, verifier=CryptographyVerifier(), judge=NobodyJudges(), at=AT)
    return result.verdict is Outcome.PASSED


@pytest.mark.clause("TR 01201-3.1 step 29")
@given(kinds, st.sets(st.sampled_from(ADDRESSES)))
def test_every_recipient_of_the_envelope_is_in_exactly_one_copy(
    chosen: dict[Address, str], left_out: set[Address]
) -> None:
    envelope = [address for address in chosen if address not in left_out]
    served = [address for copy in copies_of(lists_of(chosen), envelope) for address in copy.envelope]
    assert sorted(served) == sorted(envelope)


@pytest.mark.clause("TR 01201-3.1 step 29", "TR 01201-3.4 §3.1.8 bcc", "TR 01201-3.4 §3.1.21 bcc")
@given(kinds)
def test_a_hidden_recipient_is_named_in_its_own_copy_alone(chosen: dict[Address, str]) -> None:
    lists = lists_of(chosen)
    for copy in copies_of(lists, chosen):
        assert (copy.chosen.to, copy.chosen.cc) == (lists.to, lists.cc)
        hidden = tuple(mailbox.address for mailbox in copy.chosen.bcc)
        assert hidden == (copy.envelope if chosen[copy.envelope[0]] == "bcc" else ())


@pytest.mark.clause(
    "TR 01201-3.1 step 29",
    "TR 01201-3.4 §3.1 others",
    "TR 01201-3.4 §3.1.15",
    "TR 01201-3.4 §3.1.17 copied",
)
@given(kinds, st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=40))
@settings(max_examples=50)
def test_completing_keeps_the_drafts_octets(chosen: dict[Address, str], subject: str) -> None:
    by_kind = {name: tuple(str(a) for a, kind in chosen.items() if kind == name) for name in ("to", "cc", "bcc")}
    draft = read_message(make_draft(*by_kind["to"], cc=by_kind["cc"], bcc=by_kind["bcc"], subject=subject))
    chosen_lists = read_metadata(draft.header).chosen_recipients
    copies = copies_of(chosen_lists, chosen)
    for copy in copies:
        message = read_message(complete(draft, copy.chosen, FACTS, "id@sandbox.de-mail.de"))
        assert message.body == draft.body
        kept = [item.raw for item in message.header.fields if draft.header.first(item.lower)]
        own = [item.raw for item in draft.header.fields]
        changed = {b"Date"} | ({b"x-de-mail-chosen-recipient"} if copy.chosen != chosen_lists else set())
        assert [raw for raw in kept if raw.partition(b":")[0] not in changed] == [
            raw for raw in own if raw.partition(b":")[0] not in changed
        ]
        assert read_metadata(message.header).actual_recipients.same_as(copy.chosen)


@pytest.mark.clause("TR 01201-3.4 §3.1.21 bcc")
def test_a_bcc_field_of_the_draft_never_leaves() -> None:
    draft = read_message(b"Bcc: hidden@sandbox.de-mail.de\r\n" + make_draft("a@sandbox.de-mail.de"))
    message = complete(draft, read_metadata(draft.header).chosen_recipients, FACTS, "id")
    assert b"hidden@" not in message


@pytest.mark.clause("TR 01201-3.1 step 48 FC-01", "TR 01201-3.4 §3.1.13 kept")
@given(st.text(max_size=200), st.sampled_from([Tamper.BODY, Tamper.HEADER]))
@settings(max_examples=60)
def test_a_tampered_message_is_never_intact(text: str, how: Tamper) -> None:
    draft = read_message(make_draft("a@sandbox.de-mail.de", text=text.encode("utf-8", "replace").decode()))
    message = complete(draft, read_metadata(draft.header).chosen_recipients, FACTS, "id@sandbox.de-mail.de")
    sealed = seal_completed(message, None)
    assert intact(sealed)
    assert not intact(tampered(sealed, how))
    assert tampered(sealed, None) == sealed


@given(st.text())
def test_every_local_part_has_a_script(local: str) -> None:
    script = scripted(local)
    assert script.delay_s is None or 0 <= script.delay_s <= LARGEST_DELAY_S
