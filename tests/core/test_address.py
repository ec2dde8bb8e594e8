"""De-Mail addresses: ADR-1, ADR-2, ADR-4, ADR-30, ADR-40, MF-22."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.address import (
    Address,
    TrustedDomains,
    is_system_local_part,
    parse_address,
    same_address,
    suggestion,
)
from demail_gateway.core.errors import AddressInvalid

DOMAIN_189 = ".".join(["d" * 61, "d" * 61, "d" * 57, "example"])


@pytest.mark.parametrize(
    "text",
    [
        "erika.mustermann@anbieter-a.example",
        "e.mustermann.2@anbieter-a.example",
        "wilhelm_joachim.mueller-luedenscheidt@anbieter-a.example",
        "pn_elbhang42@anbieter-a.example",
        "poststelle@amt_1.musterstadt.dmda-a.example",
        "a@b.example",
    ],
)
def test_addresses_of_the_guideline_are_accepted(text: str) -> None:
    assert str(parse_address(text)) == text


def test_letters_become_lower_case() -> None:
    assert parse_address("Erika.Mustermann@Anbieter-A.example") == Address("erika.mustermann", "anbieter-a.example")


@pytest.mark.parametrize(
    ("local", "domain", "reason"),
    [
        ("a" * 64, "b.example", None),
        ("a" * 65, "b.example", "address-local-too-long"),
        ("a" * 63, DOMAIN_189, None),
        ("a", "d" + DOMAIN_189, "address-domain-too-long"),
        ("a" * 64, DOMAIN_189, "address-too-long"),
    ],
)
def test_all_three_lengths_hold(local: str, domain: str, reason: str | None) -> None:
    if reason is None:
        assert parse_address(f"{local}@{domain}").local == local
        return
    with pytest.raises(AddressInvalid) as caught:
        parse_address(f"{local}@{domain}")
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "@b.example",
        "a@",
        "a@b",
        "a@@b.example",
        "a@b@c.example",
        "a b@c.example",
        " a@b.example",
        "a@b.example ",
        "a@b.example\n",
        "a@b.example\r\nBcc: c@d.example",
        '"a"@b.example',
        "<a@b.example>",
        "Amt <a@b.example>",
        "a@[127.0.0.1]",
        ".a@b.example",
        "a.@b.example",
        "a..b@c.example",
        "a@.example",
        "a@b..example",
        "a@b.example.",
        "a@-b.example",
        "a@b-.example",
        "a@" + "b" * 64 + ".example",
        "müller@b.example",
        "a@bü.example",
        "a\0@b.example",
        "a,b@c.example",
        "a;b@c.example",
        "a\uff20b.example",
    ],
)
def test_what_is_no_address_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(AddressInvalid) as caught:
        parse_address(text)
    assert caught.value.reason == str(caught.value) == "address-syntax"


@given(st.text(max_size=40))
def test_an_accepted_address_is_its_own_canonical_form(text: str) -> None:
    try:
        address = parse_address(text)
    except AddressInvalid:
        return
    assert parse_address(str(address)) == address
    assert str(address) == text.lower()


def test_addresses_are_compared_without_case_in_both_parts() -> None:
    assert same_address("Versandbestaetigung@DMDA-A.example", parse_address("versandbestaetigung@dmda-a.example"))
    assert not same_address("a@b.example", "a@c.example")


@pytest.mark.parametrize(
    ("domain", "inside"),
    [
        ("de-mail.de", True),
        ("sandbox.de-mail.de", True),
        ("amt.stadt.de-mail.de", True),
        ("xde-mail.de", False),
        ("de-mail.de.example", False),
        ("de", False),
    ],
)
def test_de_mail_is_decided_by_the_list_on_label_boundaries(domain: str, inside: bool) -> None:
    trusted = TrustedDomains(frozenset({"De-Mail.de."}))
    assert trusted.is_demail(Address("a", domain)) is inside


def test_the_longest_trusted_domain_names_the_provider() -> None:
    trusted = TrustedDomains(frozenset({"de-mail.de", "sandbox.de-mail.de"}))
    assert trusted.provider_domain(Address("a", "x.sandbox.de-mail.de")) == "sandbox.de-mail.de"
    assert trusted.provider_domain(Address("a", "x.de-mail.de")) == "de-mail.de"
    assert TrustedDomains(frozenset()).provider_domain(Address("a", "x.de-mail.de")) is None


@pytest.mark.parametrize("local", ["Versandbestaetigung", "eingangsbestaetigung", "MELDUNG", "Ident-Meldung"])
def test_system_names_are_reserved_without_case(local: str) -> None:
    assert is_system_local_part(local)


def test_providers_may_reserve_further_names() -> None:
    assert not is_system_local_part("Sperrung")
    assert is_system_local_part("sperrung", extra=("Sperrung",))


@pytest.mark.parametrize(
    ("text", "suggested"),
    [
        ("müller@b.example", "mueller@b.example"),
        ("mu\u0308ller@b.example", "mueller@b.example"),
        (" Groß@B.example", "gross@b.example"),
        ("GROẞ@b.example", "gross@b.example"),
        ("mueller@b.example", None),
        ("ж@b.example", None),
        ("müller", None),
    ],
)
def test_transliteration_is_only_suggested(text: str, suggested: str | None) -> None:
    assert suggestion(text) == suggested


def test_pseudonym_form_is_recognised() -> None:
    assert parse_address("pn_elbhang42@b.example").is_pseudonym_form
    assert not parse_address("pnelbhang@b.example").is_pseudonym_form
