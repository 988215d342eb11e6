"""The threads that own the connections: one that writes, a few that read.

The writer takes everything that waits, up to ``GROUP_MAX``, into one transaction: one sync of the disk for all of them.
A piece of work that fails leaves no trace and its neighbours stand: savepoints see to that. Nobody is answered before
``COMMIT`` has returned.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from perdure.errors import StoreError
from perdure.stores.sqlite.connection import is_fatal, store_error
from perdure.stores.sqlite.inbox import Failed, Inbox, Outcome, Work

__all__ = ["GROUP_MAX", "ConnectionThread", "read_group", "write_group"]

GROUP_MAX = 128
"""Pieces of work in one transaction, and reads answered at once: bounds how long one waits for its neighbours."""

_REFUSALS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
"""What SQLite raises about one statement and its values, as opposed to the state of the file."""


class ConnectionThread(threading.Thread):
    """Does the work of an inbox on a connection, group by group, until the inbox is closed or the file fails."""

    def __init__(
        self,
        name: str,
        inbox: Inbox,
        connection: sqlite3.Connection,
        path: Path,
        run_group: Callable[[sqlite3.Connection, Sequence[Work[Any]]], list[Outcome]],
    ) -> None:
        # A daemon, because a program that ends without closing its store has to end; the file does not mind.
        super().__init__(name=name, daemon=True)
        self._inbox = inbox
        self._connection = connection
        self._path = path
        self._run_group = run_group

    def run(self) -> None:
        try:
            while jobs := self._inbox.take(GROUP_MAX):
                try:
                    outcomes = self._run_group(self._connection, [job.work for job in jobs])
                except sqlite3.Error as error:
                    self._inbox.answer(jobs, [Failed(store_error(self._path, error)) for _ in jobs])
                    if is_fatal(error):
                        self._inbox.fail(str(store_error(self._path, error)))
                        return
                except BaseException as error:
                    reason = f"the database {self._path} is out of use after a failure inside perdure: {error!r}"
                    self._inbox.answer(jobs, [Failed(StoreError(reason)) for _ in jobs])
                    self._inbox.fail(reason)
                    return
                else:
                    self._inbox.answer(jobs, outcomes)
        finally:
            self._connection.close()


def write_group(connection: sqlite3.Connection, works: Sequence[Work[Any]]) -> list[Outcome]:
    """Do all the work in one transaction. Raises ``sqlite3.Error`` when none of it has happened.

    Savepoints are two statements more for each piece, and almost no piece fails. So they are set only the second time:
    when one has failed, all of it is undone, and done again.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        outcomes = [_attempt(connection, work) for work in works]
        if any(isinstance(outcome, Failed) for outcome in outcomes):
            connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [_attempt_in_savepoint(connection, work) for work in works]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return outcomes


def read_group(connection: sqlite3.Connection, works: Sequence[Work[Any]]) -> list[Outcome]:
    """Do each piece of work by itself, outside any transaction. Raises ``sqlite3.Error`` when the file fails."""
    return [_attempt(connection, work) for work in works]


def _attempt_in_savepoint(connection: sqlite3.Connection, work: Work[Any]) -> Outcome:
    """Do a piece of work, or leave no trace of it. Raises ``sqlite3.Error`` when the transaction cannot go on."""
    connection.execute("SAVEPOINT work")
    outcome = _attempt(connection, work)
    if isinstance(outcome, Failed):
        connection.execute("ROLLBACK TO work")
    connection.execute("RELEASE work")
    return outcome


def _attempt(connection: sqlite3.Connection, work: Work[Any]) -> Outcome:
    """The outcome of a piece of work. Errors of the file, which concern the neighbours too, are raised."""
    try:
        return work(connection)
    except _REFUSALS as error:
        return Failed(StoreError(f"the store refuses this: {error}"))
    except sqlite3.Error:
        raise
    except Exception as error:
        return Failed(error)
