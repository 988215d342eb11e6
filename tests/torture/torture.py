"""Kills a server under load, again and again, and holds what is left of it against what its clients were told.

``perdure serve`` over an SQLite file, several client processes (``client.py``), SIGKILL at random moments, also while
it starts, and a start at once. In the end the clients stop, the server comes to rest, and the evidence goes to the
checker (``checker.py``). When something is wrong the evidence is kept, and the seed is told: it fixes what the clients
do and when the server dies, though not what the operating system makes of it.

    python -m tests.torture.torture [--kills 200] [--seed 1] [--clients 4] [--folder DIRECTORY]
"""

from __future__ import annotations

import argparse
import asyncio
import random  # noqa: TID251 - seeded
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from perdure.bootstrap import DEFAULT_ORG
from perdure.client import AsyncClient
from perdure.clock import SystemClock
from perdure.durable.records import Address, JournalEntry
from perdure.stores.sqlite import SqliteStore
from tests.torture.checker import violations
from tests.torture.client import LEDGER, shared_ledger, token_of
from tests.torture.records import Entry, Evidence, Ledger, read_operations
from tests.torture.server import TorturedServer

__all__ = ["Plan", "torture"]

SHARED = 12
"""Ledgers that all clients use."""
WORKERS = 4
"""In each client, each with one request at a time."""
KILLED_WHILE_STARTING = 0.15
REST_SECONDS_MAX = 120
CLERK = "clerk"

clock = SystemClock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    folder: Path
    kills: int
    seed: int
    clients: int = 4


async def torture(plan: Plan, *, killed: Callable[[], None] = lambda: None) -> Evidence:
    """Do it all; the evidence. ``killed`` is called after each kill."""
    chance = random.Random(plan.seed)
    server = TorturedServer(plan.folder)
    key_id, key_secret = await server.make_key()
    await server.begin()
    try:
        await server.wait_until_healthy()
        async with AsyncClient(server.url, token_of(key_id, key_secret), clock=clock) as client:
            for number in range(SHARED):
                await client.create_instance(LEDGER, shared_ledger(number))
            clients = [await start_client(plan, server, number, key_id, key_secret) for number in range(plan.clients)]
            for _ in range(plan.kills):
                await kill_once(server, chance)
                killed()
                if any(process.returncode is not None for process in clients):
                    raise RuntimeError("a client ended by itself")
            await server.wait_until_healthy()
            await clock.sleep(1_000)  # a last second without a kill, so that the end is not all unknowns
            await asyncio.gather(*(process.communicate(b"") for process in clients))  # the end of their input
            await come_to_rest(client, server.database)
    finally:
        await server.kill()
    return await evidence_of(plan, server)


async def start_client(
    plan: Plan, server: TorturedServer, number: int, key_id: str, key_secret: str
) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "tests.torture.client", server.url, key_id, key_secret)
    with (plan.folder / f"client-{number}.jsonl").open("wb") as output:
        return await asyncio.create_subprocess_exec(
            *(*command, str(number), str(plan.seed), str(SHARED), str(WORKERS)),
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
        )


async def kill_once(server: TorturedServer, chance: random.Random) -> None:
    """Let it run for a moment, or not even start; kill it; and start it again."""
    if chance.random() >= KILLED_WHILE_STARTING:
        await server.wait_until_healthy()
    await clock.sleep(chance.uniform(0, 1_000))
    await server.kill()
    await server.begin()


async def come_to_rest(client: AsyncClient, database: Path) -> None:
    """Have each ledger learn what it has lost, and wait until nothing is on its way."""
    for summary in await client.list_instances(LEDGER):
        await client.send(LEDGER, summary.slug, {"type": "POKE"})
    for _ in range(REST_SECONDS_MAX * 10):
        # Every event here is handled within a moment; what takes longer than all this is lost or stuck.
        if not await mail_count(database):
            return
        await clock.sleep(100)


async def mail_count(database: Path) -> int:
    """Mail on its way, read beside the running server."""

    def count() -> int:
        import sqlite3

        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        try:
            (number,) = connection.execute("SELECT count(*) FROM mail").fetchone()
            return int(number)
        finally:
            connection.close()

    return await asyncio.to_thread(count)


# -- the evidence ------------------------------------------------------------------------------------------------------


async def evidence_of(plan: Plan, server: TorturedServer) -> Evidence:
    """What the clients noted, and what the file of the dead server holds."""
    store = SqliteStore(server.database)
    await store.open()
    try:
        ledgers = {}
        pending = [str(mail) for mail in (await store.list_dead_letters(DEFAULT_ORG, cursor=None, limit=1000)).rows]
        for summary in (await store.list_instances(DEFAULT_ORG, LEDGER, cursor=None, limit=100_000)).rows:
            ledgers[summary.name] = await ledger_of(store, Address(DEFAULT_ORG, LEDGER, summary.name))
        if (at := await store.next_mail_at(0.0)) is not None:
            pending.append(f"mail that is due at {at}")
    finally:
        await store.close()
    files = sorted(plan.folder.glob("client-*.jsonl"))
    performed = server.effects.read_text().split()
    return Evidence(
        operations=read_operations(files),
        ledgers=ledgers,
        performed=performed,
        pending=pending,
        longest_log=server.longest_log,
    )


async def ledger_of(store: SqliteStore, address: Address) -> Ledger:
    record = await store.load(address)
    assert record is not None
    context = record.snapshot.context
    clerk = Address(address.org, CLERK, context["clerk"]["machineInstanceName"])
    return Ledger(
        journal=[entry_of(entry) for entry in await journal(store, address)],
        clerk=[entry_of(entry) for entry in await journal(store, clerk)],
        count=context["public"]["count"],
        digest=context["public"]["digest"],
        state=record.snapshot.value,
    )


async def journal(store: SqliteStore, address: Address) -> list[JournalEntry]:
    """The whole journal, without the pokes, which ledgers do not hear."""
    found = (await store.journal(address, cursor=None, limit=1_000_000)).rows
    return [entry for entry in found if entry.event["type"] != "POKE"]


def entry_of(entry: JournalEntry) -> Entry:
    return Entry(type=entry.event["type"], at=entry.created_at, id=entry.event.get("id", ""), state=entry.state)


# -- the command -------------------------------------------------------------------------------------------------------


def summary_of(evidence: Evidence) -> str:
    """What it all came to, in numbers."""
    outcomes = Counter(operation.outcome for operation in evidence.operations)
    applied = Counter(entry.type for ledger in evidence.ledgers.values() for entry in ledger.journal)
    lost = Counter(operation.kind for operation in evidence.operations if operation.outcome == "unknown")
    kinds = ", ".join(f"{kind} {times}" for kind, times in sorted(lost.items()))
    return (
        f"{len(evidence.operations):,} requests: {outcomes['answered']:,} answered, {outcomes['refused']} refused, "
        f"{outcomes['unknown']:,} without an answer ({kinds})\n"
        f"{len(evidence.ledgers):,} ledgers with {sum(applied.values()):,} lines: {applied['TIMER']:,} timers, "
        f"{applied['CALL']:,} calls to clerks, {applied['done.invoke.work']:,} pieces of work done and "
        f"{applied['error.platform.work']:,} failed or lost to a kill\n"
        f"the database's log was at most {evidence.longest_log / 1e6:,.0f} MB long"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None, help="a random one unless given")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--folder", type=Path, default=None, help="keeps the database and the records here")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1_000_000)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="perdure-torture-"))
    folder.mkdir(parents=True, exist_ok=True)
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        bar = progress.add_task("kills", total=options.kills)
        plan = Plan(folder=folder, kills=options.kills, seed=seed, clients=options.clients)
        try:
            evidence = asyncio.run(torture(plan, killed=lambda: progress.advance(bar)))
        except BaseException:
            console.print(f"the torture itself failed; SEED={seed}, what there is lies in {folder}")
            raise
    console.print(summary_of(evidence))
    found = violations(evidence)
    if found:
        console.print(*found[:50], sep="\n")
        console.print(f"[bold red]{len(found)} violations[/] with KILLS={options.kills} SEED={seed}, kept in {folder}")
        raise SystemExit(1)
    console.print(f"no violation in {options.kills} kills (SEED={seed})")
    if options.folder is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
