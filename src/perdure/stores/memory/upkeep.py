"""Receipts, dead letters, journals that end and logs, in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

from perdure.durable.records import Address, MachineRecord, Mail
from perdure.durable.upkeep_records import JournalRetention, LogEntry, Receipt
from perdure.errors import NotFound, StoreError
from perdure.stores.cursor import decode_cursor, encode_cursor
from perdure.stores.memory.access import AccessTables
from perdure.stores.memory.kept import KeptInstance, Letter
from perdure.stores.memory.numbered import copy_of

__all__ = ["UpkeepTables"]


class UpkeepTables(AccessTables):
    """Implements ``perdure.durable.upkeep_store.UpkeepStore``."""

    def __init__(self, arrivals: Iterator[int]) -> None:
        super().__init__(arrivals)
        self._instances: dict[Address, KeptInstance] = {}
        self._mail: dict[str, Letter] = {}
        self._dead_letters: list[Letter] = []
        self._machines: dict[tuple[str, str], tuple[int, MachineRecord]] = {}
        self._retentions: dict[tuple[str, str], JournalRetention] = {}
        self._logs: list[LogEntry] = []

    # -- receipts ------------------------------------------------------------------------------------------------

    async def receipt(self, address: Address, key: str) -> Receipt | None:
        kept = self._instances.get(address)
        return None if kept is None else kept.receipts.get(key)

    async def amend_receipt(self, address: Address, key: str, answer: bytes) -> None:
        receipt = await self.receipt(address, key)
        if receipt is not None:
            self._instances[address].receipts[key] = msgspec.structs.replace(receipt, answer=answer)

    async def prune_receipts(self, before: float, limit: int) -> int:
        expired = [
            (kept, key)
            for kept in self._instances.values()
            for key, receipt in kept.receipts.items()
            if receipt.at < before
        ][:limit]
        for kept, key in expired:
            del kept.receipts[key]
        return len(expired)

    # -- dead letters --------------------------------------------------------------------------------------------

    def _dead_letter(self, org: str, mail_id: str) -> Letter | None:
        found = (letter for letter in self._dead_letters if (letter.mail.target.org, letter.mail.id) == (org, mail_id))
        return next(found, None)

    async def dead_letter(self, org: str, mail_id: str) -> Mail | None:
        letter = self._dead_letter(org, mail_id)
        return None if letter is None else copy_of(letter.mail)

    async def redrive_dead_letter(self, org: str, mail_id: str) -> bool:
        letter = self._dead_letter(org, mail_id)
        if letter is None:
            return False
        if mail_id in self._mail:
            raise StoreError(f"mail {mail_id} is pending already")
        again = msgspec.structs.replace(letter.mail, attempts=0, retry_at=0.0, chain=0, buried_at=None)
        self._dead_letters.remove(letter)
        self._mail[mail_id] = Letter(next(self._arrivals), again)
        return True

    async def drop_dead_letter(self, org: str, mail_id: str) -> bool:
        letter = self._dead_letter(org, mail_id)
        if letter is None:
            return False
        self._dead_letters.remove(letter)
        return True

    # -- journals ------------------------------------------------------------------------------------------------

    async def set_retention(self, retention: JournalRetention) -> None:
        if (retention.org, retention.machine) not in self._machines:
            raise NotFound(f"there is no machine named {retention.machine}")
        self._retentions[retention.org, retention.machine] = retention

    async def retention(self, org: str, machine: str) -> JournalRetention | None:
        return self._retentions.get((org, machine)) if (org, machine) in self._machines else None

    async def list_retentions(self) -> list[JournalRetention]:
        return [
            rule
            for owner, rule in sorted(self._retentions.items())
            if owner in self._machines and (rule.entries_max is not None or rule.age_max is not None)
        ]

    async def prune_journals(
        self, org: str, machine: str, *, keep: int | None, since: float | None, cursor: str | None, limit: int
    ) -> tuple[int, str | None]:
        scope = ("prune-journals", org, machine)
        after = decode_cursor(scope, cursor)
        instances = sorted(
            (
                kept
                for address, kept in self._instances.items()
                if (address.org, address.machine) == (org, machine) and kept.arrival > after
            ),
            key=lambda kept: kept.arrival,
        )[:limit]
        removed = sum(_shorten(kept, keep, since) for kept in instances)
        return removed, encode_cursor(scope, instances[-1].arrival) if len(instances) == limit else None

    # -- logs ----------------------------------------------------------------------------------------------------

    async def append_logs(self, entries: Sequence[LogEntry]) -> None:
        self._logs += entries

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
        found = (
            entry
            for entry in sorted(self._logs, key=lambda entry: entry.at)
            if entry.org == org
            and since <= entry.at < until
            and machine in (None, entry.machine)
            and instance in (None, entry.instance)
            and version_id in (None, entry.version_id)
        )
        return list(islice(found, limit))

    async def prune_logs(self, before: float, keep: int, limit: int) -> int:
        number = len(self._logs)
        old = [entry for entry in self._logs if entry.at < before][:limit]
        self._logs = [entry for entry in self._logs if entry not in old]
        beyond = min(max(len(self._logs) - keep, 0), limit)
        self._logs = self._logs[beyond:]
        return number - len(self._logs)


def _shorten(kept: KeptInstance, keep: int | None, since: float | None) -> int:
    """Delete journal entries; how many. The newest one stays."""
    entries = sorted(kept.journal.values(), key=lambda entry: entry.sequence)
    stays = entries if keep is None else entries[-max(keep, 1) :]
    if since is not None:
        stays = [entry for entry in stays if entry.created_at >= since]
    kept.journal = {entry.sequence: entry for entry in stays or entries[-1:]}
    return len(entries) - len(kept.journal)
