"""What XState v4's pages on actors and on invoking services promise, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from perdure import interpret
from perdure.json_value import JsonObject
from perdure.testing.simulated_clock import SimulatedClock
from tests.actors import xstate_pages as pages


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


# -- the page on actors --------------------------------------------------------------------------------


def test_a_parent_spawns_tells_and_tracks_its_todos(clock: SimulatedClock) -> None:
    with interpret(pages.todos(), clock=clock) as todos:
        todos.send({"type": "NEW_TODO.ADD", "title": "milk"})
        todos.send({"type": "NEW_TODO.ADD", "title": "bread"})
        assert [todo["title"] for todo in todos.snapshot.context["todos"].values()] == ["milk", "bread"]
        todos.send({"type": "TELL", "id": "todo-1", "event": "TOGGLE"})
        assert todos.snapshot.context["toggles"] == 1
        todos.send({"type": "TELL", "id": "todo-2", "event": "EDIT"})
        todos.send({"type": "TELL", "id": "todo-2", "event": {"type": "COMMIT", "title": "rye bread"}})
        assert todos.snapshot.context["todos"]["todo-2"]["title"] == "rye bread"
        actor = todos.system.get("todos/todo-2")
        assert actor is not None
        assert actor.snapshot.matches("reading")


def test_a_todo_that_is_done_for_leaves_the_list_and_the_system(clock: SimulatedClock) -> None:
    with interpret(pages.todos(), clock=clock) as todos:
        todos.send({"type": "NEW_TODO.ADD", "title": "milk"})
        todos.send({"type": "NEW_TODO.ADD", "title": "bread"})
        todos.send({"type": "TELL", "id": "todo-1", "event": "DELETE"})
        assert list(todos.snapshot.context["todos"]) == ["todo-2"]
        assert todos.system.get("todos/todo-1") is None
        todos.send({"type": "CLEAR", "id": "todo-2"})
        assert todos.snapshot.context["todos"] == {}
        assert [actor.path for actor in todos.system.actors()] == ["todos"]


async def test_a_spawned_promise_brings_its_result_or_its_failure(clock: SimulatedClock) -> None:
    async def fetch(context: JsonObject) -> str:
        if context["query"] == "nothing":
            raise LookupError("no results")
        return f"results of {context['query']}"

    async with interpret(pages.searching(fetch), clock=clock) as search:
        search.send({"type": "SEARCH", "query": "statecharts"})
        found = await search.wait_for(lambda snapshot: snapshot.context["results"] is not None)
        assert found.context["results"] == "results of statecharts"
        search.send({"type": "SEARCH", "query": "nothing"})
        found = await search.wait_for(lambda snapshot: snapshot.context["error"] is not None)
        assert found.context["error"] == "no results"


async def test_a_spawned_callback_sends_hears_and_is_cleaned_up_when_it_is_stopped(clock: SimulatedClock) -> None:
    cleaned_up: list[str] = []
    async with interpret(pages.counting(clock, cleaned_up), clock=clock) as counter:
        await clock.advance(2000)
        assert counter.snapshot.context["count"] == 2
        counter.send("INC")
        await clock.advance(1000)
        assert counter.snapshot.context["count"] == 4
        counter.send("STOP")
        await clock.advance(5000)
        assert (counter.snapshot.value, counter.snapshot.context["count"]) == ("still", 4)
        assert cleaned_up == ["interval"]


async def test_an_observable_sends_its_values_and_its_end(clock: SimulatedClock) -> None:
    async def numbers() -> AsyncIterator[JsonObject]:
        for value in range(5):
            await clock.sleep(10)
            yield {"type": "COUNT", "value": value}

    async with interpret(pages.observing(numbers), clock=clock) as interval:
        await clock.advance(30)
        assert interval.snapshot.context["seen"] == [0, 1, 2]
        await clock.advance(30)
        assert interval.snapshot.context["seen"] == [0, 1, 2, 3, 4]
        assert interval.snapshot.value == "finished"


async def test_an_observable_that_fails_midway_keeps_what_it_sent(clock: SimulatedClock) -> None:
    async def numbers() -> AsyncIterator[JsonObject]:
        yield {"type": "COUNT", "value": 0}
        raise ConnectionError("gone")

    async with interpret(pages.observing(numbers), clock=clock) as interval:
        await interval.wait_for(lambda snapshot: snapshot.matches("failed"))
        assert interval.snapshot.context["seen"] == [0]


def test_a_spawned_machine_is_woken_read_and_answers(clock: SimulatedClock) -> None:
    with interpret(pages.LOCAL, clock=clock) as local:
        assert local.snapshot.context["remote"]["type"] == "perdure.actor"
        local.send("LOCAL.WAKE")
        assert local.snapshot.context["state"] == "online"
        clock.advance(1000)
        assert local.snapshot.value == "connected"


def test_a_stopped_parent_stops_what_it_spawned_and_its_timers(clock: SimulatedClock) -> None:
    local = interpret(pages.LOCAL, clock=clock).start()
    remote = local.system.get(local.snapshot.context["remote"])
    assert remote is not None
    local.send("LOCAL.WAKE")
    local.stop()
    clock.advance(1000)
    assert (local.status, remote.status) == ("stopped", "stopped")
    assert len(local.system) == 0


# -- the page on invoking services ---------------------------------------------------------------------


async def test_an_invoked_promise_leads_to_success_or_failure_and_can_be_tried_again() -> None:
    tries: list[int] = []

    async def fetch_user(context: JsonObject) -> JsonObject:
        tries.append(context["userId"])
        if len(tries) == 1:
            raise ConnectionError("timed out")
        return {"id": context["userId"], "name": "Ada"}

    async with interpret(pages.fetching(fetch_user)) as user:
        user.send("FETCH")
        await user.wait_for(lambda snapshot: snapshot.matches("failure"))
        assert user.snapshot.context["error"] == "timed out"
        user.send("RETRY")
        await user.wait_for(lambda snapshot: snapshot.matches("success"))
        assert user.snapshot.context["user"] == {"id": 42, "name": "Ada"}
        assert tries == [42, 42]


async def test_a_plain_function_is_a_promise_that_runs_in_a_thread() -> None:
    async with interpret(pages.fetching(lambda context: {"id": context["userId"]})) as user:
        user.send("FETCH")
        await user.wait_for(lambda snapshot: snapshot.matches("success"))


def test_a_callback_hears_its_parent(clock: SimulatedClock) -> None:
    with interpret(pages.pinging(), clock=clock) as pinger:
        pinger.send("BEGIN")
        assert pinger.snapshot.value == "done"


def test_an_invoked_machine_gets_its_context_and_brings_its_data(clock: SimulatedClock) -> None:
    with interpret(pages.timing(), clock=clock) as parent:
        clock.advance(2_999)
        assert parent.snapshot.value == "pending"
        clock.advance(1)
        assert (parent.snapshot.value, parent.snapshot.context["waited"]) == ("timesUp", 3_000)


def test_parent_and_child_send_to_each_other_with_delays(clock: SimulatedClock) -> None:
    with interpret(pages.PING, clock=clock) as ping:
        for pongs in (1, 2, 3):
            clock.advance(1000)
            assert ping.snapshot.context["pongs"] == pongs
            clock.advance(1000)


def test_the_sender_is_answered(clock: SimulatedClock) -> None:
    outputs: list[Any] = []
    client = interpret(pages.AUTH_CLIENT, clock=clock).start()
    client.on_done(outputs.append)
    client.send("AUTH")
    clock.advance(999)
    assert client.snapshot.value == "authorizing"
    clock.advance(1)
    assert (client.snapshot.value, outputs) == ("authorized", [None])


@pytest.mark.parametrize("automatically", [False, True])
def test_events_are_passed_on_to_a_child(automatically: bool, clock: SimulatedClock) -> None:
    with interpret(pages.alerting(automatically=automatically), clock=clock) as parent:
        parent.send({"type": "ALERT", "text": "fire"})
        parent.send({"type": "ALERT", "text": "smoke"})
        assert parent.snapshot.context["heard"] == ["fire", "smoke"]


def test_an_escalated_error_reaches_the_parent_and_the_child_goes_on(clock: SimulatedClock) -> None:
    with interpret(pages.PARENT_OF_ONE_IN_TROUBLE, clock=clock) as parent:
        child = parent.system.get("parent/child")
        assert child is not None
        parent.send("BREAK")
        assert parent.snapshot.context["message"] == "it is too much"
        assert (child.status, child.snapshot.value) == ("active", "worried")


async def test_several_services_of_a_state_end_each_on_its_own() -> None:
    first_may_end = asyncio.Event()

    async def first() -> str:
        await first_may_end.wait()
        return "first"

    async def second() -> str:
        return "second"

    async with interpret(pages.several(first, second)) as machine:
        await machine.wait_for(lambda snapshot: snapshot.context["ended"] == ["second"])
        first_may_end.set()
        await machine.wait_for(lambda snapshot: snapshot.context["ended"] == ["second", "first"])


def test_children_that_were_given_each_others_references_talk_without_their_parent(clock: SimulatedClock) -> None:
    with interpret(pages.TABLE, clock=clock) as table:
        table.send("START")
        assert table.snapshot.context["score"] == 10
