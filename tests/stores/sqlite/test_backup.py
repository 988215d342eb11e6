"""Backups: whole while others write, verified, put back; and a doctor that finds what was broken by hand."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from perdure.errors import InvalidState, StoreError
from perdure.stores.sqlite import SqliteStore
from perdure.stores.sqlite.backup import back_up, check_backup, compact, restore
from perdure.stores.sqlite.doctor import examine
from perdure.testing.store_contract.samples import (
    ALICE,
    BOB,
    CAROL,
    commit_at,
    entry_at,
    letter,
    machine_named,
    version_named,
)

GIVE_ALICE_A_CHILD = """
UPDATE instance
SET snapshot = json_set(
    snapshot, '$.children', json('{"kid": {"id": "kid", "source": "person", "session": 1, "instance": "nobody"}}')
)
WHERE instance = 'alice'
"""


def quiet(done: int, total: int) -> None:
    """Progress that nobody looks at."""


async def filled(path: Path) -> None:
    """A database with two people and a message between them."""
    store = SqliteStore(path)
    await store.open()
    await store.create_machine(machine_named("person"))
    await store.add_version(version_named("1"), make_current=True)
    await store.commit(commit_at(1, ALICE, context={"name": "Alice"}, journal=[entry_at(1)]))
    await store.commit(commit_at(1, BOB, journal=[entry_at(1)], mail=[letter("m", sender=BOB, target=ALICE)]))
    await store.close()


async def test_a_backup_taken_while_others_write_is_of_one_moment_and_opens_as_a_store(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "live.db")
    await store.open()
    await store.commit(commit_at(1, context={"n": 1, "ballast": "x" * 200_000}))
    copying = asyncio.create_task(asyncio.to_thread(back_up, tmp_path / "live.db", tmp_path / "copy.db", quiet))
    sequence = 1
    while not copying.done():
        sequence += 1
        await store.commit(commit_at(sequence, context={"n": sequence}, journal=[entry_at(sequence)]))
    assert await copying == (tmp_path / "copy.db").stat().st_size
    await store.close()
    copy = SqliteStore(tmp_path / "copy.db")
    await copy.open()
    record = await copy.load(ALICE)
    entries = (await copy.journal(ALICE, cursor=None, limit=10**6)).rows
    await copy.close()
    assert record is not None
    assert record.snapshot.context["n"] == record.sequence
    assert (entries[-1].sequence if entries else 1) == record.sequence


async def test_a_backup_replaces_nothing_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    await filled(tmp_path / "live.db")
    (tmp_path / "taken.db").write_text("mine")
    with pytest.raises(InvalidState, match="a backup replaces nothing"):
        back_up(tmp_path / "live.db", tmp_path / "taken.db", quiet)
    assert (tmp_path / "taken.db").read_text() == "mine"
    with pytest.raises(StoreError, match="there is no file"):
        back_up(tmp_path / "absent.db", tmp_path / "copy.db", quiet)
    assert not list(tmp_path.glob("*.partial"))
    assert not (tmp_path / "copy.db").exists()


async def test_a_restored_backup_is_the_database_again(tmp_path: Path) -> None:
    await filled(tmp_path / "live.db")
    back_up(tmp_path / "live.db", tmp_path / "copy.db", quiet)
    store = SqliteStore(tmp_path / "live.db")
    await store.open()
    await store.delete_instance(ALICE)
    with pytest.raises(StoreError, match="is in use by process"):
        restore(tmp_path / "copy.db", tmp_path / "live.db", quiet, replaces=True)
    await store.close()
    with pytest.raises(InvalidState, match="--force"):
        restore(tmp_path / "copy.db", tmp_path / "live.db", quiet, replaces=False)
    restore(tmp_path / "copy.db", tmp_path / "live.db", quiet, replaces=True)
    store = SqliteStore(tmp_path / "live.db")
    await store.open()
    record = await store.load(ALICE)
    await store.close()
    assert record is not None
    assert record.snapshot.context == {"name": "Alice"}


async def test_a_damaged_backup_and_what_is_none_are_not_put_back(tmp_path: Path) -> None:
    await filled(tmp_path / "live.db")
    back_up(tmp_path / "live.db", tmp_path / "copy.db", quiet)
    data = bytearray((tmp_path / "copy.db").read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    (tmp_path / "damaged.db").write_bytes(data)
    (tmp_path / "text.db").write_text("no database at all" * 100)
    sqlite3.connect(tmp_path / "foreign.db").execute("CREATE TABLE t (a)").connection.close()
    for name in ("damaged.db", "text.db", "foreign.db", "absent.db"):
        with pytest.raises(StoreError):
            restore(tmp_path / name, tmp_path / "new.db", quiet, replaces=False)
        assert not (tmp_path / "new.db").exists()
    check_backup(tmp_path / "copy.db")


async def test_the_doctor_finds_nothing_in_an_orderly_database(tmp_path: Path) -> None:
    await filled(tmp_path / "live.db")
    seen: list[tuple[int, int]] = []
    assert examine(tmp_path / "live.db", lambda done, total: seen.append((done, total))) == []
    assert seen == [(2, 2)]


@pytest.mark.parametrize(
    ("statement", "severity", "check"),
    [
        ("UPDATE instance SET snapshot = '{\"x\"' WHERE instance = 'alice'", "error", "snapshots"),
        ("UPDATE instance SET version_id = 'ver_gone' WHERE instance = 'alice'", "error", "versions"),
        ("UPDATE journal SET sequence = 99", "error", "journal"),
        ("DELETE FROM instance WHERE instance = 'alice'", "error", "references"),
        ("UPDATE mail SET target_instance = 'nobody'", "warning", "mail"),
        (
            GIVE_ALICE_A_CHILD,
            "warning",
            "children",
        ),
    ],
    ids=["snapshot", "version", "journal", "references", "mail", "children"],
)
async def test_the_doctor_finds_what_was_broken(tmp_path: Path, statement: str, severity: str, check: str) -> None:
    await filled(tmp_path / "live.db")
    connection = sqlite3.connect(tmp_path / "live.db", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute(statement)
    connection.close()
    found = examine(tmp_path / "live.db", quiet)
    assert (severity, check) in {(finding.severity, finding.check) for finding in found}


async def test_the_doctor_refuses_what_is_no_database_of_perdure(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database at all" * 100)
    for name in ("text.db", "absent.db"):
        with pytest.raises(StoreError):
            examine(tmp_path / name, quiet)


async def test_of_a_deleted_instance_nothing_is_left_in_the_bytes_of_a_compacted_database(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "live.db")
    await store.open()
    secret, kept = "SECRETsecretSECRET", "something that stays"

    def large(text: str, number: int) -> str:
        return text + "." * (number * 37 % 6_000)

    for number in range(1, 120):
        for address, text in ((ALICE, secret), (BOB, kept), (CAROL, kept)):
            mail = [letter(f"{address.instance}-{number}-{large(text, number)}", sender=address, target=address)]
            entry = entry_at(number, large(text, number))
            context = {"text": large(text, number)}
            await store.commit(commit_at(number, address, context=context, journal=[entry], mail=mail))
    before = traces(tmp_path, secret)
    assert await store.delete_instance(ALICE)
    assert traces(tmp_path, secret) < before / 20  # all but what rearranged pages still hold
    with pytest.raises(StoreError, match="is in use by process"):
        compact(tmp_path / "live.db")
    await store.close()
    compact(tmp_path / "live.db")
    assert traces(tmp_path, secret) == 0
    assert traces(tmp_path, kept) > 0


def traces(folder: Path, text: str) -> int:
    """How often a text is in the database, its log and whatever else lies beside it."""
    count: Callable[[Path], int] = lambda file: file.read_bytes().count(text.encode())  # noqa: E731
    return sum(count(file) for file in folder.iterdir())
