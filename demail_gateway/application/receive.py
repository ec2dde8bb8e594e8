"""What came in: verified, told apart, matched, recorded (TR 01201-3.1 steps 83 and 90; `sending-and-receiving.md` §9).

Octets that a provider handed over are stored already; nothing here can lose them. Whatever they contain, they end as a
proof of a sent message or as an inbox entry. A proof that belongs to no sent message is an inbox entry, too, until a
person assigns it (CO-16).

A certificate's status may be unknown at first because no fresh revocation list is at hand. Then the connection's OCSP
responders are asked. What stays unknown makes a proof indeterminate: it moves nothing and is checked again; an inbox
entry, which is recorded once, waits a little for the list.
Every check, the first and a later one, judges for the moment of reception (IN-26): a certificate that ends meanwhile
makes no proof worse. A list or answer issued after the reception tells the status at the reception, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from demail_gateway.application.ask_status import Gaps
from demail_gateway.application.backoff import Backoff
from demail_gateway.application.batch import Work, first_error
from demail_gateway.application.inbox_entry import Entering, inbox_entry, unchecked_entry
from demail_gateway.application.inspect import Tools
from demail_gateway.application.ports.arrivals import Arrivals, NewEvidence, NewInbound, SentCopyRecord, StoredArrival
from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.installation import Installation
from demail_gateway.application.ports.scanning import Scanner
from demail_gateway.application.ports.surroundings import Clock, Observe, Randomness
from demail_gateway.application.ports.work import Lease
from demail_gateway.application.proof import Matched, Recording, evidence_of, read_proof
from demail_gateway.application.remembered import Remembered
from demail_gateway.core.checks import Outcome
from demail_gateway.core.correlation import CorrelationKeys, correlate
from demail_gateway.core.errors import DemailError, StoreUnavailable
from demail_gateway.core.primitives import StatusGap
from demail_gateway.tenancy.identifiers import uuid7

T = TypeVar("T")

_AT_ONCE = 4
"""Verified side by side; RSA releases the GIL, so more than the cores are of no use."""
_KEEP_S = 5.0


@dataclass(frozen=True, slots=True)
class ReceivePolicy:
    """When what could not be decided is tried again."""

    recheck: Backoff = field(default_factory=lambda: Backoff(first_s=5.0, longest_s=900.0, give_up_s=7 * 86400.0))
    """Of proofs without a decided status; then they stay indeterminate until a person acts."""
    entry_waits: int = 2
    """How often an inbox entry waits for a revocation list before it is recorded as indeterminate."""
    tries: int = 3
    """Of a check that fails for an unforeseen reason; then the octets become an entry that was not checked."""


class Receive:
    """Verifies and records claimed arrivals."""

    def __init__(
        self,
        arrivals: Arrivals,
        installation: Installation,
        tools_for: Callable[[Connection], Awaitable[Tools]],
        ask_status: Callable[[Connection, Iterable[StatusGap]], Awaitable[bool]],
        scanner: Scanner,
        clock: Clock,
        randomness: Randomness,
        observe: Observe,
        policy: ReceivePolicy,
    ) -> None:
        """`tools_for` gives verifier, XML signatures, judge (anchors, current lists) and trust list of a connection;

        `ask_status` looks for what these do not tell: True if tools asked for anew know more.
        """
        self._arrivals = arrivals
        self._connection = Remembered(installation.connection, _KEEP_S)
        self._tools_for = tools_for
        self._ask_status = ask_status
        self._scanner = scanner
        self._clock = clock
        self._randomness = randomness
        self._observe = observe
        self._policy = policy
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def __call__(self, work: Work, leases: Sequence[Lease]) -> None:
        """Works off `leases`; one that cannot be checked does not stop the others.

        Raises:
            StoreUnavailable: the database is away; the leases run out and are worked off again.
        """
        ends = await asyncio.gather(*(self._one(work, lease) for lease in leases), return_exceptions=True)
        if (error := first_error(ends)) is not None:
            raise error

    async def _one(self, work: Work, lease: Lease) -> None:
        async with self._slots:
            if work.stopping:
                await self._arrivals.postpone(work.tenant_id, lease, self._clock())
                return
            arrival = None
            try:
                arrival = await self._arrivals.load(work.tenant_id, lease)
                if arrival is not None:
                    await self._receive(work, lease, arrival)
            except StoreUnavailable:
                raise
            except Exception as error:  # hostile octets may find a fault of ours; they must end somewhere all the same
                await self._failed(work, lease, arrival, error)

    async def _receive(self, work: Work, lease: Lease, arrival: StoredArrival) -> None:
        tools = await self._tools_for(await self._connection(arrival.connection_id))
        proof = await _in_thread(read_proof, arrival.octets, tools)
        if proof is None:
            await self._record_entry(work, lease, arrival, tools, None)
            return
        found = await self._find_sent(work.tenant_id, proof.keys)
        correlation = correlate({key: record.copy_id for key, record in found.items()})
        if correlation.copy_id is None:
            await self._record_entry(work, lease, arrival, tools, correlation.finding)
            return
        record = next(each for each in found.values() if each.copy_id == correlation.copy_id)
        await self._record_proof(work, lease, arrival, tools, Matched(proof, correlation, record))

    async def _find_sent(self, tenant_id: UUID, keys: CorrelationKeys) -> dict[str, SentCopyRecord]:
        """Among the copies of the tenant that owns the mailbox (CO-16); a message of class M has the first key only."""
        found = await self._arrivals.find_sent(
            tenant_id,
            private_id=keys.private_id,
            demail_message_id=keys.demail_message_id,
            integrity_value=keys.integrity_value,
            internet_message_id=keys.internet_message_id,
        )
        return dict(found)

    async def _record_proof(
        self, work: Work, lease: Lease, arrival: StoredArrival, tools: Tools, matched: Matched
    ) -> None:
        now = self._clock()
        wait_s = self._policy.recheck.wait_s(lease.tries, 0.0)
        recheck_at = None if wait_s is None else now + timedelta(seconds=wait_s)
        recorded = Recording(self._id(now), now, arrival, recheck_at)
        evidence = await self._checked(
            arrival, tools, lambda known: evidence_of(matched, known, arrival.received_at, recorded)
        )
        await self._arrivals.record_evidence(work.tenant_id, lease, evidence)
        self._report_evidence(work, lease, evidence)

    async def _record_entry(
        self, work: Work, lease: Lease, arrival: StoredArrival, tools: Tools, finding: str | None
    ) -> None:
        now = self._clock()
        scanned = await self._scanner.message(arrival.octets)
        recorded = Entering(self._id(now), now, scanned, finding)
        entry = await self._checked(
            arrival, tools, lambda known: inbox_entry(arrival, known, arrival.received_at, recorded)
        )
        undecided = entry.verification["outcome"] == Outcome.INDETERMINATE
        if undecided and lease.tries < self._policy.entry_waits:
            wait_s = self._policy.recheck.wait_s(lease.tries, 0.0) or 0.0
            await self._arrivals.postpone(work.tenant_id, lease, now + timedelta(seconds=wait_s))
            return
        await self._arrivals.record_inbound(work.tenant_id, lease, entry)
        self._report_entry(work, lease, entry)

    async def _checked(self, arrival: StoredArrival, tools: Tools, check: Callable[[Tools], T]) -> T:
        """What `check` finds; once more where a responder could tell a status that was not known."""
        gaps = Gaps(tools.judge)
        found = await _in_thread(check, replace(tools, judge=gaps))
        connection = await self._connection(arrival.connection_id)
        if not gaps.found or not await self._ask_status(connection, gaps.found):
            return found
        return await _in_thread(check, await self._tools_for(connection))

    async def _failed(self, work: Work, lease: Lease, arrival: StoredArrival | None, error: Exception) -> None:
        """Later again; octets that fail again and again become an entry that says so.

        Trouble of the installation (a key, a file of anchors) is waited out: the octets are not to blame.
        """
        code = error.code if isinstance(error, DemailError) else type(error).__name__
        self._observe("work_failed", tenant=work.tenant_id, received=lease.subject_id, code=code, stage="receive")
        now = self._clock()
        if arrival is None or isinstance(error, DemailError | OSError) or lease.tries < self._policy.tries:
            wait_s = self._policy.recheck.wait_s(min(lease.tries, 8), 0.0) or self._policy.recheck.longest_s
            await self._arrivals.postpone(work.tenant_id, lease, now + timedelta(seconds=wait_s))
            return
        entry = unchecked_entry(arrival, self._id(now), now)
        await self._arrivals.record_inbound(work.tenant_id, lease, entry)
        self._report_entry(work, lease, entry)

    def _id(self, now: datetime) -> UUID:
        return uuid7(now, self._randomness(10))

    def _report_evidence(self, work: Work, lease: Lease, evidence: NewEvidence) -> None:
        facts = {
            "tenant": work.tenant_id,
            "message": evidence.message_id,
            "copy": evidence.copy_id,
            "evidence": evidence.id,
            "kind": evidence.kind,
            "outcome": evidence.outcome.value,
            "verdict": evidence.verdict,
            "trace_id": lease.trace_id,
        }
        self._observe("evidence_recorded", **facts)
        if evidence.outcome is Outcome.FAILED:
            self._observe("evidence_rejected", **facts, findings=list(evidence.findings))

    def _report_entry(self, work: Work, lease: Lease, entry: NewInbound) -> None:
        self._observe(
            "inbound_recorded",
            tenant=work.tenant_id,
            message=entry.id,
            message_type=entry.message_type,
            outcome=str(entry.verification["outcome"]),
            quarantine=entry.quarantine,
            octets=entry.size_bytes,
            trace_id=lease.trace_id,
        )


async def _in_thread(function: Callable[..., T], *arguments: object) -> T:
    return await asyncio.to_thread(function, *arguments)
