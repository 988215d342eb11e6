"""Time, as an argument.

``Clock`` is the only way perdure reads the time, and ``SystemClock`` is the only class that asks the operating system
for it. Everything whose behaviour crosses time (timers, retries, settling, token expiry) takes a clock, so that a
test can hold it still or move it by hand.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Wall-clock milliseconds since the Unix epoch, and a way to wait for them to pass."""

    def now(self) -> float:
        """Milliseconds since 1970-01-01 UTC. May go backwards when the machine's clock is set."""
        ...

    def sleep(self, milliseconds: float) -> Awaitable[None]:
        """Wait until this clock has advanced by ``milliseconds``, counted from this call; zero or less is no time."""
        ...


class SystemClock:
    """The operating system's clock and the event loop's timers."""

    def now(self) -> float:
        return time.time_ns() / 1_000_000

    async def sleep(self, milliseconds: float) -> None:
        await asyncio.sleep(max(0.0, milliseconds) / 1000)
