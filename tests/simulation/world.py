"""A random world: clients, machines, a store that fails, a clock that moves, crashes; all out of one seed.

It runs in epochs. In each, a fresh runtime works over the same inner store, through a fresh disk and fresh faults,
while clients do random things; it may die at any await, with its clients, and otherwise closes at the end. Now and then
two runtimes serve the same store at once. The last epoch has no faults: the world comes to rest.

What was promised is checked at every commit (``AuditedStore``), whenever machine code is run and whenever a client is
answered; what it has all come to at rest is judged by ``tests.simulation.invariants``.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random  # noqa: TID251 - seeded: a seed is a world
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from perdure import Address, Meta, PerdureError, Runtime, RuntimeSettings
from perdure.durable.limits import Limits
from perdure.durable.records import OrgRecord
from perdure.durable.store import Store
from perdure.hosts.in_process import InProcessHost
from perdure.testing.faulty_store import Faults, with_faults
from perdure.testing.simulated_clock import CountingEntropy, SimulatedClock
from tests.simulation.families import ORG, Act, Families
from tests.simulation.machines import definitions, migration
from tests.simulation.offices import Offices
from tests.simulation.process import Process, tasks_belong_to_their_process
from tests.simulation.regressions import BEFORE_TRADES
from tests.simulation.replay import AllVersions
from tests.simulation.store import AuditedStore, Disk, Wear, as_store
from tests.simulation.trades import Trades

__all__ = ["ORG", "UNKNOWN_LIFE", "Bugs", "RandomWorld", "Reading", "Request"]

INSTANCES = 3
"""Of each machine that clients create."""
TWINS = 0.15
"""How often two runtimes serve the same store at once."""
MORTAL = 0.6
"""How often a runtime is given an end: so many steps, of all its tasks together, up to ``STEPS_MAX``."""
STEPS_MAX = 600
REST_SECONDS_MAX = 6_000
"""Mail to a child that never came to be is given up one piece after the other."""
UNKNOWN_LIFE = -1
"""Of what began while a delete was under way, which may take effect before it or after."""


@dataclass(slots=True)
class Request:
    """An event that a client sent, and what it learnt of it."""

    address: Address
    number: int
    life: int
    """How many deletes of the instance had ended before; ``UNKNOWN_LIFE`` while one was under way."""
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


class Bugs:
    """What a mutant changes; none of it in a world that is as it should be. See ``tests.simulation.mutants``."""

    def host(self, runtime_of: Callable[[], Runtime]) -> InProcessHost:
        return InProcessHost()

    def store(self, store: Store, inner: AuditedStore) -> Store:
        return store

    def planted(self) -> contextlib.AbstractContextManager[object]:
        """While this is entered, the runtime itself is another."""
        return contextlib.nullcontext()


class ClockOnTheWall(SimulatedClock):
    """Sleeps by its own time; what it shows can be set, as a computer's clock can."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = 0.0
        self.moved: Callable[[], None] = lambda: None

    def now(self) -> float:
        return round(super().now() + self.shift, 6)  # a sum of floats may stay the same though time has passed

    def call_later(self, milliseconds: float, callback: Callable[[], object]) -> Callable[[], None]:
        """Never after so little that the sum of floats stays the same."""
        return super().call_later(max(milliseconds, 1e-3) if milliseconds > 0 else milliseconds, callback)

    def set_by(self, milliseconds: float) -> None:
        """Set it forward, or back."""
        self.shift += milliseconds
        self.moved()

    async def advance(self, milliseconds: float) -> None:
        await super().advance(milliseconds)
        self.moved()


@dataclass(slots=True)
class Site:
    """A runtime, its process, and what stands between it and the inner store."""

    process: Process
    runtime: Runtime
    faults: Faults


@dataclass
class RandomWorld:
    seed: int
    bugs: Bugs = field(default_factory=Bugs)
    requests: list[Request] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    deletes: dict[Address, int] = field(default_factory=dict)
    deleting: Counter[Address] = field(default_factory=Counter)
    story: list[str] = field(default_factory=list)
    """What the world did, for whoever has to find out why something broke."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.clock = ClockOnTheWall()
        self.entropy = CountingEntropy()
        services: dict[str, Any] = {"act": self._act, "service": self._serve, "trial": self._try}
        self.code = AllVersions(**services)
        self.store = AuditedStore(self.clock.now, self.code)
        self.clock.moved = self.store.clock_moved
        self.definitions = definitions(is_accepted=self._is_accepted, **services)
        self.newer = definitions(is_accepted=self._is_accepted, **services, is_newer=True)
        self.moves = random.Random(f"upgrades of {self.seed}")
        """Chance of its own, so that what else happens does not depend on it."""
        self.addresses = [
            Address(ORG, machine, f"i{number}")
            for machine in ("teller", "caller", "parent")
            for number in range(INSTANCES)
        ]
        self.families = Families(self.seed)
        self.trades = Trades(self.seed)
        self.has_trades = self.seed not in BEFORE_TRADES
        self.offices = Offices(self)
        self.is_live = True
        self._is_alone = True
        self._numbers = itertools.count(1)
        self._moments = itertools.count(1)
        self._performed: set[tuple[str, int]] = set()

    def tell(self, what: str) -> None:
        self.story.append(f"{self.clock.now() - 1_000_000:>9,.0f} ms  {what}")

    def found(self, what: str) -> None:
        """Something is not as promised."""
        self.failures.append(what)
        self.tell(f"VIOLATION {what}")

    # -- user code ---------------------------------------------------------------------------------

    def _is_willing(self) -> None:
        if self.is_live and self.moves.random() < 0.1:
            raise ValueError("not this one")

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
        is_deleted = any(
            request.number == number and request.life < self.deletes.get(request.address, 0)
            for request in self.requests
        )
        if (kind, number) in self._performed and not (is_deleted and self.offices.is_keyed(number)):
            self.found(f"{kind} {number} was performed twice")
        self._performed.add((kind, number))
        journals = [await self.store.journal(address, cursor=None, limit=10_000) for address in self.addresses]
        if not is_deleted and not any(entry.event.get("number") == number for page in journals for entry in page.rows):
            self.found(f"{kind} {number} was performed without its commit")
        return number

    async def _try(self, context: dict[str, Any], event: dict[str, Any], meta: Meta) -> int:
        """Fails, ends, hangs and takes too long, until it does what it is for."""
        number: int = event["number"]
        book, chance = self.store.trials, self.trades.chance
        for wrong in book.ran(number, meta.idempotency_key, meta.attempt, context, is_alone=self._is_alone):
            self.found(wrong)
        self.tell(f"attempt {meta.attempt} at trial {number} begins")
        kind = chance.random() if self.is_live else 1.0
        if kind < 0.3:
            raise ValueError("no luck")
        if kind < 0.35:
            raise asyncio.CancelledError
        if kind < 0.75:
            await self.clock.sleep(chance.choice((1, 500, 5_000, 60_000)))
        book.returned(number)
        return number

    # -- epochs ------------------------------------------------------------------------------------

    async def run(self) -> None:
        tasks_belong_to_their_process(asyncio.get_running_loop())
        await self.store.create_org(OrgRecord(id=ORG, name="simulation", created_at=0.0))
        with self.bugs.planted():
            for _ in range(self.chance.randint(1, 3)):
                await self._epoch()
            self.is_live = False
            site = self._site(Process(), Faults(), Wear())
            await self._until(site, self._started(site))
            await self._rest(site.runtime)
            await site.runtime.close()

    async def _epoch(self) -> None:
        """One or two runtimes, and clients that do random things, until all is closed or dead."""
        sites = [self._worn_site() for _ in range(2 if self.chance.random() < TWINS else 1)]
        for site in sites:
            await self._until(site, self._started(site))
        clients: list[asyncio.Task[None]] = []
        for _ in range(self.chance.randint(10, 40)):
            alive = [site for site in sites if not site.process.is_dead]
            if alive:
                await self._step(self.chance.choice(alive), clients, is_alone=len(sites) == 1)
        for site in sites:
            if self.chance.random() < 0.3:
                site.process.die()
            await self._until(site, site.runtime.close())
            await self._end(site)
        waiting = [client for client in clients if not client.done()]
        if waiting:
            _, waiting_still = await asyncio.wait(waiting, timeout=10)
            if waiting_still:
                self.found(f"{len(waiting_still)} clients wait for ever after closing")

    def _worn_site(self) -> Site:
        """A runtime that fails in some of the ways there are."""
        rate = self.chance.choice((0.0, 0.0, 0.02, 0.1))
        faults = Faults(self.chance, before=rate, after=rate, delays_max=self.chance.choice((0, 3, 10)))
        wear = Wear(
            group_lost=self.chance.choice((0.0, 0.05)),
            group_torn=self.chance.choice((0.0, 0.1)),
            news_lost=self.chance.choice((0.0, 0.05)),
            mail_again=self.chance.choice((0.0, 0.3)),
            ticks_max=self.chance.choice((0, 2, 8)),
        )
        steps = self.chance.randint(1, STEPS_MAX) if self.chance.random() < MORTAL else None
        self.tell(f"a runtime begins: faults {rate}, {wear}, dies after {steps} steps")
        return self._site(Process(steps), faults, wear)

    def _site(self, process: Process, faults: Faults, wear: Wear) -> Site:
        store = with_faults(as_store(Disk(self.store, self.chance, wear)), faults)
        few = self.chance.choice((1, 3, 1_000))
        runtime = Runtime(
            self.bugs.store(store, self.store),
            self.bugs.host(lambda: runtime),
            clock=self.clock,
            entropy=self.entropy,
            settings=RuntimeSettings(
                closing_grace=0, cached_instances=few, upkeep_interval=0, limits=Limits(timers_ahead_max=few)
            ),
        )
        return Site(process, runtime, faults)

    async def _started(self, site: Site) -> None:
        worn, site.runtime.store = site.runtime.store, self.store  # registering meets no faults
        for label, versions in (("2", self.newer), ("1", self.definitions)):
            for name, definition in versions.items():
                await site.runtime.register(ORG, name, definition, label=label)
        for name, (start, end) in itertools.product(self.newer, (("1", "2"), ("2", "1"))):
            way = migration(name, end, is_willing=self._is_willing)
            await site.runtime.upgrades.register_migration(ORG, name, way, from_label=start, to_label=end)
        site.runtime.store = worn
        await site.runtime.start()

    async def _until(self, site: Site, work: Coroutine[Any, Any, None]) -> None:
        """Do something in a process, until it is done or the process is dead."""
        doing = site.process.run(work)
        while not doing.done() and not site.process.is_dead:  # noqa: ASYNC110 - death tells nobody
            await asyncio.sleep(0)
        if doing.done():
            await doing

    async def _end(self, site: Site) -> None:
        """Leave nothing behind of a process that is closed, or dead."""
        if site.process.is_dead:
            self.tell(f"a runtime has died after {site.process.taken} steps")
            site.faults.crash()
            site.runtime.watchdog.close()
            site.runtime.threads.shutdown(wait=False)
        await site.process.bury()

    async def _step(self, site: Site, clients: list[asyncio.Task[None]], *, is_alone: bool) -> None:
        address = self.chance.choice(self.addresses)
        kind, runtime = self.chance.random(), site.runtime
        if self.moves.random() < 0.3:
            there = [each for each in self.addresses if await self.store.load(each) is not None]
            if there:
                clients.append(site.process.run(tolerant(self._move, runtime, self.moves.choice(there))))
        self._is_alone = is_alone
        acts = [self.families.next_act(self._numbers)]
        if self.has_trades:
            acts.append(self.trades.next_act(self._numbers, self.families.clans, self.families.kids))
        for act in acts:
            if act is not None:
                await self._act_besides(act, site, clients)
        if kind < 0.13:
            await self._let_time_pass(self.chance.choice((1, 100, 1_000, 4_000, 30_000)))
        elif kind < 0.15:
            shift = self.chance.choice((-100_000, -2_000, 2_000, 100_000))
            self.tell(f"the clock is set by {shift} ms")
            self.clock.set_by(shift)
        elif kind < 0.25:
            for _ in range(self.chance.randint(1, 30)):
                await asyncio.sleep(0)
        elif kind < 0.28:
            status = self.chance.choice(("paused", "running"))
            clients.append(site.process.run(tolerant(runtime.set_status, address, status)))
        elif kind < 0.31 and address.machine != "parent":
            clients.append(site.process.run(self._delete(runtime, address)))
        elif kind < 0.40:
            if is_alone:  # of two, each may show what it knew last
                clients.append(site.process.run(tolerant(self._read, runtime, address)))
        else:
            sending = site.process.run(self._send(runtime, address, self._event_for(address)))
            clients.append(sending)
            if self.chance.random() < 0.1:
                await asyncio.sleep(0)
                sending.cancel()
            elif self.chance.random() < 0.3:
                await asyncio.wait(
                    [sending, asyncio.create_task(spin(self.chance.randint(1, 60)))], return_when="FIRST_COMPLETED"
                )

    async def _act_besides(self, act: Act, site: Site, clients: list[asyncio.Task[None]]) -> None:
        """Now and then something among relatives, in groups and among those that work, besides what else happens."""
        address, runtime = act.address, site.runtime
        work: Coroutine[Any, Any, None] | None = None
        if act.kind == "send":
            if address in self._everybody() or await self.store.load(address) is not None:
                work = self._send(runtime, address, act.event)
        elif act.kind == "delete":
            work = self._delete(runtime, address)
        elif act.kind in ("paused", "running"):
            work = tolerant(runtime.set_status, address, act.kind)
        elif act.kind == "broadcast":
            work = self.offices.broadcast(runtime, act)
        elif act.kind == "adopt":
            work = self.offices.adopt(runtime, act)
        elif act.kind == "redrive":
            work = self.offices.redrive(runtime)
        elif act.kind == "keyed":
            work = self.offices.keyed(runtime, act)
        if work is not None:
            clients.append(site.process.run(work))

    async def _move(self, runtime: Runtime, address: Address) -> None:
        """Let an instance have the one version or the other, now or with its next event."""
        version_id = Runtime.embedded_version_id(ORG, address.machine, self.moves.choice(("1", "2", "2")))
        move = self.moves.choice((runtime.upgrades.upgrade, runtime.upgrades.set_desired_version))
        await move(address, version_id)

    async def _let_time_pass(self, milliseconds: float) -> None:
        self.tell(f"{milliseconds:,} ms pass")
        await self.clock.advance(milliseconds)

    # -- clients -----------------------------------------------------------------------------------

    def _event_for(self, address: Address) -> dict[str, Any]:
        kinds = {
            "teller": ("ADD", "ADD", "TELL", "TELL", "SELF", "ARM", "DISARM"),
            "caller": ("CALL", "CALL", "LEAVE", "NOTE"),
            "parent": ("HAVE", "OUT", "SPAWN", "PING", "PING"),
        }[address.machine]
        event: dict[str, Any] = {"type": self.chance.choice(kinds), "number": next(self._numbers)}
        if event["type"] in ("HAVE", "SPAWN"):
            self.families.expect("kid", event["number"])
        if event["type"] == "TELL":
            event["to"] = f"i{self.chance.randrange(INSTANCES + 1)}"  # the last one is never there
        if event["type"] == "ARM":
            event["delay"] = self.chance.choice((0, 10, 1_000, 60_000))
        return event

    async def _send(self, runtime: Runtime, address: Address, event: dict[str, Any]) -> None:
        await self.bring_to_life(runtime, address)
        request = self.request(address, event["number"])
        self.tell(f"{address} is sent {event}")
        try:
            answer = await runtime.send(address, event)
        except PerdureError as error:
            self.tell(f"{address} does not take {event['number']}: {error}")
            return
        self.answered(request, answer.ts)
        if self.is_of_now(address, request.life):
            entries = (await self.store.journal(address, cursor=None, limit=10_000)).rows
            times = sum(entry.event.get("number") == event["number"] and entry.event == event for entry in entries)
            if times != 1:
                self.found(f"{event} to {address} was acknowledged, and is in the journal {times} times")

    async def bring_to_life(self, runtime: Runtime, address: Address) -> None:
        if await self.store.load(address) is None:
            await self.clock.advance(1)  # two lives of an instance differ in the time of their beginning
            await tolerant(runtime.create_instance, address)

    def request(self, address: Address, number: int) -> Request:
        """A client is about to send an event."""
        self.requests.append(Request(address, number, self.life(address), next(self._moments)))
        return self.requests[-1]

    def answered(self, request: Request, ts: float) -> None:
        """It was told that its event is applied."""
        request.ended_at, request.ts = next(self._moments), ts
        self.tell(f"{request.address} has taken {request.number}, ts {ts}")

    async def _read(self, runtime: Runtime, address: Address) -> None:
        life, begun_at = self.life(address), next(self._moments)
        answer = await runtime.read(address)
        self.readings.append(Reading(address, life, begun_at, answer.ts))

    async def _delete(self, runtime: Runtime, address: Address) -> None:
        self.deletes[address] = self.deletes.get(address, 0) + 1
        self.tell(f"{address} is to be deleted")
        self.deleting[address] += 1
        try:
            await tolerant(runtime.delete_instance, address)
        finally:
            self.deleting[address] -= 1

    def life(self, address: Address) -> int:
        return UNKNOWN_LIFE if self.deleting[address] else self.deletes.get(address, 0)

    def is_of_now(self, address: Address, life: int) -> bool:
        """Whether the instance lives that life, for certain."""
        return UNKNOWN_LIFE != life == self.life(address)

    # -- rest --------------------------------------------------------------------------------------

    async def _rest(self, runtime: Runtime) -> None:
        """Let all come to rest, poke everybody once, and let all come to rest again."""
        for address in self._everybody():
            if await self.store.load(address) is not None:
                await runtime.set_status(address, "running")
        await self._until_idle(runtime)
        for address in self._everybody():
            if await self.store.load(address) is not None:
                poke = asyncio.create_task(tolerant(runtime.send, address, {"type": "POKE", "number": 0}))
                await self._until_idle(runtime)
                if not poke.done():
                    self.found(f"{address} does not answer at rest")
                    poke.cancel()

    def _everybody(self) -> list[Address]:
        """Whom clients know, but for children that others have named."""
        return [*self.addresses, *self.families.clans, *self.trades.triers, *self.trades.bosses]

    async def _until_idle(self, runtime: Runtime) -> None:
        for _ in range(REST_SECONDS_MAX):
            await spin(30)
            if not runtime._residents and runtime.delivery.is_idle and not await self._is_mail_pending():
                return
            await self.clock.advance(1_000)
        self.found("the world does not come to rest")

    async def _is_mail_pending(self) -> bool:
        return await self.store.next_mail_at(-1.0) is not None


async def tolerant(request: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
    with contextlib.suppress(PerdureError):
        await request(*arguments)


async def spin(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)
