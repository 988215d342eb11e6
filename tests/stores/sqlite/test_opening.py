"""What opening a database file refuses, and what it says to the person who has to mend it."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure.errors import StoreError
from perdure.stores.sqlite import SqliteStore
from perdure.testing.store_contract.samples import ALICE, commit_at


def modes_in(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


async def assert_refused(path: Path, message: str) -> None:
    store = SqliteStore(path)
    with pytest.raises(StoreError, match=message):
        await store.open()
    await store.close()


async def test_a_new_file_and_its_companions_belong_to_their_owner_alone(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        store = SqliteStore(tmp_path / "perdure.db")
        await store.open()
        await store.commit(commit_at(1))
        modes = modes_in(tmp_path)
        await store.close()
    finally:
        os.umask(mask)
    files = ("perdure.db", "perdure.db-wal", "perdure.db-shm", "perdure.db.lock")
    assert modes == dict.fromkeys(files, 0o600)


async def test_a_directory_is_refused(tmp_path: Path) -> None:
    await assert_refused(tmp_path, "is a directory: give the path of a file in it")


async def test_a_missing_directory_is_refused_and_not_created(tmp_path: Path) -> None:
    await assert_refused(tmp_path / "missing" / "perdure.db", "the directory .*missing does not exist: create it")
    assert not (tmp_path / "missing").exists()


@pytest.fixture
def closed_directory(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    yield tmp_path
    tmp_path.chmod(0o700)


async def test_a_directory_without_permission_to_write_is_refused(closed_directory: Path) -> None:
    await assert_refused(closed_directory / "perdure.db", "Permission denied")


async def test_a_path_that_the_system_does_not_take_is_refused(tmp_path: Path) -> None:
    await assert_refused(tmp_path / ("x" * 300), "File name too long")


async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "perdure.db"
    path.write_text("a letter to my aunt\n" * 1000)
    before = path.read_bytes()
    await assert_refused(path, "is not an SQLite database")
    assert path.read_bytes() == before


async def test_a_file_that_was_refused_is_not_locked(tmp_path: Path) -> None:
    path = tmp_path / "perdure.db"
    path.write_text("a letter to my aunt\n" * 1000)
    await assert_refused(path, "is not an SQLite database")
    path.unlink()
    store = SqliteStore(path)
    await store.open()
    await store.close()


async def test_the_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE schema_version (version INTEGER)")
    other.close()
    await assert_refused(path, "another program")
    other = sqlite3.connect(path)
    assert other.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (1,)
    other.close()


async def test_a_newer_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "perdure.db"
    store = SqliteStore(path)
    await store.open()
    await store.close()
    newer = sqlite3.connect(path)
    newer.execute("INSERT INTO schema_version VALUES (99, 'from the future')")
    newer.commit()
    newer.close()
    await assert_refused(path, "schema version 99 .* install the newer perdure")


async def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    path = tmp_path / "perdure.db"
    path.touch()
    store = SqliteStore(path)
    await store.open()
    await store.commit(commit_at(1))
    assert await store.load(ALICE) is not None
    await store.close()


async def test_a_second_store_on_the_same_file_is_refused_under_any_name_of_it(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "perdure.db")
    await store.open()
    (tmp_path / "alias.db").symlink_to(tmp_path / "perdure.db")
    for name in ("perdure.db", "alias.db"):
        await assert_refused(tmp_path / name, rf"in use by process {os.getpid()}\b")
    await store.commit(commit_at(1))
    await store.close()


async def test_open_twice_is_the_same_as_once(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "perdure.db")
    await store.open()
    await store.open()
    await store.commit(commit_at(1))
    await store.close()


async def test_a_store_can_be_opened_again_after_it_was_closed(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "perdure.db")
    for sequence in (1, 2):
        await store.open()
        await store.commit(commit_at(sequence))
        await store.close()


async def test_a_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "perdure.db")
    for _ in range(2):
        with pytest.raises(StoreError, match="not open"):
            await store.commit(commit_at(1))
        with pytest.raises(StoreError, match="not open"):
            await store.load(ALICE)
        await store.open()
        await store.close()
