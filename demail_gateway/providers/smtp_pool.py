"""The connections of one worker process to one provider: kept, reused, bounded, and none opened while it is away."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

from demail_gateway.application.ports.surroundings import Observe
from demail_gateway.core.errors import ProviderUnavailable
from demail_gateway.providers.profile import ProviderProfile
from demail_gateway.providers.smtp_line import IsRevoked, Line, LineLost, Taken

_PAUSE_FIRST_S, _PAUSE_LONGEST_S = 0.25, 10.0
"""After a failed connection none is opened for this long, doubling: one that is away costs no handshakes (trap E19)."""


class Pool:
    """At most `profile.connections` transactions at a time; each has a connection for itself."""

    def __init__(
        self,
        name: str,
        profile: ProviderProfile,
        tls: ssl.SSLContext | None,
        local_name: str,
        is_revoked: IsRevoked,
        observe: Observe,
    ) -> None:
        self._name = name
        self.profile = profile
        self._tls = tls
        self._local_name = local_name
        self._is_revoked = is_revoked
        self._observe = observe
        self._slots = asyncio.Semaphore(profile.connections)
        self._idle: list[tuple[float, Line]] = []
        self._pause_s = 0.0
        self._closed_until = 0.0
        self._last_fault = ""
        self._reaper: asyncio.TimerHandle | None = None
        self._quitting: set[asyncio.Task[None]] = set()
        self._closing = False

    async def transact(self, sender: str, recipients: Sequence[str], octets: bytes) -> Taken:
        """One transaction on a kept connection or a new one. Raises like `Line.transact`, never LineLost."""
        async with self._slots:
            while line := self._take():
                try:
                    return await self._use(line, sender, recipients, octets)
                except LineLost:
                    self._note_closed("lost while idle")
            line = await self._open()
            return await self._use(line, sender, recipients, octets)

    async def close(self) -> None:
        """Ends idle connections in order. Transactions under way keep theirs and close them themselves."""
        if self._reaper is not None:
            self._reaper.cancel()
        self._closing = True
        lines, self._idle = self._idle, []
        await asyncio.gather(*(line.quit() for _, line in lines), *self._quitting)

    async def _use(self, line: Line, sender: str, recipients: Sequence[str], octets: bytes) -> Taken:
        try:
            return await line.transact(sender, recipients, octets)
        finally:
            self._give_back(line)

    def _take(self) -> Line | None:
        """The connection used last, so that surplus ones grow old and go."""
        while self._idle:
            since, line = self._idle.pop()
            if line.alive and self._now() - since < self.profile.idle_s:
                return line
            self._retire(line, "idle")
        return None

    def _give_back(self, line: Line) -> None:
        if not line.alive:
            self._note_closed("after an error")
        elif (
            self._closing
            or line.used >= self.profile.messages_per_connection
            or self._now() - line.opened_at > self.profile.max_age_s
        ):
            self._retire(line, "used up")
        else:
            self._idle.append((self._now(), line))
            self._plan_reaping()

    async def _open(self) -> Line:
        if self._now() < self._closed_until:
            raise ProviderUnavailable(self._last_fault)
        try:
            line = await Line.open(self.profile, self._tls, self._local_name, self._is_revoked)
        except ProviderUnavailable as error:
            self._pause_s = min(max(self._pause_s * 2, _PAUSE_FIRST_S), _PAUSE_LONGEST_S)
            self._closed_until = self._now() + self._pause_s
            self._last_fault = error.reply
            raise
        self._pause_s = 0.0
        self._observe("line_opened", connection=self._name)
        return line

    def _retire(self, line: Line, why: str) -> None:
        self._note_closed(why)
        task = asyncio.get_running_loop().create_task(line.quit())
        self._quitting.add(task)
        task.add_done_callback(self._quitting.discard)

    def _plan_reaping(self) -> None:
        if self._reaper is None:
            loop = asyncio.get_running_loop()
            self._reaper = loop.call_at(self._idle[0][0] + self.profile.idle_s, self._reap)

    def _reap(self) -> None:
        self._reaper = None
        limit = self._now() - self.profile.idle_s
        old = [line for since, line in self._idle if since <= limit or not line.alive]
        self._idle = [(since, line) for since, line in self._idle if line not in old]
        for line in old:
            self._retire(line, "idle")
        if self._idle:
            self._plan_reaping()

    def _note_closed(self, why: str) -> None:
        self._observe("line_closed", connection=self._name, why=why)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
