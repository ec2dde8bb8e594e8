from __future__ import annotations

import pytest

from demail_gateway.core.vocabulary import NotificationType
from demail_gateway.sandbox.scripts import CITIZEN, DEFAULT_LOGIN_DELAY_S, LARGEST_DELAY_S, scripted


@pytest.mark.parametrize("local", ["buergerin", "erika.mustermann", "normal", "normal+3", "n", "+5", "ünknown"])
def test_a_name_that_is_not_listed_is_a_citizen(local: str) -> None:
    assert scripted(local).behaviour == CITIZEN


def test_a_row_is_chosen_by_the_beginning_of_the_local_part() -> None:
    assert scripted("unknown-person.17").behaviour.undeliverable is NotificationType.UNKNOWN_RECIPIENT
    assert scripted("CLOSED").behaviour.undeliverable is NotificationType.CLOSED_ACCOUNT
    assert not scripted("never-retrieves+2").behaviour.logs_in


def test_the_delay_moves_the_login_where_one_is_waited_for() -> None:
    script = scripted("normal+3")
    assert (script.arrival_delay_s(waits_for_login=True), script.login_delay_s) == (0.0, 3.0)


def test_the_delay_moves_the_arrival_where_no_login_is_waited_for() -> None:
    assert scripted("unknown+3").arrival_delay_s(waits_for_login=False) == 3.0


def test_without_a_number_the_login_comes_after_a_second() -> None:
    assert scripted("normal").login_delay_s == DEFAULT_LOGIN_DELAY_S == 1.0
    assert scripted("normal").arrival_delay_s(waits_for_login=False) == 0.0


@pytest.mark.parametrize("number", ["", "x", "-1", "1.5", "٣", "+3", " 3"])
def test_what_is_no_number_is_no_delay(number: str) -> None:
    assert scripted(f"normal+{number}").delay_s is None


def test_an_immense_number_is_the_largest_delay() -> None:
    assert scripted("normal+" + "9" * 5000).delay_s == LARGEST_DELAY_S
