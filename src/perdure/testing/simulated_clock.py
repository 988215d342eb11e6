"""A clock that a test moves by hand, and ids that are the same in every run."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import uuid
from collections.abc import Awaitable, Callable, Generator
from typing import Protocol

__all__ = ["CountingEntropy", "SimulatedClock"]

YIELDS = 25
"""How often ``advance`` lets the event loop run between two sleepers: enough for what one wakes to sleep again."""

ROUNDS_MAX = 20_000
"""How often it lets the loop run until what it drives rests: what does not rest by then waits for something else."""


class Driven(Protocol):
    """What ``SimulatedClock.drive`` takes: a runtime."""

    @property
    def is_resting(self) -> bool:
        """Whether it has done all it can before time passes."""
        ...


class SimulatedClock:
    """A ``Clock`` whose time stands still until ``advance`` moves it."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self._now = now
        self._waiting: list[tuple[float, int, asyncio.Future[None] | Timer]] = []
        self._order = itertools.count()
        self._driven: list[Driven] = []

    def drive(self, runtime: Driven) -> None:
        """Let ``advance`` wait, at each moment that something wakes, until all that follows from it has been done.

        With that a whole runtime is as deterministic as its store and its services: one in memory, and coroutines that
        wait for nothing but this clock, do the same in every run.
        """
        self._driven.append(runtime)

    def now(self) -> float:
        return self._now

    def elapsed(self) -> float:
        return self._now

    def sleep(self, milliseconds: float) -> Awaitable[None]:
        """Counted from the call, not from the moment at which it is awaited: time may be moved in between."""
        if milliseconds <= 0:
            return asyncio.sleep(0)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self._now + milliseconds, next(self._order), future))
        return future

    def call_later(self, milliseconds: float, callback: Callable[[], object]) -> Callable[[], None]:
        """Needs no event loop: ``advance`` itself calls back."""
        timer = Timer(callback)
        heapq.heappush(self._waiting, (self._now + max(0.0, milliseconds), next(self._order), timer))
        return timer.cancel

    def advance(self, milliseconds: float) -> Awaitable[None]:
        """Let time pass: whatever waits goes on in the order in which its time comes, each before the next one's time.

        With an event loop it has happened once this is awaited. A program without one need not wait: there it has
        happened when the call returns, and what a callback raises is raised here.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._advance_at_once(self._now + milliseconds)
            return Happened()
        return self._advance(self._now + milliseconds)

    def _advance_at_once(self, until: float) -> None:
        while self._waiting and self._waiting[0][0] <= until:
            due, _, waiting = heapq.heappop(self._waiting)
            if isinstance(waiting, Timer) and not waiting.done():
                self._now = max(self._now, due)
                waiting.set_result(None)
        self._now = max(self._now, until)

    async def _advance(self, until: float) -> None:
        await self._let_others_run()  # what was started before time moves waits from before it moved
        while self._waiting and self._waiting[0][0] <= until:
            due, _, waiting = heapq.heappop(self._waiting)
            if not waiting.done():
                self._now = max(self._now, due)
                waiting.set_result(None)
                await self._let_others_run()
        self._now = max(self._now, until)  # another task may have moved it further meanwhile
        await self._let_others_run()

    async def _let_others_run(self) -> None:
        for _ in range(YIELDS):
            await asyncio.sleep(0)
        for _ in range(ROUNDS_MAX):
            if all(driven.is_resting for driven in self._driven):
                return
            await asyncio.sleep(0)


class Timer:
    """A callback that waits for its time; it is asked and told what a sleeper's future is."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback: Callable[[], object] | None = callback

    def done(self) -> bool:
        return self._callback is None

    def cancel(self) -> None:
        self._callback = None

    def set_result(self, result: None) -> None:
        """Its time has come."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class Happened:
    """An awaitable for what is over already."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


class CountingEntropy:
    """An ``Entropy`` that counts: the first id ends in 1, the second in 2."""

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def uuid(self) -> uuid.UUID:
        return uuid.UUID(int=next(self._count), version=4)

    def secret(self) -> str:
        return f"secret-{next(self._count):032d}"
