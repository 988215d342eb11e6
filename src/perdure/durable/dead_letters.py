"""Dead letters: messages that were given up, and what an operator does with them.

A message becomes a dead letter after its last failed attempt, and is kept until somebody reads it and decides: it is
**re-driven**, as a message that nobody has tried yet and behind all others, or **dropped**. An org sees its own alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.durable.records import Mail, Page
from perdure.errors import NotFound

if TYPE_CHECKING:
    from perdure.durable.runtime import Runtime

__all__ = ["DeadLetters"]

_BATCH = 100


class DeadLetters:
    """The dead letters of a runtime's store."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def list(self, org: str, *, cursor: str | None = None, limit: int = 100) -> Page[Mail]:
        """Those to the instances of an org, in the order in which they were given up."""
        return await self._runtime.store.list_dead_letters(org, cursor=cursor, limit=limit)

    async def read(self, org: str, mail_id: str) -> Mail:
        """One of them. Raises ``NotFound``."""
        letter = await self._runtime.store.dead_letter(org, mail_id)
        if letter is None:
            raise _absent(mail_id)
        return letter

    async def redrive(self, org: str, mail_id: str) -> None:
        """Deliver it as if it had just been sent, with all its attempts before it. Raises ``NotFound``.

        It comes after what its sender has sent since. A persistent child whose creation was given up is created, though
        its parent was told that it could not be, and no longer waits for it.
        """
        if not await self._runtime.store.redrive_dead_letter(org, mail_id):
            raise _absent(mail_id)
        self._runtime.delivery.wake()

    async def drop(self, org: str, mail_id: str) -> None:
        """Delete it. Raises ``NotFound``."""
        if not await self._runtime.store.drop_dead_letter(org, mail_id):
            raise _absent(mail_id)

    async def redrive_all(self, org: str) -> int:
        """Re-drive those there are now, oldest first; how many."""
        ids = await self._ids(org)
        redriven = [mail_id for mail_id in ids if await self._runtime.store.redrive_dead_letter(org, mail_id)]
        self._runtime.delivery.wake()
        return len(redriven)

    async def drop_all(self, org: str) -> int:
        """Delete those there are now; how many."""
        ids = await self._ids(org)
        return len([mail_id for mail_id in ids if await self._runtime.store.drop_dead_letter(org, mail_id)])

    async def _ids(self, org: str) -> tuple[str, ...]:
        found: tuple[str, ...] = ()
        cursor: str | None = None
        while True:
            page = await self.list(org, cursor=cursor, limit=_BATCH)
            found += tuple(mail.id for mail in page.rows)
            if page.cursor is None:
                return found
            cursor = page.cursor


def _absent(mail_id: str) -> NotFound:
    return NotFound(f"there is no dead letter {mail_id!r}: it may have been re-driven or dropped")
