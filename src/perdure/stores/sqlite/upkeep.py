"""Receipts, dead letters, journals that end and logs, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial

from perdure.durable.records import Address, Mail
from perdure.durable.upkeep_records import JournalRetention, LogEntry, Receipt
from perdure.errors import NotFound
from perdure.stores.cursor import decode_cursor, encode_cursor
from perdure.stores.sqlite.queries import QUERIES
from perdure.stores.sqlite.rows import Row, address_row, mail_of
from perdure.stores.sqlite.statements import Statements

__all__ = ["UpkeepQueries"]


class UpkeepQueries(Statements):
    """Implements ``perdure.durable.upkeep_store.UpkeepStore``."""

    # -- receipts ------------------------------------------------------------------------------------------------

    async def receipt(self, address: Address, key: str) -> Receipt | None:
        row = await self._row("load_receipt", (*address_row(address), key))
        if row is None:
            return None
        fingerprint, at, answer = row
        return Receipt(key=key, fingerprint=fingerprint, at=at, answer=answer.encode())

    async def amend_receipt(self, address: Address, key: str, answer: bytes) -> None:
        await self._change("amend_receipt", (answer.decode(), *address_row(address), key))

    async def prune_receipts(self, before: float, limit: int) -> int:
        return await self._remove("prune_receipts", (before, limit))

    # -- dead letters --------------------------------------------------------------------------------------------

    async def dead_letter(self, org: str, mail_id: str) -> Mail | None:
        row = await self._row("load_dead_letter", (org, mail_id))
        return None if row is None else mail_of(row)

    async def redrive_dead_letter(self, org: str, mail_id: str) -> bool:
        return await self._write(partial(_redrive, org=org, mail_id=mail_id))

    async def drop_dead_letter(self, org: str, mail_id: str) -> bool:
        return await self._remove("drop_dead_letter", (org, mail_id)) > 0

    # -- journals ------------------------------------------------------------------------------------------------

    async def set_retention(self, retention: JournalRetention) -> None:
        row = (retention.org, retention.machine, retention.entries_max, retention.age_max)

        def work(connection: sqlite3.Connection) -> None:
            if connection.execute(QUERIES["load_machine"], row[:2]).fetchone() is None:
                raise NotFound(f"there is no machine named {retention.machine}")
            connection.execute(QUERIES["set_retention"], row)

        await self._write(work)

    async def retention(self, org: str, machine: str) -> JournalRetention | None:
        row = await self._row("load_retention", (org, machine))
        return None if row is None else _retention_of(row)

    async def list_retentions(self) -> list[JournalRetention]:
        return [_retention_of(row) for row in await self._rows("list_retentions", ())]

    async def prune_journals(
        self, org: str, machine: str, *, keep: int | None, since: float | None, cursor: str | None, limit: int
    ) -> tuple[int, str | None]:
        scope = ("prune-journals", org, machine)
        after = decode_cursor(scope, cursor)
        keys = [key for (key, *_) in await self._rows("list_instances", (org, machine, after, limit))]
        removed = await self._write(partial(_prune_journals, keys=keys, keep=keep, since=since))
        return removed, encode_cursor(scope, keys[-1]) if len(keys) == limit else None

    # -- logs ----------------------------------------------------------------------------------------------------

    async def append_logs(self, entries: Sequence[LogEntry]) -> None:
        rows = [
            (each.org, each.machine, each.instance, each.version_id, each.at, each.output_type, each.text)
            for each in entries
        ]
        await self._write(lambda connection: connection.executemany(QUERIES["append_log"], rows))

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
        scope: tuple[str, ...]
        if machine is not None and instance is not None:
            query, scope = "list_logs_of_instance", (org, machine, instance)
        elif machine is not None:
            query, scope = "list_logs_of_machine", (org, machine)
        else:
            query, scope = "list_logs", (org,)
        rows = await self._rows(query, (*scope, since, until, instance, instance, version_id, version_id, limit))
        return [
            LogEntry(
                org=row[0],
                machine=row[1],
                instance=row[2],
                version_id=row[3],
                at=row[4],
                output_type=row[5],
                text=row[6],
            )
            for row in rows
        ]

    async def prune_logs(self, before: float, keep: int, limit: int) -> int:
        return await self._remove("prune_logs", (before, limit)) + await self._remove("shorten_logs", (keep, limit))

    # -- to the threads ------------------------------------------------------------------------------------------

    async def _remove(self, query: str, parameters: Row) -> int:
        """Run one statement that deletes rows, and say how many."""
        return await self._write(lambda connection: connection.execute(QUERIES[query], parameters).rowcount)


def _redrive(connection: sqlite3.Connection, org: str, mail_id: str) -> bool:
    if connection.execute(QUERIES["copy_from_dead_letters"], (org, mail_id)).rowcount == 0:
        return False
    connection.execute(QUERIES["drop_dead_letter"], (org, mail_id))
    return True


def _prune_journals(connection: sqlite3.Connection, keys: list[int], keep: int | None, since: float | None) -> int:
    return sum(
        connection.execute(QUERIES["shorten_journal"], (key, _first_to_keep(connection, key, keep, since))).rowcount
        for key in keys
    )


def _first_to_keep(connection: sqlite3.Connection, key: int, keep: int | None, since: float | None) -> int:
    """The sequence number of the oldest entry that stays."""

    def sequence(query: str, *parameters: float) -> int | None:
        row = connection.execute(QUERIES[query], (key, *parameters)).fetchone()
        return None if row is None else row[0]

    newest = sequence("journal_entry_from_end", 0)
    if newest is None:
        return 0
    first = 0
    if keep is not None:
        first = sequence("journal_entry_from_end", max(keep, 1) - 1) or 0
    if since is not None:
        recent = sequence("journal_entry_since", since)
        first = max(first, newest if recent is None else recent)
    return first


def _retention_of(row: Row) -> JournalRetention:
    org, machine, entries_max, age_max = row
    return JournalRetention(org=org, machine=machine, entries_max=entries_max, age_max=age_max)
