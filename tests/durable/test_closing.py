"""Clients that go and runtimes that close at any moment: a turn is whole or has not been, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from perdure import InvalidState, NotFound, assign
from perdure.stores.memory import MemoryStore
from tests.durable.world import FaultyWorld, at, soon, types

COUNTER: dict[str, Any] = {
    "initial": "on",
    "context": {"count": 0},
    "states": {"on": {"on": {"ADD": {"actions": assign(count=lambda context: context["count"] + 1)}}}},
}


@pytest.fixture
def world() -> FaultyWorld:
    return FaultyWorld()


@pytest.mark.parametrize("method", ["load", "commit"])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_client_that_goes_does_not_take_its_event_along(world: FaultyWorld, method: str, moment: Any) -> None:
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        runtime.forget(at("m"))
        held = world.faults.hold(method, moment)
        sent = asyncio.ensure_future(runtime.send(at("m"), "ADD"))
        await held.wait_reached()
        sent.cancel()
        await asyncio.wait([sent])
        held.open()
        assert (await soon(runtime.send(at("m"), "ADD"))).context["count"] == 2


@pytest.mark.parametrize("method", ["load", "commit"])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_whoever_waits_is_answered_when_the_runtime_closes_in_the_middle_of_a_turn(
    world: FaultyWorld, method: str, moment: Any
) -> None:
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        runtime.forget(at("m"))
        held = world.faults.hold(method, moment)
        in_hand = asyncio.ensure_future(runtime.send(at("m"), "ADD"))
        await held.wait_reached()
        waiting = asyncio.ensure_future(runtime.send(at("m"), "ADD"))
        await asyncio.sleep(0)
    for request in (in_hand, waiting):
        with pytest.raises(InvalidState, match="closing"):
            await soon(request)
    async with world.running() as runtime:
        count = (await runtime.read(at("m"))).context["count"]
        assert count == (await types(runtime, at("m"))).count("ADD")
        assert count == (1 if (method, moment) == ("commit", "after") else 0)


async def test_a_closed_store_is_what_a_cancelled_close_leaves(world: FaultyWorld) -> None:
    class Closing(MemoryStore):
        is_closed = False

        async def close(self) -> None:
            self.is_closed = True

    world.store = store = Closing()

    async def service() -> None:
        await asyncio.Event().wait()

    world.settings = type(world.settings)(closing_grace=1_000)
    world.machine("m", {"initial": "a", "states": {"a": {"invoke": {"src": service}}}})
    context = world.running()
    runtime = await context.__aenter__()
    created = asyncio.ensure_future(runtime.create_instance(at("m")))
    for _ in range(10):
        await asyncio.sleep(0)
    closing = asyncio.ensure_future(context.__aexit__(None, None, None))
    for _ in range(10):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    assert store.is_closed
    assert (await soon(created)).state == "a"


async def test_closing_waits_for_all_stubborn_services_at_once(world: FaultyWorld) -> None:
    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await let_go.wait()
                return

    let_go = asyncio.Event()
    world.machine("m", {"initial": "a", "states": {"a": {"invoke": {"src": stubborn}}}})
    loop = asyncio.get_running_loop()
    async with world.running() as runtime:
        created = [asyncio.ensure_future(runtime.create_instance(at("m", f"i{n}"))) for n in range(8)]
        for _ in range(20):
            await asyncio.sleep(0)
        started_at = loop.time()
    assert loop.time() - started_at < 4
    let_go.set()
    assert [(await soon(request)).state for request in created] == ["a"] * 8


async def test_nothing_is_taken_after_closing(world: FaultyWorld) -> None:
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
    with pytest.raises(InvalidState):
        await soon(runtime.send(at("m"), "ADD"))
    await runtime.close()


async def test_an_action_that_is_stopped_before_it_began_leaves_no_coroutine_behind(world: FaultyWorld) -> None:
    async def act() -> None:
        raise AssertionError("it was stopped before")

    world.machine("m", {"initial": "a", "states": {"a": {"entry": "act"}}}, actions={"act": act})
    async with world.running() as runtime:
        created = asyncio.ensure_future(runtime.create_instance(at("m")))
        deleted = asyncio.ensure_future(runtime.delete_instance(at("m")))
        await soon(deleted)
        with pytest.raises(NotFound):
            await soon(created)
    gc.collect()  # which warns of a coroutine that was never awaited, and warnings are errors here
