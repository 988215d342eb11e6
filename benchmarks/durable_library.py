"""The library against bare loops of the SQL that its turns need; hot instances; timers; growth. See `durable.py`.

The bare loop executes the statements of a turn, `advance_instance_of_key` and `append_journal`, as the store does: each
once for all events of a transaction (`executemany`), with rows of the same sizes, on the same tables, in a transaction
of its own for each event or for each group. It decides nothing and answers nobody: what it makes is the most that the
file can take from Python's sqlite3.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perdure import Address, Runtime, assign, create_machine, send
from perdure.bootstrap import DEFAULT_ORG
from perdure.bootstrap import open as open_perdure
from perdure.cli.heap import serving_heap
from perdure.durable.commit import Commit
from perdure.durable.records import InstanceRecord, JournalEntry, Mail
from perdure.statechart.snapshot import Snapshot, encode_snapshot
from perdure.stores.sqlite.connection import connect_writer, create_file
from perdure.stores.sqlite.queries import QUERIES
from perdure.stores.sqlite.rows import mail_row
from perdure.stores.sqlite.schema import Schema, bring_up_to_date
from perdure.stores.sqlite.writes import PreparedCommit

__all__ = [
    "BareLoop",
    "Rate",
    "beside_pending",
    "fill",
    "growth",
    "hot",
    "lateness",
    "library",
    "set_aside",
    "versus_bare",
]

MACHINE = "toggle"
FILLER = "x" * 900
VERSION = "ver_AAAAAAAAQACAAAAAAAAAAQ"
TOGGLE: dict[str, Any] = {
    "id": MACHINE,
    "initial": "off",
    "context": {"count": 0, "filler": FILLER},
    "states": {
        "off": {"on": {"TOGGLE": {"target": "on", "actions": assign(count=lambda context: context["count"] + 1)}}},
        "on": {"on": {"TOGGLE": {"target": "off", "actions": assign(count=lambda context: context["count"] + 1)}}},
    },
}
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Rate:
    """Events per second, by the clock on the wall and by the processor's time of the whole process."""

    wall: float
    cpu: float


@contextlib.asynccontextmanager
async def library(path: Path, instances: int) -> AsyncIterator[tuple[Runtime, list[Address]]]:
    """perdure over a file of its own, with instances of the toggle."""
    async with open_perdure(f"sqlite:///{path}", [(MACHINE, create_machine(TOGGLE))]) as runtime:
        addresses = [Address(DEFAULT_ORG, MACHINE, f"i{number}") for number in range(instances)]
        for begin in range(0, instances, 500):
            await asyncio.gather(*(runtime.create_instance(address) for address in addresses[begin : begin + 500]))
        yield runtime, addresses


async def measured(work: Callable[[float], Awaitable[int]], seconds: float) -> Rate:
    """The rate of something that is done until a time has come, and says how often it was."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    done = await work(wall + seconds)
    return Rate(done / (time.perf_counter() - wall), done / (time.process_time() - cpu))


async def toggled(runtime: Runtime, addresses: list[Address], until: float) -> int:
    """Toggle each of the instances, one event after the other on each, all of them at once."""
    done = 0

    async def toggle(address: Address) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await runtime.send(address, "TOGGLE")
            done += 1

    await asyncio.gather(*(toggle(address) for address in addresses))
    return done


class BareLoop:
    """The SQL of turns, group after group, on the connection that the store would write with."""

    def __init__(self, path: Path, instances: int, *, in_bulk: bool = True) -> None:
        create_file(path)
        self.in_bulk = in_bulk
        """Each statement for all rows of a group, as the store does it; or the statements row by row."""
        self.names = [f"i{number}" for number in range(instances)]
        self.connection = connect_writer(path, busy_timeout_ms=5000, size_bytes_max=None)
        bring_up_to_date(self.connection, path, Schema.of_folder())
        self.sequence = 1
        insert_instances(self.connection, range(instances))
        self.keys = [key for (key,) in self.connection.execute("SELECT key FROM instance ORDER BY key")]

    def group(self) -> None:
        """One event for each instance, in one transaction."""
        connection, sequence = self.connection, self.sequence + 1
        prepared = turn_of("i0", sequence)
        instance, (entry,) = prepared.instance, prepared.journal
        connection.execute("BEGIN IMMEDIATE")
        if self.in_bulk:
            swaps = [(*instance, key, sequence - 1) for key in self.keys]
            assert connection.executemany(QUERIES["advance_instance_of_key"], swaps).rowcount == len(swaps)
            connection.executemany(QUERIES["append_journal"], [(key, *entry) for key in self.keys])
        else:
            for name in self.names:
                swap = (*instance, DEFAULT_ORG, MACHINE, name, sequence - 1)
                ((key,),) = connection.execute(QUERIES["advance_instance"], swap).fetchall()
                connection.execute(QUERIES["append_journal"], (key, *entry))
        connection.execute("COMMIT")
        self.sequence = sequence

    async def until(self, until: float) -> int:
        done = 0
        while time.perf_counter() < until:
            self.group()
            done += len(self.keys)
        return done


def turn_of(name: str, sequence: int, version: str = VERSION) -> PreparedCommit:
    """The rows of a turn of the toggle."""
    snapshot = Snapshot(
        machine=MACHINE,
        configuration=("toggle.on",),
        value="on",
        context={"count": sequence, "filler": FILLER},
    )
    record = InstanceRecord(
        address=Address(DEFAULT_ORG, MACHINE, name),
        sequence=sequence,
        version_id=version,
        created_at=1.0e12,
        ts=1.0e12 + sequence,
        snapshot=snapshot,
    )
    entry = JournalEntry(
        sequence=sequence, created_at=record.ts, event={"type": "TOGGLE"}, state="on", version_id=version
    )
    return PreparedCommit.of(
        Commit(
            expected_sequence=None if sequence == 1 else sequence - 1,
            record=record,
            snapshot_json=encode_snapshot(snapshot),
            journal=(entry,),
        )
    )


def insert_instances(connection: sqlite3.Connection, numbers: range, version: str = VERSION) -> None:
    """Instances, many in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    for number in numbers:
        turn_of(f"i{number}", 1, version)(connection)
    connection.execute("COMMIT")


async def versus_bare(folder: Path, instances: int, seconds: float) -> tuple[Rate, Rate, Rate]:
    """The best rounds of the library and of the bare loops, in bulk and row by row, taking turns."""
    loops = [
        BareLoop(folder / f"bare-{instances}-{in_bulk}.db", instances, in_bulk=in_bulk) for in_bulk in (True, False)
    ]
    ours, theirs = Rate(0, 0), [Rate(0, 0), Rate(0, 0)]
    async with library(folder / f"library-{instances}.db", instances) as (runtime, addresses):
        for _ in range(ROUNDS):
            ours = best(ours, await measured(lambda until: toggled(runtime, addresses, until), seconds))
            theirs = [best(rate, await measured(bare.until, seconds)) for rate, bare in zip(theirs, loops, strict=True)]
    for bare in loops:
        bare.connection.close()
    return ours, theirs[0], theirs[1]


def best(one: Rate, other: Rate) -> Rate:
    return Rate(max(one.wall, other.wall), max(one.cpu, other.cpu))


async def hot(folder: Path, senders: int, seconds: float) -> Rate:
    """One instance, and so many who send to it at once."""
    rate = Rate(0, 0)
    async with library(folder / "hot.db", 1) as (runtime, addresses):
        for _ in range(ROUNDS):
            rate = best(rate, await measured(lambda until: toggled(runtime, addresses * senders, until), seconds))
    return rate


# -- timers ------------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def alarm_clocks(path: Path, late: list[float], alarms: int = 1) -> AsyncIterator[Runtime]:
    """perdure with a machine that sets so many alarms when told, and notes how late each was, in milliseconds."""
    runtime: Runtime

    def rang(context: dict[str, Any], event: dict[str, Any]) -> None:
        late.append(runtime.clock.now() - event["due"])

    # The delay is counted from the turn: what waits before it must not count as late.
    alarm = send(
        lambda context, event: {"type": "RANG", "due": event["due"]},
        delay=lambda context, event: event["due"] - runtime.clock.now(),
    )
    on = {"SET": {"actions": [alarm] * alarms}, "RANG": {"actions": "rang"}}
    machine = create_machine({"id": "alarm", "context": {}, "on": on}, actions={"rang": rang})
    async with open_perdure(f"sqlite:///{path}", [("alarm", machine)]) as runtime:
        yield runtime


async def timers(folder: Path, count: int, instances: int = 1_000) -> tuple[list[float], float]:
    """How many milliseconds late each of so many timers came that were due within one second, sorted; and how many
    seconds of the processor's time they took in all.
    """
    late: list[float] = []
    async with alarm_clocks(folder / f"timers-{instances}.db", late, count // instances) as runtime:
        addresses = [Address(DEFAULT_ORG, "alarm", f"i{number}") for number in range(instances)]
        for begin in range(0, instances, 500):
            await asyncio.gather(*(runtime.create_instance(address) for address in addresses[begin : begin + 500]))
        begin_at = runtime.clock.now() + 2_000 + 5 * instances

        async def set_alarms(number: int) -> None:
            due = begin_at + 1_000 * number / instances
            await runtime.send(addresses[number], {"type": "SET", "due": due})

        for begin in range(0, instances, 500):
            await asyncio.gather(*map(set_alarms, range(begin, begin + 500)))
        with serving_heap():
            await asyncio.sleep((begin_at - runtime.clock.now()) / 1000 - 0.2)
            cpu = time.process_time()
            while len(late) < count:  # noqa: ASYNC110 - the timers do not know that they are measured
                await asyncio.sleep(0.05)
            cpu = time.process_time() - cpu
    return sorted(late), cpu


async def lateness(folder: Path, count: int, instances: int) -> dict[str, float]:
    """The same in a few figures, in milliseconds, and the processor's time for one timer in microseconds."""
    late, cpu = await timers(folder, count, instances)
    return {
        "p50": late[len(late) // 2],
        "p99": late[len(late) * 99 // 100],
        "worst": late[-1],
        "cpu_us": cpu / count * 1e6,
    }


async def set_aside(path: Path, pending: int) -> None:
    """Let so many timers be pending that are due in the days to come."""
    async with alarm_clocks(path, []) as runtime:
        await runtime.create_instance(Address(DEFAULT_ORG, "alarm", "patient"))
        tomorrow = runtime.clock.now() + 86_400_000
    connection = connect_writer(path, busy_timeout_ms=5000, size_bytes_max=None)
    for begin in range(0, pending, 10_000):
        connection.execute("BEGIN IMMEDIATE")
        numbers = range(begin, min(pending, begin + 10_000))
        connection.executemany(QUERIES["send_mail"], (mail_row(distant_timer(number, tomorrow)) for number in numbers))
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def distant_timer(number: int, begin: float) -> Mail:
    address = Address(DEFAULT_ORG, "alarm", f"p{number % 100_000}")
    return Mail(
        id=f"distant-{number}",
        kind="event",
        sender=address,
        target=address,
        due_at=begin + number,
        event={"type": "RANG", "due": begin + number, "filler": FILLER[:100]},
        send_id="alarm",
        is_delayed=True,
    )


async def beside_pending(path: Path) -> dict[str, float]:
    """Among the timers that are pending: how long it takes to start, how late 1,000 timers are that are due one after
    the other within five seconds, and the memory that it took this process.
    """
    began = time.perf_counter()
    late: list[float] = []
    async with alarm_clocks(path, late) as runtime:
        address = Address(DEFAULT_ORG, "alarm", "patient")
        await runtime.read(address)
        started = time.perf_counter() - began
        due = runtime.clock.now() + 3_000
        for _ in range(1_000):
            due += 5
            await runtime.send(address, {"type": "SET", "due": due})
        while len(late) < 1_000:  # noqa: ASYNC110 - the timers do not know that they are measured
            await asyncio.sleep(0.05)
    late.sort()
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"start_ms": started * 1000, "p50": late[500], "p99": late[990], "worst": late[-1], "megabytes": megabytes}


# -- growth ------------------------------------------------------------------------------------------------------------

ACTIVE = 1_000
"""Instances that are used, evenly spread over the stored ones."""


async def fill(path: Path, stored: int) -> None:
    """Store so many instances."""
    async with open_perdure(f"sqlite:///{path}", [(MACHINE, create_machine(TOGGLE))]) as runtime:
        (version,) = (await runtime.store.list_versions(DEFAULT_ORG, MACHINE, cursor=None, limit=1)).rows
    connection = connect_writer(path, busy_timeout_ms=5000, size_bytes_max=None)
    for begin in range(0, stored, 10_000):
        insert_instances(connection, range(begin, min(stored, begin + 10_000)), version.id)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


async def growth(path: Path, stored: int, seconds: float) -> dict[str, float]:
    """The rate of 128 tasks among so many stored instances, and the memory that it took this process."""
    async with open_perdure(f"sqlite:///{path}", [(MACHINE, create_machine(TOGGLE))]) as runtime:
        numbers = range(0, stored, max(1, stored // ACTIVE))
        addresses = [Address(DEFAULT_ORG, MACHINE, f"i{number}") for number in numbers]
        rate = Rate(0, 0)
        for _ in range(ROUNDS):
            rate = best(rate, await measured(lambda until: rotated(runtime, addresses, until), seconds))
    return {"wall": rate.wall, "cpu": rate.cpu, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


async def rotated(runtime: Runtime, addresses: list[Address], until: float) -> int:
    """128 tasks, each toggling its share of the instances in turn."""
    done = 0

    async def work(share: list[Address]) -> None:
        nonlocal done
        while True:
            for address in share:
                if time.perf_counter() >= until:
                    return
                await runtime.send(address, "TOGGLE")
                done += 1

    await asyncio.gather(*(work(addresses[task::128]) for task in range(128)))
    return done
