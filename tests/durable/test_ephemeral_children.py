"""Every kind of ephemeral child of a durable instance: what it says becomes turns, what it is told reaches it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from perdure import (
    Machine,
    Runtime,
    assign,
    cancel,
    create_machine,
    escalate,
    from_callback,
    from_reducer,
    respond,
    send_parent,
    send_to,
    spawn,
    stop,
)
from tests.actors.machines import counter
from tests.durable.world import World, at, journal, soon, types


def parent(source: Any, *, on: dict[str, Any] | None = None, **invoke: Any) -> dict[str, Any]:
    """A machine that has a child in ``busy``, collects what it is told in ``heard``, and ends with OVER."""

    def hear(context: dict[str, Any], event: dict[str, Any]) -> list[Any]:
        return [*context["heard"], {key: value for key, value in event.items() if key != "who"}]

    return {
        "initial": "idle",
        "context": {"heard": []},
        "states": {
            "idle": {"on": {"GO": "busy"}},
            "busy": {
                "invoke": {"id": "kid", "src": source, "onDone": "over", "onError": "bad", **invoke},
                "on": {"OVER": "over", **(on or {}), "*": {"actions": assign(heard=hear)}},
            },
            "over": {"entry": assign(heard=lambda context, event: [*context["heard"], event])},
            "bad": {"entry": assign(heard=lambda context, event: [*context["heard"], event])},
        },
    }


async def settled(world: World, runtime: Runtime, *events: Any) -> tuple[str, list[Any]]:
    """Create the instance, send it GO and more, and where it stands at the end, with what it has heard."""
    await runtime.create_instance(at("m"))
    going = asyncio.ensure_future(runtime.send(at("m"), "GO"))
    for event in events:
        await soon(runtime.send(at("m"), event))
    state = await soon(going)
    return state.state, state.context["heard"]


async def test_a_machine_child_runs_with_its_timers_and_its_end_is_a_turn(world: World) -> None:
    kid = create_machine(
        {
            "id": "kid",
            "initial": "a",
            "context": {"n": 0},
            "states": {
                "a": {"entry": send_parent("BEGUN"), "after": {1_000: {"target": "b", "actions": send_parent("LATE")}}},
                "b": {"type": "final", "data": lambda context: context["n"]},
            },
        }
    )
    world.machine("m", parent(kid, data={"n": 7}))
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        going = asyncio.ensure_future(runtime.send(at("m"), "GO"))
        async for state in await runtime.subscribe(at("m")):
            if state.context["heard"]:
                break
        await world.clock.advance(999)
        assert not going.done()
        await world.clock.advance(1)
        answer = await soon(going)
        assert answer.context["heard"] == [{"type": "BEGUN"}, {"type": "LATE"}, {"type": "done.invoke.kid", "data": 7}]
        assert await types(runtime, at("m")) == ["xstate.init", "GO", "BEGUN", "LATE", "done.invoke.kid"]


async def test_a_callback_needs_no_permission_for_what_it_sends_and_the_instance_can_respond(world: World) -> None:
    heard: list[Any] = []

    def callback(send_back: Any, receive: Any, context: Any) -> Any:
        def listener(event: dict[str, Any]) -> None:
            heard.append(event)
            send_back("OVER")

        receive(listener)
        send_back({"type": "ASK", "of": context["heard"]})
        return lambda: heard.append("cleaned up")

    world.machine(
        "m",
        parent(from_callback(callback), on={"ASK": {"actions": respond("ANSWER")}}),
        allow_write=lambda request: request.event is None or request.event["type"] == "GO",
    )
    async with world.running() as runtime:
        state, _ = await settled(world, runtime)
        assert (state, heard) == ("over", [{"type": "ANSWER"}, "cleaned up"])
        assert [(entry.event["type"], entry.sender) for entry in (await journal(runtime, at("m")))[2:]] == [
            ("ASK", None),
            ("OVER", None),
        ]


async def test_every_event_of_an_observable_is_a_turn_before_its_end(world: World) -> None:
    async def numbers() -> AsyncIterator[Any]:
        for n in range(3):
            yield {"type": "N", "n": n}

    world.machine("m", parent(numbers))
    async with world.running() as runtime:
        state, heard = await settled(world, runtime)
        assert state == "over"
        assert [event.get("n") for event in heard] == [0, 1, 2, None]


async def test_a_reducer_can_be_sent_to_and_answers(world: World) -> None:
    def reduce(state: int, event: dict[str, Any], meta: Any) -> int:
        if event["type"] == "READ":
            meta.respond({"type": "VALUE", "value": state})
            meta.send_parent("OVER")
        return state + 1

    world.machine(
        "m", parent(from_reducer(reduce, 10), on={"PUT": {"actions": [send_to("kid", "ADD"), send_to("kid", "READ")]}})
    )
    async with world.running() as runtime:
        state, heard = await settled(world, runtime, "PUT")
        assert (state, heard[0]) == ("over", {"type": "VALUE", "value": 11})


async def test_children_spawned_by_value_are_reached_through_their_references(world: World) -> None:
    config = {
        "initial": "a",
        "context": {"kids": [], "counts": []},
        "states": {
            "a": {
                "on": {
                    "ADD": {
                        "actions": assign(kids=lambda context: [*context["kids"], spawn(counter(), data={"n": 5})])
                    },
                    "ASK": {"actions": [send_to(lambda context: context["kids"][-1], name) for name in ("INC", "ASK")]},
                    "COUNT": {"actions": assign(counts=lambda context, event: [*context["counts"], event["n"]])},
                    "CLEAR": {"actions": stop(lambda context: context["kids"][0])},
                }
            }
        },
    }
    world.machine("m", config)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        adding = asyncio.ensure_future(runtime.send(at("m"), "ADD"))
        asking = asyncio.ensure_future(runtime.send(at("m"), "ASK"))
        async for state in await runtime.subscribe(at("m")):
            if state.context["counts"]:
                break
        answer = await soon(runtime.send(at("m"), "CLEAR"))
        assert answer.context["counts"] == [6]
        assert answer.context["kids"][0]["path"].startswith("m/one/")
        await soon(asyncio.gather(adding, asking))


async def test_a_synchronised_child_tells_its_steps(world: World) -> None:
    kid = create_machine({"initial": "a", "states": {"a": {"on": {"NEXT": "b"}}, "b": {"type": "final"}}})
    world.machine("m", parent(kid, sync=True, autoForward=True))
    async with world.running() as runtime:
        state, heard = await settled(world, runtime, "NEXT")
        assert [event["state"]["value"] for event in heard if event["type"] == "xstate.update"] == ["a", "b"]
        assert (state, heard[-1]["type"]) == ("over", "done.invoke.kid")


async def test_on_snapshot_gets_the_steps_of_a_child(world: World) -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1
        yield 2

    def hear(context: dict[str, Any], event: dict[str, Any]) -> Any:
        return [*context["heard"], event["snapshot"]["context"]]

    world.machine("m", parent(numbers, onSnapshot={"actions": assign(heard=hear)}))
    async with world.running() as runtime:
        _, heard = await settled(world, runtime)
        assert heard[:2] == [1, 2]


async def test_an_error_below_a_machine_child_comes_up_to_the_instance(world: World) -> None:
    deep = create_machine({"id": "deep", "entry": escalate("too deep")})
    world.machine("m", parent(create_machine({"id": "kid", "invoke": {"id": "deep", "src": deep}})))
    async with world.running() as runtime:
        state, heard = await settled(world, runtime)
        assert (state, heard) == ("bad", [{"type": "error.platform.kid", "data": "too deep"}])


async def test_an_actor_below_a_child_may_be_answered_by_the_instance(world: World) -> None:
    heard: list[Any] = []
    deep = create_machine(
        {"id": "deep", "on": {"HELLO": {"actions": lambda context, event: heard.append(event["type"])}, "BYE": {}}}
    )
    kid = create_machine(
        {
            "id": "kid",
            "context": {},
            "entry": [
                assign(deep=lambda: spawn(deep, "deep")),
                send_parent(lambda context: {"type": "MEET", "who": context["deep"]}),
            ],
        }
    )
    meet = {"MEET": {"actions": [send_to(lambda context, event: event["who"], "HELLO"), send_to("kid", "x"), "over"]}}
    world.machine("m", parent(kid, on=meet), actions={"over": lambda: None})
    async with world.running() as runtime:
        await settled(world, runtime, "OVER")
        assert heard == ["HELLO"]


async def test_a_delayed_message_to_a_child_can_be_cancelled(world: World) -> None:
    config = parent(
        counter(),
        on={
            "SOON": {"actions": [send_to("kid", "INC", delay=100, id="a"), send_to("kid", "INC", delay=100, id="b")]},
            "NOT_A": {"actions": cancel("a")},
            "ASK": {"actions": send_to("kid", "ASK")},
        },
    )
    world.machine("m", config)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        requests = [asyncio.ensure_future(runtime.send(at("m"), event)) for event in ("GO", "SOON", "NOT_A")]
        async for _ in await runtime.subscribe(at("m")):
            if await types(runtime, at("m")) == ["xstate.init", "GO", "SOON", "NOT_A"]:
                break
        await world.clock.advance(100)
        requests.append(asyncio.ensure_future(runtime.send(at("m"), "ASK")))
        async for state in await runtime.subscribe(at("m")):
            if state.context["heard"]:
                break
        await soon(runtime.send(at("m"), "OVER"))
        assert state.context["heard"] == [{"type": "COUNT", "n": 1}]
        await soon(asyncio.gather(*requests))


async def test_a_callback_that_never_ends_is_stopped_at_the_timeout_and_missed_at_the_next_event(world: World) -> None:
    cleaned: list[str] = []
    world.machine("m", parent(from_callback(lambda send_back: lambda: cleaned.append("cleaned"))))
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        going = asyncio.ensure_future(runtime.send(at("m"), "GO"))
        async for state in await runtime.subscribe(at("m")):
            if state.state == "busy":
                break
        for _ in range(5):
            await asyncio.sleep(0)
        await world.clock.advance(90_001)
        assert (await soon(going)).state == "busy"
        assert cleaned == ["cleaned"]
        assert (await soon(runtime.send(at("m"), "NEXT"))).state == "bad"


async def test_a_machine_child_is_lost_with_its_process(world: World) -> None:
    world.machine("m", parent(counter()))
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        going = asyncio.ensure_future(runtime.send(at("m"), "GO"))
        async for state in await runtime.subscribe(at("m")):
            if state.state == "busy":
                break
    await soon(going)
    async with world.running() as runtime:
        assert (await soon(runtime.send(at("m"), "NEXT"))).state == "bad"


async def test_what_a_child_says_that_is_no_json_is_its_failure(world: World) -> None:
    for number, kid in enumerate(
        (
            from_callback(lambda send_back: send_back({"type": "X", "value": object()})),
            create_machine({"entry": send_parent({"type": "X", "value": object()})}),
            create_machine(
                {"initial": "a", "states": {"a": {"type": "final", "data": lambda context: object()}}, "context": {}}
            ),
        )
    ):
        world.machine(f"m{number}", parent(kid))
    async with world.running() as runtime:
        for number in range(3):
            await runtime.create_instance(at(f"m{number}"))
            answer = await soon(runtime.send(at(f"m{number}"), "GO"))
            assert (answer.state, answer.context["heard"][0]["type"]) == ("bad", "error.platform.kid")


async def test_a_message_to_a_child_that_has_ended_comes_back_as_error_communication(world: World) -> None:
    on = {"TWICE": {"actions": [send_to("kid", "END"), send_to("kid", "INC"), "wait"]}}
    config = parent(counter(), on=on)
    world.machine("m", config, actions={"wait": lambda: None})
    async with world.running() as runtime:
        state, heard = await settled(world, runtime, "TWICE")
        assert state == "over"
        assert "error.communication" in await types(runtime, at("m"))
        assert heard[0]["type"] in ("error.communication", "done.invoke.kid")


async def test_children_that_answer_each_other_for_ever_do_not_hold_up_other_instances(world: World) -> None:
    machines: dict[str, Machine[Any]] = {}
    machines["pong"] = create_machine({"on": {"PING": {"actions": respond("PONG")}}})
    ping = {
        "invoke": {"id": "pong", "src": machines["pong"]},
        "entry": send_to("pong", "PING"),
        "on": {"PONG": {"actions": respond("PING")}},
    }
    world.machine("m", parent(create_machine({"id": "ping", **ping})))
    world.machine("other", {"initial": "a", "states": {"a": {"on": {"GO": "b"}}, "b": {}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        going = asyncio.ensure_future(runtime.send(at("m"), "GO"))
        await runtime.create_instance(at("other"))
        assert (await soon(runtime.send(at("other"), "GO"))).state == "b"
        assert not going.done()
        assert (await soon(runtime.send(at("m"), "OVER"))).state == "over"
        await soon(going)
