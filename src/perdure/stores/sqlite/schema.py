"""The schema of a database file: made new, led from an older release, or refused when it is newer than this code.

``schema.sql`` makes the tables of today. ``migrations/0001_initial.sql``, ``0002_….sql`` and so on lead there from
nothing, one version each; a file once released is never changed. Each migration and its mark in ``schema_version`` are
one transaction, so a crash leaves the database at one version or the next. Foreign keys are not enforced meanwhile,
because SQLite rebuilds a table by dropping it; the whole file is checked before the transaction ends.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from perdure.errors import StoreError

__all__ = ["APPLICATION_ID", "Migration", "Schema", "bring_up_to_date"]

APPLICATION_ID = 0x50524452
"""Marks a file as perdure's in its header: "PRDR"."""

_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """What leads from one schema version to the next."""

    version: int
    """The version it leads to."""
    name: str
    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Today's tables, and the way to them."""

    fresh_sql: str
    migrations: tuple[Migration, ...]

    @classmethod
    def of_folder(cls, folder: Traversable | None = None) -> Schema:
        """The schema in a folder with ``schema.sql`` and ``migrations/``; by default the store's own.

        Raises ``ValueError`` when the migrations are not numbered 0001, 0002, … without a gap.
        """
        folder = folder or files("perdure.stores.sqlite")
        migrations: list[Migration] = []
        names = sorted(entry.name for entry in folder.joinpath("migrations").iterdir() if entry.name.endswith(".sql"))
        for version, file_name in enumerate(names, start=1):
            match = _FILE_NAME.fullmatch(file_name)
            if match is None or int(match[1]) != version:
                raise ValueError(f"the migration {file_name} should be named {version:04}_<what it does>.sql")
            sql = folder.joinpath("migrations", file_name).read_text(encoding="utf-8")
            migrations.append(Migration(version=version, name=match[2], sql=sql))
        fresh_sql = folder.joinpath("schema.sql").read_text(encoding="utf-8")
        return cls(fresh_sql=fresh_sql, migrations=tuple(migrations))

    @property
    def version(self) -> int:
        return len(self.migrations)


def bring_up_to_date(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Give the database the tables of ``schema``.

    Raises ``StoreError`` when the file belongs to another program or to a newer perdure, and when a migration fails, in
    which case the database is at the version before it.
    """
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application_id != APPLICATION_ID:
        if application_id != 0 or tables:
            raise StoreError(f"{path} is the database of another program: give perdure a file of its own")
        marks = "".join(map(_mark, schema.migrations))
        _run(connection, f"PRAGMA application_id = {APPLICATION_ID};\n{schema.fresh_sql}\n{marks}")
        return
    (version,) = connection.execute("SELECT max(version) FROM schema_version").fetchone()
    if version > schema.version:
        raise StoreError(
            f"{path} has schema version {version} and this perdure knows versions up to {schema.version}: "
            "install the newer perdure that wrote it, or restore a backup from before its upgrade"
        )
    for migration in schema.migrations[version:]:
        try:
            _run(connection, migration.sql + _mark(migration))
        except sqlite3.Error as error:
            raise StoreError(
                f"{path} stays at schema version {migration.version - 1}, because the migration to "
                f"{migration.version} ({migration.name}) failed: {error}"
            ) from error


def _mark(migration: Migration) -> str:
    return f"\nINSERT INTO schema_version (version, name) VALUES ({migration.version}, '{migration.name}');\n"


def _run(connection: sqlite3.Connection, script: str) -> None:
    """Run a script as one transaction, all or nothing."""
    connection.execute("PRAGMA foreign_keys = OFF")
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}")
        broken = connection.execute("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise sqlite3.IntegrityError(f"{len(broken)} rows of {broken[0][0]} refer to rows that do not exist")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    finally:
        connection.execute("PRAGMA foreign_keys = ON")
