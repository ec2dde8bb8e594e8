"""Handing copies over to their providers: at most once without a person (decision 2, SND-43).

The order of a batch: load, compose in threads, record the attempts, hand over on kept connections, record the ends.
What holds at every moment when a worker dies:

- before `begin`: the lease runs out and the row is open again;
- between `begin` and `finish`: the attempt is on record without an end, so the copy is uncertain and goes to
  reconciliation. That are at most as many copies as the profile has connections (with a provider that answers quickly
  twice `begun_together`, for a fraction of a second), and the ends not yet recorded (`GROUP` or `GROUP_S`, whichever
  comes first);
- a hand-over never outlives its lease: it is broken off before, and then its outcome is unknown as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from demail_gateway.application.batch import Batch, Ready, Work, first_error
from demail_gateway.application.compose import compose
from demail_gateway.application.hand_over import HandOver, HandOverPolicy
from demail_gateway.application.ports.connections import Connection
from demail_gateway.application.ports.dispatches import (
    AttemptBegin,
    AttemptOutcome,
    ClaimedCopy,
    CopyContent,
    Dispatches,
)
from demail_gateway.application.ports.installation import Installation, SigningMaterial
from demail_gateway.application.ports.providers import Provider
from demail_gateway.application.ports.surroundings import Clock, Observe, Randomness
from demail_gateway.application.ports.trust import Sealer
from demail_gateway.application.ports.work import Lease
from demail_gateway.application.record import Recorder
from demail_gateway.application.remembered import Remembered
from demail_gateway.core.errors import ComposeFailed, DemailError, KeyUnavailable, StoreUnavailable
from demail_gateway.core.limits import GUIDELINE
from demail_gateway.tenancy.identifiers import uuid7

SMIME = "smime"
_KEEP_S = 5.0
"""How long connections and keys are remembered; a change of either takes effect after that at the latest."""
_COMPOSED_TOGETHER = 8
"""Copies composed by one thread in one go: a thread for each would cost as much as composing."""


class Dispatch:
    """Hands claimed copies over."""

    def __init__(
        self,
        dispatches: Dispatches,
        installation: Installation,
        provider: Provider,
        sealer: Sealer,
        clock: Clock,
        randomness: Randomness,
        observe: Observe,
        policy: HandOverPolicy,
    ) -> None:
        self._dispatches = dispatches
        self._connection = Remembered(installation.connection, _KEEP_S)
        self._material: Remembered[UUID, SigningMaterial | None] = Remembered(
            lambda tenant_id: installation.signing_material(tenant_id, SMIME), _KEEP_S
        )
        self._hand_over_one = HandOver(provider, clock, randomness, observe, policy)
        self._sealer = sealer
        self._clock = clock
        self._randomness = randomness
        self._observe = observe
        self._policy = policy
        self._paces: dict[UUID, int] = {}

    async def __call__(self, work: Work, leases: Sequence[Lease]) -> None:
        """Works off `leases`; returns when each has an end on record, was given back, or was lost.

        Raises:
            StoreUnavailable: the database is away; leases that were not begun run out and open again.
        """
        recorder = Recorder(self._dispatches, work.tenant_id, self._observe)
        batch = Batch(leases)
        try:
            await self._load_next(work, batch)
            width = await self._width(batch)
            lanes = min(2, width)
            workers = [self._lane(work, batch, recorder, -(-width // lanes)) for _ in range(lanes)]
            ends = await asyncio.gather(self._fill(work, batch, recorder), *workers, return_exceptions=True)
        finally:
            await recorder.flush()
        if (error := first_error(ends)) is not None:
            raise error

    async def _width(self, batch: Batch) -> int:
        """How many hand-overs may be under way: the fewest connections among the providers of the first copies."""
        ids = {claimed.content.connection_id for claimed in batch.loaded}
        named = [(await self._connection(each)).profile.get("connections") for each in ids]
        widths = [each for each in named if isinstance(each, int) and each > 0]
        return min(widths, default=self._policy.connections)

    async def _fill(self, work: Work, batch: Batch, recorder: Recorder) -> None:
        """Loads and composes ahead of the lanes, bounded by the batch."""
        try:
            while True:
                groups = _groups(batch.take_loaded())
                await asyncio.gather(*(self._prepare(work, batch, recorder, group) for group in groups))
                if work.stopping or batch.broken or not batch.rest:
                    break
                await self._load_next(work, batch)
            await self._give_back(work, batch.take_rest())
        finally:
            await batch.end()

    async def _load_next(self, work: Work, batch: Batch) -> None:
        leases = batch.next_leases()
        try:
            loaded = await self._dispatches.load(work.tenant_id, leases)
        except StoreUnavailable:
            await batch.fail()
            raise
        except DemailError as error:
            # the tenant's content cannot be read now, e.g. its key cannot be unwrapped: nothing was begun
            self._observe("work_failed", tenant=work.tenant_id, code=error.code, stage="load")
            await self._give_back(work, leases, wait_s=self._policy.backoff.first_s)
            return
        batch.add_loaded(loaded)
        gone = {lease.work_id for lease in leases} - {claimed.lease.work_id for claimed in loaded}
        for lease in leases:
            if lease.work_id in gone:
                await self._dispatches.done(work.tenant_id, lease)

    async def _prepare(self, work: Work, batch: Batch, recorder: Recorder, group: Sequence[ClaimedCopy]) -> None:
        """Composes a few copies in one thread; each ends ready, failed, or put off."""
        try:
            composed = await self._composed(work.tenant_id, group)
        except StoreUnavailable:
            await batch.fail()
            raise
        ends = list(zip(group, composed, strict=True))
        for claimed, end in ends:
            if isinstance(end, Exception):
                recorder.add(self._not_composed(claimed, end))
        await batch.put([Ready(claimed, end) for claimed, end in ends if isinstance(end, bytes)])

    async def _composed(self, tenant_id: UUID, group: Sequence[ClaimedCopy]) -> list[bytes | Exception]:
        contents = [claimed.content for claimed in group]
        material = None
        if any(content.octets is None and (content.sign or content.encrypt) for content in contents):
            material = await self._material(tenant_id)
        boundaries = [self._randomness(16).hex() for _ in group]
        return await asyncio.to_thread(_compose_all, contents, material, self._sealer, self._clock(), boundaries)

    def _not_composed(self, claimed: ClaimedCopy, error: Exception) -> AttemptOutcome:
        content = claimed.content
        if isinstance(error, ComposeFailed):
            self._observe("compose_failed", tenant=content.tenant_id, message=content.message_id, copy=content.copy_id)
            return self._hand_over_one.failed(claimed, str(error))
        code = error.code if isinstance(error, DemailError) else type(error).__name__
        self._observe("work_failed", tenant=content.tenant_id, copy=content.copy_id, code=code, stage="compose")
        # why a key cannot be used, e.g. its certificate has expired, is what the operator must read
        reason = f"{code}: {error}" if isinstance(error, KeyUnavailable) else code
        return self._hand_over_one.put_off(claimed, reason)

    async def _give_back(self, work: Work, leases: Sequence[Lease], *, wait_s: float = 0.0) -> None:
        if leases:
            await self._dispatches.release(work.tenant_id, leases, work.after(self._clock(), wait_s))

    async def _lane(self, work: Work, batch: Batch, recorder: Recorder, size: int) -> None:
        """Begins and hands over group after group of at least `size`, as far as there are so many."""
        clock, lines = asyncio.get_running_loop().time, asyncio.Semaphore(size)
        while group := await batch.take(max(size, self._paces.get(work.tenant_id, size))):
            if work.stopping or batch.broken or recorder.broken or not work.has_time():
                await self._give_back(work, [ready.claimed.lease for ready in group])
                continue
            try:
                connections = [await self._connection(ready.claimed.content.connection_id) for ready in group]
                begun_at = clock()
                begun = await self._begin(work, group)
            except BaseException:
                await batch.fail()
                raise
            pairs = [(each, to) for each, to in zip(begun, connections, strict=True) if each is not None]
            await asyncio.gather(*(self._hand_over(work, recorder, lines, each, to, begun_at) for each, to in pairs))
            self._keep_pace(work.tenant_id, size, clock() - begun_at)

    def _keep_pace(self, tenant_id: UUID, size: int, took_s: float) -> None:
        """A quick provider gets larger groups, which saves commits; of a slow one no more is begun than lines carry."""
        if took_s > self._policy.quick_s:
            self._paces.pop(tenant_id, None)
        else:
            self._paces[tenant_id] = min(2 * self._paces.get(tenant_id, size), self._policy.begun_together)

    async def _begin(self, work: Work, group: Sequence[Ready]) -> list[Ready | None]:
        """The attempts on record, committed, before the first SMTP octet; None for copies whose lease was lost."""
        now = self._clock()
        known = [replace(each, attempt_id=uuid7(now, self._randomness(10))) for each in group]
        begins = [
            AttemptBegin(each.claimed.lease, each.attempt, each.claimed.content.copy_id, each.octets, now)
            for each in known
        ]
        held = await self._dispatches.begin(work.tenant_id, begins)
        return [each if each.claimed.content.copy_id in held else None for each in known]

    async def _hand_over(
        self,
        work: Work,
        recorder: Recorder,
        lines: asyncio.Semaphore,
        ready: Ready,
        connection: Connection,
        begun_at: float,
    ) -> None:
        async with lines:
            recorder.add(await self._hand_over_one(work, ready, connection, begun_at))


def _groups(loaded: Sequence[ClaimedCopy]) -> list[Sequence[ClaimedCopy]]:
    return [loaded[start : start + _COMPOSED_TOGETHER] for start in range(0, len(loaded), _COMPOSED_TOGETHER)]


def _compose_all(
    contents: Sequence[CopyContent],
    material: SigningMaterial | None,
    sealer: Sealer,
    at: datetime,
    boundaries: Sequence[str],
) -> list[bytes | Exception]:
    return [
        _compose(content, material, sealer, at, boundary)
        for content, boundary in zip(contents, boundaries, strict=True)
    ]


def _compose(
    content: CopyContent, material: SigningMaterial | None, sealer: Sealer, at: datetime, boundary: str
) -> bytes | Exception:
    try:
        octets = compose(content, material, sealer, at, boundary)
    except Exception as error:  # one copy that cannot be composed must not stop the tenant's others
        return error
    if GUIDELINE.gross_bytes is not None and len(octets) > GUIDELINE.gross_bytes:
        return ComposeFailed("too-large")
    return octets
