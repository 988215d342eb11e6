"""Connections to the database file, and what SQLite's errors mean to an operator.

The settings are the durability of the store: a transaction is in the write-ahead log and the log is synced before
``COMMIT`` returns (``journal_mode=WAL``, ``synchronous=FULL``). Transactions are begun and ended by hand
(``isolation_level=None``); Python's own are never used.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from perdure.errors import StoreError

__all__ = [
    "check_path",
    "connect_checkpointer",
    "connect_reader",
    "connect_writer",
    "create_file",
    "is_busy",
    "is_fatal",
    "store_error",
    "truncate_log",
]

_STATEMENTS_CACHED = 128
_WRITER_CACHE_KIB = 64 * 1024
_READER_CACHE_KIB = 16 * 1024
_LOG_PAGES_PER_CHECKPOINT = 4000
_LOG_BYTES_KEPT = 64 * 1024 * 1024

_FATAL = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

_EXPLANATIONS = {
    sqlite3.SQLITE_BUSY: "another program is writing to it: end its transaction and try again",
    sqlite3.SQLITE_LOCKED: "another program is writing to it: end its transaction and try again",
    sqlite3.SQLITE_NOTADB: "the file is not an SQLite database: give another path, or move the file away",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: restore it from a backup",
    sqlite3.SQLITE_FULL: "there is no room left for it: free some space on its disk, or raise its size limit",
    sqlite3.SQLITE_READONLY: "it may not be written to: check the permissions of the file and of its directory",
    sqlite3.SQLITE_PERM: "it may not be written to: check the permissions of the file and of its directory",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check the permissions of the file and of its directory",
    sqlite3.SQLITE_IOERR: "its disk fails: check the disk, then start again",
}


def check_path(path: Path) -> None:
    """Raise ``StoreError`` when there can be no file at the path."""
    try:
        is_directory, has_parent = path.is_dir(), path.parent.is_dir()
    except OSError as error:
        raise StoreError(f"cannot look at {path}: {error.strerror}") from error
    if is_directory:
        raise StoreError(f"{path} is a directory: give the path of a file in it, such as {path / 'perdure.db'}")
    if not has_parent:
        raise StoreError(f"the directory {path.parent} does not exist: create it first")


def create_file(path: Path) -> None:
    """Make sure that the file exists; a new one may be read and written by its owner alone. Raises ``StoreError``.

    To be called while this process has no connection to the file: closing a handle drops the locks of all others.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(f"cannot open {path} for writing: {error.strerror}") from error


def connect_writer(
    path: Path, *, busy_timeout_ms: int, size_bytes_max: int | None, checkpoints: bool = True
) -> sqlite3.Connection:
    """The connection that writes. Raises ``sqlite3.Error``, or ``StoreError`` where the file cannot have a log.

    With ``checkpoints``, commits bring the log into the database whenever it has become long.
    """
    connection = _connect(path, busy_timeout_ms)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreError(f"{path} cannot have a write-ahead log (its mode is {mode}): move it to a local disk")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
        connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES_PER_CHECKPOINT if checkpoints else 0}")
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES_KEPT}")
        if size_bytes_max is not None:
            (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
            connection.execute(f"PRAGMA max_page_count = {size_bytes_max // page_bytes}")
    except BaseException:
        connection.close()
        raise
    return connection


def truncate_log(path: Path, *, busy_timeout_ms: int) -> bool:
    """Bring everything in the log into the database and empty the log; false while a reader still needs it."""
    connection = _connect(path, busy_timeout_ms)
    try:
        (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not is_busy
    finally:
        connection.close()


def connect_checkpointer(path: Path, *, busy_timeout_ms: int) -> sqlite3.Connection:
    """A connection that brings the log into the database. Raises ``sqlite3.Error``."""
    connection = _connect(path, busy_timeout_ms)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # finds the log
    return connection


def connect_reader(path: Path, *, busy_timeout_ms: int) -> sqlite3.Connection:
    """A connection that refuses to write. Raises ``sqlite3.Error``."""
    connection = _connect(path, busy_timeout_ms)
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
    return connection


def is_fatal(error: sqlite3.Error) -> bool:
    """Whether nothing can be trusted after this error until the file has been opened again.

    After a failed sync nobody knows which pages the kernel has dropped, so carrying on could acknowledge a commit that
    is not on the disk.
    """
    return _primary_code(error) in _FATAL


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another program is writing to the file, and has been for longer than the connection waits."""
    return _primary_code(error) == sqlite3.SQLITE_BUSY


def store_error(path: Path, error: sqlite3.Error) -> StoreError:
    """What an SQLite error means, and what to do about it."""
    explanation = _EXPLANATIONS.get(_primary_code(error))
    return StoreError(f"the database {path} failed: {explanation} ({error})" if explanation else f"{path}: {error}")


def _connect(path: Path, busy_timeout_ms: int) -> sqlite3.Connection:
    """Connections are made and closed on other threads than those that use them; only one uses each at any time."""
    return sqlite3.connect(
        path,
        timeout=busy_timeout_ms / 1000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS_CACHED,
    )


def _primary_code(error: sqlite3.Error) -> int:
    """SQLite's extended codes carry the plain one in their lowest byte; errors of the Python module have none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
