"""Recording a proof: its verdict, what it means for its message, what the gateway learns from it (SND-42 to SND-46)."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any
from uuid import UUID

from demail_gateway.application.ports.arrivals import NewEvidence
from demail_gateway.application.ports.work import Lease, WorkKind
from demail_gateway.core.checks import Outcome
from demail_gateway.core.delivery import Clocks, EvidenceFact, derive
from demail_gateway.core.vocabulary import HandOver
from demail_gateway.storage.changes import Changes, Entry, Told, Work, settled_by_evidence
from demail_gateway.storage.rows import fact_to_jsonb, storable, storable_or_none, to_jsonb
from demail_gateway.storage.standing import fetch_standings, lock_leased, lock_messages
from demail_gateway.tenancy.identifiers import Prefix, format_id

DUPLICATE = "confirmation-duplicate"
"""Finding of another proof that says the same as one that is there already; it moves nothing (CO-16, SND-45).

Its fact is kept all the same: `derive` sees the set of all facts, so neither order nor repetition changes what comes
out. A mere label could be wrong about two notifications of one kind that say different things; a dropped fact would be.
"""
LEARNT_CHARS = 4000
"""Longer keys are no keys; they are not learnt."""

_EARLIER = """
SELECT EXISTS (
  SELECT FROM evidence WHERE tenant_id = $1 AND message_id = $2 AND kind = $3 AND outcome = 'passed'
     AND copy_id IS NOT DISTINCT FROM $4 AND recipient_id IS NOT DISTINCT FROM $5 AND received_id <> $6
     AND issuer = $7 AND demail_message_id IS NOT DISTINCT FROM $8
     AND fact ->> 'effect' IS NOT DISTINCT FROM $9::text AND fact ->> 'reason' IS NOT DISTINCT FROM $10::text)
"""
# a proof that was indeterminate is recorded again when it could be checked; it keeps its first id
_INSERT = """
INSERT INTO evidence AS e
  (tenant_id, id, received_id, message_id, copy_id, recipient_id, kind, notification_type, issuer, issued_at,
   delivery_time, demail_message_id, recipient_address, outcome, verdict, checks, findings, fact, certificates, crls,
   recorded_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
ON CONFLICT (tenant_id, received_id) DO UPDATE SET
  message_id = excluded.message_id, copy_id = excluded.copy_id, recipient_id = excluded.recipient_id,
  kind = excluded.kind, notification_type = excluded.notification_type, issuer = excluded.issuer,
  issued_at = excluded.issued_at, delivery_time = excluded.delivery_time,
  demail_message_id = excluded.demail_message_id, recipient_address = excluded.recipient_address,
  outcome = excluded.outcome, verdict = excluded.verdict, checks = excluded.checks, findings = excluded.findings,
  fact = excluded.fact, certificates = excluded.certificates, crls = excluded.crls, recorded_at = excluded.recorded_at
"""
_PROCESSED = "UPDATE received SET processed_at = $3 WHERE tenant_id = $1 AND id = $2"
_LEARN = """
UPDATE message_copy SET demail_message_id = coalesce(demail_message_id, $3),
       integrity_value = coalesce(integrity_value, $4)
 WHERE tenant_id = $1 AND id = $2 AND (demail_message_id IS NULL OR integrity_value IS NULL)
"""


async def insert_proof(connection: Any, tenant_id: UUID, lease: Lease, evidence: NewEvidence, clocks: Clocks) -> None:
    """Within the caller's transaction; nothing when the lease no longer holds."""
    message_id = evidence.message_id
    locked = await lock_messages(connection, tenant_id, [message_id]) if message_id else []
    if not await lock_leased(connection, tenant_id, [lease]):
        return
    findings = [storable(finding) for finding in evidence.findings]
    if locked and DUPLICATE not in findings and await _is_duplicate(connection, tenant_id, evidence):
        findings.append(DUPLICATE)
    await connection.execute(_INSERT, tenant_id, *_columns(evidence, findings))
    await connection.execute(_PROCESSED, tenant_id, evidence.received_id, evidence.at)
    changes = Changes(evidence.at, clocks)
    _plan_recheck(changes, lease, evidence)
    state = None
    if locked and message_id:
        if evidence.copy_id and evidence.outcome is Outcome.PASSED:
            await connection.execute(_LEARN, tenant_id, evidence.copy_id, *_learnt(evidence))
        state = await _move(connection, tenant_id, changes, message_id, evidence)
    changes.journal.append(_entry(evidence, state))
    await changes.write(connection, tenant_id)


async def _is_duplicate(connection: Any, tenant_id: UUID, evidence: NewEvidence) -> bool:
    if evidence.outcome is not Outcome.PASSED:
        return False
    key = (evidence.message_id, evidence.kind, evidence.copy_id, evidence.recipient_id, evidence.received_id)
    source = (storable(evidence.issuer), storable_or_none(evidence.demail_message_id))
    return bool(await connection.fetchval(_EARLIER, tenant_id, *key, *source, *_said(evidence.fact)))


def _said(fact: EvidenceFact | None) -> tuple[str | None, str | None]:
    """Effect and reason, as in the stored fact: what tells two notifications of one kind apart."""
    if fact is None:
        return None, None
    return str(fact.effect), None if fact.reason is None else str(fact.reason)


def _columns(evidence: NewEvidence, findings: list[str]) -> tuple[Any, ...]:
    return (
        evidence.id,
        evidence.received_id,
        evidence.message_id,
        evidence.copy_id,
        evidence.recipient_id,
        evidence.kind,
        evidence.notification_type,
        storable(evidence.issuer),
        evidence.issued_at,
        evidence.delivery_time,
        storable_or_none(evidence.demail_message_id),
        storable_or_none(evidence.recipient_address),
        evidence.outcome,
        evidence.verdict,
        to_jsonb([asdict(check) for check in evidence.checks]),
        findings,
        fact_to_jsonb(evidence.fact),
        list(evidence.validation.get("certificates", ())),
        list(evidence.validation.get("status_answers", ())),
        evidence.at,
    )


def _plan_recheck(changes: Changes, lease: Lease, evidence: NewEvidence) -> None:
    work = (WorkKind.RECEIVED, evidence.received_id)
    if evidence.recheck_at is None:
        changes.removed.add(work)
    else:
        changes.planned[work] = Work(*work, evidence.recheck_at, lease.tries + 1, 0, lease.trace_id)


def _learnt(evidence: NewEvidence) -> tuple[str | None, str | None]:
    values = (storable_or_none(evidence.demail_message_id), storable_or_none(evidence.integrity_value))
    demail_message_id, integrity_value = (v if v and len(v) <= LEARNT_CHARS else None for v in values)
    # the plain index takes no more of it
    return demail_message_id if demail_message_id and len(demail_message_id) <= 600 else None, integrity_value


async def _move(connection: Any, tenant_id: UUID, changes: Changes, message_id: UUID, evidence: NewEvidence) -> str:
    """The message derived anew with all its evidence, this one included. Returns its state."""
    standing = (await fetch_standings(connection, tenant_id, [message_id]))[message_id]
    preview = derive(standing.facts, standing.evidence, evidence.at, changes.clocks)
    for copy in settled_by_evidence(standing, preview):
        if standing.copy(copy.id).hand_over is HandOver.UNCERTAIN:
            # an attempt that is still going on reports by itself (finish); only looking it up is over
            changes.removed.add((WorkKind.RECONCILE, copy.id))
        else:
            standing = standing.with_copy(copy.id, copy.hand_over, evidence.at)
            changes.plan_copy(copy.id, None)
    delivery = changes.settle(standing)
    if evidence.outcome is not Outcome.PASSED:
        told = f"evidence.{evidence.outcome}"
        changes.events.append(Told(told, message_id, evidence.recipient_id, standing.reference, None))
    return delivery.state


def _entry(evidence: NewEvidence, state: str | None) -> Entry:
    subject = evidence.message_id
    detail = {
        "evidence": format_id(Prefix.EVIDENCE, evidence.id),
        "kind": evidence.kind,
        "outcome": str(evidence.outcome),
        "verdict": evidence.verdict,
    }
    if state is not None:
        detail["state"] = state
    name = format_id(Prefix.MESSAGE, subject) if subject else format_id(Prefix.EVIDENCE, evidence.id)
    return Entry("evidence.recorded", name, json.loads(to_jsonb(detail)))
