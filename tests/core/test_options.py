"""The combination table of `sending-and-receiving.md` §2 against the rules."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demail_gateway.core.options import (
    GERMAN,
    OPTION_NAMES,
    PROFILES,
    RULES,
    OptionSituation,
    RequestedOptions,
    SendOptions,
    expand,
    option_violations,
)
from demail_gateway.core.vocabulary import AuthLevel

AUTHORITY = OptionSituation(AuthLevel.HIGH, pseudonym=False, retrieval_entitlement=True)
PERSON = OptionSituation(AuthLevel.HIGH, pseudonym=False, retrieval_entitlement=False)

requested_options = st.builds(RequestedOptions, *[st.none() | st.booleans()] * 5)
situations = st.builds(
    OptionSituation,
    st.sampled_from(AuthLevel),
    st.booleans(),
    st.booleans(),
    st.none() | st.frozensets(st.sampled_from(OPTION_NAMES)),
)


def only(name: str) -> RequestedOptions:
    return RequestedOptions(**{name: True})


def codes(requested: RequestedOptions, situation: OptionSituation) -> list[tuple[str, str]]:
    return [(rule.rule, rule.option) for rule in option_violations(requested, situation)]


TABLE = [
    (replace(AUTHORITY, auth_level=AuthLevel.NORMAL), "private", "SND-14"),
    (replace(AUTHORITY, auth_level=AuthLevel.NORMAL), "authoritative", "SND-14"),
    (replace(AUTHORITY, auth_level=AuthLevel.NORMAL), "confirmation_of_dispatch", None),
    (replace(AUTHORITY, auth_level=AuthLevel.NORMAL), "confirmation_of_receipt", None),
    (replace(AUTHORITY, auth_level=AuthLevel.NORMAL), "confirmation_of_retrieve", "SND-14"),
    (replace(PERSON, pseudonym=True), "private", None),
    (replace(PERSON, pseudonym=True), "authoritative", "SND-15"),
    (replace(PERSON, pseudonym=True), "confirmation_of_dispatch", None),
    (replace(PERSON, pseudonym=True), "confirmation_of_receipt", None),
    (replace(PERSON, pseudonym=True), "confirmation_of_retrieve", "SND-16"),
    (replace(AUTHORITY, pseudonym=True), "confirmation_of_retrieve", "SND-16"),
    (PERSON, "private", None),
    (PERSON, "authoritative", None),
    (PERSON, "confirmation_of_dispatch", None),
    (PERSON, "confirmation_of_receipt", None),
    (PERSON, "confirmation_of_retrieve", "SND-16"),
]


@pytest.mark.clause("TR 01201-3.1 steps 1, 18–20, 21–22, 23–25")
@pytest.mark.parametrize(("situation", "option", "rule"), TABLE)
def test_each_row_of_the_combination_table_is_refused_or_allowed(
    situation: OptionSituation, option: str, rule: str | None
) -> None:
    assert codes(only(option), situation) == ([] if rule is None else [(rule, option)])


@pytest.mark.parametrize("first", OPTION_NAMES)
@pytest.mark.parametrize("second", OPTION_NAMES)
def test_an_entitled_authority_may_combine_any_two_options(first: str, second: str) -> None:
    assert codes(RequestedOptions(**{first: True, second: True}), AUTHORITY) == []


def test_retrieval_sets_private_and_nothing_else() -> None:
    assert expand(only("confirmation_of_retrieve")) == SendOptions(confirmation_of_retrieve=True, private=True)


def test_retrieval_with_private_refused_breaks_snd_4() -> None:
    assert codes(RequestedOptions(confirmation_of_retrieve=True, private=False), AUTHORITY) == [("SND-4", "private")]


def test_an_option_the_client_may_not_use_is_refused_by_name() -> None:
    situation = replace(AUTHORITY, permitted=frozenset({"confirmation_of_dispatch"}))
    requested = RequestedOptions(confirmation_of_dispatch=True, authoritative=True)
    assert codes(requested, situation) == [("SND-10", "authoritative")]


def test_private_implied_by_retrieval_needs_no_permission_of_its_own() -> None:
    situation = replace(AUTHORITY, permitted=frozenset({"confirmation_of_retrieve"}))
    assert codes(only("confirmation_of_retrieve"), situation) == []


def test_profiles_are_those_of_snd_6() -> None:
    chosen = {name: expand(requested).chosen() for name, requested in PROFILES.items()}
    assert chosen == {
        "standard": set(),
        "dispatch-proof": {"confirmation_of_dispatch"},
        "receipt-proof": {"confirmation_of_dispatch", "confirmation_of_receipt"},
        "written-form": {"authoritative", "confirmation_of_receipt"},
        "formal-service": {"confirmation_of_retrieve", "private", "confirmation_of_dispatch"},
    }


def test_every_rule_names_its_option_source_and_reason_in_both_languages() -> None:
    for rule in RULES:
        assert rule.option in OPTION_NAMES
        assert rule.source
        assert rule.de
        assert rule.en
        assert rule.de != rule.en
    assert set(GERMAN) == set(OPTION_NAMES)


@given(requested_options, situations)
def test_raising_the_auth_level_never_adds_a_violation(requested: RequestedOptions, situation: OptionSituation) -> None:
    high = option_violations(requested, replace(situation, auth_level=AuthLevel.HIGH))
    normal = option_violations(requested, replace(situation, auth_level=AuthLevel.NORMAL))
    assert set(high) <= set(normal)


@given(requested_options)
def test_expanding_keeps_what_was_asked_for_and_adds_private_alone(requested: RequestedOptions) -> None:
    chosen = expand(requested).chosen()
    assert requested.chosen() <= chosen
    assert chosen - requested.chosen() <= {"private"}
    assert expand(RequestedOptions(**{name: name in chosen for name in OPTION_NAMES})).chosen() == chosen


@pytest.mark.parametrize("name", OPTION_NAMES)
def test_any_confirmation_means_the_three_proofs(name: str) -> None:
    assert SendOptions(**{name: True}).any_confirmation is name.startswith("confirmation")
