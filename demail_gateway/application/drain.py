"""Working off a tenant's due rows, slice by slice, so that no tenant waits for another's backlog (decision 13)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from demail_gateway.application.batch import Work, first_error
from demail_gateway.application.ports.dispatches import Dispatches
from demail_gateway.application.ports.surroundings import Clock, Observe
from demail_gateway.application.ports.work import Lease, WorkKind

Handler = Callable[[Work, Sequence[Lease]], Awaitable[None]]

KINDS = (WorkKind.RECEIVED, WorkKind.RECONCILE, WorkKind.DISPATCH, WorkKind.REVIEW)
"""What came in goes first: it may settle what is about to be asked or sent."""


@dataclass(frozen=True, slots=True)
class DrainPolicy:
    claim: int = 100
    """Rows of one claim."""
    slice: int = 200
    """Rows of one turn; then the other tenants have theirs."""
    lease_s: float = 60.0
    worker: str = "worker"
    """Name of this process, for the record of who holds a lease."""


class Drain:
    """One turn of a tenant."""

    def __init__(
        self,
        dispatches: Dispatches,
        handlers: Mapping[WorkKind, Handler],
        clock: Clock,
        observe: Observe,
        policy: DrainPolicy,
    ) -> None:
        """`handlers`: for each kind but REVIEW, which needs nothing but the database."""
        self._dispatches = dispatches
        self._handlers = {WorkKind.REVIEW: self._review, **handlers}
        self._clock = clock
        self._observe = observe
        self._policy = policy
        self._stopping = False

    def stop(self) -> None:
        """From now on nothing is begun; what is begun is finished and the rest given back."""
        self._stopping = True

    async def __call__(self, tenant_id: UUID) -> bool:
        """Works off at most a slice of the tenant's due rows. True: more may be due, give the tenant another turn.

        Raises:
            StoreUnavailable: the database is away.
        """
        done, claimed = 0, 1
        while claimed and done < self._policy.slice and not self._stopping:
            claimed = await self._claim_and_work(tenant_id, min(self._policy.claim, self._policy.slice - done))
            done += claimed
        # fewer than asked for may have been bounded by their size: only nothing means that nothing is due
        more = claimed > 0 and not self._stopping
        self._observe("drain_ended", tenant=tenant_id, rows=done, more=more)
        return more

    async def _claim_and_work(self, tenant_id: UUID, limit: int) -> int:
        policy = self._policy
        claimed_at = asyncio.get_running_loop().time()
        leases = await self._dispatches.claim(tenant_id, KINDS, self._clock(), limit, policy.lease_s, policy.worker)
        if leases:
            await self._work(Work(tenant_id, claimed_at, policy.lease_s, lambda: self._stopping), leases)
        return len(leases)

    async def _work(self, work: Work, leases: Sequence[Lease]) -> None:
        """All kinds side by side; what fails in one does not stop the others, and is raised at the end."""
        kinds = [(kind, [lease for lease in leases if lease.kind is kind]) for kind in KINDS]
        ends = await asyncio.gather(
            *(self._handlers[kind](work, chosen) for kind, chosen in kinds if chosen), return_exceptions=True
        )
        if (error := first_error(ends)) is not None:
            raise error

    async def _review(self, work: Work, leases: Sequence[Lease]) -> None:
        for lease in leases:
            await self._dispatches.review(work.tenant_id, lease, self._clock())
