"""Fixtures for tests of machines, without anything to set up: pytest finds them once perdure is installed.

``clock`` is a ``SimulatedClock``; the other two run by it, so that ``await clock.advance(60_000)`` is a minute of
everything. ``runtime`` is a started ``Runtime`` over a store in memory, with ids that are the same in every run.
``actor_system`` interprets machines in memory.

The runtime is asynchronous and needs pytest-asyncio, in its ``auto`` mode or in the strict one, where an asynchronous
test has the mark ``asyncio``; the other fixtures need nothing. A project that has fixtures of these names gets its own.
"""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from perdure.actors.interpreter import RootActor
    from perdure.durable.runtime import Runtime
    from perdure.testing.simulated_clock import SimulatedClock

__all__ = ["actor_system", "clock", "runtime"]

HAS_ASYNCIO = importlib.util.find_spec("pytest_asyncio") is not None


@pytest.fixture
def clock() -> SimulatedClock:
    """Time that stands still until the test moves it."""
    from perdure.testing.simulated_clock import SimulatedClock

    return SimulatedClock()


@pytest.fixture
def actor_system(clock: SimulatedClock) -> Iterator[Callable[..., RootActor[Any]]]:
    """Interprets machines by the simulated clock: ``actor_system(machine, **options)`` is a started actor.

    It takes what ``perdure.interpret`` takes. Actors that still run at the end of the test are stopped.
    """
    from perdure.actors.interpreter import interpret

    started: list[RootActor[Any]] = []

    def start(machine: Any, *arguments: Any, **options: Any) -> RootActor[Any]:
        actor = interpret(machine, *arguments, **{"clock": clock, **options})
        started.append(actor)
        return actor.start()

    yield start
    for actor in started:
        if not actor.has_ended:
            actor.stop()


async def started_runtime(clock: SimulatedClock) -> AsyncIterator[Runtime]:
    """A started runtime over a store in memory, with the default org and nothing in it; closed after the test.

    ``await runtime.register(perdure.DEFAULT_ORG, "cart", definition)`` gives it a machine. ``clock.advance`` drives it:
    it returns once everything that came due has been done.
    """
    from perdure.bootstrap import ensure_default_org
    from perdure.durable.runtime import Runtime, RuntimeSettings
    from perdure.hosts.in_process import InProcessHost
    from perdure.stores.memory import MemoryStore
    from perdure.testing.simulated_clock import CountingEntropy

    store = MemoryStore()
    await ensure_default_org(store, clock)
    settings = RuntimeSettings(closing_grace=0)
    async with Runtime(store, InProcessHost(), clock=clock, entropy=CountingEntropy(), settings=settings) as runtime:
        clock.drive(runtime)
        yield runtime


if HAS_ASYNCIO:
    import pytest_asyncio

    runtime = pytest_asyncio.fixture(started_runtime, name="runtime")
else:

    @pytest.fixture
    def runtime() -> None:
        """The runtime is asynchronous, and nothing here could run it."""
        pytest.fail("the fixture `runtime` needs pytest-asyncio: pip install pytest-asyncio", pytrace=False)
