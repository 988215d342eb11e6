"""What XState v4's pages on actors and on invoking services promise, on durable instances.

Where a page has a child that lasts, here it is a persistent one, and the runtime is started again in between. Children
that live only as long as somebody waits (promises, callbacks, observables) run as ephemeral children of an instance.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from perdure import (
    Definition,
    Machine,
    Runtime,
    assign,
    create_machine,
    escalate,
    forward_to,
    persistent,
    respond,
    send_parent,
    send_to,
    spawn_persistent,
    stop,
)
from perdure.json_value import Json, JsonObject
from tests.actors import xstate_pages as pages
from tests.durable.world import World, a_while, at, journal, soon


def everybody(machine: Machine) -> Definition:
    return Definition(machine=machine, allow_read=lambda request: True, allow_write=lambda request: True)


async def context_of(runtime: Runtime, machine: str, instance: str = "one") -> Any:
    await soon(runtime.idle())
    return (await runtime.inspect(at(machine, instance))).snapshot.context


async def until_context(runtime: Runtime, machine: str, **wanted: Json) -> None:
    """Wait until an instance that need not exist yet has this in its context; a store takes its own time to write."""

    async def look() -> None:
        while True:
            record = await runtime.record(at(machine))
            if record is not None and wanted.items() <= record.snapshot.context.items():
                return
            await asyncio.sleep(0)

    await soon(look())


async def until_working(runtime: Runtime, machine: str) -> None:
    """Wait until what an instance has started has begun: a commit can be seen a moment before its effects."""

    async def look() -> None:
        while True:
            resident = runtime._residents.get(at(machine))
            if resident is not None and not resident._has_settled:
                return
            await asyncio.sleep(0)

    await soon(look())
    await a_while()


async def until_journal(runtime: Runtime, machine: str, event_type: str) -> None:
    """Wait until an instance has taken an event, whether or not it has settled. The journal has it a moment before the
    runtime knows, which performs its effects in that same step."""

    async def look() -> None:
        while True:
            entries = await journal(runtime, at(machine))
            taken = max((entry.sequence for entry in entries if entry.event["type"] == event_type), default=None)
            known = runtime.record_at_hand(at(machine))
            if taken is not None and known is not None and known.sequence >= taken:
                return
            await asyncio.sleep(0)

    await soon(look())


async def state_of(runtime: Runtime, machine: str, instance: str = "one") -> Json:
    await soon(runtime.idle())
    return (await runtime.inspect(at(machine, instance))).snapshot.value


# -- the page on actors, with persistent children ------------------------------------------------------


def persistent_todos() -> Machine:
    def add(context: JsonObject, event: JsonObject) -> JsonObject:
        name = f"todo-{len(context['todos']) + 1}"
        ref = spawn_persistent("todo", name=name, context={"title": event["title"], "done": False}, sync=True)
        return {"todos": {**context["todos"], name: {"title": event["title"], "ref": ref}}}

    def remove(context: JsonObject, event: JsonObject) -> JsonObject:
        gone = event["type"].removeprefix("done.invoke.")
        return {"todos": {key: todo for key, todo in context["todos"].items() if key != gone}}

    def update(context: JsonObject, event: JsonObject) -> JsonObject:
        todo = {**context["todos"][event["id"]], "title": event["state"]["context"]["title"]}
        return {"todos": {**context["todos"], event["id"]: todo}}

    def chosen(context: JsonObject, event: JsonObject) -> Json:
        return context["todos"][event["id"]]["ref"]

    return create_machine(
        {
            "id": "todos",
            "context": {"todos": {}, "toggles": 0},
            "on": {
                "NEW_TODO.ADD": {"actions": assign(add)},
                "TELL": {"actions": send_to(chosen, lambda _, event: event["event"])},
                "STOP": {"actions": stop(chosen)},
                "TODO.TOGGLED": {"actions": assign(toggles=lambda context: context["toggles"] + 1)},
                "xstate.update": {"actions": assign(update)},
                "done.invoke.*": {"actions": assign(remove)},
            },
        }
    )


async def test_a_parent_spawns_tells_tracks_and_loses_its_todos_across_restarts(world: World) -> None:
    world.definitions = {"todo": everybody(pages.TODO), "todos": everybody(persistent_todos())}
    async with world.running() as runtime:
        await runtime.create_instance(at("todos"))
        await runtime.send(at("todos"), {"type": "NEW_TODO.ADD", "title": "milk"})
        await runtime.send(at("todos"), {"type": "NEW_TODO.ADD", "title": "bread"})
    async with world.running() as runtime:
        await runtime.send(at("todos"), {"type": "TELL", "id": "todo-1", "event": "TOGGLE"})
        await runtime.send(at("todos"), {"type": "TELL", "id": "todo-2", "event": "EDIT"})
        await runtime.send(at("todos"), {"type": "TELL", "id": "todo-2", "event": {"type": "COMMIT", "title": "rye"}})
        context = await context_of(runtime, "todos")
        assert context["toggles"] == 1
        assert [todo["title"] for todo in context["todos"].values()] == ["milk", "rye"]
        assert await context_of(runtime, "todo", "todo-1") == {"title": "milk", "done": True}
    async with world.running() as runtime:
        await runtime.send(at("todos"), {"type": "TELL", "id": "todo-1", "event": "DELETE"})
        assert list((await context_of(runtime, "todos"))["todos"]) == ["todo-2"]
        await runtime.send(at("todos"), {"type": "STOP", "id": "todo-2"})
        await soon(runtime.idle())
        assert (await runtime.inspect(at("todo", "todo-2"))).snapshot.status == "stopped"
        assert (await runtime.inspect(at("todos"))).snapshot.children == {}


async def test_a_remote_machine_is_woken_and_answers_after_a_restart(world: World) -> None:
    local = {
        "initial": "waiting",
        "context": {},
        "states": {
            "waiting": {
                "entry": assign(remote=lambda: spawn_persistent("remote", name="one")),
                "on": {
                    "LOCAL.WAKE": {"actions": send_to(lambda context: context["remote"], "WAKE")},
                    "REMOTE.ONLINE": "connected",
                },
            },
            "connected": {},
        },
    }
    world.definitions["remote"] = everybody(pages.REMOTE)
    world.machine("local", local)
    async with world.running() as runtime:
        await runtime.create_instance(at("local"))
        await runtime.send(at("local"), "LOCAL.WAKE")
        assert await state_of(runtime, "remote") == "online"
    async with world.running() as runtime:
        await soon(runtime.idle())
        await world.clock.advance(1000)
        assert await state_of(runtime, "local") == "connected"


# -- the page on invoking services, with persistent children -------------------------------------------


async def test_an_invoked_machine_gets_its_context_and_brings_its_data_after_a_restart(world: World) -> None:
    invoke = {
        "src": persistent("minute", name="one"),
        "data": {"duration": lambda context: context["custom"]},
        "onDone": {"target": "timesUp", "actions": assign(waited=lambda _, event: event["data"]["waited"])},
    }
    config = {
        "context": {"custom": 3000},
        "initial": "pending",
        "states": {"pending": {"invoke": invoke}, "timesUp": {}},
    }
    world.definitions["minute"] = everybody(pages.MINUTE)
    world.machine("parent", config)
    async with world.running() as runtime:
        await runtime.create_instance(at("parent"))
        await soon(runtime.idle())  # the child exists
        await world.clock.advance(2_999)
        assert await state_of(runtime, "parent") == "pending"
    async with world.running() as runtime:
        await soon(runtime.idle())
        await world.clock.advance(1)
        assert (await context_of(runtime, "parent"))["waited"] == 3000
        assert await state_of(runtime, "parent") == "timesUp"


async def test_parent_and_child_send_to_each_other_with_delays_across_a_restart(world: World) -> None:
    ping = {
        "context": {"pongs": 0},
        "invoke": {"id": "pong", "src": persistent("pong", name="one")},
        "entry": send_to("pong", "PING"),
        "on": {
            "PONG": {
                "actions": [assign(pongs=lambda context: context["pongs"] + 1), send_to("pong", "PING", delay=1000)]
            }
        },
    }
    world.definitions["pong"] = everybody(pages.PONG)
    world.machine("ping", ping)
    async with world.running() as runtime:
        await runtime.create_instance(at("ping"))
        await soon(runtime.idle())
        await world.clock.advance(1000)
        assert (await context_of(runtime, "ping"))["pongs"] == 1
    async with world.running() as runtime:
        for pongs in (2, 3):
            await world.clock.advance(1000)
            await soon(runtime.idle())
            await world.clock.advance(1000)
            assert (await context_of(runtime, "ping"))["pongs"] == pongs


async def test_the_sender_is_answered_by_a_persistent_child(world: World) -> None:
    client = {
        "initial": "idle",
        "states": {
            "idle": {"on": {"AUTH": "authorizing"}},
            "authorizing": {
                "invoke": {"id": "auth-server", "src": persistent("server", name="one")},
                "entry": send_to("auth-server", "CODE"),
                "on": {"TOKEN": "authorized"},
            },
            "authorized": {"type": "final"},
        },
    }
    world.machine("server", {"on": {"CODE": {"actions": respond("TOKEN", delay=1000)}}})
    world.machine("client", client)
    async with world.running() as runtime:
        await runtime.create_instance(at("client"))
        await runtime.send(at("client"), "AUTH")
        await soon(runtime.idle())
        await world.clock.advance(1000)
        assert await state_of(runtime, "client") == "authorized"
        assert (await runtime.inspect(at("server"))).snapshot.status == "stopped"


@pytest.mark.parametrize("automatically", [False, True])
async def test_events_are_passed_on_to_a_persistent_child(automatically: bool, world: World) -> None:
    on: JsonObject = {"HEARD": {"actions": assign(heard=lambda context, event: [*context["heard"], event["text"]])}}
    if not automatically:
        on["ALERT"] = {"actions": forward_to("alerter")}
    invoke = {"id": "alerter", "src": persistent("alert", name="one"), "autoForward": automatically}
    answer = send_parent(lambda _, event: {"type": "HEARD", "text": event["text"]})
    world.machine("alert", {"on": {"ALERT": {"actions": answer}}})
    world.machine("parent", {"context": {"heard": []}, "invoke": invoke, "on": on})
    async with world.running() as runtime:
        await runtime.create_instance(at("parent"))
        await runtime.send(at("parent"), {"type": "ALERT", "text": "fire"})
        await runtime.send(at("parent"), {"type": "ALERT", "text": "smoke"})
        assert (await context_of(runtime, "parent"))["heard"] == ["fire", "smoke"]


async def test_an_escalated_error_reaches_the_parent_and_the_persistent_child_goes_on(world: World) -> None:
    child = {
        "initial": "fine",
        "states": {
            "fine": {"on": {"BREAK": {"target": "worried", "actions": escalate({"message": "enough"})}}},
            "worried": {},
        },
    }
    parent = {
        "context": {},
        "invoke": {
            "id": "child",
            "src": persistent("child", name="one"),
            "onError": {"actions": assign(message=lambda _, event: event["data"]["message"])},
        },
        "on": {"BREAK": {"actions": forward_to("child")}},
    }
    world.machine("child", child)
    world.machine("parent", parent)
    async with world.running() as runtime:
        await runtime.create_instance(at("parent"))
        await runtime.send(at("parent"), "BREAK")
        assert (await context_of(runtime, "parent"))["message"] == "enough"
        assert await state_of(runtime, "child") == "worried"
        assert (await runtime.inspect(at("child"))).snapshot.status == "active"


# -- ephemeral children of an instance -----------------------------------------------------------------


async def test_a_spawned_promise_brings_its_result_or_its_failure_before_the_answer(world: World) -> None:
    async def fetch(context: JsonObject) -> str:
        if context["query"] == "nothing":
            raise LookupError("no results")
        return f"results of {context['query']}"

    world.definitions["search"] = everybody(pages.searching(fetch))
    async with world.running() as runtime:
        await runtime.create_instance(at("search"))
        await runtime.send(at("search"), {"type": "SEARCH", "query": "actors"})
        assert (await context_of(runtime, "search"))["results"] == "results of actors"
        await runtime.send(at("search"), {"type": "SEARCH", "query": "nothing"})
        assert (await context_of(runtime, "search"))["error"] == "no results"


async def test_a_callback_counts_hears_and_is_cleaned_up_while_its_instance_waits(world: World) -> None:
    cleaned_up: list[str] = []
    world.definitions["counter"] = everybody(pages.counting(world.clock, cleaned_up))
    async with world.running() as runtime:
        creating = asyncio.create_task(runtime.create_instance(at("counter")))
        await until_context(runtime, "counter", count=0)
        await until_working(runtime, "counter")
        await world.clock.advance(2000)
        await until_context(runtime, "counter", count=2)
        telling = asyncio.create_task(runtime.send(at("counter"), "INC"))
        await until_journal(runtime, "counter", "INC")
        await world.clock.advance(1000)
        await until_context(runtime, "counter", count=4)
        stopped = await soon(runtime.send(at("counter"), "STOP"))
        assert stopped.state == "still"
        await soon(asyncio.gather(creating, telling))
        assert cleaned_up == ["interval"]


async def test_an_observable_sends_its_values_and_its_end_to_an_instance(world: World) -> None:
    async def numbers() -> AsyncIterator[JsonObject]:
        for value in range(3):
            yield {"type": "COUNT", "value": value}

    world.definitions["interval"] = everybody(pages.observing(numbers))
    async with world.running() as runtime:
        await soon(runtime.create_instance(at("interval")))
        assert (await context_of(runtime, "interval"))["seen"] == [0, 1, 2]
        assert await state_of(runtime, "interval") == "finished"


async def test_a_callback_hears_the_instance_that_invokes_it(world: World) -> None:
    world.definitions["pinger"] = everybody(pages.pinging())
    async with world.running() as runtime:
        creating = asyncio.create_task(runtime.create_instance(at("pinger")))
        assert (await soon(runtime.send(at("pinger"), "BEGIN"))).state == "done"
        await soon(creating)


async def test_an_ephemeral_machine_gets_its_context_and_brings_its_data(world: World) -> None:
    world.definitions["parent"] = everybody(pages.timing())
    async with world.running() as runtime:
        creating = asyncio.create_task(runtime.create_instance(at("parent")))
        await until_context(runtime, "parent", custom=3000)
        await until_working(runtime, "parent")
        await world.clock.advance(2_999)
        assert (await runtime.inspect(at("parent"))).snapshot.value == "pending"
        await world.clock.advance(1)
        assert (await soon(creating)).state == "timesUp"
        assert (await context_of(runtime, "parent"))["waited"] == 3000


async def test_ephemeral_children_of_an_instance_talk_without_it(world: World) -> None:
    world.definitions["table"] = everybody(pages.TABLE)
    async with world.running() as runtime:
        await soon(runtime.create_instance(at("table")))
        playing = asyncio.create_task(runtime.send(at("table"), "START"))
        await until_context(runtime, "table", score=10)
        await world.clock.advance(90_000)
        await soon(playing)
