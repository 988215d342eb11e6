"""Bringing the log into the database, on a thread and a connection of its own, while the writer goes on.

A commit is durable once it is in the log. SQLite would copy the log into the database within every commit that makes
it longer than so many pages, and that commit, with all that wait for it, would take as long as the disk needs for
thousands of pages. Here the writer only says when there is something to copy.

The log begins anew, instead of growing, with a write that finds all of it copied and nobody reading it. Under endless
writing there is always a rest that is not copied yet. So the copying is done twice beside the writer, and the rest,
which is short by then, while the writer is held up by its lock. Readers that come and go may still be in the way; where
the log has become long, the writer is held up a little longer, until those who read have read. A reader that stays,
such as a backup, keeps the log growing until it leaves: that is tried less and less often, since each attempt holds up
the writer.

What a process that died has left in the log is copied before the next one begins. Its writer counts from there: a
server that dies again and again, each time before there is something to copy, would make the log longer each time, and
with it every start.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from perdure.stores.sqlite.connection import is_fatal, store_error, truncate_log
from perdure.stores.sqlite.writer import Writer

__all__ = ["LOG_PAGES_MAX", "PAGES_PER_CHECKPOINT", "READER_PATIENCE_MS", "Checkpointer", "empty_log_of_the_dead"]

PAGES_PER_CHECKPOINT = 8_000
"""Pages that are written, by estimation, between two checkpoints: 32 MB."""
LOG_PAGES_MAX = 16_384
"""A log of this many pages, 64 MiB, is worth waiting for readers."""
READER_PATIENCE_MS = 50
"""For how long the writer is held up by readers when the log is too long."""

_PASSES = 2
"""Checkpoints beside the writer before the one that holds it up."""


def empty_log_of_the_dead(path: Path) -> None:
    """Copy what a process that died has left in the log. Nobody writes yet; who reads is not waited for.

    Raises ``sqlite3.Error`` when nothing can be trusted any more.
    """
    try:
        truncate_log(path, busy_timeout_ms=READER_PATIENCE_MS)
    except sqlite3.Error as error:
        if is_fatal(error):
            raise


class Checkpointer(threading.Thread):
    """Copies the log whenever the writer has written so many pages. An error of the disk puts the writer out of use."""

    def __init__(
        self,
        writer: Writer,
        connection: sqlite3.Connection,
        path: Path,
        *,
        pages: int = PAGES_PER_CHECKPOINT,
        log_pages_max: int = LOG_PAGES_MAX,
    ) -> None:
        super().__init__(name="perdure-sqlite-checkpoints", daemon=True)
        self._writer = writer
        self._connection = connection
        self._path = path
        self._log_pages_max = log_pages_max
        self._worth_waiting_for = log_pages_max
        self._wake = threading.Event()
        self._is_ending = False
        writer.call_after_pages(pages, self._wake.set)

    def end(self) -> None:
        """Let the thread end. To be called before the writer ends; what is left in the log does no harm."""
        self._is_ending = True
        self._wake.set()

    def run(self) -> None:
        try:
            while self._wake.wait() and not self._is_ending:
                self._wake.clear()
                self.checkpoint()
        except sqlite3.Error as error:
            self._writer.condemn(str(store_error(self._path, error)))
        finally:
            self._connection.close()

    def checkpoint(self) -> None:
        """Copy all of the log that readers allow. Raises ``sqlite3.Error`` when nothing can be trusted any more."""
        try:
            for _ in range(_PASSES):
                self._copy("PASSIVE")
            with self._writer.lock:
                pages = self._copy("PASSIVE")[1]
                if pages <= self._log_pages_max:
                    self._worth_waiting_for = self._log_pages_max
                elif pages > self._worth_waiting_for:
                    is_held_up = self._copy("RESTART")[0]
                    self._worth_waiting_for = pages + pages // 2 if is_held_up else self._log_pages_max
        except sqlite3.Error as error:
            if is_fatal(error):
                raise
            # Such as a full disk: everything is in the log, and is copied once that is possible.

    def _copy(self, mode: str) -> tuple[bool, int]:
        """Whether somebody was in the way, and how many pages the log has."""
        is_held_up, pages, _ = self._connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        return bool(is_held_up), pages
