"""A creating request is carried out once per idempotency key; its first answer is given again (`contract.md` §3)."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from demail_gateway.application.ports.answers import Accepted, AcceptResult, Answers, IdempotencyKey, StoredAnswer
from demail_gateway.application.ports.surroundings import Clock
from demail_gateway.core.errors import Conflict, DemailError, StoreUnavailable
from demail_gateway.tenancy.scope import OperatorScope, TenantScope


@dataclass(frozen=True, slots=True)
class Answer:
    stored: StoredAnswer
    replayed: bool


def first_answer(accepted: Accepted) -> Answer:
    """The answer that a known key stands for.

    Raises:
        Conflict: ``idempotency-key-reused``, the key belongs to another request.
    """
    if accepted.result is AcceptResult.REUSED or accepted.answer is None:
        raise Conflict("idempotency-key-reused")
    return Answer(accepted.answer, replayed=True)


class Once:
    """Carries out what `make` does, unless the key was used before."""

    def __init__(self, answers: Answers, clock: Clock) -> None:
        self._answers = answers
        self._clock = clock

    async def __call__(
        self,
        scope: TenantScope | OperatorScope,
        key: IdempotencyKey | None,
        make: Callable[[], Awaitable[StoredAnswer]],
    ) -> Answer:
        """The answer of `make`, or the first answer again.

        A request that is refused frees its key: its transaction was rolled back. What may have been carried out all the
        same (the database went away, perhaps after the commit; the request was cancelled; its process died) leaves the
        key reserved for five minutes, so that a repetition at once doubles nothing; what it made is then found by its
        own uniqueness (slug, address, name).
        """
        if key is None:
            return Answer(await make(), replayed=False)
        known = await self._answers.reserve(scope, key, self._clock())
        if known is not None:
            return first_answer(known)
        try:
            stored = await make()
        except StoreUnavailable:
            raise
        except DemailError:
            with contextlib.suppress(StoreUnavailable):
                await self._answers.forget(scope, key)
            raise
        await self._answers.keep(scope, key, stored)
        return Answer(stored, replayed=False)
