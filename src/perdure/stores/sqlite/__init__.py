"""The embedded default: one SQLite file, one writer, group commit. `DESIGN.md` beside this file says why."""

from perdure.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
