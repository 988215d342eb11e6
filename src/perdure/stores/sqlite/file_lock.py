"""One server process per database file.

SQLite would let several processes write by turns; perdure must not, since two runtimes on one file would both perform
the effects of instances that run ephemeral children. The lock is advisory and belongs to the open file, so the kernel
lets go of it when the process ends in whatever way. It lies in a file of its own beside the database, because closing
any handle of the database file itself would drop SQLite's own locks. That file is never removed: whoever removed it
could remove another process's lock with it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from perdure.errors import StoreError

__all__ = ["FileLock"]


class FileLock:
    """The exclusive right to serve a database file, held from ``acquire`` to ``release``."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = Path(f"{database.resolve()}.lock")
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock or raise ``StoreError`` at once, naming the process that has it."""
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"cannot create {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(handle, 32).decode(errors="replace").strip()
            os.close(handle)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise StoreError(f"cannot lock {self._path}: {error.strerror}") from error
            raise StoreError(
                f"the database {self._database} is in use by process {holder or 'unknown'}: "
                "stop that server, or give this one another file"
            ) from error
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        self._handle = handle

    def release(self) -> None:
        """Let go of the lock; nothing happens when it is not held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
