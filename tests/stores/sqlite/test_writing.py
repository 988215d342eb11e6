"""How writes share a transaction, and what becomes of them when the transaction, a thread or a caller fails.

All of it holds whoever commits, the writer's thread or the event loop; `test_inline.py` is about when it is who.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from math import inf
from pathlib import Path

import pytest

from perdure.durable.records import Address
from perdure.errors import InvalidState, SequenceConflict, StoreError
from perdure.stores.sqlite import SqliteStore
from perdure.stores.sqlite.inbox import GROUP_MAX
from perdure.testing.store_contract.samples import ALICE, BOB, commit_at, machine_named
from tests.stores.sqlite.writers import Writing


@pytest.fixture(params=[0, inf], ids=["thread", "loop"])
def inline_commit_ms(request: pytest.FixtureRequest) -> float:
    """Who commits: never the event loop, or always."""
    limit: float = request.param
    return limit


@pytest.fixture
async def store(tmp_path: Path, inline_commit_ms: float) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(
        tmp_path / "perdure.db", busy_timeout_ms=10, size_bytes_max=400_000, inline_commit_ms=inline_commit_ms
    )
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def writing(tmp_path: Path, inline_commit_ms: float) -> AsyncIterator[Writing]:
    writing = Writing(tmp_path / "numbers.db", inline_commit_ms)
    yield writing
    await writing.close()
    assert set(writing.committers) <= {"loop" if inline_commit_ms else "thread"}


class BrokenInvariant(BaseException):
    """Something that no caller of ours can have caused."""


@pytest.fixture
def other_program(tmp_path: Path, store: SqliteStore) -> Iterator[sqlite3.Connection]:
    """Another program's connection to the store's file, as an operator's shell would have it."""
    connection = sqlite3.connect(tmp_path / "perdure.db", isolation_level=None)
    yield connection
    connection.close()


async def test_writes_of_the_same_moment_share_one_transaction(writing: Writing) -> None:
    await asyncio.gather(*(writing.insert(number) for number in range(GROUP_MAX)))
    assert writing.statements.count("COMMIT") == 1
    assert writing.statements.count("SAVEPOINT work") == 0, "none has failed"


async def test_a_transaction_takes_no_more_than_its_maximum(writing: Writing) -> None:
    await asyncio.gather(*(writing.insert(number) for number in range(GROUP_MAX + 1)))
    assert writing.statements.count("COMMIT") == 2


async def test_a_write_that_fails_leaves_its_neighbours_in_the_transaction(writing: Writing) -> None:
    outcomes = await asyncio.gather(*map(writing.insert, [1, 2, 2, 3]), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), type(None), StoreError, type(None)]
    assert writing.statements.count("COMMIT") == 1
    assert writing.statements.count("SAVEPOINT work") == 4, "done again, each in its savepoint"
    (count,) = await writing.do(lambda c: c.execute("SELECT count(*) FROM number").fetchone())
    assert count == 3


async def test_a_write_that_fails_half_way_leaves_no_trace(writing: Writing) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO number VALUES (7)")
        raise KeyError("half way")

    await asyncio.gather(writing.insert(1), writing.do(half), writing.insert(2), return_exceptions=True)
    rows = await writing.do(lambda c: c.execute("SELECT * FROM number ORDER BY 1").fetchall())
    assert rows == [(1,), (2,)]


async def test_writes_are_applied_in_the_order_in_which_they_were_submitted(writing: Writing) -> None:
    numbers = [5, 3, 9, 1]
    await asyncio.gather(*map(writing.insert, numbers))
    inserted = [statement for statement in writing.statements if statement.startswith("INSERT")]
    assert inserted == [f"INSERT INTO number VALUES ({number})" for number in numbers]


async def test_a_failure_of_the_writer_fails_everything_that_waits_and_all_that_follows(writing: Writing) -> None:
    def stumble(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO number VALUES (-1)")
        raise BrokenInvariant("a fault of our own")

    waiting = [writing.do(stumble), *(writing.insert(number) for number in range(3 * GROUP_MAX))]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StoreError}
    assert all("a fault of our own" in str(outcome) for outcome in outcomes)
    with pytest.raises(StoreError, match="a fault of our own"):
        await writing.insert(1)
    await asyncio.to_thread(writing.thread.join)


async def test_a_bug_in_one_piece_of_work_is_told_to_its_caller_alone(writing: Writing) -> None:
    def stumble(_: sqlite3.Connection) -> None:
        raise KeyError("missing")

    outcomes = await asyncio.gather(writing.do(stumble), writing.insert(1), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [KeyError, type(None)]


async def test_work_is_refused_after_closing(writing: Writing) -> None:
    await writing.close()
    with pytest.raises(StoreError, match="closed"):
        await writing.insert(1)


async def test_a_commit_fails_while_another_program_writes_and_succeeds_after(
    store: SqliteStore, other_program: sqlite3.Connection
) -> None:
    other_program.execute("BEGIN IMMEDIATE")
    outcomes = await asyncio.gather(
        store.commit(commit_at(1, ALICE)), store.commit(commit_at(1, BOB)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {StoreError}
    assert "another program is writing" in str(outcomes[0])
    assert await store.load(ALICE) is None
    other_program.execute("ROLLBACK")
    await store.commit(commit_at(1, ALICE))


async def test_a_full_store_refuses_and_goes_on_once_there_is_room(store: SqliteStore) -> None:
    people = [Address("org-a", "person", f"person-{number}") for number in range(200)]
    filled: list[Address] = []

    async def fill() -> None:
        for person in people:
            await store.commit(commit_at(1, person, context={"filler": "x" * 10_000}))
            filled.append(person)

    with pytest.raises(StoreError, match="no room left"):
        await fill()
    assert len(filled) > 10
    assert await store.load(people[len(filled)]) is None
    for person in filled:
        assert await store.load(person) is not None
        await store.delete_instance(person)
    await store.commit(commit_at(1, ALICE, context={"filler": "x" * 10_000}))


async def test_an_instance_is_deleted_though_the_log_cannot_be_emptied(tmp_path: Path, inline_commit_ms: float) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    store = SqliteStore(folder / "perdure.db", inline_commit_ms=inline_commit_ms)
    await store.open()
    await store.commit(commit_at(1))
    folder.rename(tmp_path / "elsewhere")  # nothing more can be opened; what is open goes on
    try:
        assert await store.delete_instance(ALICE) is True
        assert await store.load(ALICE) is None
        assert await store.delete_instance(ALICE) is False
    finally:
        (tmp_path / "elsewhere").rename(folder)
        await store.close()


async def test_a_cancelled_commit_that_happened_is_what_the_next_load_answers(store: SqliteStore) -> None:
    await store.commit(commit_at(1))
    cancelled = asyncio.ensure_future(store.commit(commit_at(2, context={"cancelled": True})))
    await asyncio.sleep(0)
    cancelled.cancel()
    await store.commit(commit_at(1, BOB))
    assert cancelled.cancelled()
    loaded = await store.load(ALICE)
    assert loaded is not None
    assert (loaded.sequence, loaded.snapshot.context) == (2, {"cancelled": True})


async def test_an_instance_changed_by_another_program_is_read_again_after_the_lost_race(
    store: SqliteStore, other_program: sqlite3.Connection
) -> None:
    await store.commit(commit_at(1))
    other_program.execute("UPDATE instance SET sequence = 10")
    with pytest.raises(SequenceConflict):
        await store.commit(commit_at(2))
    loaded = await store.load(ALICE)
    assert loaded is not None
    assert loaded.sequence == 10


async def test_a_value_that_sqlite_cannot_hold_is_refused_and_nothing_else(store: SqliteStore) -> None:
    outcomes = await asyncio.gather(
        store.commit(commit_at(2**64, ALICE)),
        store.commit(commit_at(1, Address("org-a", "person", "half a pair \ud800"))),
        store.commit(commit_at(1, BOB)),
        store.load(Address("org-a", "person", "half a pair \ud800")),
        store.due_mail(0.0, 2**64),
        store.load(BOB),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes[:2]] == [OverflowError, UnicodeEncodeError]
    assert outcomes[2] is None
    assert [type(outcome) for outcome in outcomes[3:5]] == [UnicodeEncodeError, OverflowError]
    assert await store.load(BOB) is not None


async def test_state_errors_of_definitions_pass_through_the_thread(store: SqliteStore) -> None:
    await store.create_machine(machine_named("person"))
    with pytest.raises(InvalidState):
        await store.create_machine(machine_named("person"))
