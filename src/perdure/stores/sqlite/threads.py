"""The threads that own the connections: one that writes, a few that read; and what becomes of a group of work whose
connection fails, whosever thread it is done on."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec

from perdure.errors import StoreError
from perdure.stores.sqlite.connection import is_busy, is_fatal, store_error
from perdure.stores.sqlite.inbox import GROUP_MAX, Failed, Inbox, Outcome, Work

__all__ = ["ConnectionThread", "Done", "Reader", "attempt", "done"]

_REFUSALS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
"""What SQLite raises about one statement and its values, as opposed to the state of the file."""

Works: TypeAlias = Sequence[Work[Any]]


class Done(msgspec.Struct, frozen=True):
    """What came of a group of work."""

    outcomes: Sequence[Outcome]
    fault: str | None = None
    """Why the connection must not be used again."""
    is_busy: bool = False
    """Nothing has happened because another program is writing to the file."""
    interruption: BaseException | None = None
    """What ended the group from outside, such as ``KeyboardInterrupt``: for the thread to end with."""


class Served(Protocol):
    """A connection, and how the work that comes for it is done."""

    connection: sqlite3.Connection

    def serve(self, works: Works) -> Done: ...


class ConnectionThread(threading.Thread):
    """Does the work of an inbox on a connection, group by group, until the inbox is closed or the file fails."""

    def __init__(self, name: str, inbox: Inbox, served: Served) -> None:
        # A daemon, because a program that ends without closing its store has to end; the file does not mind.
        super().__init__(name=name, daemon=True)
        self._inbox = inbox
        self._served = served

    def run(self) -> None:
        try:
            while jobs := self._inbox.take(GROUP_MAX):
                came = self._served.serve([job.work for job in jobs])
                self._inbox.answer(jobs, came.outcomes)
                if came.fault is not None:
                    self._inbox.fail(came.fault)
                    return
        finally:
            self._served.connection.close()


class Reader:
    """A connection that reads: each piece of work by itself, outside any transaction."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self._path = path

    def serve(self, works: Works) -> Done:
        return done(self._read, works, self._path)

    def _read(self, works: Works) -> list[Outcome]:
        return [attempt(self.connection, work) for work in works]


def done(run: Callable[[Works], list[Outcome]], works: Works, path: Path) -> Done:
    """Do a group of work. What fails the whole group is the outcome of each of its pieces."""
    try:
        return Done(run(works))
    except sqlite3.Error as error:
        outcomes = [Failed(store_error(path, error)) for _ in works]
        return Done(outcomes, str(store_error(path, error)) if is_fatal(error) else None, is_busy(error))
    except BaseException as error:
        reason = f"the database {path} is out of use after a failure inside perdure: {error!r}"
        interruption = None if isinstance(error, Exception) else error
        return Done([Failed(StoreError(reason)) for _ in works], reason, interruption=interruption)


def attempt(connection: sqlite3.Connection, work: Work[Any]) -> Outcome:
    """The outcome of a piece of work. Errors of the file, which concern the neighbours too, are raised."""
    try:
        return work(connection)
    except _REFUSALS as error:
        return Failed(StoreError(f"the store refuses this: {error}"))
    except sqlite3.Error:
        raise
    except Exception as error:
        return Failed(error)
