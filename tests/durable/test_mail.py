"""Mail: timers, messages between instances, persistent children, failures and dead letters, across restarts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure import (
    InvalidState,
    Runtime,
    WriteRequest,
    assign,
    cancel,
    persistent,
    send,
    send_parent,
    send_to,
    spawn_persistent,
)
from perdure.durable.records import Address
from tests.durable.world import ORG, World, at, journal, reference, types

# -- timers --------------------------------------------------------------------------------------

REMINDER = {
    "initial": "waiting",
    "states": {
        "waiting": {"after": {"1000": "reminded"}, "on": {"STOP": "stopped"}},
        "reminded": {"after": {"1000": "over"}},
        "stopped": {},
        "over": {},
    },
}


async def test_a_timer_fires_when_its_time_has_come_and_not_before(world: World) -> None:
    world.machine("m", REMINDER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.idle()
        await world.clock.advance(999)
        await runtime.idle()
        assert (await runtime.read(at("m"))).state == "waiting"
        await world.clock.advance(1)
        await runtime.idle()
        assert (await runtime.read(at("m"))).state == "reminded"


async def test_overdue_timers_fire_at_once_after_a_restart_and_each_once(world: World) -> None:
    world.machine("m", REMINDER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
    await world.clock.advance(50_000)
    async with world.running() as runtime:
        await runtime.idle()
        assert (await runtime.read(at("m"))).state == "reminded"
        await world.clock.advance(1000)
        await runtime.idle()
        assert (await runtime.read(at("m"))).state == "over"
        assert await types(runtime, at("m")) == [
            "xstate.init",
            "xstate.after(1000)#m.waiting",
            "xstate.after(1000)#m.reminded",
        ]


async def test_leaving_the_state_cancels_its_timer_even_after_a_restart(world: World) -> None:
    world.machine("m", REMINDER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
    async with world.running() as runtime:
        await runtime.send(at("m"), "STOP")
        await world.clock.advance(5000)
        await runtime.idle()
        assert await types(runtime, at("m")) == ["xstate.init", "STOP"]
        assert await runtime.store.pending_mail(at("m")) == []


async def test_a_delayed_event_can_be_cancelled_by_its_send_id(world: World) -> None:
    world.machine(
        "m",
        {
            "initial": "a",
            "states": {
                "a": {
                    "entry": [send("X", delay=10, id="one"), send("X", delay=10, id="two")],
                    "on": {"DROP": {"actions": cancel("one")}, "X": {"actions": assign(n=lambda c: c.get("n", 0) + 1)}},
                }
            },
        },
    )
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "DROP")
        await world.clock.advance(10)
        await runtime.idle()
        assert (await runtime.read(at("m"))).context == {"n": 1}


async def test_a_paused_instance_gets_its_timer_once_it_runs_again(world: World) -> None:
    world.machine("m", REMINDER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.set_status(at("m"), "paused")
        await world.clock.advance(1000)
        await runtime.idle()
        (mail,) = await runtime.store.pending_mail(at("m"))
        assert (mail.attempts, mail.last_error) == (
            1,
            "InvalidState: m/one is paused; set its status to running before you send it events",
        )
        await runtime.set_status(at("m"), "running")
        await world.clock.advance(1000)
        await runtime.idle()
        assert (await runtime.read(at("m"))).state == "reminded"


# -- messages ------------------------------------------------------------------------------------

COLLECTOR = {
    "initial": "a",
    "context": {"got": []},
    "states": {"a": {"on": {"*": {"actions": assign(got=lambda c, e: [*c["got"], e["type"]])}}}},
}


async def test_messages_from_one_instance_to_another_keep_their_order(world: World) -> None:
    numbers = [send_to(reference("collector", "c"), {"type": f"N{number}"}) for number in range(30)]
    world.machine("collector", COLLECTOR)
    world.machine("m", {"initial": "a", "states": {"a": {"on": {"GO": {"actions": numbers}}}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("collector", "c"))
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "GO")
        await runtime.idle()
        assert (await runtime.read(at("collector", "c"))).context["got"] == [f"N{number}" for number in range(30)]
        assert (await journal(runtime, at("collector", "c")))[-1].sender == at("m")


async def test_a_message_that_keeps_failing_is_tried_five_times_and_holds_back_what_follows(world: World) -> None:
    attempts: list[str] = []

    def refuses_bad(request: WriteRequest) -> bool:
        if request.event is not None and request.sender is not None:
            attempts.append(request.event["type"])
        return request.event is None or request.event["type"] != "BAD"

    world.machine("collector", COLLECTOR, allow_write=refuses_bad)
    send_both = [send_to(reference("collector", "c"), "BAD"), send_to(reference("collector", "c"), "GOOD")]
    world.machine("m", {"initial": "a", "states": {"a": {"on": {"GO": {"actions": send_both}}}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("collector", "c"))
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "GO")
        await runtime.idle()
        assert attempts == ["BAD"]
        for pause, count in ((1_000, 2), (5_000, 3), (15_000, 4)):
            await world.clock.advance(pause)
            await runtime.idle()
            assert attempts == ["BAD"] * count
        await world.clock.advance(30_000)
        await runtime.idle()
        assert attempts == ["BAD"] * 5 + ["GOOD"]
        (dead,) = (await runtime.store.list_dead_letters(ORG, cursor=None, limit=10)).rows
        assert (dead.event, dead.attempts, dead.sender) == ({"type": "BAD"}, 5, at("m"))
        assert dead.last_error is not None
        assert "AuthorizerRefused" in dead.last_error


async def test_a_message_waits_for_a_receiver_that_is_created_later(world: World) -> None:
    world.machine("collector", COLLECTOR)
    world.machine("m", {"initial": "a", "states": {"a": {"entry": send_to(reference("collector", "c"), "HI")}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.idle()
        await runtime.create_instance(at("collector", "c"))
        await world.clock.advance(1_000)
        await runtime.idle()
        assert (await runtime.read(at("collector", "c"))).context["got"] == ["HI"]


# -- persistent children -------------------------------------------------------------------------

CHILD = {
    "initial": "start",
    "states": {"start": {"entry": send_parent("childSaysHi"), "on": {"hiFromParent": "done"}}, "done": {}},
}
PARENT = {
    "initial": "idle",
    "states": {
        "idle": {"on": {"run": "running"}},
        "running": {
            "entry": [
                assign(actor1=lambda context: spawn_persistent("child", context={"uid": context["uid"]})),
                send_to("child", "hiFromParent"),
                send_to(lambda context: context["actor1"], "hiFromParent", delay=200),
            ],
            "invoke": {"id": "child", "src": persistent("child"), "data": {"uid": lambda context: context["uid"]}},
            "initial": "start",
            "states": {
                "start": {"on": {"childSaysHi": "awaitingSecondChild"}},
                "awaitingSecondChild": {"on": {"childSaysHi": "done"}},
                "done": {},
            },
        },
    },
}


def from_user_or(machine: str) -> Any:
    def allow_write(request: WriteRequest) -> bool:
        if request.sender is not None:
            return request.sender.machine == machine
        return bool(request.auth_context.get("sub") == request.context.get("uid"))

    return allow_write


def the_pair(world: World) -> None:
    world.machine("parent", PARENT, allow_write=from_user_or("child"))
    world.machine(
        "child", CHILD, allow_write=lambda request: request.sender is not None and request.sender.machine == "parent"
    )


async def children_of(runtime: Runtime, address: Address) -> dict[str, Address]:
    record = await runtime.inspect(address)
    children = record.snapshot.children.values()
    return {child.id: Address(ORG, child.source, child.instance or "") for child in children}


async def test_the_parent_and_both_its_children_end_where_they_should(world: World) -> None:
    the_pair(world)
    ann = {"sub": "ann"}
    async with world.running() as runtime:
        await runtime.create_instance(at("parent"), {"uid": "ann"}, auth_context=ann)
        await runtime.send(at("parent"), "run", auth_context=ann)
        await runtime.idle()
        children = await children_of(runtime, at("parent"))
        spawned = next(address for key, address in children.items() if key != "child")
        assert (await runtime.read(at("parent"))).state == {"running": "done"}
        assert (await runtime.read(children["child"])).state == "done"
        assert (await runtime.read(spawned)).state == "start"
        await world.clock.advance(200)
        await runtime.idle()
        assert (await runtime.read(spawned)).state == "done"
        assert (await runtime.read(spawned)).context == {"uid": "ann"}
        assert await types(runtime, spawned) == ["xstate.init", "hiFromParent"]
        assert await types(runtime, at("parent")) == ["xstate.init", "run", "childSaysHi", "childSaysHi"]


async def test_the_pair_ends_the_same_when_the_process_stops_after_any_step(world: World) -> None:
    the_pair(world)
    async with world.running() as runtime:
        await runtime.create_instance(at("parent"), {"uid": "ann"})
        await runtime.send(at("parent"), "run")
    for _ in range(4):
        async with world.running() as runtime:
            await world.clock.advance(100)
    async with world.running() as runtime:
        await runtime.idle()
        states = [
            (await runtime.read(address)).state for address in (await children_of(runtime, at("parent"))).values()
        ]
        assert states == ["done", "done"]
        assert (await runtime.read(at("parent"))).state == {"running": "done"}


async def test_strangers_cannot_pose_as_the_child(world: World) -> None:
    the_pair(world)
    async with world.running() as runtime:
        await runtime.create_instance(at("parent"), {"uid": "ann"})
        with pytest.raises(Exception, match="refused"):
            await runtime.send(at("parent"), "childSaysHi", auth_context={"sub": "eve"})


HOUSE = {
    "initial": "out",
    "states": {
        "out": {"on": {"IN": "in"}},
        "in": {
            "invoke": {"id": "kid", "src": persistent("kid", name="kid-1"), "onDone": "proud", "onError": "sad"},
            "on": {"OUT": "out"},
        },
        "proud": {},
        "sad": {},
    },
}
KID = {
    "initial": "a",
    "states": {"a": {"after": {"60000": "z"}, "on": {"END": "z"}}, "z": {"type": "final", "data": 7}},
}


async def test_leaving_the_invoking_state_stops_the_child(world: World) -> None:
    world.machine("house", HOUSE)
    world.machine("kid", KID)
    async with world.running() as runtime:
        await runtime.create_instance(at("house"))
        await runtime.send(at("house"), "IN")
        await runtime.idle()
        assert (await runtime.read(at("kid", "kid-1"))).state == "a"
        await runtime.send(at("house"), "OUT")
        await runtime.idle()
        assert (await runtime.inspect(at("kid", "kid-1"))).snapshot.status == "stopped"
        assert await runtime.store.pending_mail(at("kid", "kid-1")) == []
        with pytest.raises(InvalidState, match="stopped"):
            await runtime.send(at("kid", "kid-1"), "END")


async def test_a_child_that_ends_is_done_invoke_for_its_parent(world: World) -> None:
    world.machine("house", HOUSE, allow_write=lambda request: request.sender is None)
    world.machine("kid", KID)
    async with world.running() as runtime:
        await runtime.create_instance(at("house"))
        await runtime.send(at("house"), "IN")
        await runtime.idle()
        await runtime.send(at("kid", "kid-1"), "END")
        await runtime.idle()
        assert (await runtime.read(at("house"))).state == "proud"
        assert (await journal(runtime, at("house")))[-1].event == {"type": "done.invoke.kid", "data": 7}
        assert (await runtime.inspect(at("house"))).snapshot.children == {}


async def test_a_child_that_cannot_be_created_is_an_error_of_the_child(world: World) -> None:
    world.machine("house", HOUSE)
    world.machine("kid", KID, allow_write=lambda request: False)
    async with world.running() as runtime:
        await runtime.create_instance(at("house"))
        await runtime.send(at("house"), "IN")
        for pause in (0, 1_000, 5_000, 15_000, 30_000):
            await world.clock.advance(pause)
            await runtime.idle()
        assert (await runtime.read(at("house"))).state == "sad"
        entry = (await journal(runtime, at("house")))[-1]
        assert entry.event["type"] == "error.platform.kid"
        assert entry.event["data"]["name"] == "AuthorizerRefused"


async def test_a_child_of_a_machine_that_does_not_exist_is_an_error_of_the_child(world: World) -> None:
    world.machine("house", HOUSE)
    async with world.running() as runtime:
        await runtime.create_instance(at("house"))
        await runtime.send(at("house"), "IN")
        for pause in (0, 1_000, 5_000, 15_000, 30_000):
            await world.clock.advance(pause)
            await runtime.idle()
        assert (await runtime.read(at("house"))).state == "sad"


async def test_a_thousand_children_are_all_created_and_heard(world: World) -> None:
    count = 1000 if world.settings.closing_grace == 0 else 0
    world.machine(
        "parent",
        {
            "initial": "a",
            "context": {"heard": 0},
            "states": {
                "a": {
                    "on": {
                        "GO": {
                            "actions": [
                                assign(lambda c, e, i=i: {"last": spawn_persistent("child")}) for i in range(count)
                            ]
                        },
                        "childSaysHi": {"actions": assign(heard=lambda context: context["heard"] + 1)},
                    }
                }
            },
        },
    )
    world.machine("child", CHILD)
    async with world.running() as runtime:
        await runtime.create_instance(at("parent"))
        await runtime.send(at("parent"), "GO")
        await runtime.idle()
        assert (await runtime.read(at("parent"))).context["heard"] == count


async def test_closing_while_mail_is_in_flight_loses_none_of_it(world: World) -> None:
    world.machine("collector", COLLECTOR)
    many = [send_to(reference("collector", f"c{number % 7}"), f"N{number}") for number in range(100)]
    world.machine("m", {"initial": "a", "states": {"a": {"on": {"GO": {"actions": many}}}}})
    async with world.running() as runtime:
        for number in range(7):
            await runtime.create_instance(at("collector", f"c{number}"))
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "GO")
    for _ in range(5):
        async with world.running():
            for _ in range(20):
                await asyncio.sleep(0)
    async with world.running() as runtime:
        await runtime.idle()
        got = [(await runtime.read(at("collector", f"c{number}"))).context["got"] for number in range(7)]
        assert got == [[f"N{n}" for n in range(number, 100, 7)] for number in range(7)]
