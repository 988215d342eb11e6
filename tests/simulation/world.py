"""A random world: clients, machines, a store that fails, a clock that moves, crashes; all out of one seed.

It runs in epochs. In each, a fresh runtime works over the same inner store through fresh faults while clients do
random things, and at its end the runtime closes or crashes. The last epoch has no faults: the world comes to rest, and
what it has come to is judged by ``tests.simulation.invariants``.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random  # noqa: TID251 - seeded: a seed is a world
from dataclasses import dataclass, field
from typing import Any

from perdure import Address, PerdureError, Runtime, RuntimeSettings
from perdure.durable.commit import Commit
from perdure.durable.records import Mail, OrgRecord
from perdure.hosts.in_process import InProcessHost
from perdure.stores.memory import MemoryStore
from perdure.testing.faulty_store import Faults, with_faults
from perdure.testing.simulated_clock import CountingEntropy, SimulatedClock
from tests.simulation.machines import definitions

__all__ = ["ORG", "AuditedStore", "RandomWorld", "Reading", "Request"]

ORG = "org_simulation"
INSTANCES = 3
"""Of each machine that clients create."""
REST_SECONDS_MAX = 600


@dataclass(slots=True)
class Request:
    """An event that a client sent, and what it learnt of it."""

    address: Address
    number: int
    life: int
    """How many deletes of the instance had begun before."""
    begun_at: int
    ended_at: int | None = None
    """On the world's count of moments; ``None`` without an acknowledgement."""
    ts: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What a client read, and at which moment it began to."""

    address: Address
    life: int
    begun_at: int
    ts: float


class AuditedStore(MemoryStore):
    """The inner store. It keeps account of what was committed, which outlives every crash."""

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__()
        self.clock = clock
        self.sent: list[Mail] = []
        self.applied: list[str] = []
        self.failures: list[str] = []

    async def commit(self, commit: Commit) -> None:
        before = await self.load(commit.record.address)
        pending = {mail.id: mail for mail in await self.pending_mail(commit.record.address)}
        await super().commit(commit)
        if before is not None and not commit.record.ts > before.ts:
            self.failures.append(f"ts of {commit.record.address} went from {before.ts} to {commit.record.ts}")
        for mail_id in commit.consumed:
            if pending[mail_id].due_at > self.clock.now():
                self.failures.append(
                    f"mail {mail_id} was applied {pending[mail_id].due_at - self.clock.now()} ms early"
                )
        self.applied += commit.consumed
        self.sent += commit.mail


@dataclass
class RandomWorld:
    seed: int
    requests: list[Request] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    deletes: dict[Address, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.clock = SimulatedClock()
        self.entropy = CountingEntropy()
        self.store = AuditedStore(self.clock)
        self.definitions = definitions(is_accepted=self._is_accepted, act=self._act, service=self._serve)
        self.addresses = [
            Address(ORG, machine, f"i{number}")
            for machine in ("teller", "caller", "parent")
            for number in range(INSTANCES)
        ]
        self.is_live = True
        self._numbers = itertools.count(1)
        self._moments = itertools.count(1)
        self._performed: set[tuple[str, int]] = set()

    # -- user code ---------------------------------------------------------------------------------

    def _is_accepted(self) -> bool:
        if self.is_live and self.chance.random() < 0.1:
            raise ValueError("not now")
        return True

    async def _act(self, context: dict[str, Any], event: dict[str, Any]) -> None:
        await self._perform("act", event)

    async def _serve(self, context: dict[str, Any], event: dict[str, Any]) -> int:
        number = await self._perform("service", event)
        kind = self.chance.random()
        if kind < 0.2:
            raise ValueError("no luck")
        if kind < 0.3:
            raise asyncio.CancelledError
        if kind < 0.7:
            await self.clock.sleep(self.chance.choice((1, 500, 5_000, 200_000)))
        return number

    async def _perform(self, kind: str, event: dict[str, Any]) -> int:
        """Nothing is performed that was not committed, nor anything twice."""
        number: int = event["number"]
        if (kind, number) in self._performed:
            self.failures.append(f"{kind} {number} was performed twice")
        self._performed.add((kind, number))
        journals = [await self.store.journal(address, cursor=None, limit=10_000) for address in self.addresses]
        is_deleted = any(
            request.number == number and request.life < self.deletes.get(request.address, 0)
            for request in self.requests
        )
        if not is_deleted and not any(entry.event.get("number") == number for page in journals for entry in page.rows):
            self.failures.append(f"{kind} {number} was performed without its commit")
        return number

    # -- epochs ------------------------------------------------------------------------------------

    async def run(self) -> None:
        await self.store.create_org(OrgRecord(id=ORG, name="simulation", created_at=0.0))
        for _ in range(self.chance.randint(1, 3)):
            await self._epoch()
        self.is_live = False
        runtime = await self._start(Faults())
        await self._rest(runtime)
        await runtime.close()

    async def _start(self, faults: Faults) -> Runtime:
        runtime = Runtime(
            with_faults(self.store, faults),
            InProcessHost(),
            clock=self.clock,
            entropy=self.entropy,
            settings=RuntimeSettings(closing_grace=0, cached_instances=self.chance.choice((1, 3, 1_000))),
        )
        for name, definition in self.definitions.items():
            runtime.store = self.store  # registering meets no faults
            await runtime.register(ORG, name, definition)
        runtime.store = with_faults(self.store, faults)
        await runtime.start()
        return runtime

    async def _epoch(self) -> None:
        rate = self.chance.choice((0.0, 0.02, 0.1))
        faults = Faults(self.chance, before=rate, after=rate, delays_max=self.chance.choice((0, 3, 10)))
        runtime = await self._start(faults)
        clients: list[asyncio.Task[None]] = []
        for _ in range(self.chance.randint(10, 40)):
            await self._step(runtime, clients)
        if self.chance.random() < 0.6:
            faults.crash()
        await runtime.close()
        if clients:
            _, waiting = await asyncio.wait(clients, timeout=10)
            if waiting:
                self.failures.append(f"{len(waiting)} clients wait for ever after closing")

    async def _step(self, runtime: Runtime, clients: list[asyncio.Task[None]]) -> None:
        address = self.chance.choice(self.addresses)
        kind = self.chance.random()
        if kind < 0.15:
            await self.clock.advance(self.chance.choice((1, 100, 1_000, 4_000, 30_000)))
        elif kind < 0.25:
            for _ in range(self.chance.randint(1, 30)):
                await asyncio.sleep(0)
        elif kind < 0.28:
            status = self.chance.choice(("paused", "running"))
            clients.append(asyncio.create_task(tolerant(runtime.set_status(address, status))))  # type: ignore[arg-type]  # one of the two
        elif kind < 0.31 and address.machine != "parent":
            clients.append(asyncio.create_task(self._delete(runtime, address)))
        elif kind < 0.40:
            clients.append(asyncio.create_task(tolerant(self._read(runtime, address))))
        else:
            sending = asyncio.create_task(self._send(runtime, address, self._event_for(address)))
            clients.append(sending)
            if self.chance.random() < 0.1:
                await asyncio.sleep(0)
                sending.cancel()
            elif self.chance.random() < 0.3:
                await asyncio.wait(
                    [sending, asyncio.create_task(spin(self.chance.randint(1, 60)))], return_when="FIRST_COMPLETED"
                )

    # -- clients -----------------------------------------------------------------------------------

    def _event_for(self, address: Address) -> dict[str, Any]:
        kinds = {
            "teller": ("ADD", "ADD", "TELL", "TELL", "SELF", "ARM", "DISARM"),
            "caller": ("CALL", "CALL", "LEAVE", "NOTE"),
            "parent": ("HAVE", "OUT", "SPAWN", "PING", "PING"),
        }[address.machine]
        event: dict[str, Any] = {"type": self.chance.choice(kinds), "number": next(self._numbers)}
        if event["type"] == "TELL":
            event["to"] = f"i{self.chance.randrange(INSTANCES + 1)}"  # the last one is never there
        if event["type"] == "ARM":
            event["delay"] = self.chance.choice((0, 10, 1_000, 60_000))
        return event

    async def _send(self, runtime: Runtime, address: Address, event: dict[str, Any]) -> None:
        if await self.store.load(address) is None:
            await self.clock.advance(1)  # two lives of an instance differ in the time of their beginning
            await tolerant(runtime.create_instance(address))
        life = self.deletes.get(address, 0)
        request = Request(address, event["number"], life, next(self._moments))
        self.requests.append(request)
        try:
            answer = await runtime.send(address, event)
        except PerdureError:
            return
        request.ended_at, request.ts = next(self._moments), answer.ts

    async def _read(self, runtime: Runtime, address: Address) -> None:
        life, begun_at = self.deletes.get(address, 0), next(self._moments)
        answer = await runtime.read(address)
        self.readings.append(Reading(address, life, begun_at, answer.ts))

    async def _delete(self, runtime: Runtime, address: Address) -> None:
        self.deletes[address] = self.deletes.get(address, 0) + 1
        await tolerant(runtime.delete_instance(address))

    # -- rest --------------------------------------------------------------------------------------

    async def _rest(self, runtime: Runtime) -> None:
        """Let all come to rest, poke everybody once, and let all come to rest again."""
        for address in self.addresses:
            if await self.store.load(address) is not None:
                await runtime.set_status(address, "running")
        await self._until_idle(runtime)
        for address in self.addresses:
            if await self.store.load(address) is not None:
                poke = asyncio.create_task(tolerant(runtime.send(address, {"type": "POKE", "number": 0})))
                await self._until_idle(runtime)
                if not poke.done():
                    self.failures.append(f"{address} does not answer at rest")
                    poke.cancel()

    async def _until_idle(self, runtime: Runtime) -> None:
        for _ in range(REST_SECONDS_MAX):
            await spin(30)
            if not runtime._residents and runtime.delivery.is_idle and not await self._is_mail_pending():
                return
            await self.clock.advance(1_000)
        self.failures.append("the world does not come to rest")

    async def _is_mail_pending(self) -> bool:
        return await self.store.next_mail_at(-1.0) is not None


async def tolerant(request: Any) -> None:
    with contextlib.suppress(PerdureError):
        await request


async def spin(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)
