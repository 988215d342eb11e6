"""A runtime with a clock that tests move, over a store that outlives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from perdure import Address, Definition, Runtime, RuntimeSettings, WriteRequest, create_machine
from perdure.durable.records import JournalEntry, OrgRecord
from perdure.durable.store import Store
from perdure.hosts.in_process import InProcessHost
from perdure.stores.memory import MemoryStore
from perdure.stores.sqlite import SqliteStore
from perdure.testing.faulty_store import Faults, with_faults
from perdure.testing.simulated_clock import CountingEntropy, SimulatedClock

ORG = "org_tests"

OpenStore = Callable[[], Store]


def memory_store() -> OpenStore:
    store = MemoryStore()
    return lambda: store


def sqlite_store(path: Path) -> OpenStore:
    return lambda: SqliteStore(path)


class World:
    """Machines, and the runtimes that run them one after the other, as if the process was started again."""

    def __init__(self, open_store: OpenStore) -> None:
        self.clock = SimulatedClock()
        self.entropy = CountingEntropy()
        self.settings = RuntimeSettings(closing_grace=0)
        self.definitions: dict[str, Definition] = {}
        self._open_store = open_store

    def machine(
        self,
        name: str,
        config: dict[str, Any],
        *,
        allow_write: Callable[[WriteRequest], bool] | None = None,
        **named: Any,
    ) -> None:
        self.definitions[name] = Definition(
            machine=create_machine({"id": name, **config}, **named),
            allow_read=lambda request: request.auth_context.get("sub") != "stranger",
            allow_write=allow_write or (lambda request: request.auth_context.get("sub") != "stranger"),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Runtime]:
        """A started runtime; leaving the block closes it, as a restart does."""
        store = self._open_store()
        runtime = Runtime(store, InProcessHost(), clock=self.clock, entropy=self.entropy, settings=self.settings)
        await store.open()
        if not (await store.list_orgs(cursor=None, limit=1)).rows:
            await store.create_org(OrgRecord(id=ORG, name="tests", created_at=0.0))
        for name, definition in self.definitions.items():
            await runtime.register(ORG, name, definition)
        async with runtime:
            yield runtime


class FaultyWorld(World):
    """A world over a memory store whose faults the test orders."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.faults = Faults()
        super().__init__(self._faulty_store)

    def _faulty_store(self) -> Store:
        return with_faults(self.store, self.faults)


def at(machine: str, instance: str = "one") -> Address:
    return Address(ORG, machine, instance)


async def journal(runtime: Runtime, address: Address) -> list[JournalEntry]:
    """The whole journal of an instance."""
    page = await runtime.store.journal(address, cursor=None, limit=1000)
    return list(page.rows)


async def types(runtime: Runtime, address: Address) -> list[str]:
    """The types of the events in an instance's journal."""
    return [entry.event["type"] for entry in await journal(runtime, address)]


async def soon(waiting: Any) -> Any:
    """What is waited for, or a failure instead of a test that hangs; a slow machine has time enough."""
    return await asyncio.wait_for(waiting, 30)


async def a_while() -> None:
    """Let everything run that can run now."""
    for _ in range(30):
        await asyncio.sleep(0)


def reference(machine: str, instance: str = "one") -> dict[str, str]:
    """A reference to an instance, as a context keeps it."""
    return {"type": "statebacked.instance", "id": "x", "machineName": machine, "machineInstanceName": instance}
