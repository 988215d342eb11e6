"""The connection that writes: everything that waits in one transaction, and one sync of the disk for all of it.

A piece of work that fails leaves no trace and its neighbours stand: savepoints see to that. Nobody is answered before
``COMMIT`` has returned. One thread at a time may use the connection, the one that holds ``lock``: mostly the writer's
own, the event loop's while the disk is fast.

Most work is commits that advance an instance, and those of a group differ in their values only. They are done statement
by statement instead of commit by commit: all swaps, then all that is consumed, and so on. They are of different
instances, so it comes to the same; whenever something is not as expected, the group is undone and done piece by piece.
Such a swap names the instance by its key, which is never used again. The keys come from earlier commits.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from perdure.clock import TimerClock
from perdure.durable.records import Address
from perdure.errors import StoreError
from perdure.stores.sqlite.inbox import Failed, Outcome, Work
from perdure.stores.sqlite.pace import Pace
from perdure.stores.sqlite.threads import Done, attempt, done
from perdure.stores.sqlite.writes import PreparedCommit, advance_together

__all__ = ["KEYS_MAX", "Writer"]

KEYS_MAX = 16_384
"""Instances whose keys are remembered, those first heard of longest ago forgotten first: a few megabytes."""
PAGE_BYTES = 4096


class Writer:
    """Owns the connection that writes. ``pace`` is told how long each ``COMMIT`` takes by ``clock``."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, *, pace: Pace, clock: TimerClock, busy_timeout_ms: int
    ) -> None:
        self.connection = connection
        self.pace = pace
        self.lock = threading.Lock()
        self._path = path
        self._clock = clock
        self._busy_timeout_ms = busy_timeout_ms
        self._is_patient = True
        """Whether the connection waits for other programs that write to the file. It is made so."""
        self._keys: dict[Address, int] = {}
        self._learned: list[tuple[Work[Any], Outcome]] = []
        """Work of the present transaction that tells the key of an instance."""
        self._rows_counted = connection.total_changes
        self._bytes = 0
        self._pages_max = float("inf")
        self._after_pages: Callable[[], object] = int
        self._condemned: str | None = None

    def call_after_pages(self, pages: int, call: Callable[[], object]) -> None:
        """Call, on whichever thread commits, each time about so many pages have been written."""
        self._pages_max, self._after_pages = pages, call

    def condemn(self, reason: str) -> None:
        """Use the connection no more: what it would write could be lost."""
        with self.lock:
            self._condemned = reason

    def serve(self, works: Sequence[Work[Any]]) -> Done:
        """Do a group of work on the writer's thread, after other programs if need be."""
        with self.lock:
            return self._refused(works) or done(self._write_patiently, works, self._path)

    def serve_at_once(self, works: Sequence[Work[Any]]) -> Done | None:
        """Do a group of work on the event loop's thread, or nothing of it when it would have to wait for others."""
        if not self.lock.acquire(blocking=False):
            return None
        try:
            came = self._refused(works) or done(self._write_at_once, works, self._path)
        finally:
            self.lock.release()
        return None if came.is_busy else came

    def _refused(self, works: Sequence[Work[Any]]) -> Done | None:
        reason = self._condemned
        return None if reason is None else Done([Failed(StoreError(reason)) for _ in works], reason)

    def write(self, works: Sequence[Work[Any]]) -> tuple[list[Outcome], float, int]:
        """Do all the work in one transaction: the outcomes, how many ms ``COMMIT`` took, and the rows changed.

        Raises ``sqlite3.Error`` when none of it has happened. Savepoints are two statements more for each piece, and
        almost no piece fails. So they are set only the second time: when one has failed, all of it is undone, and done
        again.
        """
        connection = self.connection
        rows = connection.total_changes
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcomes = self._without_failure(works)
            if outcomes is None:
                connection.execute("ROLLBACK")
                rows = connection.total_changes
                connection.execute("BEGIN IMMEDIATE")
                outcomes = [_attempt_in_savepoint(connection, work) for work in works]
                self._learned = [*zip(works, outcomes, strict=True)]
            began = self._clock.elapsed()
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        took = self._clock.elapsed() - began
        if self._learned:
            self._learn()
        self._count_pages()
        return outcomes, took, connection.total_changes - rows

    def _write_patiently(self, works: Sequence[Work[Any]]) -> list[Outcome]:
        self._be_patient(True)
        outcomes, commit_ms, rows = self.write(works)
        self.pace.threaded(commit_ms, rows)
        return outcomes

    def _write_at_once(self, works: Sequence[Work[Any]]) -> list[Outcome]:
        self._be_patient(False)
        outcomes, commit_ms, rows = self.write(works)
        self.pace.inline(commit_ms, rows)
        return outcomes

    def _be_patient(self, is_patient: bool) -> None:
        if self._is_patient is not is_patient:
            self.connection.execute(f"PRAGMA busy_timeout = {self._busy_timeout_ms if is_patient else 0}").close()
            self._is_patient = is_patient

    def _without_failure(self, works: Sequence[Work[Any]]) -> list[Outcome] | None:
        """The outcomes of all work, in order; ``None`` when one has failed."""
        keys = self._keys
        outcomes: list[Outcome] = []
        together: dict[int, PreparedCommit] = {}
        self._learned = []
        for work in works:
            plain = work if isinstance(work, PreparedCommit) and work.is_plain else None
            key = None if plain is None else keys.get(plain.address)
            if together and (key is None or key in together):
                if not self._advance(together):
                    return None
                together = {}
            if plain is None or key is None:
                outcome = attempt(self.connection, work)
                if isinstance(outcome, Failed):
                    return None
                outcomes.append(outcome)
                self._learned.append((work, outcome))
            else:
                together[key] = plain
                outcomes.append(key)
        return outcomes if not together or self._advance(together) else None

    def _advance(self, commits: dict[int, PreparedCommit]) -> bool:
        """Write plain commits together; false when one of them has failed."""
        self._bytes += sum([commit.bytes for commit in commits.values()])
        return not isinstance(attempt(self.connection, partial(advance_together, commits=commits)), Failed)

    def _learn(self) -> None:
        """Remember the keys that commits have come upon, now that they stand."""
        keys = self._keys
        for work, outcome in self._learned:
            if isinstance(work, PreparedCommit) and not isinstance(outcome, Failed):
                self._bytes += work.bytes
                keys.pop(work.address, None)
                if len(keys) >= KEYS_MAX:
                    del keys[next(iter(keys))]
                keys[work.address] = outcome

    def _count_pages(self) -> None:
        """Estimate how much the log has grown: a page for each row, and as many as large rows have bytes for."""
        rows = self.connection.total_changes - self._rows_counted
        pages = rows + self._bytes / PAGE_BYTES
        if pages >= self._pages_max:
            self._rows_counted += rows
            self._bytes = 0
            self._after_pages()


def _attempt_in_savepoint(connection: sqlite3.Connection, work: Work[Any]) -> Outcome:
    """Do a piece of work, or leave no trace of it. Raises ``sqlite3.Error`` when the transaction cannot go on."""
    connection.execute("SAVEPOINT work")
    outcome = attempt(connection, work)
    if isinstance(outcome, Failed):
        connection.execute("ROLLBACK TO work")
    connection.execute("RELEASE work")
    return outcome
