"""The part of the store protocol that keeps it in good order: receipts, dead letters, journals that end, logs.

Receipts and dead letters are strong. Logs belong to the reading part, and may be lost with the process that has not
written them yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from perdure.durable.records import Address, Mail
from perdure.durable.upkeep_records import JournalRetention, LogEntry, Receipt

__all__ = ["UpkeepStore"]


class UpkeepStore(Protocol):
    """What a runtime does beside running instances."""

    # -- receipts ----------------------------------------------------------------------------------
    # They are written by ``commit``, in the same atomic change as everything else, and deleted with their instance.

    async def receipt(self, address: Address, key: str) -> Receipt | None:
        """The receipt of the request that an instance has applied under a key. ``expired_before`` is 0."""
        ...

    async def amend_receipt(self, address: Address, key: str, answer: bytes) -> None:
        """Put another answer on a receipt. No error when there is none."""
        ...

    async def prune_receipts(self, before: float, limit: int) -> int:
        """Delete up to ``limit`` receipts from before a time, of all orgs; how many."""
        ...

    # -- dead letters ------------------------------------------------------------------------------

    async def dead_letter(self, org: str, mail_id: str) -> Mail | None:
        """A dead letter to an instance of the org."""
        ...

    async def redrive_dead_letter(self, org: str, mail_id: str) -> bool:
        """Make it mail again, with no attempt behind it, at the end of its chain and of the queue; false if there is
        none.

        Raises ``StoreError`` when mail of this id is pending.
        """
        ...

    async def drop_dead_letter(self, org: str, mail_id: str) -> bool:
        """Delete it; false if there is none."""
        ...

    # -- journals ----------------------------------------------------------------------------------

    async def set_retention(self, retention: JournalRetention) -> None:
        """Keep the rule in the place of its machine's former one. Raises ``NotFound`` when there is no such machine."""
        ...

    async def retention(self, org: str, machine: str) -> JournalRetention | None: ...

    async def list_retentions(self) -> list[JournalRetention]:
        """The rules of all orgs that limit anything."""
        ...

    async def prune_journals(
        self, org: str, machine: str, *, keep: int | None, since: float | None, cursor: str | None, limit: int
    ) -> tuple[int, str | None]:
        """Shorten the journals of the next ``limit`` instances of a machine to ``keep`` entries and to what happened
        at ``since`` or later; the newest entry of each stays. How many entries went, and the cursor for the next
        instances, ``None`` at the end.
        """
        ...

    # -- logs --------------------------------------------------------------------------------------

    async def append_logs(self, entries: Sequence[LogEntry]) -> None:
        """Keep log entries. Entries of instances that do not exist are kept as well."""
        ...

    async def logs(
        self,
        org: str,
        *,
        since: float,
        until: float,
        machine: str | None = None,
        instance: str | None = None,
        version_id: str | None = None,
        limit: int,
    ) -> list[LogEntry]:
        """The entries of an org from ``since`` to before ``until``, oldest first, equal times as appended."""
        ...

    async def prune_logs(self, before: float, keep: int, limit: int) -> int:
        """Delete up to ``limit`` entries from before a time, or beyond the newest ``keep``, of all orgs; how many."""
        ...
