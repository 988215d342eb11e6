"""The log is brought into the database beside the writing, and stays short unless a reader stays."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure.durable.records import Address
from perdure.stores.sqlite import SqliteStore
from perdure.stores.sqlite.checkpoints import Checkpointer
from perdure.stores.sqlite.connection import connect_checkpointer
from perdure.stores.sqlite.writer import PAGE_BYTES
from perdure.stores.sqlite.writes import PreparedCommit
from perdure.testing.store_contract.samples import commit_at, entry_at
from tests.stores.sqlite.writers import writer_of_file

PAGES = 100
LOG_PAGES_MAX = 400
PEOPLE = [Address("org-a", "person", f"person-{number}") for number in range(10)]


class Filling:
    """A writer that goes on and on, its checkpoints, and a reader, all on the test's thread."""

    def __init__(self, path: Path) -> None:
        self.log = path.with_name(path.name + "-wal")
        self.writer = writer_of_file(path, checkpoints=False)
        connection = connect_checkpointer(path, busy_timeout_ms=10)
        self.restarts: list[int] = []
        connection.set_trace_callback(self._note)
        self.reader = sqlite3.connect(path, isolation_level=None)
        self.checkpointer = Checkpointer(self.writer, connection, path, pages=PAGES, log_pages_max=LOG_PAGES_MAX)
        self.connections = [self.writer.connection, connection, self.reader]
        self.is_checkpoint_due = False
        self.writer.call_after_pages(PAGES, self._wake)
        self.sequence = 0
        self.written = 0

    def go_on(self, groups: int = 1) -> int:
        """Write groups of commits with the checkpoints that are due; the longest that the log was, in pages."""
        longest = 0
        for _ in range(groups):
            self.sequence += 1
            commits = [commit_at(self.sequence, person, journal=[entry_at(self.sequence)]) for person in PEOPLE]
            outcomes, *_ = self.writer.write([PreparedCommit.of(commit) for commit in commits])
            assert all(isinstance(outcome, int) for outcome in outcomes)
            if self.is_checkpoint_due:
                self.is_checkpoint_due = False
                self.checkpointer.checkpoint()
            longest = max(longest, self.log_pages)
        return longest

    @property
    def log_pages(self) -> int:
        """Of the file: a log that has begun anew keeps its size."""
        return self.log.stat().st_size // PAGE_BYTES

    def begin_reading(self) -> None:
        self.reader.execute("BEGIN")
        self.reader.execute("SELECT count(*) FROM journal").fetchone()

    def end_reading(self) -> None:
        self.reader.execute("ROLLBACK")

    def _wake(self) -> None:
        self.is_checkpoint_due = True

    def _note(self, statement: str) -> None:
        if "RESTART" in statement:
            self.restarts.append(self.log_pages)


@pytest.fixture
def filling(tmp_path: Path) -> Iterator[Filling]:
    filling = Filling(tmp_path / "perdure.db")
    yield filling
    for connection in filling.connections:
        connection.close()


async def test_the_log_does_not_grow_from_one_process_that_dies_to_the_next(tmp_path: Path) -> None:
    """A copy of the files of a store that is open is what would be left if its process died now."""
    left: list[int] = []
    home = tmp_path / "0"
    home.mkdir()
    for life in range(1, 6):
        store = SqliteStore(home / "perdure.db")
        await store.open()
        for person in PEOPLE * 20:
            before = await store.load(person)
            await store.commit(commit_at(1 if before is None else before.sequence + 1, person, context="x" * 1_000))
        log = home / "perdure.db-wal"
        left.append(log.stat().st_size)
        home = tmp_path / str(life)
        home.mkdir()
        for file in (log, log.with_name("perdure.db")):
            (home / file.name).write_bytes(file.read_bytes())
        await store.close()
    assert max(left) < 2 * min(left)
    store = SqliteStore(home / "perdure.db")
    await store.open()
    assert [record.sequence for person in PEOPLE if (record := await store.load(person))] == [100] * len(PEOPLE)
    await store.close()


def test_a_commit_brings_nothing_into_the_database_and_the_checkpoint_all(filling: Filling, tmp_path: Path) -> None:
    database = tmp_path / "perdure.db"
    filling.go_on()
    before = database.read_bytes()
    filling.writer.call_after_pages(10_000, lambda: None)
    filling.go_on(100)
    assert database.read_bytes() == before
    filling.checkpointer.checkpoint()
    copy = tmp_path / "copy.db"  # of the database without its log
    copy.write_bytes(database.read_bytes())
    connection = sqlite3.connect(copy)
    assert connection.execute("SELECT min(sequence), max(sequence) FROM instance").fetchone() == (101, 101)
    connection.close()


def test_the_log_stays_short_under_endless_writing(filling: Filling) -> None:
    assert filling.go_on(300) < 3 * PAGES


def test_the_log_stays_short_with_a_reader_that_comes_and_goes(filling: Filling) -> None:
    longest = 0
    for _ in range(50):
        filling.begin_reading()
        longest = max(longest, filling.go_on(7))
        filling.end_reading()
        longest = max(longest, filling.go_on(7))
    assert longest < LOG_PAGES_MAX


def test_the_log_grows_while_a_reader_stays_and_begins_anew_when_it_has_left(filling: Filling) -> None:
    filling.go_on()
    filling.begin_reading()
    grown = filling.go_on(400)
    assert grown > 3 * LOG_PAGES_MAX
    assert 1 <= len(filling.restarts) <= 6, "tried less and less often"
    filling.end_reading()
    filling.go_on(20)
    assert filling.go_on(400) <= grown + 3 * PAGES, "and its room is used again"


def test_readers_that_are_in_the_way_are_waited_for_when_the_log_is_long(filling: Filling) -> None:
    """The reader leaves while the writer is held up for it."""
    filling.go_on()
    filling.begin_reading()
    while filling.log_pages <= LOG_PAGES_MAX:
        filling.go_on()
    attempts = len(filling.restarts)
    filling.connections[1].execute("PRAGMA busy_timeout = 10000")
    work = threading.Thread(target=filling.checkpointer.checkpoint)
    work.start()
    while len(filling.restarts) == attempts:
        work.join(0.001)
    assert filling.writer.lock.locked()
    filling.end_reading()
    work.join(20)
    assert not work.is_alive()
    before = filling.log_pages
    filling.go_on()
    assert filling.log_pages == before, "the log begins anew, in the room that it has"


def test_a_condemned_writer_does_nothing_any_more(filling: Filling) -> None:
    filling.go_on()
    filling.writer.condemn("the disk has failed")
    commit = PreparedCommit.of(commit_at(2, PEOPLE[0]))
    for came in (filling.writer.serve([commit]), filling.writer.serve_at_once([commit])):
        assert came is not None
        assert came.fault == "the disk has failed"
        assert "the disk has failed" in str(came.outcomes[0].error)
    (sequence,) = filling.reader.execute("SELECT max(sequence) FROM instance").fetchone()
    assert sequence == 1


def test_a_commit_waits_for_the_end_of_a_checkpoint_on_its_thread_alone(filling: Filling) -> None:
    filling.go_on()
    commit = PreparedCommit.of(commit_at(2, PEOPLE[0]))
    with filling.writer.lock:
        assert filling.writer.serve_at_once([commit]) is None
    assert filling.writer.serve_at_once([commit]) is not None


def test_pages_are_counted_by_rows_and_by_bytes(tmp_path: Path) -> None:
    writer = writer_of_file(tmp_path / "perdure.db")
    calls: list[int] = []

    def write_one(number: int, filler: str) -> None:
        person = Address("org-a", "person", f"person-{number}")
        writer.write([PreparedCommit.of(commit_at(1, person, context={"filler": filler}))])

    write_one(0, "")
    writer.call_after_pages(10, lambda: calls.append(1))
    for number in range(1, 12):
        write_one(number, "")
    assert calls == [1]
    write_one(12, "x" * 20 * PAGE_BYTES)
    assert calls == [1, 1]
    writer.connection.close()


@pytest.mark.slow
async def test_the_log_of_a_store_stays_bounded_while_it_writes_and_reads_without_end(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "perdure.db")
    await store.open()
    log = tmp_path / "perdure.db-wal"
    people = [Address("org-a", "person", f"person-{number}") for number in range(64)]
    longest = 0
    context = {"filler": "x" * 16_000}
    for sequence in range(1, 151):  # 150 MB
        await asyncio.gather(
            *(store.commit(commit_at(sequence, person, context=context)) for person in people),
            *(store.load(person) for person in people[:8]),
        )
        longest = max(longest, log.stat().st_size)
    await store.close()
    assert longest < 2 * 64 * 1024 * 1024


def writer_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("perdure-sqlite")]


async def test_a_store_that_is_closed_leaves_no_thread(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "perdure.db")
    await store.open()
    assert "perdure-sqlite-checkpoints" in writer_threads()
    await store.close()
    assert writer_threads() == []
