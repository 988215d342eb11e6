"""Time, as an argument.

``Clock`` is the only way perdure reads the time, and ``SystemClock`` is the only class that asks the operating system
for it. Everything whose behaviour crosses time (timers, retries, settling, token expiry) takes a clock, so that a
test can hold it still or move it by hand.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from perdure.errors import NoEventLoop

__all__ = ["Clock", "SystemClock", "TimerClock"]


class Clock(Protocol):
    """Wall-clock milliseconds since the Unix epoch, and a way to wait for them to pass."""

    def now(self) -> float:
        """Milliseconds since 1970-01-01 UTC. May go backwards when the machine's clock is set."""
        ...

    def sleep(self, milliseconds: float) -> Awaitable[None]:
        """Wait until this clock has advanced by ``milliseconds``, counted from this call; zero or less is no time."""
        ...


class TimerClock(Clock, Protocol):
    """A clock that also calls back, for timers that no coroutine waits for: those of actors in memory."""

    def elapsed(self) -> float:
        """Milliseconds since some moment; never goes backwards."""
        ...

    def call_later(self, milliseconds: float, callback: Callable[[], object]) -> Callable[[], None]:
        """Call back once this much time has passed; what is returned calls it off.

        Raises ``NoEventLoop`` when the clock runs by an event loop and none is running.
        """
        ...


class SystemClock:
    """The operating system's clock and the event loop's timers."""

    def now(self) -> float:
        return time.time() * 1000

    def elapsed(self) -> float:
        return time.monotonic() * 1000

    async def sleep(self, milliseconds: float) -> None:
        await asyncio.sleep(max(0.0, milliseconds) / 1000)

    def call_later(self, milliseconds: float, callback: Callable[[], object]) -> Callable[[], None]:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError as error:
            raise NoEventLoop("a timer of the system clock needs a running event loop, and there is none") from error
        return loop.call_later(max(0.0, milliseconds) / 1000, callback).cancel
