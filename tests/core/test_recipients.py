"""Recipient lists: MF-18, MF-22, MF-23."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.address import Address
from demail_gateway.core.header import HeaderField, fold
from demail_gateway.core.recipients import (
    Mailbox,
    RecipientLists,
    format_mailboxes,
    format_recipients,
    parse_mailboxes,
    parse_recipients,
)
from demail_gateway.core.vocabulary import RecipientKind

DISPLAYS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\t"), max_size=40)
ADDRESSES = st.builds(
    Address, st.from_regex(r"\A[a-z0-9=_+-]{1,20}\Z"), st.sampled_from(["a.example", "amt_1.b.example"])
)
LISTS = st.lists(st.builds(Mailbox, DISPLAYS, ADDRESSES), max_size=4).map(tuple)
RECIPIENTS = st.builds(RecipientLists, LISTS, LISTS, LISTS).filter(lambda lists: not lists.is_empty)


@pytest.mark.clause("TR 01201-3.4 §3.1.8 syntax", "TR 01201-3.4 §3.1.8 names")
@given(RECIPIENTS)
def test_parsing_a_formatted_list_gives_it_again(recipients: RecipientLists) -> None:
    assert parse_recipients(format_recipients(recipients)) == (recipients, ())


@given(RECIPIENTS)
def test_folding_does_not_change_a_list(recipients: RecipientLists) -> None:
    raw = fold("x-de-mail-chosen-recipient", format_recipients(recipients))
    assert parse_recipients(HeaderField(raw).value)[0] == recipients


@given(st.text(max_size=80) | st.text('tocb=;,"<>()\\ @ax.:', max_size=60))
def test_any_value_is_read_without_an_error(value: str) -> None:
    recipients, codes = parse_recipients(value)
    assert codes or not recipients.is_empty


def addresses(recipients: RecipientLists) -> str:
    return " ".join(f"{kind}:{mailbox.address}" for kind, mailbox in recipients)


@pytest.mark.clause("TR 01201-3.4 §3.1.8 syntax", "TR 01201-3.4 §3.1.15")
@pytest.mark.parametrize(
    ("value", "expected", "codes"),
    [
        ("to=a@x.example", "to:a@x.example", ()),
        ('to=a@x.example, "A; 2" <b@x.example>; cc=c@y.example', "to:a@x.example to:b@x.example cc:c@y.example", ()),
        ("to=a@x.example; bcc=d@y.example", "to:a@x.example bcc:d@y.example", ()),
        ("bcc=d@y.example", "bcc:d@y.example", ()),
        (" TO \t=\ta@x.example ;Cc= b@x.example", "to:a@x.example cc:b@x.example", ()),
        ("cc=b@x.example; to=a@x.example", "to:a@x.example cc:b@x.example", ()),
        ("to=a@x.example; b@x.example", "to:a@x.example to:b@x.example", ("recipient-semicolon-list",)),
        ("to=a@x.example;", "to:a@x.example", ("recipient-trailing-semicolon",)),
        ("to=a@x.example; ; cc=b@x.example", "to:a@x.example cc:b@x.example", ("recipient-empty",)),
        ("to=a@x.example; to=b@x.example", "to:a@x.example to:b@x.example", ("recipient-duplicate-element",)),
        ("to=; cc=b@x.example", "cc:b@x.example", ("recipient-empty",)),
        ("", "", ("recipient-empty",)),
        (";", "", ("recipient-trailing-semicolon", "recipient-empty")),
        ("a@x.example", "", ("recipient-syntax",)),
        ("to=a@x.example,,b@x.example", "to:a@x.example to:b@x.example", ("recipient-syntax",)),
        ("to=Amt: a@x.example;", "", ("recipient-trailing-semicolon", "recipient-syntax")),
        ("to=a@x.example (Haus; 2, (alt))", "to:a@x.example", ()),
        ("to=(x\\) y) a@x.example", "to:a@x.example", ()),
        ("to=a@x.example (offen", "", ("recipient-syntax",)),
        ('to="offen <a@x.example>', "", ("recipient-syntax",)),
        ("to=<a@x.example", "", ("recipient-syntax",)),
        ("to=<a@x.example> b@x.example", "", ("recipient-syntax",)),
        ('to="a b"@x.example', "", ("recipient-syntax",)),
        ("to=A@x.example", "to:a@x.example", ("address-case",)),
        ("to=Versandbestaetigung@x.example", "to:versandbestaetigung@x.example", ()),
        ("to=" + "a" * 65 + "@x.example", "", ("address-local-too-long",)),
    ],
)  # fmt: skip
def test_grammar_and_its_tolerances(value: str, expected: str, codes: tuple[str, ...]) -> None:
    recipients, found = parse_recipients(value)
    assert addresses(recipients) == expected
    assert found == codes


@pytest.mark.clause("TR 01201-3.4 §3.1.8 names")
@pytest.mark.parametrize(
    ("value", "display"),
    [
        ("Erika Mustermann <a@x.example>", "Erika Mustermann"),
        ('"Amt; Haus \\"2\\"" <a@x.example>', 'Amt; Haus "2"'),
        ("=?utf-8?q?B=C3=BCrgeramt?= <a@x.example>", "Bürgeramt"),
        ('"=?utf-8?q?a?=" <a@x.example>', "=?utf-8?q?a?="),
        ('Amt "für" Ruhe <a@x.example>', "Amt für Ruhe"),
        ("B\udcc3\udcbcrgeramt <a@x.example>", "Bürgeramt"),
        ("<a@x.example>", ""),
    ],
)
def test_display_names_are_decoded(value: str, display: str) -> None:
    mailboxes, codes = parse_mailboxes(value)
    assert [mailbox.display for mailbox in mailboxes] == [display]
    assert codes == ()


@pytest.mark.parametrize("display", ["a\r\nBcc: x@y.example", "a\nb", "a\0", "ü\r\n"])
def test_display_name_cannot_smuggle_a_line(display: str) -> None:
    with pytest.raises(ValueError, match="control"):
        format_mailboxes([Mailbox(display, Address("a", "x.example"))])


def test_at_least_one_recipient_is_needed() -> None:
    with pytest.raises(ValueError, match="no recipient"):
        format_recipients(RecipientLists())


def test_sameness_ignores_order_and_names_but_not_kinds() -> None:
    one, two = Address("a", "x.example"), Address("b", "x.example")
    lists = RecipientLists(to=(Mailbox("A", one), Mailbox("", two)))
    assert lists.same_as(RecipientLists(to=(Mailbox("", two), Mailbox("", one))))
    assert not lists.same_as(RecipientLists(to=(Mailbox("", two),), cc=(Mailbox("", one),)))
    assert lists.addresses == (one, two)
    assert lists.of(RecipientKind.CC) == ()


def test_representation_shows_no_address() -> None:
    assert "erika" not in repr(RecipientLists(to=(Mailbox("Erika", Address("erika", "x.example")),)))
