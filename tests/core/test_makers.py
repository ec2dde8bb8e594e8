"""Strict makers: what they write, the checker has nothing to say about; what they cannot write well, they refuse."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demail_gateway.core.address import Address
from demail_gateway.core.checker import check_message, check_submission
from demail_gateway.core.completion import ProviderFacts, complete, copies_of
from demail_gateway.core.entity import build_entity
from demail_gateway.core.errors import ComposeFailed
from demail_gateway.core.header import Octets, read_message
from demail_gateway.core.integrity import seal
from demail_gateway.core.matrix import KNOWN_VERSIONS
from demail_gateway.core.message import SubmissionFields, assemble
from demail_gateway.core.metadata import read_metadata
from demail_gateway.core.options import SendOptions
from demail_gateway.core.primitives import HashName
from demail_gateway.core.recipients import Mailbox, RecipientLists
from demail_gateway.core.vocabulary import AuthLevel

AT = datetime(2026, 3, 2, 8, 14, 5, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=60).filter(str.strip)
WILD = st.text(max_size=60) | st.text("\r\n\0 a=?ü\udcff", max_size=20) | st.just("x" * 1100)
ADDRESSES = st.builds(Address, st.sampled_from(["a", "b.c", "x" * 64]), st.sampled_from(["a.example", "b_c.example"]))
MAILBOXES = st.lists(st.builds(Mailbox, TEXT | st.just(""), ADDRESSES), max_size=3).map(tuple)
RECIPIENTS = st.builds(RecipientLists, MAILBOXES, MAILBOXES, MAILBOXES).filter(lambda lists: not lists.is_empty)
OPTIONS = st.builds(SendOptions, *[st.booleans()] * 5)
GOOD = st.builds(
    SubmissionFields,
    sender=ADDRESSES,
    to=MAILBOXES,
    cc=MAILBOXES,
    chosen=RECIPIENTS,
    subject=TEXT,
    date=st.just(AT),
    message_id=st.sampled_from(["<1@g.example>", "<1@g>"]),
    private_id=TEXT,
    options=OPTIONS,
    reply_to=st.none() | ADDRESSES,
    account_holder=TEXT,
)
FIELDS = (
    GOOD
    | st.builds(lambda fields, text: replace(fields, subject=text), GOOD, WILD)
    | st.builds(lambda fields, text: replace(fields, account_holder=text), GOOD, WILD)
    | st.builds(lambda fields, text: replace(fields, private_id=text), GOOD, WILD)
    | st.builds(lambda fields, text: replace(fields, message_id=f"<{text}@a>"), GOOD, WILD)
    | st.builds(lambda fields, text: replace(fields, to=(Mailbox(text, fields.sender),)), GOOD, WILD)
)
PROVIDERS = st.builds(
    ProviderFacts,
    st.sampled_from(AuthLevel),
    TEXT,
    TEXT,
    st.sampled_from(["mail.a.example", "mail", "10.0.0.1"]),
    st.just(AT),
    st.sampled_from(KNOWN_VERSIONS),
)
CHOICES = {"retrieve-requires-private", "pseudonym-authoritative", "auth-level-insufficient", "signature-required"}
"""What depends on the options that were chosen, and on how the message is sealed: not the makers' to decide."""
LONG_WORDS = {"line-over-78"}


@given(FIELDS)
@settings(max_examples=60)
def test_what_the_gateway_submits_has_no_findings(fields: SubmissionFields) -> None:
    try:
        octets = assemble(fields, build_entity("Text", None, (), "b"))
    except ComposeFailed:
        return
    assert {item.code for item in check_submission(read_message(octets).header)} <= CHOICES | LONG_WORDS


@given(GOOD)
def test_what_can_be_written_well_is_not_refused(fields: SubmissionFields) -> None:
    assert assemble(fields, build_entity("Text", None, (), "b"))


def draft(fields: SubmissionFields | None = None) -> Octets:
    return read_message(assemble(fields or PLAIN, build_entity("Text", None, (), "b")))


PLAIN = SubmissionFields(
    sender=Address("poststelle", "stadt.a.example"),
    to=(),
    cc=(),
    chosen=RecipientLists(to=(Mailbox("", Address("erika", "b.example")),)),
    subject="Bescheid",
    date=AT,
    message_id="<1@g.example>",
    private_id="urn:uuid:1",
    options=SendOptions(),
)
FACTS = ProviderFacts(AuthLevel.HIGH, "Token", "Stadt Elbtal", "mail.a.example", AT)


def sealed(octets: bytes) -> bytes:
    return seal(octets, hash_name=HashName.SHA256, domain="a.example", signer=None)


@given(GOOD, PROVIDERS, st.text("a1@-. =?", min_size=1, max_size=40).filter(str.strip))
@settings(max_examples=60)
def test_what_a_provider_makes_of_it_has_no_findings(
    fields: SubmissionFields, facts: ProviderFacts, message_id: str
) -> None:
    octets = draft(fields)
    for copy in copies_of(fields.chosen, fields.chosen.addresses):
        message = complete(octets, copy.chosen, facts, message_id)
        assert {item.code for item in check_message(sealed(message))} <= CHOICES | LONG_WORDS
        metadata = read_metadata(read_message(message).header)
        assert metadata.chosen_recipients.same_as(copy.chosen)
        assert metadata.actual_recipients.same_as(copy.chosen)


@pytest.mark.parametrize(
    "facts",
    [
        replace(FACTS, auth_mechanism=""),
        replace(FACTS, auth_mechanism="\udcff"),
        replace(FACTS, account_holder=" "),
        replace(FACTS, account_holder="a\r\nb"),
        replace(FACTS, originator_provider="a b"),
        replace(FACTS, version="2.0"),
    ],
)
def test_a_fact_that_makes_no_value_is_refused(facts: ProviderFacts) -> None:
    with pytest.raises(ComposeFailed):
        complete(draft(), RecipientLists(to=(Mailbox("", Address("a", "b.example")),)), facts, "id")


@pytest.mark.parametrize(("chosen", "message_id"), [(RecipientLists(), "id"), (None, ""), (None, "a\nb")])
def test_recipients_and_message_id_are_needed(chosen: RecipientLists | None, message_id: str) -> None:
    lists = RecipientLists(to=(Mailbox("", Address("a", "b.example")),)) if chosen is None else chosen
    with pytest.raises(ComposeFailed):
        complete(draft(), lists, FACTS, message_id)


@pytest.mark.clause("TR 01201-3.1 step 29", "TR 01201-3.4 §3.1.8 bcc", "TR 01201-3.4 §3.1.18")
def test_every_copy_has_its_own_id_and_hash() -> None:
    hidden = [Mailbox("", Address(name, "b.example")) for name in ("h1", "h2")]
    octets = draft(replace(PLAIN, chosen=replace(PLAIN.chosen, bcc=tuple(hidden))))
    lists = read_metadata(octets.header).chosen_recipients
    copies = copies_of(lists, lists.addresses)
    headers = [
        read_message(sealed(complete(octets, copy.chosen, FACTS, f"id-{number}"))).header
        for number, copy in enumerate(copies)
    ]
    assert [header.value("x-de-mail-message-id") for header in headers] == ["id-0", "id-1", "id-2"]
    assert len({header.value("x-de-mail-integrity") for header in headers}) == 3
    seen = [{str(mailbox.address) for mailbox in read_metadata(header).chosen_recipients.bcc} for header in headers]
    assert seen == [set(), {"h1@b.example"}, {"h2@b.example"}]
