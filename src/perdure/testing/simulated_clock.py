"""A clock that a test moves by hand, and ids that are the same in every run."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import uuid
from collections.abc import Awaitable

__all__ = ["CountingEntropy", "SimulatedClock"]

YIELDS = 25
"""How often ``advance`` lets the event loop run between two sleepers: enough for what one wakes to sleep again."""


class SimulatedClock:
    """A ``Clock`` whose time stands still until ``advance`` moves it."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self._now = now
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return self._now

    def sleep(self, milliseconds: float) -> Awaitable[None]:
        """Counted from the call, not from the moment at which it is awaited: time may be moved in between."""
        if milliseconds <= 0:
            return asyncio.sleep(0)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + milliseconds, next(self._order), future))
        return future

    async def advance(self, milliseconds: float) -> None:
        """Let time pass: sleepers wake in the order in which their times come, each before the next one's time."""
        until = self._now + milliseconds
        while self._sleepers and self._sleepers[0][0] <= until:
            due, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                self._now = max(self._now, due)
                future.set_result(None)
                await self._let_others_run()
        self._now = max(self._now, until)  # another task may have moved it further meanwhile
        await self._let_others_run()

    async def _let_others_run(self) -> None:
        for _ in range(YIELDS):
            await asyncio.sleep(0)


class CountingEntropy:
    """An ``Entropy`` that counts: the first id ends in 1, the second in 2."""

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def uuid(self) -> uuid.UUID:
        return uuid.UUID(int=next(self._count), version=4)

    def secret(self) -> str:
        return f"secret-{next(self._count):032d}"
