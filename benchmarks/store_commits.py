"""How many commits a second the SQLite store makes, alone and in groups, beside the plain way of doing it.

A commit here is what a turn writes: a compare-and-swap of a 1 kB snapshot, a journal entry and a piece of mail to
another instance. The plain way is the same statements on the event loop's own thread, one transaction for each commit.
All of it runs with ``synchronous=FULL`` on the disk of the given folder.

    python benchmarks/store_commits.py [--seconds 3] [--folder .]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from perdure.durable.commit import Commit
from perdure.durable.records import Address, InstanceRecord, JournalEntry, Mail
from perdure.statechart.snapshot import Snapshot, encode_snapshot
from perdure.stores.sqlite import SqliteStore
from perdure.stores.sqlite.connection import connect_writer, create_file
from perdure.stores.sqlite.schema import Schema, bring_up_to_date
from perdure.stores.sqlite.writes import PreparedCommit

TASKS = 128

Apply = Callable[[Commit], Awaitable[None]]
Load = Callable[[Address], Awaitable[object]]


def turn_commit(address: Address, sequence: int) -> Commit:
    """The commit of one turn, as ``sequence`` of its instance."""
    snapshot = Snapshot(
        machine="order",
        configuration=("order.paid",),
        value="paid",
        context={"count": sequence, "filler": "x" * 900},
    )
    now = time.time() * 1000
    return Commit(
        expected_sequence=None if sequence == 1 else sequence - 1,
        record=InstanceRecord(
            address=address, sequence=sequence, version_id="ver_1", created_at=now, ts=now, snapshot=snapshot
        ),
        snapshot_json=encode_snapshot(snapshot),
        journal=(JournalEntry(sequence=sequence, created_at=now, event={"type": "PAY"}, state="paid", version_id="v"),),
        mail=(
            Mail(
                id=f"{address}:{sequence}:0",
                kind="event",
                sender=address,
                target=Address(address.org, "ledger", address.instance),
                due_at=now,
                event={"type": "PAID", "amount": 12},
            ),
        ),
    )


async def rate(apply: Apply, tasks: int, seconds: float) -> float:
    """Commits a second of so many tasks, each with an instance of its own, each waiting for its commit to return."""
    end = time.perf_counter() + seconds
    made = 0

    async def turns(address: Address) -> None:
        nonlocal made
        sequence = 0
        while time.perf_counter() < end:
            sequence += 1
            await apply(turn_commit(address, sequence))
            made += 1

    start = time.perf_counter()
    await asyncio.gather(*(turns(Address("org", f"order-{tasks}", f"instance-{n}")) for n in range(tasks)))
    return made / (time.perf_counter() - start)


async def load_microseconds(load: Load, count: int = 3000) -> float:
    """The mean time of one load after the other."""
    start = time.perf_counter()
    for _ in range(count):
        await load(Address("org", "order-1", "instance-0"))
    return (time.perf_counter() - start) / count * 1_000_000


async def store_rates(path: Path, seconds: float) -> tuple[float, float, float]:
    """Commits a second alone and together; microseconds of a load."""
    store = SqliteStore(path)
    await store.open()
    try:
        alone = await rate(store.commit, 1, seconds)
        together = await rate(store.commit, TASKS, seconds)
        load = await load_microseconds(store.load)
    finally:
        await store.close()
    return alone, together, load


async def plain_rates(path: Path, seconds: float) -> tuple[float, float]:
    create_file(path)
    connection = connect_writer(path, busy_timeout_ms=5000, size_bytes_max=None)
    bring_up_to_date(connection, path, Schema.of_folder())

    async def apply(commit: Commit) -> None:
        prepared = PreparedCommit.of(commit)
        connection.execute("BEGIN IMMEDIATE")
        prepared(connection)
        connection.execute("COMMIT")
        await asyncio.sleep(0)

    try:
        return await rate(apply, 1, seconds), await rate(apply, TASKS, seconds)
    finally:
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--folder", type=Path, default=Path("."))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        plain_alone, plain_together = asyncio.run(plain_rates(Path(folder) / "plain.db", arguments.seconds))
        alone, together, load = asyncio.run(store_rates(Path(folder) / "store.db", arguments.seconds))
    table = Table(title="commits a second: 1 kB snapshot, one journal entry, one mail, synchronous=FULL")
    table.add_column("")
    for heading in ("plain: one transaction each", "SqliteStore", "ratio"):
        table.add_column(heading, justify="right")
    table.add_row("one by one", f"{plain_alone:,.0f}", f"{alone:,.0f}", f"{alone / plain_alone:.2f}")
    row = (f"{TASKS} tasks", f"{plain_together:,.0f}", f"{together:,.0f}", f"{together / plain_together:.2f}")
    table.add_row(*row)
    console = Console()
    console.print(table)
    console.print(f"load: {load:,.0f} µs")


if __name__ == "__main__":
    main()
