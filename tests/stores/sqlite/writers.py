"""A writer of the SQLite store by itself, and with an inbox: what the tests of writing look at from inside."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import TypeVar

from perdure.clock import SystemClock, TimerClock
from perdure.stores.sqlite.connection import connect_writer
from perdure.stores.sqlite.inbox import Work
from perdure.stores.sqlite.inline import WriteInbox
from perdure.stores.sqlite.pace import Pace
from perdure.stores.sqlite.schema import Schema, bring_up_to_date
from perdure.stores.sqlite.threads import ConnectionThread
from perdure.stores.sqlite.writer import Writer

__all__ = ["Disk", "Writing", "writer_of_file"]

T = TypeVar("T")


class Disk(SystemClock):
    """A clock by which every ``COMMIT`` takes ``milliseconds``: time passes with every second look at it."""

    def __init__(self, milliseconds: float = 0.0) -> None:
        self.milliseconds = milliseconds
        self._now = 0.0
        self._is_committing = True

    def elapsed(self) -> float:
        self._is_committing = not self._is_committing
        if self._is_committing:
            self._now += self.milliseconds
        return self._now


class Writing:
    """An inbox with a writer on a file with one table, and every statement that it ran and the thread that ran it."""

    def __init__(
        self, path: Path, inline_commit_ms: float, *, clock: TimerClock | None = None, busy_timeout_ms: int = 10
    ) -> None:
        self.statements: list[str] = []
        self.threads: list[str] = []
        connection = connect_writer(path, busy_timeout_ms=busy_timeout_ms, size_bytes_max=None)
        connection.execute("CREATE TABLE number (n INTEGER PRIMARY KEY) STRICT")
        connection.set_trace_callback(self._trace)
        writer = Writer(
            connection,
            path,
            pace=Pace(inline_commit_ms),
            clock=clock or SystemClock(),
            busy_timeout_ms=busy_timeout_ms,
        )
        self.inbox = WriteInbox(asyncio.get_running_loop(), writer)
        self.thread = ConnectionThread("writer", self.inbox, writer)
        self.thread.start()

    @property
    def committers(self) -> list[str]:
        """Who made each of the transactions."""
        return [
            thread for thread, statement in zip(self.threads, self.statements, strict=True) if statement == "COMMIT"
        ]

    async def do(self, work: Work[T], weight: float = 0.0) -> T:
        return await self.inbox.do(work, weight)

    async def insert(self, number: int, weight: float = 0.0) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO number VALUES (?)", (number,))

        await self.do(work, weight)

    async def numbers(self) -> list[int]:
        def work(connection: sqlite3.Connection) -> list[int]:
            return [number for (number,) in connection.execute("SELECT n FROM number ORDER BY n")]

        return await self.do(work)

    async def close(self) -> None:
        self.inbox.close(1)
        await asyncio.to_thread(self.thread.join)

    def _trace(self, statement: str) -> None:
        self.statements.append(statement)
        self.threads.append("loop" if threading.current_thread() is threading.main_thread() else "thread")


def writer_of_file(path: Path, *, checkpoints: bool = True) -> Writer:
    """A writer on a file with the tables of the store, for a test's own thread."""
    connection = connect_writer(path, busy_timeout_ms=10, size_bytes_max=None, checkpoints=checkpoints)
    bring_up_to_date(connection, path, Schema.of_folder())
    return Writer(connection, path, pace=Pace(0), clock=SystemClock(), busy_timeout_ms=10)
