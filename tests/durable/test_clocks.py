"""A clock that is set back or ahead: timers are never early, nor late by more than a look of the delivery loop."""

from __future__ import annotations

import asyncio

import pytest

from perdure.testing.simulated_clock import SimulatedClock
from tests.durable.world import World, at, memory_store, soon


class ClockOnTheWall(SimulatedClock):
    """Sleeps by its own time; what it shows can be set, as a computer's clock can."""

    shift = 0.0

    def now(self) -> float:
        return super().now() + self.shift


@pytest.fixture
def clock() -> ClockOnTheWall:
    return ClockOnTheWall()


@pytest.fixture
def world(clock: ClockOnTheWall) -> World:
    world = World(memory_store())
    world.clock = clock
    return world


TIMER = {"initial": "a", "states": {"a": {"after": {"3600000": "b"}, "on": {"X": "a"}}, "b": {}}}


async def test_a_timer_fires_soon_after_the_clock_was_set_ahead_past_it(world: World, clock: ClockOnTheWall) -> None:
    world.machine("m", TIMER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        clock.shift = 3_600_000
        await clock.advance(60_000)
        assert (await runtime.read(at("m"))).state == "b"


async def test_a_timer_is_not_early_by_the_clock_that_was_set_back(world: World, clock: ClockOnTheWall) -> None:
    world.machine("m", TIMER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        clock.shift = -600_000
        await clock.advance(3_600_000)
        assert (await runtime.read(at("m"))).state == "a"
        await clock.advance(600_000)
        assert (await runtime.read(at("m"))).state == "b"


async def test_ts_grows_though_the_clock_is_set_back(world: World, clock: ClockOnTheWall) -> None:
    world.machine("m", {"initial": "a", "states": {"a": {"on": {"X": "a"}}}})
    async with world.running() as runtime:
        seen = [(await runtime.create_instance(at("m"))).ts]
        clock.shift = -600_000
        seen += [(await runtime.send(at("m"), "X")).ts for _ in range(5)]
        assert seen == sorted(set(seen))


async def test_processing_times_out_though_the_clock_is_set_back(world: World, clock: ClockOnTheWall) -> None:
    async def service() -> None:
        await asyncio.Event().wait()

    world.machine("m", {"initial": "a", "states": {"a": {"invoke": {"src": service}, "on": {"X": {}}}}})
    async with world.running() as runtime:
        created = asyncio.ensure_future(runtime.create_instance(at("m")))
        for _ in range(20):
            await asyncio.sleep(0)
        clock.shift = -3_600_000
        await runtime.set_status(at("m"), "running")  # wakes its loop, which looks at the clock again
        await clock.advance(180_002)
        assert (await soon(created)).state == "a"
