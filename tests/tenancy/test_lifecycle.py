"""GWT-60 to GWT-62: the steps of a tenant."""

from __future__ import annotations

import itertools

import pytest

from demail_gateway.core.errors import Conflict, GateNotMet
from demail_gateway.tenancy.lifecycle import (
    PERMISSIONS,
    TenantState,
    TransitionReason,
    check_transition,
    effects_after,
    gate,
    may_send,
)

ORDER = list(TenantState)[:9]
PROGRESS, WISH = TransitionReason.PROGRESS, TransitionReason.WISH


@pytest.mark.clause("GWT-60")
@pytest.mark.parametrize(("current", "to"), list(itertools.pairwise(ORDER)))
def test_each_step_is_taken_with_all_its_items_and_not_with_one_missing(current: TenantState, to: TenantState) -> None:
    needed = gate(current, to)
    check_transition(current, to, PROGRESS, needed)
    with pytest.raises(GateNotMet) as refusal:
        check_transition(current, to, PROGRESS, needed[1:])
    assert refusal.value.missing == needed[:1]


def test_no_step_is_skipped() -> None:
    with pytest.raises(Conflict, match="transition-not-allowed"):
        check_transition(TenantState.INTERESTED, TenantState.LIVE, PROGRESS, ())


@pytest.mark.clause("GWT-19")
def test_live_asks_for_the_signed_risk_notice_and_the_security_concept() -> None:
    assert {"risk_notice_signed", "security_concept"} <= set(gate(TenantState.ACCEPTED, TenantState.LIVE))


@pytest.mark.clause("GWT-61")
def test_suspension_needs_a_reason_and_switches_only_sending_off() -> None:
    with pytest.raises(Conflict, match="transition-reason"):
        check_transition(TenantState.LIVE, TenantState.SUSPENDED, PROGRESS, ())
    check_transition(TenantState.LIVE, TenantState.SUSPENDED, TransitionReason.SECURITY, ())
    assert effects_after(TenantState.SUSPENDED, None) == {"sending": False, "polling": True, "portal": True}
    assert effects_after(TenantState.SUSPENDED, {"polling": False})["polling"] is False
    assert effects_after(TenantState.LIVE, {"sending": False}) == {}


@pytest.mark.clause("GWT-61")
def test_a_suspended_tenant_can_go_live_again() -> None:
    check_transition(TenantState.SUSPENDED, TenantState.LIVE, PROGRESS, ())


@pytest.mark.clause("GWT-62")
def test_a_closed_tenant_stays_closed_and_an_ending_one_only_closes() -> None:
    check_transition(TenantState.LIVE, TenantState.ENDING, WISH, ())
    for state in TenantState:
        with pytest.raises(Conflict):
            gate(TenantState.CLOSED, state)
        if state is not TenantState.CLOSED:
            with pytest.raises(Conflict):
                gate(TenantState.ENDING, state)


@pytest.mark.clause("SND-20")
@pytest.mark.parametrize("state", list(TenantState))
def test_sending_is_possible_from_testing_to_live_and_with_the_permission_alone(state: TenantState) -> None:
    sends = state in (TenantState.TESTING, TenantState.ACCEPTED, TenantState.LIVE)
    assert may_send(state, {}, PERMISSIONS) is sends
    assert not may_send(state, {}, PERMISSIONS - {"send"})


def test_a_suspended_tenant_sends_only_where_sending_was_left_on() -> None:
    assert may_send("suspended", {"sending": True}, PERMISSIONS)
    assert not may_send("suspended", {"sending": False}, PERMISSIONS)
    assert not may_send("unheard-of", {}, PERMISSIONS)
