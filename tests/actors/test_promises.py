"""Coroutine functions and plain functions as children."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from perdure import InvalidState, NoEventLoop, assign, create_machine, from_callback, interpret, spawn
from perdure.testing.simulated_clock import SimulatedClock
from tests.actors.machines import child, counter
from tests.actors.parents import Parent


async def test_what_a_coroutine_function_returns_comes_as_done_invoke() -> None:
    async def service(context: dict[str, Any], event: dict[str, Any]) -> Any:
        return (context["offset"], event["type"])

    parent = Parent(service)
    async with parent.actor:
        assert await parent.hears("done.invoke.kid") == {"type": "done.invoke.kid", "data": (1, "xstate.init")}
        assert parent.actor.system.actors() == (parent.actor,)


async def test_data_stands_in_for_the_context() -> None:
    async def service(context: dict[str, Any]) -> Any:
        return context

    parent = Parent(service, data={"twice": lambda context: 2 * context["offset"]})
    async with parent.actor:
        assert (await parent.hears("done.invoke.kid"))["data"] == {"twice": 2}


async def test_what_it_raises_comes_as_error_platform() -> None:
    async def service() -> None:
        raise ValueError("no such card")

    parent = Parent(service)
    async with parent.actor:
        error = await parent.hears("error.platform.kid")
        assert error["data"] == {"name": "ValueError", "message": "no such card"}


@pytest.mark.parametrize("ending", [SystemExit, asyncio.CancelledError])
async def test_a_service_that_would_end_a_program_has_failed(ending: type[BaseException]) -> None:
    async def service() -> None:
        raise ending

    parent = Parent(service)
    async with parent.actor:
        assert (await parent.hears("error.platform.kid"))["data"]["name"] == ending.__name__


async def test_a_plain_function_runs_in_a_thread_with_the_context_variables_of_its_caller() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("mine")

    def service() -> Any:
        return threading.current_thread().name, variable.get()

    parent = Parent(service)
    async with parent.actor:
        name, value = (await parent.hears("done.invoke.kid"))["data"]
        assert name.startswith("perdure-service")
        assert value == "mine"


async def test_a_partial_of_a_coroutine_function_is_one() -> None:
    async def service(a: int, context: dict[str, Any]) -> int:
        return a + int(context["offset"])

    parent = Parent(functools.partial(service, 41))
    async with parent.actor:
        assert (await parent.hears("done.invoke.kid"))["data"] == 42


async def test_what_a_plain_function_returns_is_awaited() -> None:
    async def work() -> str:
        return "waited"

    parent = Parent(lambda: work())
    async with parent.actor:
        assert (await parent.hears("done.invoke.kid"))["data"] == "waited"


async def test_a_machine_that_a_function_returns_runs_in_its_place() -> None:
    parent = Parent(lambda: counter(), data={"n": 5})
    async with parent.actor:
        while child(parent.actor, "kid").kind != "machine":  # noqa: ASYNC110 - nobody is told of it
            await asyncio.sleep(0.001)
        kid = child(parent.actor, "kid")
        kid.send("INC")
        kid.send("END")
        assert await parent.hears("done.invoke.kid") == {"type": "done.invoke.kid", "data": 6}


async def test_logic_and_iterators_that_a_function_returns_run_in_its_place() -> None:
    async def numbers() -> AsyncIterator[Any]:
        yield "ONE"

    for source in (lambda: from_callback(lambda send_back: send_back("ONE")), lambda: numbers()):
        parent = Parent(source)
        async with parent.actor:
            await parent.hears("ONE")


async def test_leaving_the_state_cancels_the_coroutine() -> None:
    cancelled = asyncio.Event()

    async def service() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    parent = Parent(service)
    async with parent.actor:
        await asyncio.sleep(0)
        parent.actor.send("LEAVE")
        await asyncio.wait_for(cancelled.wait(), 5)
        assert parent.heard == []


async def test_a_promise_takes_no_events_and_its_parent_is_told() -> None:
    async def service() -> None:
        await asyncio.Event().wait()

    parent = Parent(service)
    async with parent.actor:
        parent.actor.send("FORWARD")
        assert "takes no events" in parent.heard[0]["data"]["message"]
        assert parent.types == ["error.communication"]


def test_without_an_event_loop_starting_a_promise_is_an_error_that_is_not_swallowed() -> None:
    async def service() -> None: ...

    parent = Parent(service, onError="without")
    with pytest.raises(NoEventLoop, match=r"parent/kid is a promise and needs a running event loop.*asyncio\.run"):
        parent.actor.start()
    assert parent.actor.has_ended
    assert parent.actor.system.actors() == ()


def test_without_an_event_loop_a_timer_of_the_real_clock_is_an_error() -> None:
    machine = create_machine({"initial": "a", "states": {"a": {"after": {10: "b"}}, "b": {}}})
    with pytest.raises(NoEventLoop, match="timer"):
        interpret(machine).start()
    interpret(machine, clock=SimulatedClock()).start()


async def test_the_real_clock_drives_timers_on_the_event_loop() -> None:
    machine = create_machine(
        {"initial": "a", "states": {"a": {"after": {1: "b"}}, "b": {"after": {1: "c"}}, "c": {"type": "final"}}}
    )
    async with interpret(machine) as actor:
        await actor.wait_for(lambda snapshot: snapshot.done, timeout=5_000)


async def test_a_spawned_promise_reports_its_end_under_its_name() -> None:
    async def service() -> str:
        return "result"

    machine = create_machine(
        {
            "initial": "a",
            "context": {},
            "entry": assign(ref=lambda: spawn(service, "work")),
            "states": {"a": {"on": {"done.invoke.work": "b"}}, "b": {}},
        }
    )
    async with interpret(machine) as actor:
        await actor.wait_for(lambda snapshot: snapshot.value == "b", timeout=5_000)


async def test_an_asynchronous_action_runs_on_and_its_failure_comes_back() -> None:
    async def act() -> None:
        await asyncio.sleep(0)
        raise ValueError("late")

    machine = create_machine({"initial": "a", "states": {"a": {"entry": act, "on": {"error.execution": "b"}}, "b": {}}})
    async with interpret(machine) as actor:
        await actor.wait_for(lambda snapshot: snapshot.value == "b", timeout=5_000)


async def test_iterating_over_an_actor_gives_every_snapshot_and_ends_with_it() -> None:
    actor = interpret(counter()).start()

    async def drive() -> None:
        for event in ("INC", "INC", "END"):
            actor.send(event)

    task = asyncio.ensure_future(drive())
    assert [(snapshot.value, snapshot.context["n"]) async for snapshot in actor] == [
        ("counting", 0),
        ("counting", 1),
        ("counting", 2),
        ("ended", 2),
    ]
    await task


async def test_waiting_ends_with_a_timeout_with_the_actor_or_with_its_failure() -> None:
    clock = SimulatedClock()
    actor = interpret(counter(), clock=clock).start()
    waiting = asyncio.ensure_future(actor.wait_for(lambda snapshot: snapshot.context["n"] == 9, timeout=100))
    await asyncio.sleep(0)
    await clock.advance(100)
    with pytest.raises(TimeoutError, match="within 100 ms"):
        await waiting
    waiting = asyncio.ensure_future(actor.wait_for(lambda snapshot: snapshot.context["n"] == 9))
    await asyncio.sleep(0)
    actor.send("END")
    with pytest.raises(InvalidState, match="has ended"):
        await waiting
    with pytest.raises(ZeroDivisionError):
        await actor.wait_for(lambda snapshot: 1 // 0 == 1)
