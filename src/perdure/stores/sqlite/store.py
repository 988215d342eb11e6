"""The store on one SQLite file: see `DESIGN.md` beside this file for why it is built this way.

This module is the shape of the protocol: who answers a method, and with which query. Writes go to the one writer and
are applied in the order in which they were submitted; reads go to the reading threads and see every write that has been
answered.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Collection
from functools import partial
from pathlib import Path

from perdure.clock import SystemClock, TimerClock
from perdure.durable.commit import Commit
from perdure.durable.records import (
    Address,
    InstanceRecord,
    InstanceSummary,
    JournalEntry,
    MachineRecord,
    Mail,
    MailCounts,
    Page,
    UploadRecord,
    VersionRecord,
)
from perdure.errors import InvalidState
from perdure.logs import get_logger
from perdure.stores.sqlite import rows, writes
from perdure.stores.sqlite.access import AccessQueries
from perdure.stores.sqlite.checkpoints import READER_PATIENCE_MS, Checkpointer, empty_log_of_the_dead
from perdure.stores.sqlite.connection import (
    check_path,
    connect_checkpointer,
    connect_reader,
    connect_writer,
    create_file,
    store_error,
    truncate_log,
)
from perdure.stores.sqlite.evolution import EvolutionQueries
from perdure.stores.sqlite.file_lock import FileLock
from perdure.stores.sqlite.groups import GroupQueries
from perdure.stores.sqlite.inbox import Inbox
from perdure.stores.sqlite.inline import WriteInbox
from perdure.stores.sqlite.pace import Pace
from perdure.stores.sqlite.rows import address_row
from perdure.stores.sqlite.schema import Schema, bring_up_to_date
from perdure.stores.sqlite.threads import ConnectionThread, Reader
from perdure.stores.sqlite.upkeep import UpkeepQueries
from perdure.stores.sqlite.writer import Writer

__all__ = ["SqliteStore"]

logger = get_logger("perdure.store")

EMPTYING_ATTEMPTS = 5
INLINE_COMMIT_MS = 1.0
"""A disk that takes less than this for a transaction is waited for by the event loop."""


class SqliteStore(AccessQueries, EvolutionQueries, GroupQueries, UpkeepQueries):
    """Instances, mail, journals and definitions in one file; one process at a time may have it open.

    ``open`` binds the store to the running event loop, whose coroutines alone may use it. ``readers`` is the number of
    threads that read. A write waits ``busy_timeout_ms`` for other programs that write to the file. ``size_bytes_max``
    makes writes fail that would let the file (without its log) grow beyond it. While a transaction becomes durable
    within ``inline_commit_ms``, by ``clock``, the event loop waits for commits instead of handing them to a thread: 0
    for never, infinity for always.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        readers: int = 2,
        busy_timeout_ms: int = 5000,
        size_bytes_max: int | None = None,
        inline_commit_ms: float = INLINE_COMMIT_MS,
        clock: TimerClock | None = None,
    ) -> None:
        super().__init__(Path(path))
        self._readers = readers
        self._busy_timeout_ms = busy_timeout_ms
        self._size_bytes_max = size_bytes_max
        self._inline_commit_ms = inline_commit_ms
        self._clock = clock or SystemClock()
        self._lock = FileLock(self.path)
        self._threads: list[threading.Thread] = []
        self._checkpointer: Checkpointer | None = None
        self._emptying = asyncio.Lock()

    # -- life ----------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        if self._write_inbox is not None:
            return
        connections = await asyncio.to_thread(self._connect)
        loop = asyncio.get_running_loop()
        writer = Writer(
            connections[0],
            self.path,
            pace=Pace(self._inline_commit_ms),
            clock=self._clock,
            busy_timeout_ms=self._busy_timeout_ms,
        )
        self._write_inbox, self._read_inbox = WriteInbox(loop, writer), Inbox(loop)
        self._threads.append(ConnectionThread("perdure-sqlite-writer", self._write_inbox, writer))
        self._checkpointer = Checkpointer(writer, connections[1], self.path)
        for number, connection in enumerate(connections[2:], start=1):
            reader = Reader(connection, self.path)
            self._threads.append(ConnectionThread(f"perdure-sqlite-reader-{number}", self._read_inbox, reader))
        self._checkpointer.start()
        for thread in self._threads:
            thread.start()

    def _connect(self) -> list[sqlite3.Connection]:
        """The writer's connection, the checkpoints' and the readers', of a file that is locked and up to date."""
        check_path(self.path)
        self._lock.acquire()
        connections: list[sqlite3.Connection] = []
        try:
            create_file(self.path)
            writer = connect_writer(
                self.path,
                busy_timeout_ms=self._busy_timeout_ms,
                size_bytes_max=self._size_bytes_max,
                checkpoints=False,
            )
            connections.append(writer)
            empty_log_of_the_dead(self.path)
            bring_up_to_date(writer, self.path, Schema.of_folder())
            connections.append(connect_checkpointer(self.path, busy_timeout_ms=READER_PATIENCE_MS))
            while len(connections) < 2 + self._readers:
                connections.append(connect_reader(self.path, busy_timeout_ms=self._busy_timeout_ms))
        except BaseException as error:
            for connection in connections:
                connection.close()
            self._lock.release()
            if isinstance(error, sqlite3.Error):
                raise store_error(self.path, error) from error
            raise
        return connections

    async def close(self) -> None:
        if self._write_inbox is None or self._read_inbox is None or self._checkpointer is None:
            return
        self._write_inbox.close(1)
        self._read_inbox.close(self._readers)
        self._checkpointer.end()
        threads, self._threads = [self._checkpointer, *self._threads], []
        for thread in threads:
            await asyncio.to_thread(thread.join)
        self._write_inbox = self._read_inbox = self._checkpointer = None
        self._lock.release()

    # -- instances -----------------------------------------------------------------------------------------------

    async def commit(self, commit: Commit) -> None:
        prepared = writes.PreparedCommit.of(commit)
        inbox = self._opened(self._write_inbox)
        if not inbox.do_alone(prepared, prepared.weight):
            await inbox.do(prepared, prepared.weight)

    async def load(self, address: Address) -> InstanceRecord | None:
        row = await self._row("load_instance", address_row(address))
        return None if row is None else rows.instance_of(address, row)

    async def delete_instance(
        self, address: Address, *, expected: InstanceRecord | None = None, mail: tuple[Mail, ...] = ()
    ) -> bool:
        left_behind = [rows.mail_row(each) for each in mail]
        work = partial(writes.delete_instance, address=address, expected=expected, mail=left_behind)
        existed = await self._write(work)
        if existed:
            await self._empty_log()
        return existed

    async def _empty_log(self) -> None:
        """What was deleted is overwritten in the database; the log still has it. While a reader needs the log, it is
        tried again, a few times: closing the store empties it in any case."""
        async with self._emptying:
            for _ in range(EMPTYING_ATTEMPTS):
                try:
                    if await asyncio.to_thread(truncate_log, self.path, busy_timeout_ms=self._busy_timeout_ms):
                        return
                except sqlite3.Error as error:  # such as a full disk; what was to be deleted is deleted all the same
                    logger.warning("the log could not be emptied", reason=str(store_error(self.path, error)))
                    return

    # -- mail ----------------------------------------------------------------------------------------------------

    async def due_mail(
        self,
        now: float,
        limit: int,
        *,
        after: float = -1.0,
        until: float | None = None,
        except_to: Collection[Address] = (),
        except_ids: Collection[str] = (),
    ) -> list[Mail]:
        without = rows.paths_row(except_to), rows.ids_row(except_ids)
        parameters = (after, now if until is None else until, without[0], now, without[1], now, limit)
        ((found,),) = await self._rows("due_mail", parameters)
        return rows.mail_list(found)

    async def next_mail_at(self, now: float) -> float | None:
        return min((at for at in await self.next_times(now, due_after=now) if at is not None), default=None)

    async def next_times(self, now: float, *, due_after: float) -> tuple[float | None, float | None]:
        ((due_at, retry_at),) = await self._rows("next_times", (due_after, now))
        return due_at, retry_at

    async def pending_mail(self, address: Address) -> list[Mail]:
        return [rows.mail_of(row) for row in await self._rows("pending_mail", address_row(address))]

    async def count_mail(self, now: float) -> MailCounts:
        ((pending, due, oldest_due_at, dead),) = await self._rows("count_mail", (now, now))
        return MailCounts(pending=pending, due=due, dead=dead, oldest_due_at=oldest_due_at)

    async def defer_mail(self, mail_id: str, *, attempts: int, retry_at: float, error: str) -> None:
        await self._change("defer_mail", (attempts, retry_at, error, mail_id))

    async def drop_mail(self, mail_id: str) -> None:
        await self._change("delete_mail", (mail_id,))

    async def bury_mail(self, mail_id: str, *, attempts: int, at: float, error: str) -> None:
        await self._write(partial(writes.bury_mail, mail_id=mail_id, attempts=attempts, at=at, error=error))

    async def list_dead_letters(self, org: str, *, cursor: str | None, limit: int) -> Page[Mail]:
        return await self._page("list_dead_letters", ("dead-letters", org), cursor, limit, rows.mail_of)

    # -- definitions ---------------------------------------------------------------------------------------------

    async def create_machine(self, machine: MachineRecord) -> None:
        if not await self._change("create_machine", rows.machine_row(machine)):
            raise InvalidState(f"there is a machine named {machine.name} already")

    async def machine(self, org: str, name: str) -> MachineRecord | None:
        row = await self._row("load_machine", (org, name))
        return None if row is None else rows.machine_of(row)

    async def delete_machine(self, org: str, name: str) -> bool:
        return await self._write(partial(writes.delete_machine, org=org, name=name))

    async def add_version(self, version: VersionRecord, *, make_current: bool) -> None:
        await self._write(partial(writes.add_version, version=version, make_current=make_current))

    async def version(self, version_id: str) -> VersionRecord | None:
        row = await self._row("load_version", (version_id,))
        return None if row is None else rows.version_of(row)

    async def create_upload(self, upload: UploadRecord) -> None:
        if not await self._change("create_upload", rows.upload_row(upload)):
            raise InvalidState(f"the upload id {upload.id} is taken")

    async def upload(self, upload_id: str) -> UploadRecord | None:
        row = await self._row("load_upload", (upload_id,))
        return None if row is None else rows.upload_of(row)

    async def fill_upload(self, upload_id: str, code: bytes, file_name: str) -> bool:
        return await self._change("fill_upload", (code, file_name, upload_id))

    async def delete_upload(self, upload_id: str) -> None:
        await self._change("delete_upload", (upload_id,))

    # -- lists ---------------------------------------------------------------------------------------------------

    async def list_machines(self, org: str, *, cursor: str | None, limit: int) -> Page[MachineRecord]:
        return await self._page("list_machines", ("machines", org), cursor, limit, rows.machine_of)

    async def list_versions(self, org: str, machine: str, *, cursor: str | None, limit: int) -> Page[VersionRecord]:
        return await self._page("list_versions", ("versions", org, machine), cursor, limit, rows.version_of)

    async def list_instances(self, org: str, machine: str, *, cursor: str | None, limit: int) -> Page[InstanceSummary]:
        return await self._page("list_instances", ("instances", org, machine), cursor, limit, rows.summary_of)

    async def journal(self, address: Address, *, cursor: str | None, limit: int) -> Page[JournalEntry]:
        scope = ("journal", *address_row(address))
        return await self._page("list_journal", scope, cursor, limit, rows.entry_of)
