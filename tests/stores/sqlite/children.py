"""Programs that the tests run as processes of their own, to kill them or to take something away from them."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from pathlib import Path

from perdure.durable.commit import Commit
from perdure.durable.records import Address
from perdure.errors import StoreError
from perdure.stores.sqlite import SqliteStore
from perdure.testing.store_contract.samples import commit_at, entry_at, letter

INSTANCES = [Address("org-a", "counter", f"counter-{number}") for number in range(8)]


def counting_commit(address: Address, sequence: int) -> Commit:
    """Applies the mail of the commit before, and sends itself the one for the next."""
    return commit_at(
        sequence,
        address,
        context={"filler": "x" * 500},
        consumed=[f"{address}:{sequence - 1}"] if sequence > 1 else [],
        journal=[entry_at(sequence)],
        mail=[letter(f"{address}:{sequence}", sender=address, target=address)],
    )


async def commit_for_ever(store: SqliteStore) -> None:
    """Count on, eight instances at once; say each number once its commit has returned. Ends by being killed."""
    await store.open()

    async def count_on(address: Address) -> None:
        record = await store.load(address)
        sequence = record.sequence if record else 0
        while True:
            sequence += 1
            await store.commit(counting_commit(address, sequence))
            say(f"{address.instance} {sequence}")

    await asyncio.gather(*map(count_on, INSTANCES))


async def hold_open(store: SqliteStore) -> None:
    """Have the store open until killed."""
    await store.open()
    say("open")
    await asyncio.Event().wait()


async def commit_until_the_disk_fails(store: SqliteStore) -> None:
    """Count on with one instance until a write fails, then say what became of the commits after that."""
    await store.open()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
    address = INSTANCES[0]
    sequence = 0
    try:
        while True:
            await store.commit(counting_commit(address, sequence + 1))
            sequence += 1
    except StoreError as error:
        say(f"committed {sequence}")
        say(f"refused {error}")
    late = [store.commit(counting_commit(address, sequence + 1)) for _ in range(300)]
    outcomes = await asyncio.gather(*late, return_exceptions=True)
    say(f"later {sorted({type(outcome).__name__ for outcome in outcomes})}")
    await store.close()
    say("closed")


async def commit_until_the_database_cannot_grow(store: SqliteStore) -> None:
    """Create large instances until a checkpoint cannot write them to the database; the log has room for them."""
    await store.open()
    resource.setrlimit(resource.RLIMIT_FSIZE, (80_000_000, resource.RLIM_INFINITY))
    created = 0
    try:
        while True:
            people = [Address("org-a", "person", f"person-{created + number}") for number in range(20)]
            await asyncio.gather(
                *(store.commit(commit_at(1, person, context={"filler": "x" * 40_000})) for person in people)
            )
            created += len(people)
    except StoreError as error:
        say(f"created {created}")
        say(f"refused {error}")
    say(f"log {store.path.with_name(store.path.name + '-wal').stat().st_size}")
    late = [store.commit(commit_at(1, address)) for address in INSTANCES]
    outcomes = await asyncio.gather(*late, return_exceptions=True)
    say(f"later {sorted({type(outcome).__name__ for outcome in outcomes})}")
    await store.close()


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


PROGRAMS = (commit_for_ever, hold_open, commit_until_the_disk_fails, commit_until_the_database_cannot_grow)

if __name__ == "__main__":
    programs = {program.__name__: program for program in PROGRAMS}
    name, path, inline_commit_ms = sys.argv[1:]
    asyncio.run(programs[name](SqliteStore(Path(path), inline_commit_ms=float(inline_commit_ms))))
