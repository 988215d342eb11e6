"""Former lives: what a deleted instance, or a child that was left, still has on its way reaches no successor."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure import NotFound, assign, persistent, send, send_to
from tests.durable.world import ORG, FaultyWorld, World, a_while, at, soon, types


@pytest.fixture
def world() -> FaultyWorld:
    return FaultyWorld()


async def test_nothing_of_a_deleted_instance_reaches_the_one_that_takes_its_name(world: FaultyWorld) -> None:
    """Not what its service returned, not what its action raised, not what it sent to itself, not its timers."""
    served: list[asyncio.Event] = []
    acting: list[asyncio.Event] = []

    async def begin(lives: list[asyncio.Event]) -> None:
        lives.append(asyncio.Event())
        await lives[-1].wait()

    async def service() -> None:
        await begin(served)

    async def act() -> None:
        await begin(acting)
        raise ValueError("of an action")

    states = {
        "a": {
            "entry": ["act", send("TIMER", delay=1_000)],
            "invoke": {"id": "call", "src": service},
            "on": {"*": {"actions": assign(got=lambda c, e: [*c["got"], e["type"]])}, "SELF": {"actions": send("X")}},
        }
    }
    world.machine("m", {"initial": "a", "context": {"got": []}, "states": states}, actions={"act": act})
    async with world.running() as runtime:
        first = asyncio.ensure_future(runtime.create_instance(at("m")))
        await a_while()
        held = world.faults.hold("delete_instance")
        deleting = asyncio.ensure_future(runtime.delete_instance(at("m")))
        await held.wait_reached()
        second = asyncio.ensure_future(runtime.create_instance(at("m")))
        served[0].set()
        acting[0].set()
        await a_while()
        await world.clock.advance(1)
        held.open()
        await soon(deleting)
        with pytest.raises(NotFound):
            await soon(first)
        await a_while()
        assert len(served) == len(acting) == 2
        assert await types(runtime, at("m")) == ["xstate.init"]
        await world.clock.advance(999)
        await a_while()
        assert (await runtime.read(at("m"))).context["got"] == []
        served[1].set()
        acting[1].set()
        assert sorted((await soon(second)).context["got"]) == ["done.invoke.call", "error.execution"]


async def test_what_actions_and_services_do_to_what_they_were_given_is_nothing_to_other_instances(
    world: FaultyWorld,
) -> None:
    async def service(given: dict[str, Any]) -> int:
        given["numbers"].append(1)
        return len(given["numbers"])

    invoke = {
        "src": service,
        "data": {"numbers": []},
        "onDone": {"target": "b", "actions": assign(n=lambda c, e: e["data"])},
    }
    states = {"a": {"entry": [assign(items=[]), "act"], "invoke": invoke}, "b": {}}
    world.machine("m", {"initial": "a", "states": states}, actions={"act": lambda context: context["items"].append(1)})
    async with world.running() as runtime:
        for name in ("one", "another"):
            assert (await soon(runtime.create_instance(at("m", name)))).context == {"items": [], "n": 1}


async def test_a_delete_that_fails_leaves_the_services_running(world: FaultyWorld) -> None:
    go = asyncio.Event()

    async def service() -> None:
        await go.wait()

    invoke = {"id": "call", "src": service, "onDone": "b", "onError": "c"}
    world.machine("m", {"initial": "a", "states": {"a": {"invoke": invoke}, "b": {}, "c": {}}})
    async with world.running() as runtime:
        created = asyncio.ensure_future(runtime.create_instance(at("m")))
        await a_while()
        world.faults.fail("delete_instance")
        with pytest.raises(Exception, match="on purpose"):
            await runtime.delete_instance(at("m"))
        go.set()
        assert (await soon(created)).state == "b"


def house(world: World) -> None:
    invoke = {"id": "kid", "src": persistent("kid"), "onDone": "proud", "onError": "sad"}
    world.machine(
        "house",
        {
            "initial": "out",
            "states": {
                "out": {"on": {"IN": "in"}},
                "in": {"invoke": invoke, "on": {"OUT": "out"}},
                "proud": {},
                "sad": {},
            },
        },
    )
    world.machine("kid", {"initial": "a", "states": {"a": {"on": {"END": "z"}}, "z": {"type": "final"}}})


async def kid_of(runtime: Any) -> Any:
    record = await runtime.inspect(at("house"))
    return at("kid", record.snapshot.children["kid"].instance)


async def test_the_end_of_a_child_that_was_left_is_not_taken_for_its_successors(world: FaultyWorld) -> None:
    house(world)
    async with world.running() as runtime:
        await runtime.create_instance(at("house"))
        await runtime.send(at("house"), "IN")
        await soon(runtime.idle())
        former = await kid_of(runtime)
        held = world.faults.hold("due_mail")  # so that the child's word and the parent's steps cross
        runtime.delivery.notice(await runtime.store.pending_mail(at("house")) or [_any_mail()])
        await held.wait_reached()
        await runtime.send(former, "END")
        await runtime.send(at("house"), "OUT")
        await runtime.send(at("house"), "IN")
        held.open()
        await soon(runtime.idle())
        assert (await runtime.read(at("house"))).state == "in"
        successor = await kid_of(runtime)
        assert successor != former
        await runtime.send(successor, "END")
        await soon(runtime.idle())
        assert (await runtime.read(at("house"))).state == "proud"
        assert (await types(runtime, at("house"))).count("done.invoke.kid") == 1
        assert await runtime.store.pending_mail(at("house")) == []


def house_with_one_kid(world: World) -> None:
    """The same, whose kid has the same name each time."""
    house(world)
    invoke = {"id": "kid", "src": persistent("kid", name="one"), "onDone": "proud", "onError": "sad"}
    states = {"out": {"on": {"IN": "in"}}, "in": {"invoke": invoke, "on": {"OUT": "out"}}, "proud": {}, "sad": {}}
    world.machine("house", {"initial": "out", "states": states})


async def test_the_end_of_a_child_of_a_former_life_is_not_taken_for_that_of_one_with_the_same_name(
    world: FaultyWorld,
) -> None:
    house_with_one_kid(world)
    async with world.running() as runtime:
        await runtime.create_instance(at("house"))
        await runtime.send(at("house"), "IN")
        await soon(runtime.idle())
        held = world.faults.hold("due_mail")
        await runtime.delete_instance(at("house"))
        await runtime.send(at("kid"), "END")  # before it learns that its parent is gone
        await runtime.create_instance(at("house"))
        await runtime.send(at("house"), "IN")
        held.open()
        await soon(runtime.idle())
        assert await types(runtime, at("house")) == ["xstate.init", "IN", "error.platform.kid"]
        assert (await runtime.read(at("house"))).state == "sad"  # there is a kid of that name already


def _any_mail() -> Any:
    from perdure.durable.records import Mail

    return Mail(id="x", kind="event", sender=at("m"), target=at("m"), due_at=0.0)


async def test_a_child_is_stopped_by_its_parents_alone(world: FaultyWorld) -> None:
    invoke = {"id": "kid", "src": persistent("kid", name="one"), "onError": "out"}
    config = {
        "initial": "out",
        "states": {"out": {"on": {"IN": "in"}}, "in": {"invoke": invoke, "on": {"OUT": "out"}}},
    }
    world.machine("house", config)
    world.machine("kid", {"initial": "a", "states": {"a": {}}})
    async with world.running() as runtime:
        for name in ("family", "stranger"):
            await runtime.create_instance(at("house", name))
            await runtime.send(at("house", name), "IN")
            await soon(runtime.idle())
        await runtime.send(at("house", "stranger"), "OUT")
        for pause in (1_000, 5_000, 15_000, 30_000, 1_000):
            await world.clock.advance(pause)
            await soon(runtime.idle())
        assert (await runtime.inspect(at("kid"))).snapshot.status == "active"
        await runtime.send(at("house", "family"), "OUT")
        await soon(runtime.idle())
        assert (await runtime.inspect(at("kid"))).snapshot.status == "stopped"


async def test_an_event_is_applied_to_the_instance_that_has_taken_the_name_whatever_a_process_remembers(
    world: FaultyWorld,
) -> None:
    note = {"actions": assign(got=lambda c, e: [*c["got"], e["by"]])}
    world.machine("m", {"initial": "a", "context": {"got": []}, "states": {"a": {"on": {"GO": note}}}})
    async with world.running() as one, world.running() as other:
        await one.create_instance(at("m"))
        await one.send(at("m"), {"type": "GO", "by": "one, in the former life"})
        await other.delete_instance(at("m"))
        await other.create_instance(at("m"))
        await other.send(at("m"), {"type": "GO", "by": "other"})  # at the sequence number that the other life was at
        await one.send(at("m"), {"type": "GO", "by": "one"})
        assert (await one.read(at("m"))).context == {"got": ["other", "one"]}


async def test_a_request_to_an_instance_that_another_process_has_deleted_is_not_answered_for_its_successor(
    world: FaultyWorld,
) -> None:
    go = asyncio.Event()

    async def service() -> None:
        await go.wait()

    invoke = {"id": "call", "src": service, "onDone": "c", "onError": "c"}
    states = {"a": {"on": {"GO": "b"}}, "b": {"invoke": invoke}, "c": {}}
    world.machine("m", {"initial": "a", "context": {"life": 1}, "states": states})
    async with world.running() as one, world.running() as other:
        await one.create_instance(at("m"))
        sending = asyncio.ensure_future(one.send(at("m"), "GO", idempotency_key="key"))
        await a_while()
        await other.delete_instance(at("m"))
        await other.create_instance(at("m"), {"life": 2}, idempotency_key="key")
        await other.send(at("m"), "NEXT")
        go.set()
        with pytest.raises(NotFound):
            await soon(sending)
        created = await other.create_instance(at("m"), {"life": 2}, idempotency_key="key")
        assert created.ts < (await other.read(at("m"))).ts  # the receipt is as it was


async def test_what_an_action_says_to_an_instance_that_another_process_has_deleted_is_void(world: FaultyWorld) -> None:
    go = asyncio.Event()

    async def act() -> None:
        await go.wait()
        raise ValueError("of a former life")

    world.machine("m", {"on": {"GO": {"actions": "act"}}}, actions={"act": act})
    async with world.running() as one, world.running() as other:
        await one.create_instance(at("m"))
        sending = asyncio.ensure_future(one.send(at("m"), "GO"))
        await a_while()
        await other.delete_instance(at("m"))
        await other.create_instance(at("m"))
        go.set()
        with pytest.raises(NotFound):
            await soon(sending)
        assert await types(other, at("m")) == ["xstate.init"]


async def test_that_a_former_life_could_not_have_its_child_is_not_told_to_the_next_one(world: FaultyWorld) -> None:
    invoke = {"id": "kid", "src": persistent("kid", name="one"), "data": {"life": lambda c: c["life"]}}
    states = {"a": {"invoke": {**invoke, "onError": "b"}}, "b": {}}
    world.machine("house", {"initial": "a", "context": {"life": 1}, "states": states})
    world.machine("kid", {}, allow_write=lambda request: (request.context or {})["life"] == 2)
    async with world.running() as runtime:
        await runtime.create_instance(at("house"))
        for pause in (1_000, 5_000, 15_000):
            await soon(runtime.idle())
            await world.clock.advance(pause)
        await soon(runtime.idle())
        await runtime.delete_instance(at("house"))
        await runtime.create_instance(at("house"), {"life": 2})
        await soon(runtime.idle())
        await world.clock.advance(30_000)  # the last attempt for the former life, with the first one for this behind it
        await soon(runtime.idle())
        await world.clock.advance(30_000)
        await soon(runtime.idle())
        assert [letter.kind for letter in (await runtime.dead_letters.list(ORG)).rows] == ["create"]
        assert (await runtime.read(at("house"))).state == "a"
        assert (await runtime.read(at("kid"))).context == {"life": 2}


async def test_mail_to_a_former_life_is_not_applied_to_the_next_one(world: FaultyWorld) -> None:
    reference = {"type": "statebacked.instance", "id": "x", "machineName": "c", "machineInstanceName": "one"}
    world.machine("m", {"initial": "a", "states": {"a": {"on": {"GO": {"actions": send_to(reference, "OLD")}}}}})
    note = {"actions": assign(got=lambda c, e: [*c["got"], e["type"]])}
    world.machine("c", {"initial": "a", "context": {"got": []}, "states": {"a": {"on": {"*": note}}}})
    async with world.running() as runtime:
        for machine in ("c", "m"):
            await runtime.create_instance(at(machine))
        held = world.faults.hold("delete_instance")
        deleting = asyncio.ensure_future(runtime.delete_instance(at("c")))
        await held.wait_reached()
        creating = asyncio.ensure_future(runtime.create_instance(at("c")))
        await asyncio.sleep(0)
        await runtime.send(at("m"), "GO")
        await a_while()  # OLD waits in the inbox, behind the creation
        held.open()
        await soon(deleting)
        await soon(creating)
        await soon(runtime.idle())
        assert (await runtime.read(at("c"))).context["got"] == []


async def test_pausing_beside_a_running_service_refuses_its_word_and_the_machine_learns_it_later(
    world: FaultyWorld,
) -> None:
    go = asyncio.Event()

    async def service() -> None:
        await go.wait()

    invoke = {"id": "call", "src": service, "onDone": "b", "onError": "c"}
    world.machine("m", {"initial": "a", "states": {"a": {"invoke": invoke}, "b": {}, "c": {}}})
    async with world.running() as runtime:
        created = asyncio.ensure_future(runtime.create_instance(at("m")))
        await a_while()
        await runtime.set_status(at("m"), "paused")
        go.set()
        assert (await soon(created)).state == "a"
        await runtime.set_status(at("m"), "running")
        assert (await runtime.send(at("m"), "NEXT")).state == "c"
