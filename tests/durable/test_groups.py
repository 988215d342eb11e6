"""Groups of instances and broadcasts: every member once, as of the commit, in the sender's order, whatever fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure import (
    Address,
    EventFailed,
    InvalidParameter,
    Runtime,
    WriteRequest,
    assign,
    broadcast,
    instance_reference,
    join_group,
    leave_group,
    send,
    send_to,
)
from perdure.durable.records import Mail
from perdure.stores.memory import MemoryStore
from tests.durable.world import ORG, FaultyWorld, World, a_while, at, soon, types

NOTE = {"actions": assign(got=lambda context, event: [*context["got"], event["type"]])}
MEMBER: dict[str, Any] = {
    "initial": "on",
    "context": {"got": []},
    "states": {
        "on": {
            "on": {
                "JOIN": {"actions": join_group(lambda context, event: event.get("name", "room"))},
                "LEAVE": {"actions": leave_group("room")},
                "LATER": {"actions": broadcast("room", {"type": "HEARD"})},
                "SAY": {"actions": [broadcast("room", lambda context, event: {"type": event["what"]})]},
                "END": "off",
                "*": NOTE,
            }
        },
        "off": {"type": "final"},
    },
}
SPEAKER: dict[str, Any] = {
    "initial": "on",
    "context": {"got": []},
    "states": {
        "on": {
            "on": {
                "SAY": {
                    "actions": [
                        send_to(instance_reference("member", "m0"), "BEFORE"),
                        broadcast("room", "HELLO"),
                        send_to(instance_reference("member", "m0"), "AFTER"),
                        send_to(instance_reference("member", "stranger"), "AFTER"),
                    ]
                },
                "TELL": {"actions": broadcast(lambda context, event: event["to"], "TOLD")},
                "SELF": {"actions": [join_group("room"), broadcast("room", "HELLO"), send("OWN")]},
                "*": NOTE,
            }
        }
    },
}


async def got(runtime: Runtime, name: str, machine: str = "member") -> list[str]:
    heard: list[str] = (await runtime.read(at(machine, name))).context["got"]
    return heard


async def room(runtime: Runtime, count: int) -> list[Address]:
    members = [at("member", f"m{number}") for number in range(count)]
    for member in members:
        await runtime.create_instance(member)
        await runtime.send(member, "JOIN")
    return members


async def settle(world: World, runtime: Runtime, *pauses: float) -> None:
    for pause in (0, *pauses):
        await world.clock.advance(pause)
        await soon(runtime.idle())


def machines(world: World, **options: Any) -> None:
    world.machine("member", MEMBER, **options)
    world.machine("speaker", SPEAKER)


async def test_every_member_gets_a_broadcast_once_and_in_the_order_of_its_sender(world: World) -> None:
    machines(world)
    async with world.running() as runtime:
        await room(runtime, 5)
        await runtime.create_instance(at("member", "stranger"))
        await runtime.create_instance(at("speaker"))
        for _ in range(2):
            await runtime.send(at("speaker"), "SAY")
        await settle(world, runtime)
        assert await got(runtime, "m0") == ["BEFORE", "HELLO", "AFTER"] * 2
        for number in range(1, 5):
            assert await got(runtime, f"m{number}") == ["HELLO", "HELLO"]
        assert await got(runtime, "stranger") == ["AFTER", "AFTER"]


class SlowToTell(MemoryStore):
    """Takes its time to say what is on its way to an instance, while the rest goes on."""

    async def pending_mail(self, address: Address) -> list[Mail]:
        for _ in range(100):
            await asyncio.sleep(0)
        return await super().pending_mail(address)


async def test_what_a_member_tells_itself_before_its_broadcast_is_heard_before_it_though_the_store_is_slow() -> None:
    store = SlowToTell()
    world = World(lambda: store)
    machines(world)
    tell = send_to(instance_reference("speaker", "one"), "BEFORE")
    on = {"SAY": {"actions": [tell, broadcast("room", "HELLO")]}, "*": NOTE}
    world.machine("speaker", {"entry": join_group("room"), "context": {"got": []}, "on": on})
    async with world.running() as runtime:
        await runtime.create_instance(at("speaker"))
        await runtime.send(at("speaker"), "SAY")
        await settle(world, runtime)
        assert await got(runtime, "one", "speaker") == ["BEFORE", "HELLO"]


async def test_a_timer_that_falls_due_while_a_slow_store_is_asked_about_own_mail_goes_off_at_once() -> None:
    store = SlowToTell()
    world = World(lambda: store)
    world.machine(
        "speaker",
        {
            "entry": send("RING", delay=1_000),
            "context": {"got": []},
            "on": {"GO": {"actions": send("OWN")}, "*": NOTE},
        },
    )
    async with world.running() as runtime:
        await runtime.create_instance(at("speaker"))
        going = asyncio.create_task(runtime.send(at("speaker"), "GO"))
        await a_while()
        await world.clock.advance(1_000)
        await soon(going)
        await soon(runtime.idle())
        assert await got(runtime, "one", "speaker") == ["OWN", "RING"]


async def test_members_see_who_broadcasts_and_may_refuse(world: World) -> None:
    seen: list[WriteRequest] = []

    def allow_write(request: WriteRequest) -> bool:
        if request.sender is not None:
            seen.append(request)
        return request.sender is None

    machines(world, allow_write=allow_write)
    async with world.running() as runtime:
        await room(runtime, 1)
        await runtime.create_instance(at("speaker"))
        await runtime.send(at("speaker"), {"type": "TELL", "to": "room"})
        await settle(world, runtime, 1_000, 5_000, 15_000, 30_000)
        assert {(request.sender.machine if request.sender else None) for request in seen} == {"speaker"}
        assert len(seen) == 5
        (dead,) = (await runtime.store.list_dead_letters(ORG, cursor=None, limit=9)).rows
        assert (dead.kind, dead.target) == ("share", at("member", "m0"))


async def test_who_joins_or_leaves_after_the_broadcast_counts_as_before_it(world: World) -> None:
    """The runtime is closed before anything is delivered, and the members change while the mail lies there."""
    machines(world)
    async with world.running() as runtime:
        await room(runtime, 3)
        await runtime.create_instance(at("member", "late"))
        held = runtime.delivery
        await held.close()
        await runtime.send(at("member", "m0"), "LATER")
        await runtime.send(at("member", "m1"), "LEAVE")
        await runtime.send(at("member", "late"), "JOIN")
    async with world.running() as runtime:
        await settle(world, runtime)
        assert [await got(runtime, name) for name in ("m0", "m1", "m2", "late")] == [["HEARD"]] * 3 + [[]]
        page = await runtime.group_members(ORG, "room")
        assert [member.instance for member in page.rows] == ["m0", "m2", "late"]


async def test_members_that_have_ended_or_are_deleted_are_passed_over_without_dead_letters(world: World) -> None:
    machines(world)
    async with world.running() as runtime:
        await room(runtime, 4)
        await runtime.delivery.close()
        await runtime.send(at("member", "m0"), "LATER")
        await runtime.send(at("member", "m1"), "END")
        await runtime.delete_instance(at("member", "m2"))
    async with world.running() as runtime:
        await settle(world, runtime, 60_000)
        assert await got(runtime, "m0") == await got(runtime, "m3") == ["HEARD"]
        assert (await types(runtime, at("member", "m1")))[-1] in ("END", "HEARD")
        assert (await runtime.store.list_dead_letters(ORG, cursor=None, limit=9)).rows == []
        page = await runtime.group_members(ORG, "room")
        assert [member.instance for member in page.rows] == ["m0", "m3"]


async def test_a_sender_that_is_a_member_hears_itself_before_what_it_tells_itself_later(world: World) -> None:
    machines(world)
    async with world.running() as runtime:
        await runtime.create_instance(at("speaker"))
        await runtime.send(at("speaker"), "SELF")
        await settle(world, runtime)
        assert await got(runtime, "one", "speaker") == ["HELLO", "OWN"]


async def test_a_broadcast_to_references_reaches_each_of_them(world: World) -> None:
    machines(world)
    async with world.running() as runtime:
        members = await room(runtime, 3)
        await runtime.create_instance(at("speaker"))
        references = [instance_reference(member.machine, member.instance) for member in members[1:]]
        await runtime.send(at("speaker"), {"type": "TELL", "to": references})
        await settle(world, runtime)
        assert [await got(runtime, f"m{number}") for number in range(3)] == [[], ["TOLD"], ["TOLD"]]


@pytest.mark.parametrize("to", [7, None, "no spaces"])
async def test_a_broadcast_to_what_is_no_audience_fails_the_event(world: World, to: Any) -> None:
    machines(world)
    async with world.running() as runtime:
        await runtime.create_instance(at("speaker"))
        with pytest.raises(EventFailed, match=r"broadcast goes to|no name of a group"):
            await runtime.send(at("speaker"), {"type": "TELL", "to": to})


async def test_a_name_that_no_group_can_have_fails_the_event_that_joins_it(world: World) -> None:
    machines(world)
    async with world.running() as runtime:
        await runtime.create_instance(at("member"))
        with pytest.raises(EventFailed, match="no name of a group"):
            await runtime.send(at("member"), {"type": "JOIN", "name": "a/b"})


async def test_the_host_application_broadcasts_to_a_group_and_to_a_list_asking_nobody(world: World) -> None:
    machines(world, allow_write=lambda request: False)
    async with world.running() as runtime:
        members = await room(runtime, 3)
        await runtime.broadcast(ORG, "room", "NEWS")
        await runtime.broadcast(ORG, [members[0], at("member", "absent")], {"type": "WORD"})
        await runtime.broadcast(ORG, "room", "MORE")
        await runtime.broadcast(ORG, [], "NOTHING")
        await settle(world, runtime, 60_000)
        assert await got(runtime, "m0") == ["NEWS", "WORD", "MORE"]
        assert await got(runtime, "m2") == ["NEWS", "MORE"]
        assert (await runtime.store.list_dead_letters(ORG, cursor=None, limit=9)).rows == []
        with pytest.raises(InvalidParameter, match="no name"):
            await runtime.broadcast(ORG, "no spaces", "NEWS")
        with pytest.raises(InvalidParameter, match="runtime alone"):
            await runtime.broadcast(ORG, "room", "done.invoke.kid")


async def test_a_broadcast_goes_on_after_every_restart_and_reaches_each_member_once(world: World) -> None:
    machines(world)
    async with world.running() as runtime:
        await room(runtime, 40)
        await runtime.create_instance(at("speaker"))
        await runtime.delivery.close()
        for _ in range(2):
            await runtime.send(at("speaker"), {"type": "TELL", "to": "room"})
    for _ in range(12):
        async with world.running() as runtime:
            await runtime.store.expand_broadcast("unknown", 1)
    async with world.running() as runtime:
        await settle(world, runtime)
        for number in range(40):
            assert await got(runtime, f"m{number}") == ["TOLD", "TOLD"]


@pytest.mark.parametrize("method", ["expand_broadcast", "due_mail", "commit", "drop_mail", "is_broadcasting"])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_members_get_a_broadcast_once_though_the_store_fails_again_and_again(method: str, moment: Any) -> None:
    world = FaultyWorld()
    machines(world)
    async with world.running() as runtime:
        await room(runtime, 6)
        await runtime.create_instance(at("speaker"))
        await runtime.delete_instance(at("member", "m5"))
        await settle(world, runtime)
        await runtime.send(at("speaker"), "SAY")
        world.faults.fail(method, moment, times=3)
        for _ in range(60):
            await world.clock.advance(1_000)
        world.faults.end()
        await settle(world, runtime, 60_000)
        assert await got(runtime, "m0") == ["BEFORE", "HELLO", "AFTER"]
        assert [await got(runtime, f"m{number}") for number in range(1, 5)] == [["HELLO"]] * 4
