"""Timers that are due some other day cost nothing, however many they are."""

from __future__ import annotations

import asyncio
import sqlite3
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from perdure import assign, send
from perdure.durable.records import Mail
from perdure.stores.sqlite import SqliteStore
from perdure.stores.sqlite.connection import connect_writer
from perdure.stores.sqlite.queries import QUERIES
from perdure.stores.sqlite.rows import mail_row
from tests.durable.world import World, at, soon

DAY = 86_400_000.0
BATCH = 10_000


class CountingStore(SqliteStore):
    """A store that counts the mail it has read, and the tens of steps that SQLite has made for its readers."""

    read = 0
    steps = 0

    async def due_mail(self, now: float, limit: int, **options: Any) -> list[Mail]:
        found = await super().due_mail(now, limit, **options)
        self.read += len(found)
        return found

    def _connect(self) -> list[sqlite3.Connection]:
        writer, *readers = super()._connect()
        for reader in readers:
            reader.set_progress_handler(self._step, 10)
        return [writer, *readers]

    def _step(self) -> None:
        self.steps += 1


def pending(path: Path, count: int, begin: float) -> None:
    """Put timers into a store that nobody has open: one each millisecond from ``begin`` on."""
    connection = connect_writer(path, busy_timeout_ms=5000, size_bytes_max=None)
    for first in range(0, count, BATCH):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            QUERIES["send_mail"],
            (
                mail_row(
                    Mail(
                        id=f"pending-{number}",
                        kind="event",
                        sender=at("clock", f"p{number % 1_000}"),
                        target=at("clock", f"p{number % 1_000}"),
                        due_at=begin + number,
                        event={"type": "RING"},
                        send_id="ring",
                        is_delayed=True,
                    )
                )
                for number in range(first, min(count, first + BATCH))
            ),
        )
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def clocks(world: World) -> None:
    ring = send("RING", delay=lambda context, event: event["delay"])
    count = assign(rung=lambda context: context["rung"] + 1)
    on = {"SET": {"actions": ring}, "RING": {"actions": count}}
    world.machine("clock", {"context": {"rung": 0}, "on": on})


async def cost(path: Path, name: str) -> tuple[float, int, int]:
    """Of a runtime over this file, in which one timer is set and fires: the steps of SQLite's readers, the memory that
    was in use at most, and the mail that was read.
    """
    store = CountingStore(path)
    world = World(lambda: store)
    world.clock._now = DAY
    clocks(world)
    tracemalloc.start()
    try:
        async with world.running() as runtime:
            await runtime.create_instance(at("clock", name))
            await runtime.send(at("clock", name), {"type": "SET", "delay": 2_500})
            for _ in range(50):
                await world.clock.advance(50)
                await soon(runtime.idle())
            assert (await runtime.read(at("clock", name))).context == {"rung": 1}
        return store.steps, tracemalloc.get_traced_memory()[1], store.read
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
async def test_pending_timers_cost_neither_memory_nor_work_until_they_are_due(tmp_path: Path, count: int) -> None:
    path = tmp_path / "test.db"
    await cost(path, "first")  # with what is done but once
    steps, memory, read = await cost(path, "second")
    assert read == 1
    assert steps > 10
    await asyncio.to_thread(pending, path, count, begin=3 * DAY)
    steps_beside, memory_beside, read_beside = await cost(path, "third")
    assert read_beside == 1
    assert steps_beside <= 1.5 * steps
    assert memory_beside <= memory + 500_000


async def test_of_many_timers_that_are_due_at_once_few_are_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    store = CountingStore(path)
    world = World(lambda: store)
    world.clock._now = DAY
    clocks(world)
    async with world.running() as runtime:
        for number in range(1_000):
            await runtime.create_instance(at("clock", f"p{number}"))
    await asyncio.to_thread(pending, path, 3_000, begin=DAY / 2)
    async with world.running() as runtime:
        most = 0
        while not await has_rung(runtime, 3):
            most = max(most, runtime.delivery.in_flight + len(runtime.delivery._near._queue))
            await asyncio.sleep(0)
        await soon(runtime.idle())
        limits = world.settings.limits
        assert most <= limits.in_flight_max + 2 * limits.timers_ahead_max
        assert store.read == 3_000


async def has_rung(runtime: Any, times: int) -> bool:
    """Whether the last timer of all has."""
    context = (await runtime.read(at("clock", "p999"))).context
    return bool(context["rung"] == times)
