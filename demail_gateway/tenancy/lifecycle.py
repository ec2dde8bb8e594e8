"""Life cycle of a tenant (`gateway-and-tenancy.md` §8, GWT-60 to GWT-62): steps, gates, suspension.

interested → offered → contracted → account_applied → account_active → configured
          → testing → accepted → live ⇄ suspended → ending → closed
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from types import MappingProxyType

from demail_gateway.core.errors import Conflict, GateNotMet


class TenantState(StrEnum):
    INTERESTED = "interested"
    OFFERED = "offered"
    CONTRACTED = "contracted"
    ACCOUNT_APPLIED = "account_applied"
    ACCOUNT_ACTIVE = "account_active"
    CONFIGURED = "configured"
    TESTING = "testing"
    ACCEPTED = "accepted"
    LIVE = "live"
    SUSPENDED = "suspended"
    ENDING = "ending"
    CLOSED = "closed"


class TransitionReason(StrEnum):
    """Why a step is taken; the first four are the reasons for a suspension (GWT-61)."""

    CONTRACT_BREACH = "contract-breach"
    SECURITY = "security"
    WISH = "wish"
    UNCLEAR_ENTITLEMENT = "unclear-entitlement"
    PROGRESS = "progress"


PERMISSIONS: frozenset[str] = frozenset({"send", "receive", "ident", "directory", "documents"})
"""Functions of the gateway that a tenant may use, each off by default (GWT-13)."""

DEFAULT_EFFECTS: Mapping[str, bool] = MappingProxyType({"sending": False, "polling": True, "portal": True})
"""What a suspension can switch off: true means that the function goes on, false that it is off.

Sending off, receiving on: people rely on reachability (GWT-61).
"""

_STEPS: tuple[tuple[TenantState, tuple[str, ...]], ...] = (
    (
        TenantState.INTERESTED,
        ("contact", "authority_type", "expected_volume", "mail_server", "specialist_applications", "archive_system"),
    ),
    (TenantState.OFFERED, ("service_description", "price_sheet", "risk_notice_handed_out")),
    (
        TenantState.CONTRACTED,
        ("service_contract", "data_processing_agreement", "responsible_persons", "price_plan"),
    ),
    (
        TenantState.ACCOUNT_APPLIED,
        ("representatives_identified", "retrieval_entitlement_applied_for", "domain_reserved"),
    ),
    (
        TenantState.ACCOUNT_ACTIVE,
        ("provider_confirmation", "account_holder_matches", "information_duties_confirmed", "malware_scan_consent"),
    ),
    (
        TenantState.CONFIGURED,
        ("address_plan", "clients_with_certificates", "sender_matrix", "routing", "policies", "directory_wish"),
    ),
    (TenantState.TESTING, ("test_checklist_simulated", "test_checklist_provider")),
    (
        TenantState.ACCEPTED,
        (
            "acceptance_signed_by_tenant",
            "acceptance_signed_by_operator",
            "risk_notice_signed",  # with contract and security concept the three that GWT-19 asks for before `live`
            "security_concept",
            "switch_date",
            "opening_of_access_published",
            "directory_self_check",
        ),
    ),
    (TenantState.LIVE, ()),
)
"""The steps in order, each with what must be true to go on from it; those of `live` stand at `accepted`."""

_ENDING = ("queue_drained", "last_poll", "export_confirmed", "certificates_revoked", "provider_contract_ended")
"""GWT-62: what must be true before a tenant is closed."""

_SENDING = frozenset({TenantState.TESTING, TenantState.ACCEPTED, TenantState.LIVE})


def gate(current: TenantState, to: TenantState) -> tuple[str, ...]:
    """Items that the step from `current` to `to` asks for.

    Raises:
        Conflict: ``transition-not-allowed``, there is no such step.
    """
    if (current, to) in _GATES:
        return _GATES[current, to]
    raise Conflict("transition-not-allowed")


def check_transition(
    current: TenantState, to: TenantState, reason: TransitionReason, evidence: Collection[str]
) -> None:
    """Returns when the step may be taken.

    Raises:
        Conflict: ``transition-not-allowed``; ``transition-reason`` for a suspension without one of the four of GWT-61.
        GateNotMet: items are missing from `evidence`.
    """
    needed = gate(current, to)
    if to is TenantState.SUSPENDED and reason is TransitionReason.PROGRESS:
        raise Conflict("transition-reason")
    if missing := [item for item in needed if item not in evidence]:
        raise GateNotMet(missing)


def effects_after(to: TenantState, effects: Mapping[str, bool] | None) -> dict[str, bool]:
    """What goes on in the new state; only a suspension switches anything off."""
    if to is not TenantState.SUSPENDED:
        return {}
    return {**DEFAULT_EFFECTS, **(effects or {})}


def may_send(state: str, effects: Mapping[str, bool], permissions: Collection[str]) -> bool:
    """Whether a tenant in this state may submit (SND-20): from `testing` on, and while suspended only if left on.

    While testing, the tenant's connections lead to a test provider (GWT-25).
    """
    if "send" not in permissions:
        return False
    return state in _SENDING or (state == TenantState.SUSPENDED and effects.get("sending", False))


def _gates() -> dict[tuple[TenantState, TenantState], tuple[str, ...]]:
    order = [state for state, _ in _STEPS]
    table = {(state, order[n + 1]): items for n, (state, items) in enumerate(_STEPS[:-1])}
    # a tenant may withdraw at any step; from `ending` there is no way back, its matrix and certificates are gone
    table |= {(state, TenantState.ENDING): () for state in order}
    table[TenantState.LIVE, TenantState.SUSPENDED] = ()
    table[TenantState.SUSPENDED, TenantState.LIVE] = ()
    table[TenantState.SUSPENDED, TenantState.ENDING] = ()
    table[TenantState.ENDING, TenantState.CLOSED] = _ENDING
    return table


_GATES: Mapping[tuple[TenantState, TenantState], tuple[str, ...]] = MappingProxyType(_gates())
