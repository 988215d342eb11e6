"""User code that raises what ends programs, or that never ends: it costs its own instance an event and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from perdure import AuthorizerRefused, EventFailed, InvalidParameter, assign, send
from tests.durable.world import World, at, memory_store, soon, types


class Unspeakable(Exception):
    """An error that fails once more when it is asked what it is."""

    def __str__(self) -> str:
        raise ValueError("no words")


WILD = [SystemExit(3), asyncio.CancelledError(), GeneratorExit(), Unspeakable(), ValueError("caf\udce9.txt")]
wild = pytest.mark.parametrize("error", WILD, ids=lambda error: type(error).__name__)


@pytest.fixture
def world() -> World:
    return World(memory_store())


def raising(error: BaseException) -> Callable[[], Any]:
    def function() -> Any:
        raise error

    return function


@wild
async def test_a_guard_or_an_assigner_that_raises_anything_fails_its_event(world: World, error: BaseException) -> None:
    on = {"GUARD": {"cond": raising(error), "target": "b"}, "ASSIGN": {"actions": assign(x=lambda: raising(error)())}}
    world.machine("m", {"initial": "a", "states": {"a": {"on": on}, "b": {}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        for event in ("GUARD", "ASSIGN"):
            with pytest.raises(EventFailed):
                await soon(runtime.send(at("m"), event))
        assert (await soon(runtime.send(at("m"), "OTHER"))).state == "a"


@wild
async def test_an_authoriser_that_raises_anything_refuses(world: World, error: BaseException) -> None:
    world.machine("m", {"initial": "a", "states": {"a": {}}}, allow_write=lambda request: raising(error)())
    async with world.running() as runtime:
        with pytest.raises(AuthorizerRefused):
            await soon(runtime.create_instance(at("m"), auth_context={"sub": "ann"}))


@wild
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_service_that_raises_anything_is_taken_by_on_error(
    world: World, error: BaseException, is_async: bool
) -> None:
    async def service() -> None:
        raise error

    source = service if is_async else raising(error)
    invoke = {"id": "call", "src": source, "onDone": "b", "onError": "c"}
    world.machine("m", {"initial": "a", "states": {"a": {"invoke": invoke}, "b": {}, "c": {}}})
    async with world.running() as runtime:
        assert (await soon(runtime.create_instance(at("m")))).state == "c"


# Actions are logged with what they raised, and pytest's workers cannot report a log with half a character in it.
@pytest.mark.parametrize("error", WILD[:-1], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("is_async", [False, True])
async def test_an_action_that_raises_anything_comes_back_as_error_execution(
    world: World, error: BaseException, is_async: bool
) -> None:
    async def act() -> None:
        raise error

    action = act if is_async else raising(error)
    states = {"a": {"entry": "act", "on": {"error.execution": "b"}}, "b": {}}
    world.machine("m", {"initial": "a", "states": states}, actions={"act": action})
    async with world.running() as runtime:
        assert (await soon(runtime.create_instance(at("m")))).state == "b"


@wild
async def test_mail_that_fails_with_anything_is_tried_again(world: World, error: BaseException) -> None:
    calls: list[int] = []

    def guard() -> bool:
        calls.append(1)
        if len(calls) == 1:
            raise error
        return True

    states = {"a": {"after": {"100": {"cond": guard, "target": "b"}}}, "b": {}}
    world.machine("m", {"initial": "a", "states": states})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await world.clock.advance(100)
        await soon(runtime.idle())
        await world.clock.advance(1_000)
        await soon(runtime.idle())
        assert (await runtime.read(at("m"))).state == "b"


async def test_a_guard_that_fails_over_a_result_leaves_the_error_of_the_service_to_the_machine(world: World) -> None:
    async def service() -> int:
        return 7

    def guard(context: Any, event: Any) -> bool:
        return bool(event["data"]["missing"])

    invoke = {"id": "call", "src": service, "onDone": {"target": "b", "cond": guard}, "onError": "c"}
    world.machine("m", {"initial": "a", "states": {"a": {"invoke": invoke}, "b": {}, "c": {}}})
    async with world.running() as runtime:
        assert (await soon(runtime.create_instance(at("m")))).state == "c"
        assert await types(runtime, at("m")) == ["xstate.init", "error.platform.call"]


async def test_an_event_nested_too_deep_is_refused(world: World) -> None:
    nested: list[Any] = []
    for _ in range(5_000):
        nested = [nested]
    world.machine("m", {})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        with pytest.raises(InvalidParameter, match="the event is not JSON"):
            await runtime.send(at("m"), {"type": "DEEP", "x": nested})
        with pytest.raises(InvalidParameter, match="the context is not JSON"):
            await runtime.create_instance(at("m", "other"), {"x": nested})


async def test_a_context_nested_too_deep_fails_its_event(world: World) -> None:
    def deep() -> list[Any]:
        nested: list[Any] = []
        for _ in range(5_000):
            nested = [nested]
        return nested

    on = {"DEEP": {"actions": assign(x=deep)}, "SEND": {"actions": send(lambda: {"type": "X", "x": deep()})}}
    world.machine("m", {"initial": "a", "states": {"a": {"on": on}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        for event in ("DEEP", "SEND"):
            with pytest.raises(EventFailed):
                await runtime.send(at("m"), event)


async def test_a_service_that_sends_to_its_own_instance_and_waits_is_ended_by_the_timeout(world: World) -> None:
    async def service() -> None:
        await runtime.send(at("m"), "NOTE")

    invoke = {"id": "call", "src": service, "onError": "b"}
    world.machine(
        "m",
        {
            "initial": "a",
            "states": {"a": {"invoke": invoke, "on": {"NOTE": {"actions": assign(noted=True)}}}, "b": {}},
        },
    )
    async with world.running() as runtime:
        created = asyncio.ensure_future(runtime.create_instance(at("m")))
        for _ in range(20):
            await asyncio.sleep(0)
        await world.clock.advance(90_001)
        answer = await soon(created)
        assert (answer.state, answer.context) == ("a", {"noted": True})
        assert (await soon(runtime.send(at("m"), "NEXT"))).state == "b"


async def test_a_machine_that_keeps_sending_to_itself_is_answered_at_the_timeout(world: World) -> None:
    on = {"AGAIN": {"actions": send("AGAIN")}, "END": "b"}
    world.machine("m", {"initial": "a", "states": {"a": {"on": on}, "b": {}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        sent = asyncio.ensure_future(runtime.send(at("m"), "AGAIN"))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not sent.done()
        await world.clock.advance(90_001)
        assert (await soon(sent)).state == "a"
        assert (await soon(runtime.send(at("m"), "END"))).state == "b"
        await soon(runtime.idle())
