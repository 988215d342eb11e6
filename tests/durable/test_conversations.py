"""Instances that answer, pass on what they were told, and report errors; and activities, which say nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from perdure import (
    Runtime,
    assign,
    error_platform,
    escalate,
    forward_to,
    persistent,
    respond,
    send_parent,
    send_to,
    stop,
)
from perdure.durable.records import Address
from tests.durable.world import World, at, types

INC = assign(n=lambda context: context["n"] + 1)


async def status(runtime: Runtime, address: Address) -> str:
    return (await runtime.inspect(address)).snapshot.status


def parent(world: World, on: dict[str, Any], *, allow_children: bool = True) -> None:
    """A machine ``parent`` in whose first state a persistent ``kid`` of machine ``child`` runs."""
    world.machine(
        "parent",
        {
            "initial": "a",
            "context": {"n": 0},
            "states": {"a": {"invoke": {"id": "kid", "src": persistent("child", name="kid")}, "on": on}, "b": {}},
        },
        allow_write=lambda request: allow_children or request.sender is None,
    )


async def test_a_child_answers_the_parent_that_asked(world: World) -> None:
    parent(world, {"ASK": {"actions": send_to("kid", "QUESTION")}, "ANSWER": "b"})
    world.machine("child", {"on": {"QUESTION": {"actions": respond("ANSWER")}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("parent"))
        await runtime.send(at("parent"), "ASK")
        await runtime.idle()
        assert (await runtime.read(at("parent"))).state == "b"


async def test_a_parent_answers_its_child_after_a_restart_and_once(world: World) -> None:
    parent(world, {"HELLO": {"actions": respond({"type": "WELCOME"}, delay=1000)}})
    world.machine(
        "child",
        {"entry": send_parent("HELLO"), "context": {"n": 0}, "on": {"WELCOME": {"actions": INC}}},
    )
    async with world.running() as runtime:
        await runtime.create_instance(at("parent"))
        await runtime.idle()
    async with world.running() as runtime:
        await world.clock.advance(1000)
        await runtime.idle()
        assert (await runtime.read(at("child", "kid"))).context == {"n": 1}


async def test_an_answer_to_a_client_or_a_timer_reaches_nobody(world: World) -> None:
    world.machine(
        "m",
        {
            "initial": "a",
            "context": {"n": 0},
            "states": {
                "a": {"after": {"10": {"actions": respond("ANSWER")}}, "on": {"ASK": {"actions": respond("ANSWER")}}}
            },
            "on": {"error.communication": {"actions": INC}},
        },
    )
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "ASK")
        await world.clock.advance(10)
        await runtime.idle()
        assert (await runtime.read(at("m"))).context == {"n": 2}


async def test_a_parent_passes_an_event_on_to_its_child_with_all_that_it_carries(world: World) -> None:
    parent(world, {"ORDER": {"actions": forward_to("kid")}})
    world.machine("child", {"context": {}, "on": {"ORDER": {"actions": assign(item=lambda c, e: e["item"])}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("parent"))
        await runtime.send(at("parent"), {"type": "ORDER", "item": 7})
        await runtime.idle()
        assert (await runtime.read(at("child", "kid"))).context == {"item": 7}


async def test_a_passed_on_event_may_wait(world: World) -> None:
    parent(world, {"ORDER": {"actions": forward_to("kid", delay=1000)}})
    world.machine("child", {"context": {"n": 0}, "on": {"ORDER": {"actions": INC}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("parent"))
        await runtime.send(at("parent"), "ORDER")
        await runtime.idle()
        assert (await runtime.read(at("child", "kid"))).context == {"n": 0}
        await world.clock.advance(1000)
        await runtime.idle()
        assert (await runtime.read(at("child", "kid"))).context == {"n": 1}


async def test_an_event_passed_on_to_a_service_that_takes_none_is_told(world: World) -> None:
    started = asyncio.Event()

    async def service() -> None:
        started.set()
        await asyncio.Event().wait()

    on = {"GO": {"actions": forward_to("work")}, "error.communication": {"actions": [INC, stop("work")]}}
    world.machine("m", {"context": {"n": 0}, "invoke": {"id": "work", "src": service}, "on": on})
    async with world.running() as runtime:
        creating = asyncio.ensure_future(runtime.create_instance(at("m")))
        await started.wait()
        assert (await runtime.send(at("m"), "GO")).context == {"n": 1}
        await creating


FAILING = {
    "context": {"n": 0},
    "on": {
        "FAIL": {"actions": escalate(lambda context, event: {"reason": event["reason"]})},
        "WORK": {"actions": INC},
    },
}


async def test_an_escalated_error_is_the_parents_error_event_and_the_child_goes_on(world: World) -> None:
    parent(
        world,
        {
            "FAIL": {"actions": forward_to("kid")},
            "WORK": {"actions": forward_to("kid")},
            error_platform("kid"): {"actions": assign(error=lambda context, event: event["data"])},
        },
    )
    world.machine("child", FAILING)
    async with world.running() as runtime:
        await runtime.create_instance(at("parent"))
        await runtime.send(at("parent"), {"type": "FAIL", "reason": "no paper"})
        await runtime.idle()
        assert (await runtime.read(at("parent"))).context == {"n": 0, "error": {"reason": "no paper"}}
        await runtime.send(at("parent"), "WORK")
        await runtime.idle()
        assert (await runtime.read(at("child", "kid"))).context == {"n": 1}


async def test_an_escalated_error_needs_no_permission_and_leaving_for_it_stops_the_child(world: World) -> None:
    parent(world, {"FAIL": {"actions": forward_to("kid")}, error_platform("kid"): "b"}, allow_children=False)
    world.machine("child", FAILING)
    async with world.running() as runtime:
        await runtime.create_instance(at("parent"))
        await runtime.send(at("parent"), {"type": "FAIL", "reason": ""})
        await runtime.idle()
        assert (await runtime.read(at("parent"))).state == "b"
        assert await status(runtime, at("child", "kid")) == "stopped"


async def test_an_escalated_error_that_nobody_handles_ends_the_parent(world: World) -> None:
    parent(world, {"FAIL": {"actions": forward_to("kid")}})
    world.machine("child", FAILING)
    async with world.running() as runtime:
        await runtime.create_instance(at("parent"))
        await runtime.send(at("parent"), {"type": "FAIL", "reason": "no paper"})
        await runtime.idle()
        snapshot = (await runtime.inspect(at("parent"))).snapshot
        assert (snapshot.status, snapshot.error) == ("error", {"reason": "no paper"})
        assert await status(runtime, at("child", "kid")) == "stopped"


async def test_an_error_of_somebody_who_is_not_a_child_is_void(world: World) -> None:
    """A child that was stopped while its report was on its way, or any other instance."""
    world.machine("m", {"initial": "a", "states": {"a": {}}})
    reference = {"type": "statebacked.instance", "id": "x", "machineName": "m", "machineInstanceName": "one"}
    error = {"type": error_platform("kid"), "data": "boo"}
    world.machine("other", {"on": {"GO": {"actions": send_to(lambda: reference, error)}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.create_instance(at("other"))
        await runtime.send(at("other"), "GO")
        await runtime.idle()
        assert await status(runtime, at("m")) == "active"
        assert await types(runtime, at("m")) == ["xstate.init"]
        assert await runtime.store.pending_mail(at("m")) == []


async def test_a_grandchild_escalates_step_by_step(world: World) -> None:
    parent(world, {error_platform("kid"): "b"})
    world.machine(
        "child",
        {
            "initial": "a",
            "states": {
                "a": {
                    "invoke": {
                        "id": "grandkid",
                        "src": persistent("grandchild"),
                        "onError": {"actions": escalate(lambda context, event: event["data"])},
                    }
                }
            },
        },
    )
    world.machine("grandchild", {"entry": escalate("deep trouble")})
    async with world.running() as runtime:
        await runtime.create_instance(at("parent"))
        await runtime.idle()
        assert (await runtime.read(at("parent"))).state == "b"


# -- activities ----------------------------------------------------------------------------------


async def test_an_activity_runs_in_its_state_and_is_stopped_when_that_is_left(world: World) -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    async def beeping() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    world.machine(
        "m",
        {"initial": "a", "states": {"a": {"activities": "beeping", "on": {"GO": "b"}}, "b": {}}},
        services={"beeping": beeping},
    )
    async with world.running() as runtime:
        creating = asyncio.ensure_future(runtime.create_instance(at("m")))
        await started.wait()
        assert not stopped.is_set()
        assert (await runtime.send(at("m"), "GO")).state == "b"
        await stopped.wait()
        await creating


async def test_the_end_of_an_activity_whether_good_or_bad_changes_nothing(world: World) -> None:
    async def good() -> str:
        return "done"

    async def bad() -> None:
        raise RuntimeError("broken")

    world.machine(
        "m",
        {"initial": "a", "states": {"a": {"activities": ["good", "bad"], "on": {"*": "b"}}, "b": {}}},
        services={"good": good, "bad": bad},
    )
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.idle()
        assert (await runtime.read(at("m"))).state == "a"
        assert (await runtime.inspect(at("m"))).snapshot.children == {}
        assert sorted(await types(runtime, at("m"))) == [
            "done.invoke.m.a:activity[0]",
            "error.platform.m.a:activity[1]",
            "xstate.init",
        ]


async def test_an_activity_that_was_lost_with_its_process_is_not_missed(world: World) -> None:
    started = asyncio.Event()

    async def beeping() -> None:
        started.set()
        await asyncio.Event().wait()

    world.machine(
        "m",
        {"initial": "a", "states": {"a": {"activities": beeping, "on": {"GO": "b"}}, "b": {}}},
    )
    async with world.running() as runtime:
        creating = asyncio.ensure_future(runtime.create_instance(at("m")))
        await started.wait()
    await creating
    async with world.running() as runtime:
        assert (await runtime.send(at("m"), "GO")).state == "b"
        assert await status(runtime, at("m")) == "active"
