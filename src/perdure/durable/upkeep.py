"""Upkeep: what goes by itself once its time is over.

Now and then the runtime deletes receipts of requests that nobody will make again, journal entries beyond what is to be
kept of their machine, and logs that are too old or too many. It works in small steps with room between them, so that
no instance waits for it, and a failure is only logged: whatever is left will go the next time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from perdure.durable.upkeep_records import JournalRetention
from perdure.logs import get_logger

if TYPE_CHECKING:
    from perdure.durable.runtime import Runtime

__all__ = ["Upkeep"]

logger = get_logger("perdure.upkeep")

ROWS_AT_ONCE = 1_000
INSTANCES_AT_ONCE = 100


class Upkeep:
    """The loop that deletes, and the same by hand."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._runtime.settings.upkeep_interval > 0:
            self._loop = asyncio.create_task(self._run(), name="upkeep")

    async def close(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.wait([self._loop])

    async def once(self) -> int:
        """Delete all that is to go now; how many rows. Raises ``StoreError``."""
        settings, store, now = self._runtime.settings, self._runtime.store, self._runtime.clock.now()
        total = 0
        while removed := await store.prune_receipts(now - settings.receipt_lifetime, ROWS_AT_ONCE):
            total += removed
            await asyncio.sleep(0)
        while removed := await store.prune_logs(now - settings.log_lifetime, settings.logs_max, ROWS_AT_ONCE):
            total += removed
            await asyncio.sleep(0)
        for retention in await store.list_retentions():
            total += await self.shorten_journals(retention)
        return total

    async def shorten_journals(self, retention: JournalRetention) -> int:
        """Delete what a rule no longer keeps; how many entries. Raises ``StoreError``."""
        since = None if retention.age_max is None else self._runtime.clock.now() - retention.age_max
        total, cursor, is_last = 0, None, False
        while not is_last:
            removed, cursor = await self._runtime.store.prune_journals(
                retention.org,
                retention.machine,
                keep=retention.entries_max,
                since=since,
                cursor=cursor,
                limit=INSTANCES_AT_ONCE,
            )
            total += removed
            is_last = cursor is None
            await asyncio.sleep(0)
        return total

    async def _run(self) -> None:
        while True:
            await self._runtime.clock.sleep(self._runtime.settings.upkeep_interval)
            try:
                await self.once()
            except Exception:
                logger.exception("upkeep failed; it is tried again at its next time")
