"""Databases written by earlier schemas are opened, read, used and held to the store contract by today's code."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from perdure import Runtime, RuntimeSettings
from perdure.durable.records import IndexQuery, host_address
from perdure.durable.store import Store
from perdure.errors import InvalidState, StoreError
from perdure.hosts.in_process import InProcessHost
from perdure.stores.sqlite import SqliteStore
from perdure.stores.sqlite.schema import Schema
from perdure.testing.simulated_clock import CountingEntropy, SimulatedClock
from perdure.testing.store_contract import StoreContract
from tests.recordings.newer_rows import KEYED, MEMBERS, MOVED, MOVED_VERSION, ORG, RETRIED
from tests.recordings.record import BELL, CLAPPER, FOLDER, PAUSED, answers, record

RECORDINGS = sorted(FOLDER.glob("schema_*.sql"))


def written_out(recording: Path, folder: Path) -> Path:
    """The recorded database as a file of its own."""
    path = folder / "perdure.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(recording.read_text(encoding="utf-8"))
    return path


@pytest.fixture(params=RECORDINGS, ids=[recording.stem for recording in RECORDINGS])
def recording(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


@pytest.fixture
async def store(recording: Path, tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """The recorded database, opened by today's code."""
    store = SqliteStore(written_out(recording, tmp_path))
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def runtime(store: SqliteStore) -> AsyncIterator[Runtime]:
    """A runtime over the recorded database, at the time at which it was recorded."""
    entropy = CountingEntropy()
    for _ in range(1000):
        entropy.uuid()  # what was recorded has these
    settings = RuntimeSettings(closing_grace=0)
    async with Runtime(store, InProcessHost(), clock=SimulatedClock(), entropy=entropy, settings=settings) as runtime:
        yield runtime


def missing(recorded: Any, found: Any, path: str = "$") -> list[str]:
    """Where an answer of today lacks what was recorded; it may say more."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        return [
            line
            for key, value in recorded.items()
            for line in missing(value, found.get(key, "<nothing>"), f"{path}.{key}")
        ]
    if isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
        pairs = enumerate(zip(recorded, found, strict=True))
        return [line for place, (one, other) in pairs for line in missing(one, other, f"{path}[{place}]")]
    return [] if recorded == found else [f"{path}: {recorded!r} was recorded, {found!r} is answered"]


def version_of(recording: Path) -> int:
    return int(recording.stem.removeprefix("schema_"))


def test_every_schema_before_todays_is_recorded() -> None:
    recorded = [version_of(recording) for recording in RECORDINGS]
    assert recorded == list(range(1, len(recorded) + 1))
    assert len(recorded) >= Schema.of_folder().version - 1


def test_schema_is_recorded_with_rows_in_every_table(recording: Path) -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.executescript(recording.read_text(encoding="utf-8"))
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        assert len(tables) > 8
        empty = [table for table in tables if not database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]]
        assert database.execute("SELECT max(version) FROM schema_version").fetchone() == (version_of(recording),)
    assert empty == []


async def test_recorded_database_is_led_to_todays_schema(store: SqliteStore) -> None:
    with contextlib.closing(sqlite3.connect(store.path)) as database:
        (version,) = database.execute("SELECT max(version) FROM schema_version").fetchone()
        assert version == Schema.of_folder().version
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []


async def test_store_answers_what_it_answered_when_the_database_was_recorded(
    recording: Path, store: SqliteStore
) -> None:
    recorded = json.loads(recording.with_suffix(".json").read_text(encoding="utf-8"))
    found = await answers(store)
    assert missing(recorded, found) == []
    again = SqliteStore(store.path)
    await store.close()
    await again.open()
    assert await answers(again) == found, "opening it a second time changes nothing"
    await again.close()


async def test_recorded_instances_go_on_where_they_were(runtime: Runtime) -> None:
    clock = runtime.clock
    assert isinstance(clock, SimulatedClock)
    await clock.advance(5_000)
    await runtime.idle()
    state = await runtime.read(BELL)
    assert (state.state, state.context["rung"], state.context["echo"]) == ("ringing", 1, True)
    await clock.advance(55_000)
    await runtime.idle()
    assert (await runtime.read(BELL)).state == "still"
    assert (await runtime.send(BELL, "RING")).context["rung"] == 2
    entries = (await runtime.store.journal(BELL, cursor=None, limit=99)).rows
    assert [entry.event["type"] for entry in entries][4:] == ["ECHO", "xstate.after(60000)#bells.ringing", "RING"]
    assert (await runtime.send(CLAPPER, "RING")).state == "ringing"


async def test_recorded_status_and_deletion_work_as_before(runtime: Runtime) -> None:
    with pytest.raises(InvalidState, match="is paused"):
        await runtime.send(PAUSED, "RING")
    await runtime.set_status(PAUSED, "running")
    assert (await runtime.send(PAUSED, "RING")).state == "ringing"
    await runtime.delete_instance(BELL)
    assert await runtime.store.pending_mail(BELL) == []


async def test_recorded_instance_moves_to_the_version_it_was_to_have_at_its_next_event(
    recording: Path, runtime: Runtime
) -> None:
    since(recording, 4)
    assert (await runtime.inspect(MOVED)).desired_version_id == MOVED_VERSION
    state = await runtime.send(MOVED, "RING")
    assert (state.state, state.context["moved"]) == ("ringing", True)
    record = await runtime.inspect(MOVED)
    assert (record.version_id, record.desired_version_id) == (MOVED_VERSION, None)
    found = await runtime.store.query_index(ORG, "bells", "note", IndexQuery(), cursor=None, limit=9)
    assert [(row.name, row.value) for row in found.rows] == [("moved", "\u266b")]


async def test_recorded_receipt_answers_the_request_made_again(recording: Path, runtime: Runtime) -> None:
    since(recording, 6)
    before = await runtime.store.load(KEYED)
    again = await runtime.send(KEYED, "RING", idempotency_key="recorded")
    assert (again.state, again.context["rung"]) == ("ringing", 1)
    assert await runtime.store.load(KEYED) == before, "nothing is applied twice"


async def test_recorded_broadcast_goes_on_to_each_member_once(recording: Path, runtime: Runtime) -> None:
    since(recording, 8)
    await runtime.idle()
    for member in MEMBERS:
        assert (await runtime.read(member)).context["sung"] == 1
    assert not await runtime.store.is_broadcasting(host_address(ORG))


async def test_recorded_service_that_waited_for_its_second_attempt_is_tried_again(
    recording: Path, runtime: Runtime
) -> None:
    since(recording, 8)
    clock = runtime.clock
    assert isinstance(clock, SimulatedClock)
    assert (await runtime.read(RETRIED)).state == "busy"
    await clock.advance(60_000)
    await runtime.idle()
    assert (await runtime.read(RETRIED)).state == "done"


def since(recording: Path, version: int) -> None:
    """Ends the test for databases of schemas that could not have the rows in question."""
    if version_of(recording) < version:
        pytest.skip(f"there was no such thing before schema {version}")


async def test_newer_database_is_refused_by_name_and_left_alone(recording: Path, tmp_path: Path) -> None:
    path = written_out(recording, tmp_path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("INSERT INTO schema_version VALUES (9999, 'of tomorrow')")
        database.commit()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"perdure\.db has schema version 9999 .* install the newer perdure"):
        await SqliteStore(path).open()
    assert path.read_bytes()[100:] == before[100:], "beyond its header, where SQLite notes the mode of its log"


def test_recording_again_writes_a_database_of_todays_schema(tmp_path: Path) -> None:
    target = record(tmp_path)
    assert target.stem == f"schema_{Schema.of_folder().version:04}"
    again = tmp_path / "again"
    again.mkdir()
    assert record(again).read_bytes() == target.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("recording", RECORDINGS, ids=[recording.stem for recording in RECORDINGS], indirect=True)
class TestMigratedStore(StoreContract):
    """The contract asks for an empty store: the earlier tables, emptied, and then led to today's."""

    is_durable = True

    @pytest.fixture
    async def store(self, recording: Path, tmp_path: Path) -> AsyncIterator[SqliteStore]:
        path = written_out(recording, tmp_path)
        with contextlib.closing(sqlite3.connect(path)) as database:
            for (table,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
                if table != "schema_version":
                    database.execute(f"DELETE FROM {table}")
            database.commit()
        store = SqliteStore(path)
        await store.open()
        yield store
        await store.close()

    async def reopen(self, store: Store) -> SqliteStore:
        assert isinstance(store, SqliteStore)
        await store.close()
        again = SqliteStore(store.path)
        await again.open()
        return again
