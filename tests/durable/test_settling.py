"""Ephemeral services: when a request is answered, and what becomes of services that end late, badly or never."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from perdure import EventFailed, InvalidState, assign, persistent, raise_, send
from tests.durable.world import World, at, journal, types


def calling(service: Any, **more: Any) -> dict[str, Any]:
    return {
        "initial": "idle",
        "states": {
            "idle": {"on": {"CALL": "busy"}},
            "busy": {
                "invoke": {
                    "id": "call",
                    "src": service,
                    "onDone": {"target": "ok", "actions": assign(result=lambda context, event: event["data"])},
                    "onError": {"target": "bad", "actions": assign(error=lambda context, event: event["data"])},
                },
                "on": {"NOTE": {"actions": assign(noted=True)}},
                **more,
            },
            "ok": {},
            "bad": {},
        },
    }


async def test_an_answer_waits_until_the_service_has_ended(world: World) -> None:
    async def service(context: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        return {"number": event["number"] + context["offset"]}

    world.machine("m", {**calling(service), "context": {"offset": 1}})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        answer = await runtime.send(at("m"), {"type": "CALL", "number": 41})
        assert (answer.state, answer.context["result"]) == ("ok", {"number": 42})
        assert await types(runtime, at("m")) == ["xstate.init", "CALL", "done.invoke.call"]


async def test_an_answer_waits_neither_for_timers_nor_for_persistent_children(world: World) -> None:
    states = {
        "off": {"on": {"GO": "on"}},
        "on": {
            "invoke": {"id": "kid", "src": persistent("kid", name="k"), "onDone": "over"},
            "after": {"60000": "late"},
        },
        "over": {},
        "late": {},
    }
    world.machine("m", {"initial": "off", "states": states})
    world.machine(
        "kid", {"initial": "young", "states": {"young": {"after": {"1000": "old"}}, "old": {"type": "final"}}}
    )
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        answer = await asyncio.wait_for(runtime.send(at("m"), "GO"), 30)
        assert answer.state == "on"
        await runtime.idle()  # the child is there
        await world.clock.advance(1_000)
        await runtime.idle()
        assert (await runtime.read(at("m"))).state == "over"


async def test_a_service_that_raises_is_taken_by_on_error(world: World) -> None:
    async def service() -> None:
        raise ValueError("no such card")

    world.machine("m", calling(service))
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        answer = await runtime.send(at("m"), "CALL")
        assert (answer.state, answer.context["error"]) == ("bad", {"name": "ValueError", "message": "no such card"})


async def test_a_service_whose_result_is_not_json_has_failed(world: World) -> None:
    async def service() -> object:
        return object()

    world.machine("m", calling(service))
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        assert (await runtime.send(at("m"), "CALL")).state == "bad"


async def test_a_plain_function_runs_in_a_thread(world: World) -> None:
    def service() -> str:
        return threading.current_thread().name

    world.machine("m", calling(service))
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        answer = await runtime.send(at("m"), "CALL")
        assert answer.context["result"].startswith("perdure-service")


async def test_an_error_that_nothing_handles_ends_the_instance(world: World) -> None:
    async def service() -> None:
        raise ValueError("boom")

    world.machine("m", {"initial": "a", "states": {"a": {"invoke": {"id": "call", "src": service}}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        record = await runtime.inspect(at("m"))
        assert (record.snapshot.status, record.snapshot.error) == ("error", {"name": "ValueError", "message": "boom"})
        with pytest.raises(InvalidState, match="status 'error'"):
            await runtime.send(at("m"), "CALL")


async def test_events_are_taken_while_a_service_runs(world: World) -> None:
    go = asyncio.Event()

    async def service() -> None:
        await go.wait()

    world.machine("m", calling(service))
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        calling_request = asyncio.ensure_future(runtime.send(at("m"), "CALL"))
        subscription = await runtime.subscribe(at("m"))
        async for state in subscription:
            if state.state == "busy":
                break
        noting = asyncio.ensure_future(runtime.send(at("m"), "NOTE"))
        async for state in subscription:
            if state.context.get("noted"):
                break
        assert not calling_request.done()
        go.set()
        assert (await calling_request).state == "ok"
        assert (await noting).state == "ok"
        assert await types(runtime, at("m")) == ["xstate.init", "CALL", "NOTE", "done.invoke.call"]


async def test_at_the_timeout_the_state_reached_is_answered_and_the_error_comes_before_the_next_event(
    world: World,
) -> None:
    cancelled = asyncio.Event()

    async def service() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    world.machine("m", calling(service))
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        request = asyncio.ensure_future(runtime.send(at("m"), "CALL"))
        await at_rest(runtime, at("m"), "busy")
        await world.clock.advance(89_999)
        assert not request.done()
        await world.clock.advance(2)
        assert (await request).state == "busy"
        await cancelled.wait()
        assert await types(runtime, at("m")) == ["xstate.init", "CALL"]
        answer = await runtime.send(at("m"), "LATER")
        assert answer.state == "bad"
        assert await types(runtime, at("m")) == ["xstate.init", "CALL", "error.platform.call", "LATER"]


async def test_each_external_event_moves_the_deadline(world: World) -> None:
    async def service() -> None:
        await asyncio.Event().wait()

    world.machine("m", calling(service))
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        request = asyncio.ensure_future(runtime.send(at("m"), "CALL"))
        await at_rest(runtime, at("m"), "busy")
        await world.clock.advance(60_000)
        noting = asyncio.ensure_future(runtime.send(at("m"), "NOTE"))
        subscription = await runtime.subscribe(at("m"))
        async for state in subscription:
            if state.context.get("noted"):
                break
        await world.clock.advance(60_000)
        assert not request.done()
        await world.clock.advance(30_001)
        assert (await request).context == (await noting).context == {"noted": True}


async def test_a_restart_delivers_the_error_of_a_lost_service_before_the_next_event(world: World) -> None:
    async def service() -> None:
        await asyncio.Event().wait()

    world.machine("m", calling(service))
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        request = asyncio.ensure_future(runtime.send(at("m"), "CALL"))
        await at_rest(runtime, at("m"), "busy")
    assert (await request).state == "busy"
    async with world.running() as runtime:
        assert (await runtime.read(at("m"))).state == "busy"
        assert (await runtime.send(at("m"), "LATER")).state == "bad"
        assert await types(runtime, at("m")) == ["xstate.init", "CALL", "error.platform.call", "LATER"]


async def test_leaving_the_state_cancels_the_service_and_its_late_word_is_ignored(world: World) -> None:
    started, let_go = asyncio.Event(), asyncio.Event()

    async def stubborn() -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await let_go.wait()
        return "too late"

    world.machine("m", calling(stubborn, on={"LEAVE": "idle"}))
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        request = asyncio.ensure_future(runtime.send(at("m"), "CALL"))
        await started.wait()
        assert (await runtime.send(at("m"), "LEAVE")).state == "idle"
        assert (await request).state == "idle"
        let_go.set()
        await runtime.idle()
        assert await types(runtime, at("m")) == ["xstate.init", "CALL", "LEAVE"]


async def test_events_sent_to_itself_are_taken_before_the_answer(world: World) -> None:
    world.machine(
        "m",
        {
            "initial": "a",
            "states": {
                "a": {"on": {"GO": {"target": "b", "actions": [send("THEN"), raise_("FIRST")]}}},
                "b": {"on": {"FIRST": {"actions": assign(first=True)}, "THEN": "c"}},
                "c": {},
            },
        },
    )
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        answer = await runtime.send(at("m"), "GO")
        assert (answer.state, answer.context) == ("c", {"first": True})
        assert [(e.event["type"], e.sender) for e in await journal(runtime, at("m"))][1:] == [
            ("GO", None),
            ("THEN", None),
        ]


async def test_a_custom_action_runs_only_after_its_transition_is_durable(world: World) -> None:
    seen: list[Any] = []

    async def look(context: dict[str, Any], event: dict[str, Any]) -> None:
        record = await runtime.store.load(at("m"))
        assert record is not None
        seen.append((record.snapshot.value, record.snapshot.context, context, event["type"]))

    config = {
        "initial": "a",
        "context": {"n": 0},
        "states": {"a": {"on": {"GO": {"target": "b", "actions": [assign(n=1), "look", assign(n=2)]}}}, "b": {}},
    }
    world.machine("m", config, actions={"look": look})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "GO")
        # The action sees the context of its place in the order; the store had the whole transition by then.
        assert seen == [("b", {"n": 2}, {"n": 1}, "GO")]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_custom_action_that_raises_comes_back_as_error_execution_and_is_logged_with_its_instance(
    world: World, is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError("printer on fire")

    async def fail_later() -> None:
        fail()

    config = {"initial": "a", "states": {"a": {"on": {"GO": {"actions": "act"}, "error.execution": "b"}}, "b": {}}}
    world.machine("m", config, actions={"act": fail_later if is_async else fail})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        assert (await runtime.send(at("m"), "GO")).state == "b"
        entry = (await journal(runtime, at("m")))[-1]
        assert entry.event["type"] == "error.execution"
        assert entry.event["data"] == {"action": "act", "name": "ValueError", "message": "printer on fire"}
    (logged,) = [record for record in caplog.records if record.levelname == "ERROR"]
    message = logged.getMessage()
    assert "action raised" in message
    assert "instance='m/one'" in message
    assert "action='act'" in message
    assert "printer on fire" in message


async def test_no_action_runs_when_the_event_fails(world: World) -> None:
    ran: list[str] = []

    def broken(context: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("assigner")

    config = {
        "initial": "a",
        "states": {"a": {"on": {"GO": {"target": "b", "actions": ["act", assign(broken)]}}}, "b": {}},
    }
    world.machine("m", config, actions={"act": lambda: ran.append("act")})
    async with world.running() as runtime:
        created = await runtime.create_instance(at("m"))
        with pytest.raises(EventFailed, match="assigner"):
            await runtime.send(at("m"), "GO")
        assert ran == []
        assert await runtime.read(at("m")) == created
        assert await types(runtime, at("m")) == ["xstate.init"]


async def at_rest(runtime: Any, address: Any, state: str) -> None:
    """Wait until an instance is in a state, and its loop has nothing to do but wait for its service."""
    async for seen in await runtime.subscribe(address):
        if seen.state == state:
            break
    for _ in range(5):
        await asyncio.sleep(0)
