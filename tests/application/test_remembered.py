"""Values kept for some seconds."""

from __future__ import annotations

import asyncio

import pytest

from demail_gateway.application.remembered import Remembered


class Source:
    """Counts what it is asked; each answer waits until it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.let_go = asyncio.Event()
        self.begun = asyncio.Event()
        self.failing = False

    async def __call__(self, key: str) -> int:
        self.asked.append(key)
        number = len(self.asked)
        self.begun.set()
        await self.let_go.wait()
        if self.failing:
            raise OSError
        return number


async def test_who_asks_at_the_same_time_shares_one_question() -> None:
    source = Source()
    known = Remembered(source, 60)
    asking = [asyncio.create_task(known("all")) for _ in range(3)]
    source.let_go.set()
    assert await asyncio.gather(*asking) == [1, 1, 1]
    assert await known("other") == 2


async def test_what_is_forgotten_is_asked_anew() -> None:
    source = Source()
    source.let_go.set()
    known = Remembered(source, 60)
    assert [await known("all"), await known("all")] == [1, 1]
    known.forget("all")
    assert await known("all") == 2


async def test_a_question_begun_before_forgetting_is_not_kept() -> None:
    source = Source()
    known = Remembered(source, 60)
    early = asyncio.create_task(known("all"))
    await source.begun.wait()
    known.forget("all")
    late = asyncio.create_task(known("all"))
    source.let_go.set()
    assert (await early, await late) == (1, 2)
    assert await known("all") == 2


async def test_errors_are_not_kept() -> None:
    source = Source()
    source.let_go.set()
    source.failing = True
    known = Remembered(source, 60)
    with pytest.raises(OSError, match=r"^$"):
        await known("all")
    source.failing = False
    assert await known("all") == 2
