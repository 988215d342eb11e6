"""Every way to today's schema ends at the same tables, and a step that fails leaves the database where it was."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure.errors import StoreError
from perdure.stores.sqlite.schema import Migration, Schema, bring_up_to_date

TODAY = Schema.of_folder()

NOTES_1 = """
CREATE TABLE schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
CREATE TABLE author (name TEXT PRIMARY KEY) STRICT;
CREATE TABLE note (key INTEGER PRIMARY KEY, author TEXT REFERENCES author (name)) STRICT;
"""
NOTES_2 = "ALTER TABLE note ADD COLUMN text TEXT NOT NULL DEFAULT '';"
NOTES_FRESH = NOTES_1.replace("REFERENCES author (name))", "REFERENCES author (name), text TEXT NOT NULL DEFAULT '')")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a small schema with two versions."""
    (tmp_path / "migrations").mkdir()
    (tmp_path / "schema.sql").write_text(NOTES_FRESH)
    (tmp_path / "migrations" / "0001_initial.sql").write_text(NOTES_1)
    (tmp_path / "migrations" / "0002_add_text.sql").write_text(NOTES_2)
    return tmp_path


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    yield connection
    connection.close()


PATH = Path("notes.db")


def at_version(schema: Schema, version: int) -> Schema:
    """The schema as the release wrote it whose newest migration was this one: made by the migrations alone."""
    migrations = schema.migrations[:version]
    return Schema(fresh_sql="\n".join(migration.sql for migration in migrations), migrations=migrations)


def version_of(database: sqlite3.Connection) -> int:
    (version,) = database.execute("SELECT max(version) FROM schema_version").fetchone()
    assert isinstance(version, int)
    return version


def tables_of(database: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Every table and index as SQL, without the differences that comments and blanks make."""
    found = database.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name")
    return [(kind, name, re.sub(r"\s+", "", re.sub(r"--[^\n]*", "", sql))) for kind, name, sql in found]


@pytest.mark.parametrize("start", range(1, TODAY.version + 1))
def test_a_database_of_each_release_is_led_to_the_tables_of_a_new_one(start: int, database: sqlite3.Connection) -> None:
    bring_up_to_date(database, PATH, at_version(TODAY, start))
    bring_up_to_date(database, PATH, TODAY)
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    bring_up_to_date(fresh, PATH, TODAY)
    assert tables_of(database) == tables_of(fresh)
    versions = "SELECT version, name FROM schema_version ORDER BY version"
    assert database.execute(versions).fetchall() == fresh.execute(versions).fetchall()
    fresh.close()


def test_a_new_database_is_at_todays_version(database: sqlite3.Connection) -> None:
    bring_up_to_date(database, PATH, TODAY)
    assert version_of(database) == TODAY.version
    assert database.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_a_migration_keeps_the_rows(folder: Path, database: sqlite3.Connection) -> None:
    schema = Schema.of_folder(folder)
    bring_up_to_date(database, PATH, at_version(schema, 1))
    database.execute("INSERT INTO author VALUES ('ann')")
    database.execute("INSERT INTO note (author) VALUES ('ann')")
    bring_up_to_date(database, PATH, schema)
    assert database.execute("SELECT * FROM note").fetchall() == [(1, "ann", "")]
    assert version_of(database) == 2
    bring_up_to_date(database, PATH, schema)
    assert version_of(database) == 2


def test_migrations_are_applied_in_the_order_of_their_numbers(folder: Path, database: sqlite3.Connection) -> None:
    for number in range(3, 13):
        (folder / "migrations" / f"{number:04}_step.sql").write_text(
            f"CREATE TABLE step_{number} (a);" + (f"DROP TABLE step_{number - 1};" if number > 3 else "")
        )
    schema = Schema.of_folder(folder)
    bring_up_to_date(database, PATH, at_version(schema, 1))
    bring_up_to_date(database, PATH, schema)
    assert version_of(database) == 12
    assert [name for _, name, _ in tables_of(database) if name.startswith("step")] == ["step_12"]


def test_a_failing_migration_leaves_the_version_before_it(folder: Path, database: sqlite3.Connection) -> None:
    (folder / "migrations" / "0003_wrong.sql").write_text("CREATE TABLE half (a); INSERT INTO nowhere VALUES (1);")
    schema = Schema.of_folder(folder)
    bring_up_to_date(database, PATH, at_version(schema, 1))
    with pytest.raises(StoreError, match=r"stays at schema version 2.*3 \(wrong\).*nowhere"):
        bring_up_to_date(database, PATH, schema)
    assert version_of(database) == 2
    assert "half" not in [name for _, name, _ in tables_of(database)]
    assert not database.in_transaction


def test_a_migration_that_breaks_a_reference_is_undone(folder: Path, database: sqlite3.Connection) -> None:
    (folder / "migrations" / "0003_forget_authors.sql").write_text("DELETE FROM author;")
    schema = Schema.of_folder(folder)
    bring_up_to_date(database, PATH, at_version(schema, 2))
    database.execute("INSERT INTO author VALUES ('ann')")
    database.execute("INSERT INTO note (author) VALUES ('ann')")
    with pytest.raises(StoreError, match="1 rows of note refer to rows that do not exist"):
        bring_up_to_date(database, PATH, schema)
    assert version_of(database) == 2
    assert database.execute("SELECT count(*) FROM author").fetchone() == (1,)


@pytest.mark.parametrize("name", ["0004_gap.sql", "0002_twice.sql", "3_short.sql", "0003-dash.sql"])
def test_a_migration_with_the_wrong_number_or_name_is_refused(folder: Path, name: str) -> None:
    (folder / "migrations" / name).write_text("SELECT 1;")
    with pytest.raises(ValueError, match=r"should be named 000\d_"):
        Schema.of_folder(folder)


def test_a_newer_database_is_refused(folder: Path, database: sqlite3.Connection) -> None:
    schema = Schema.of_folder(folder)
    newer = Migration(version=3, name="newer", sql="CREATE TABLE newer (a);")
    bring_up_to_date(database, PATH, schema)
    bring_up_to_date(database, PATH, Schema(fresh_sql=NOTES_FRESH, migrations=(*schema.migrations, newer)))
    with pytest.raises(StoreError, match="schema version 3 and this perdure knows versions up to 2"):
        bring_up_to_date(database, PATH, schema)
