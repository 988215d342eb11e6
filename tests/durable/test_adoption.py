"""Instances with several parents: who hears of them, who may have them, and who ends them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure import (
    Address,
    EventFailed,
    InstanceEnded,
    InvalidParameter,
    Runtime,
    TooManyChildren,
    WriteRequest,
    adopt,
    assign,
    escalate,
    instance_reference,
    persistent,
    send_parent,
    spawn_persistent,
    stop,
)
from perdure.durable.limits import Limits
from perdure.durable.runtime import RuntimeSettings
from tests.durable.world import ORG, World, at, soon, types

NOTE = {"actions": assign(got=lambda context, event: [*context["got"], event["type"]])}
KID = at("kid", "k")


def parent(*, detached: bool = False, sync: bool = False, child: str = "k") -> dict[str, Any]:
    """Spawns ``kid/k`` at BEAR, adopts it at ADOPT, lets it go at STOP, ends at END, and notes the rest."""
    return {
        "initial": "on",
        "context": {"got": []},
        "states": {
            "on": {
                "on": {
                    "BEAR": {"actions": assign(kid=lambda: spawn_persistent("kid", id="own", name=child))},
                    "ADOPT": {
                        "actions": adopt(
                            lambda: instance_reference("kid", child), id="ward", detached=detached, sync=sync
                        )
                    },
                    "STOP": {"actions": [stop("own"), stop("ward")]},
                    "END": "off",
                    "*": NOTE,
                }
            },
            "off": {"type": "final"},
        },
    }


KID_CONFIG: dict[str, Any] = {
    "initial": "on",
    "context": {"n": 0},
    "states": {
        "on": {
            "on": {
                "CRY": {"actions": send_parent("CRIED")},
                "FAIL": {"actions": escalate("hungry")},
                "GROW": {"actions": assign(n=lambda context: context["n"] + 1)},
                "GO": "off",
            }
        },
        "off": {"type": "final", "data": 7},
    },
}


def family(world: World, **options: Any) -> None:
    world.machine("mother", parent())
    world.machine("father", parent(**options))
    world.machine("kid", KID_CONFIG)


async def settle(world: World, runtime: Runtime, *pauses: float) -> None:
    for pause in (0, *pauses):
        await world.clock.advance(pause)
        await soon(runtime.idle())


async def got(runtime: Runtime, address: Address) -> list[str]:
    heard: list[str] = (await runtime.read(address)).context["got"]
    return heard


async def status(runtime: Runtime, address: Address) -> str:
    return (await runtime.inspect(address)).snapshot.status


async def both_parents(world: World, runtime: Runtime) -> None:
    for name in ("mother", "father"):
        await runtime.create_instance(at(name))
    await runtime.send(at("mother"), "BEAR")
    await settle(world, runtime)
    await runtime.send(at("father"), "ADOPT")
    await settle(world, runtime)


async def test_an_adopted_child_speaks_to_all_its_parents_each_by_the_id_it_has_there(world: World) -> None:
    family(world)
    async with world.running() as runtime:
        await both_parents(world, runtime)
        for event in ("CRY", "FAIL", "GO"):
            await runtime.send(KID, event)
        await settle(world, runtime)
        assert await got(runtime, at("mother")) == ["CRIED", "error.platform.own", "done.invoke.own"]
        assert await got(runtime, at("father")) == ["CRIED", "error.platform.ward", "done.invoke.ward"]
        assert [parent.child_id for parent in (await runtime.inspect(KID)).parents] == ["own", "ward"]


async def test_an_adopting_parent_that_wants_to_know_learns_at_once_where_the_child_stands(world: World) -> None:
    family(world, sync=True)
    async with world.running() as runtime:
        await both_parents(world, runtime)
        await runtime.send(KID, "GROW")
        await settle(world, runtime)
        assert await got(runtime, at("father")) == ["xstate.update", "xstate.update"]
        assert await got(runtime, at("mother")) == []


async def test_a_former_adoption_that_fails_is_no_error_of_a_later_one_under_the_same_id(world: World) -> None:
    """The father lets go before he is told, and asks again; word of the first attempt then is of nobody any more."""
    family(world)
    async with world.running() as runtime:
        await runtime.create_instance(at("father"))
        for event in ("ADOPT", "STOP", "ADOPT"):
            await runtime.send(at("father"), event)
        await settle(world, runtime, 1_000, 5_000, 15_000, 30_000)
        await runtime.create_instance(KID)
        await settle(world, runtime, 60_000)
        assert [parent.child_id for parent in (await runtime.inspect(KID)).parents] == ["ward"]
        assert await got(runtime, at("father")) == []
        await runtime.send(at("father"), "STOP")
        await settle(world, runtime)
        assert await status(runtime, KID) == "stopped"


async def test_a_parent_that_fails_to_take_the_word_of_a_child_it_cannot_have_is_told_again(world: World) -> None:
    failures = iter([True])

    def heard(context: dict[str, Any], event: dict[str, Any]) -> list[str]:
        if next(failures, False):
            raise ValueError("not now")
        return [*context["got"], event["type"]]

    on = {
        "ADOPT": {"actions": adopt(instance_reference("kid", "k"), id="ward")},
        "error.platform.*": {"actions": assign(got=heard)},
    }
    world.machine("father", {"context": {"got": []}, "on": on})
    world.machine("kid", KID_CONFIG)
    async with world.running() as runtime:
        await runtime.create_instance(at("father"))
        await runtime.send(at("father"), "ADOPT")
        await settle(world, runtime, 1_000, 5_000, 15_000, 30_000, 30_000)
        assert await got(runtime, at("father")) == ["error.platform.ward"]
        assert (await runtime.inspect(at("father"))).snapshot.children == {}


async def test_adoption_survives_a_restart_at_every_step(world: World) -> None:
    family(world)
    async with world.running() as runtime:
        for name in ("mother", "father"):
            await runtime.create_instance(at(name))
        await runtime.send(at("mother"), "BEAR")
    async with world.running() as runtime:
        await runtime.send(at("father"), "ADOPT")
    for _ in range(3):
        async with world.running():
            pass
    async with world.running() as runtime:
        await settle(world, runtime, 60_000)
        await runtime.send(KID, "CRY")
        await settle(world, runtime)
        assert await got(runtime, at("mother")) == await got(runtime, at("father")) == ["CRIED"]


@pytest.mark.parametrize(("first", "last"), [("mother", "father"), ("father", "mother")])
@pytest.mark.parametrize("ending", ["STOP", "END"])
async def test_a_child_lives_as_long_as_one_of_its_parents_holds_it(
    world: World, first: str, last: str, ending: str
) -> None:
    family(world)
    async with world.running() as runtime:
        await both_parents(world, runtime)
        await runtime.send(at(first), ending)
        await settle(world, runtime)
        assert await status(runtime, KID) == "active"
        await runtime.send(KID, "CRY")
        await settle(world, runtime)
        assert "CRIED" in await got(runtime, at(last))
        assert "CRIED" not in await got(runtime, at(first))
        await runtime.send(at(last), ending)
        await settle(world, runtime)
        assert await status(runtime, KID) == "stopped"
        assert (await types(runtime, KID)).count("xstate.stop") == 1


async def test_a_detached_adoption_neither_holds_the_child_nor_ends_it(world: World) -> None:
    family(world, detached=True)
    async with world.running() as runtime:
        await both_parents(world, runtime)
        await runtime.create_instance(at("father", "other"))
        await runtime.send(at("father", "other"), "ADOPT")
        await settle(world, runtime)
        await runtime.send(at("father", "other"), "END")
        await settle(world, runtime)
        assert await status(runtime, KID) == "active"
        await runtime.send(at("mother"), "STOP")
        await settle(world, runtime)
        assert await status(runtime, KID) == "stopped"


async def test_deleting_one_of_two_parents_leaves_the_child_to_the_other(world: World) -> None:
    family(world)
    async with world.running() as runtime:
        await both_parents(world, runtime)
        await runtime.delete_instance(at("mother"))
        await settle(world, runtime)
        assert await status(runtime, KID) == "active"
        await runtime.delete_instance(at("father"))
        await settle(world, runtime)
        assert await status(runtime, KID) == "stopped"


async def test_allow_write_of_the_child_decides_who_may_adopt_it(world: World) -> None:
    asked: list[WriteRequest] = []

    def allow_write(request: WriteRequest) -> bool:
        if request.event is not None and request.event["type"] == "perdure.adopt":
            asked.append(request)
            return request.sender is not None and request.sender.instance != "stranger"
        return True

    world.machine("father", parent())
    world.machine("kid", KID_CONFIG, allow_write=allow_write)
    async with world.running() as runtime:
        await runtime.create_instance(KID)
        for name in ("stranger", "one"):
            await runtime.create_instance(at("father", name))
            await runtime.send(at("father", name), "ADOPT")
        await settle(world, runtime, 1_000, 5_000, 15_000, 30_000)
        await runtime.send(KID, "CRY")
        await settle(world, runtime)
        assert await got(runtime, at("father", "stranger")) == ["error.platform.ward"]
        assert await got(runtime, at("father")) == ["CRIED"]
        assert (asked[0].type, asked[0].event) == ("event", {"type": "perdure.adopt", "id": "ward"})
        assert asked[0].auth_context["stateBackedSender"]["machineName"] == "father"


@pytest.mark.parametrize(("name", "pauses"), [("ended", ()), ("absent", (1_000, 5_000, 15_000, 30_000))])
async def test_adopting_what_has_ended_or_is_not_there_is_an_error_of_the_child(
    world: World, name: str, pauses: tuple[float, ...]
) -> None:
    world.machine("father", parent(child=name))
    world.machine("kid", KID_CONFIG)
    async with world.running() as runtime:
        await runtime.create_instance(at("kid", "ended"))
        await runtime.send(at("kid", "ended"), "GO")
        await runtime.create_instance(at("father"))
        await runtime.send(at("father"), "ADOPT")
        await settle(world, runtime, *pauses)
        assert await got(runtime, at("father")) == ["error.platform.ward"]
        assert (await runtime.inspect(at("father"))).snapshot.children == {}


async def test_a_child_adopted_again_under_the_same_id_has_one_tie_and_under_another_id_two(world: World) -> None:
    world.machine("father", parent())
    world.machine("kid", KID_CONFIG)
    async with world.running() as runtime:
        await runtime.create_instance(KID)
        await runtime.create_instance(at("father"))
        for _ in range(2):
            await runtime.send(at("father"), "ADOPT")
        await runtime.adopt(at("father"), KID, child_id="twin")
        await settle(world, runtime)
        assert [tie.child_id for tie in (await runtime.inspect(KID)).parents] == ["ward", "twin"]
        await runtime.send(KID, "CRY")
        await settle(world, runtime)
        assert await got(runtime, at("father")) == ["CRIED", "CRIED"]


async def test_an_id_that_another_child_has_goes_to_the_adopted_one_and_the_other_is_let_go(world: World) -> None:
    world.machine("father", parent())
    world.machine("kid", KID_CONFIG)
    async with world.running() as runtime:
        await runtime.create_instance(at("kid", "second"))
        await runtime.create_instance(at("father"))
        await runtime.send(at("father"), "BEAR")
        await runtime.adopt(at("father"), at("kid", "second"), child_id="own")
        await settle(world, runtime)
        assert await status(runtime, KID) == "stopped"
        assert (await runtime.inspect(at("father"))).snapshot.children["own"].instance == "second"


async def test_the_host_application_has_an_instance_adopt_another(world: World) -> None:
    world.machine("father", parent())
    world.machine("kid", KID_CONFIG)
    async with world.running() as runtime:
        await runtime.create_instance(KID)
        await runtime.create_instance(at("father"))
        await runtime.adopt(at("father"), KID)
        await settle(world, runtime)
        await runtime.send(KID, "GO")
        await settle(world, runtime)
        assert await got(runtime, at("father")) == ["done.invoke.k"]
        assert "perdure.adopt" in await types(runtime, at("father"))


async def test_nobody_adopts_itself_or_after_its_end_or_across_orgs(world: World) -> None:
    world.machine("father", parent())
    async with world.running() as runtime:
        await runtime.create_instance(at("father"))
        with pytest.raises(EventFailed, match="cannot adopt itself"):
            await runtime.adopt(at("father"), at("father"))
        with pytest.raises(InvalidParameter, match="another org"):
            await runtime.adopt(at("father"), Address("org_other", "kid", "k"))
        await runtime.send(at("father"), "END")
        with pytest.raises(InstanceEnded, match="'done'"):
            await runtime.adopt(at("father"), KID)


RING: dict[str, Any] = {
    "initial": "on",
    "states": {
        "on": {
            "on": {
                "ADOPT": {
                    "actions": adopt(lambda context, event: instance_reference("ring", event["name"]), id="next")
                },
                "CALL": {"actions": send_parent("CALLED")},
                "STOP": {"actions": stop("next")},
                "END": "off",
            }
        },
        "off": {"type": "final"},
    },
}


@pytest.mark.parametrize("ending", ["STOP", "END", "delete"])
async def test_a_ring_of_parents_ends_when_one_of_them_lets_go(world: World, ending: str) -> None:
    world.machine("ring", RING)
    names = ["a", "b", "c"]
    async with world.running() as runtime:
        for name in names:
            await runtime.create_instance(at("ring", name))
        for name, child in zip(names, [*names[1:], names[0]], strict=True):
            await runtime.send(at("ring", name), {"type": "ADOPT", "name": child})
        await settle(world, runtime)
        await runtime.send(at("ring", "a"), "CALL")
        await settle(world, runtime)
        assert (await types(runtime, at("ring", "c")))[-1] == "CALLED"
        if ending == "delete":
            await runtime.delete_instance(at("ring", "a"))
        else:
            await runtime.send(at("ring", "a"), ending)
        await settle(world, runtime)
        for name in names[1:]:
            assert await status(runtime, at("ring", name)) == "stopped"
            assert (await types(runtime, at("ring", name))).count("xstate.stop") == 1
        assert (await runtime.store.list_dead_letters(ORG, cursor=None, limit=9)).rows == []


async def test_more_children_than_one_may_have_fail_the_event_that_wants_them(world: World) -> None:
    many = {"actions": assign(lambda: {"last": [spawn_persistent("kid", id=f"k{number}") for number in range(9)][-1]})}
    world.machine("m", {"initial": "a", "states": {"a": {"on": {"MANY": many, "ONE": {
        "actions": assign(lambda: {"last": spawn_persistent("kid")})}}}}})  # fmt: skip
    world.machine("kid", KID_CONFIG)
    world.settings = RuntimeSettings(closing_grace=0, limits=Limits(children_max=9))
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "MANY")
        with pytest.raises(TooManyChildren, match="10 children; the limit is 9"):
            await runtime.send(at("m"), "ONE")
        assert len((await runtime.inspect(at("m"))).snapshot.children) == 9
        await settle(world, runtime)


async def test_a_hundred_thousand_children_are_refused_soon_and_as_a_whole(world: World) -> None:
    world.machine("m", {"initial": "a", "states": {"a": {"on": {"MANY": {"actions": assign(
        lambda: {"last": [spawn_persistent("kid") for _ in range(100_000)][-1]})}}}}})  # fmt: skip
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        with pytest.raises(EventFailed, match="more than 1,000 messages"):
            await asyncio.wait_for(runtime.send(at("m"), "MANY"), 60)
        assert (await runtime.inspect(at("m"))).snapshot.children == {}


async def test_a_persistent_child_of_an_invocation_can_be_adopted_by_a_second_machine(world: World) -> None:
    world.machine("house", {"initial": "in", "states": {
        "in": {"invoke": {"id": "kid", "src": persistent("kid", name="k")}, "on": {"OUT": "out"}}, "out": {},
    }})  # fmt: skip
    world.machine("father", parent())
    world.machine("kid", KID_CONFIG)
    async with world.running() as runtime:
        await runtime.create_instance(at("house"))
        await runtime.create_instance(at("father"))
        await settle(world, runtime)
        await runtime.send(at("father"), "ADOPT")
        await settle(world, runtime)
        await runtime.send(at("house"), "OUT")
        await settle(world, runtime)
        assert await status(runtime, KID) == "active"
