"""Where one commit follows the other, it is made when it is asked for, before the end of the loop's turn."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from math import inf
from pathlib import Path

import pytest

from perdure.durable.commit import Commit
from perdure.errors import SequenceConflict, StoreError
from perdure.stores.sqlite import SqliteStore
from perdure.stores.sqlite.inline import ALONE_MIN
from perdure.testing.store_contract.samples import ALICE, BOB, commit_at
from tests.stores.sqlite.writers import Writing


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "perdure.db", inline_commit_ms=inf)
    await store.open()
    yield store
    await store.close()


async def commit_alone(store: SqliteStore, sequence: int = 0) -> int:
    """Commit, one after the other, as often as it takes; the sequence that Alice has reached."""
    for _ in range(ALONE_MIN):
        sequence += 1
        await store.commit(commit_at(sequence))
    await asyncio.sleep(0)  # the next one is in a turn of its own
    return sequence


def is_made_at_once(store: SqliteStore, commit: Commit) -> bool:
    """Whether a commit returns without waiting for anything. It is given up otherwise."""
    steps = store.commit(commit)
    try:
        steps.send(None)
    except StopIteration:
        return True
    steps.close()
    return False


async def test_a_commit_waits_for_the_end_of_the_turn_until_many_have_been_alone(store: SqliteStore) -> None:
    assert not is_made_at_once(store, commit_at(1))
    await asyncio.sleep(0)
    sequence = await commit_alone(store, 1)
    assert is_made_at_once(store, commit_at(sequence + 1))
    await asyncio.sleep(0)
    assert is_made_at_once(store, commit_at(sequence + 2))
    loaded = await store.load(ALICE)
    assert loaded is not None
    assert loaded.sequence == sequence + 2


async def test_a_second_commit_in_the_same_turn_is_gathered_and_ends_it(store: SqliteStore) -> None:
    sequence = await commit_alone(store)
    assert is_made_at_once(store, commit_at(sequence + 1))
    assert not is_made_at_once(store, commit_at(1, BOB))
    await asyncio.sleep(0)
    assert await store.load(BOB) is not None
    assert not is_made_at_once(store, commit_at(2, BOB)), "they are not alone any more"


async def test_a_commit_that_is_made_at_once_raises_its_error_and_leaves_no_trace(store: SqliteStore) -> None:
    sequence = await commit_alone(store)
    with pytest.raises(SequenceConflict):
        is_made_at_once(store, commit_at(sequence))
    await asyncio.sleep(0)
    with pytest.raises(OverflowError):
        is_made_at_once(store, commit_at(2**64, BOB))
    await asyncio.sleep(0)
    assert is_made_at_once(store, commit_at(sequence + 1))


async def test_nothing_is_made_at_once_that_may_hold_up_the_loop(store: SqliteStore, tmp_path: Path) -> None:
    sequence = await commit_alone(store)
    assert not is_made_at_once(store, commit_at(1, BOB, cancels_all=True))
    await store.load(ALICE)
    await store.commit(commit_at(sequence + 1))
    sequence = await commit_alone(store, sequence + 1)
    other = sqlite3.connect(tmp_path / "perdure.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    late = asyncio.ensure_future(store.commit(commit_at(sequence + 1)))
    for _ in range(50):
        await asyncio.sleep(0)
    assert not late.done()
    other.execute("ROLLBACK")
    other.close()
    await late


async def test_what_comes_before_is_applied_before(store: SqliteStore) -> None:
    """A deletion that the writer's thread has not done yet, and a commit that would be made at once."""
    sequence = await commit_alone(store)
    deletion = asyncio.ensure_future(store.delete_instance(ALICE))
    await asyncio.sleep(0)
    with pytest.raises(SequenceConflict, match="is gone"):
        await store.commit(commit_at(sequence + 1))
    assert await deletion is True


async def test_a_closed_store_refuses_what_it_would_have_made_at_once(store: SqliteStore) -> None:
    sequence = await commit_alone(store)
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    with pytest.raises(StoreError, match="closed"):
        await store.commit(commit_at(sequence + 1))
    await closing


def test_an_interruption_of_work_that_is_done_at_once_is_passed_on_and_ends_the_writer(tmp_path: Path) -> None:
    loop = asyncio.new_event_loop()

    async def prepared() -> Writing:
        writing = Writing(tmp_path / "numbers.db", inf)
        for number in range(ALONE_MIN):
            await writing.insert(number)
        return writing

    writing = loop.run_until_complete(prepared())

    def interrupted(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO number VALUES (-1)")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        writing.inbox.do_alone(interrupted, 0.0)
    with pytest.raises(StoreError, match="KeyboardInterrupt"):
        loop.run_until_complete(writing.insert(1_000))
    loop.run_until_complete(writing.close())
    loop.close()
    connection = sqlite3.connect(tmp_path / "numbers.db")
    assert connection.execute("SELECT min(n), count(*) FROM number").fetchone() == (0, ALONE_MIN)
    connection.close()
