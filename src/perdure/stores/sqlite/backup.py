"""Backups of a database file: taken while a server runs, verified, and put back.

A backup is a copy of every page as of one moment: SQLite copies inside one read transaction, which holds up no writer.
It is written beside its place, checked from end to end, and only then given its name, so that a file under that name is
whole. Putting one back is the same the other way round, with the lock that says that no server has the database open.
The master key is not in the database, and so in no backup of it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from perdure.errors import InvalidState, StoreError
from perdure.stores.sqlite.connection import check_path, store_error
from perdure.stores.sqlite.file_lock import FileLock
from perdure.stores.sqlite.schema import APPLICATION_ID, Schema

__all__ = ["back_up", "check_backup", "compact", "restore"]

Progress = Callable[[int, int], None]
"""Told how many pages are copied, and of how many."""

PAGES_AT_ONCE = 1_024


def back_up(database: Path, target: Path, progress: Progress) -> int:
    """Copy a database, which may be in use, to a new file; its bytes.

    Raises ``InvalidState`` when the target exists, ``StoreError`` when either file fails or the copy is not whole.
    """
    if target.exists():
        raise InvalidState(f"{target} exists: a backup replaces nothing, give it another name")
    check_path(target)
    check_is_ours(database)
    copy_whole(database, target, progress)
    return target.stat().st_size


def restore(backup: Path, database: Path, progress: Progress, *, replaces: bool) -> int:
    """Put a backup in the place of a database that no server has open; its bytes.

    Raises ``InvalidState`` when there is a database and it may not be replaced, ``StoreError`` when a server has it
    open, or when the backup is damaged, another program's, or of a newer release.
    """
    check_path(database)
    if database.exists() and not replaces:
        raise InvalidState(f"{database} exists: say --force to put the backup in its place")
    check_backup(backup)
    lock = FileLock(database)
    lock.acquire()
    try:
        copy_whole(backup, database, progress)
        for remains in ("-wal", "-shm"):  # of the database that was replaced
            database.with_name(database.name + remains).unlink(missing_ok=True)
    finally:
        lock.release()
    return database.stat().st_size


def compact(database: Path) -> int:
    """Write a database that no server has open anew, without room and without traces of what was deleted; its bytes.

    SQLite overwrites what is deleted, but pages that it rearranged before may hold stray copies. Raises ``StoreError``
    when a server has the database open, or when it fails.
    """
    check_is_ours(database)
    lock = FileLock(database)
    lock.acquire()
    try:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise store_error(database, error) from error
    finally:
        lock.release()
    return database.stat().st_size


def check_backup(backup: Path) -> None:
    """Raises ``StoreError`` for a file that cannot be put back: not ours, of a newer release, or damaged."""
    check_is_ours(backup)
    with closing(open_to_read(backup)) as connection:
        try:
            (version,) = connection.execute("SELECT max(version) FROM schema_version").fetchone()
            check_integrity(connection, backup)
        except sqlite3.Error as error:
            raise store_error(backup, error) from error
    if version > Schema.of_folder().version:
        raise StoreError(f"{backup} is of a newer perdure (schema version {version}): install that one first")


def check_is_ours(path: Path) -> None:
    if not path.is_file():
        raise StoreError(f"there is no file {path}")
    with closing(open_to_read(path)) as connection:
        try:
            (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        except sqlite3.Error as error:
            raise store_error(path, error) from error
    if application_id != APPLICATION_ID:
        raise StoreError(f"{path} is no database of perdure")


def copy_whole(source: Path, target: Path, progress: Progress) -> None:
    """Copy all pages as of one moment beside the target, check the copy, and give it the target's name."""
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        copy_pages(source, partial, progress)
        with closing(sqlite3.connect(partial, isolation_level=None)) as copy:
            copy.execute("PRAGMA journal_mode = DELETE")  # one file that can be carried about
            check_integrity(copy, partial)
        sync(partial)
        partial.replace(target)
        sync(target.parent)
    except sqlite3.Error as error:
        raise store_error(source, error) from error
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def copy_pages(source: Path, target: Path, progress: Progress) -> None:
    with closing(open_to_read(source)) as reader, closing(sqlite3.connect(target, isolation_level=None)) as writer:
        # A read transaction of our own: what others commit meanwhile would otherwise begin the copy again and again.
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        reader.backup(
            writer, pages=PAGES_AT_ONCE, progress=lambda status, remaining, total: progress(total - remaining, total)
        )
        reader.execute("ROLLBACK")


def check_integrity(connection: sqlite3.Connection, path: Path) -> None:
    problems = [problem for (problem,) in connection.execute("PRAGMA integrity_check(10)") if problem != "ok"]
    if problems:
        raise StoreError(f"{path} is damaged: {'; '.join(problems)}")


def open_to_read(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
    connection.execute("PRAGMA query_only = ON")
    return connection


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
