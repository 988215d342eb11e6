"""Parents and their persistent children: what each learns of the other, and who ends whom."""

from __future__ import annotations

from typing import Any

import pytest

from perdure import (
    InstanceEnded,
    InvalidParameter,
    Runtime,
    WriteRequest,
    assign,
    persistent,
    send_parent,
    send_to,
    spawn_persistent,
    stop,
)
from perdure.durable.records import Address
from tests.durable.world import ORG, World, at, journal, soon, types

NOTE = {"actions": assign(got=lambda context, event: [*context["got"], event])}
COUNTER: dict[str, Any] = {
    "initial": "on",
    "context": {"n": 0},
    "states": {
        "on": {
            "tags": ["busy"],
            "on": {
                "ADD": {"actions": assign(n=lambda context: context["n"] + 1)},
                "END": "off",
                "NOTHING": {"actions": []},
            },
        },
        "off": {"type": "final", "data": lambda context: context["n"]},
    },
}


def home(**invoke: Any) -> dict[str, Any]:
    """A parent that notes whatever it hears, and has the child ``counter/kid`` as ``kid`` while it is ``in``."""
    src = invoke.pop("src", persistent("counter", name="kid"))
    return {
        "initial": "in",
        "context": {"got": []},
        "on": {"*": NOTE},
        "states": {"in": {"invoke": {"id": "kid", "src": src, **invoke}, "on": {"OUT": "out"}}, "out": {}},
    }


KID = at("counter", "kid")


async def got(runtime: Runtime, address: Address) -> list[Any]:
    heard: list[Any] = (await runtime.read(address)).context["got"]
    return heard


async def status(runtime: Runtime, address: Address) -> str:
    return (await runtime.inspect(address)).snapshot.status


async def dead_letters(runtime: Runtime) -> list[tuple[str, str]]:
    page = await runtime.store.list_dead_letters(ORG, cursor=None, limit=100)
    return [(mail.kind, str(mail.target)) for mail in page.rows]


# -- what a child is given ---------------------------------------------------------------------------------------------


async def test_an_invoked_child_is_given_its_invocations_data_or_nothing(world: World) -> None:
    world.machine("plain", home())
    world.machine("giving", home(src=persistent("counter"), data={"n": lambda: 5}))
    world.machine("counter", COUNTER)
    async with world.running() as runtime:
        for parent in ("plain", "giving"):
            await runtime.create_instance(at(parent))
        await soon(runtime.idle())
        given = (await runtime.inspect(at("giving"))).snapshot.children["kid"]
        assert given.instance is not None
        assert (await runtime.read(KID)).context == {"n": 0}
        assert (await runtime.read(at("counter", given.instance))).context == {"n": 5}


async def test_a_child_of_an_older_version_runs_that_version(world: World) -> None:
    world.machine("counter", COUNTER)
    async with world.running() as runtime:
        (old,) = (await runtime.store.list_versions(ORG, "counter", cursor=None, limit=9)).rows
        source = (
            "from perdure import create_machine\n"
            "machine = create_machine({'id': 'counter', 'initial': 'new', 'states': {'new': {}}})\n"
            "allow_read = allow_write = lambda request: True\n"
        )
        await runtime.deploy(ORG, "counter", source, file_name="counter.py")
        world.machine("m", home(src=persistent("counter", name="kid", version=old.id)))
        await runtime.register(ORG, "m", world.definitions["m"])
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        assert (await runtime.read(KID)).state == "on"


# -- what a parent hears -----------------------------------------------------------------------------------------------


async def test_a_synchronised_child_tells_its_parent_where_it_stands_after_each_commit_that_moves_it(
    world: World,
) -> None:
    world.machine("m", home(sync=True), allow_write=lambda request: request.sender is None)
    world.machine("counter", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        for event in ("ADD", "NOTHING", "UNKNOWN", "END"):
            await runtime.send(KID, event)
            await soon(runtime.idle())

        def update(value: str, n: int, *, done: bool, tags: list[str]) -> dict[str, Any]:
            status = "done" if done else "active"
            state = {"status": status, "value": value, "context": {"n": n}, "done": done, "tags": tags}
            return {"type": "xstate.update", "id": "kid", "state": state}

        assert await got(runtime, at("m")) == [
            update("on", 0, done=False, tags=["busy"]),
            update("on", 1, done=False, tags=["busy"]),
            update("off", 1, done=True, tags=[]),
            {"type": "done.invoke.kid", "data": 1},
        ]


def appended(context: dict[str, Any]) -> list[int]:
    context["n"].append(1)  # in place, which no assigner should do
    changed: list[int] = context["n"]
    return changed


@pytest.mark.parametrize(
    ("before", "change", "after"), [([], appended, [1]), (1, lambda: True, True), (0, lambda: 0.0, 0.0)]
)
@pytest.mark.parametrize("beside", [[], [send_to("nobody", "HELLO")]])
async def test_a_parent_hears_of_a_change_that_python_takes_for_none(
    world: World, before: Any, change: Any, after: Any, beside: list[Any]
) -> None:
    world.machine("m", home(sync=True))
    world.machine("counter", {"context": {"n": before}, "on": {"SET": {"actions": [assign(n=change), *beside]}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        await runtime.send(KID, "SET")
        await soon(runtime.idle())
        heard = [event["state"]["context"]["n"] for event in await got(runtime, at("m"))]
        assert repr(heard) == repr([before if change is not appended else [], after])


async def test_updates_survive_a_restart_and_each_is_heard_once(world: World) -> None:
    world.machine("m", home(sync=True))
    world.machine("counter", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        await runtime.send(KID, "ADD")
    async with world.running() as runtime:
        await soon(runtime.idle())
        assert [event["state"]["context"]["n"] for event in await got(runtime, at("m"))] == [0, 1]


async def test_a_child_that_is_asked_for_snapshots_sends_them_under_its_own_name(world: World) -> None:
    world.machine("m", home(onSnapshot=NOTE))
    world.machine("counter", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        await runtime.send(KID, "ADD")
        await soon(runtime.idle())
        heard = await got(runtime, at("m"))
        assert [event["type"] for event in heard] == ["xstate.snapshot.kid"] * 2
        assert [event["snapshot"]["context"]["n"] for event in heard] == [0, 1]


async def test_a_child_that_gets_every_event_of_its_parent_gets_them_first_and_once(world: World) -> None:
    config = home(autoForward=True, sync=True)
    config["states"]["in"]["after"] = {"1000": {"actions": []}}
    world.machine("m", config)
    world.machine("counter", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        await runtime.send(at("m"), "ADD")
        await world.clock.advance(1000)
        await soon(runtime.idle())
        assert await types(runtime, KID) == ["xstate.init", "ADD", "xstate.after(1000)#m.in"]
        assert (await runtime.read(KID)).context == {"n": 1}


async def test_a_child_that_gets_every_event_of_its_parent_is_not_ended_by_the_error_of_a_sibling(world: World) -> None:
    async def fail() -> None:
        raise ValueError("no such card")

    config = home(autoForward=True)
    config["states"]["in"]["invoke"] = [config["states"]["in"]["invoke"], {"id": "card", "src": fail, "onError": {}}]
    world.machine("m", config)
    world.machine("counter", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        assert await types(runtime, at("m")) == ["xstate.init", "error.platform.card"]
        assert await types(runtime, KID) == ["xstate.init"]
        assert await status(runtime, KID) == "active"
        assert await dead_letters(runtime) == []


async def test_an_update_of_a_child_that_was_left_meanwhile_is_void(world: World) -> None:
    world.machine("m", home(sync=True))
    world.machine("counter", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        heard = len(await got(runtime, at("m")))
        await runtime.set_status(at("m"), "paused")
        await runtime.send(KID, "ADD")
        await soon(runtime.idle())
        await runtime.set_status(at("m"), "running")
        await runtime.send(at("m"), "OUT")
        await world.clock.advance(60_000)
        await soon(runtime.idle())
        assert len(await got(runtime, at("m"))) == heard
        assert await dead_letters(runtime) == []


async def test_word_of_a_detached_child_to_a_parent_that_has_ended_is_void(world: World) -> None:
    config = home(src=persistent("counter", name="kid", detached=True), sync=True)
    config["on"]["LEAVE"] = ".gone"
    config["states"]["gone"] = {"type": "final"}
    world.machine("m", config)
    world.machine("counter", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        await runtime.send(at("m"), "LEAVE")
        for event in ("ADD", "END"):
            await runtime.send(KID, event)
        await soon(runtime.idle())
        assert (await types(runtime, at("m")))[-1] == "LEAVE"
        assert await dead_letters(runtime) == []


# -- children that cannot be -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("src", "error"),
    [
        (persistent("counter", name="taken"), "InstanceExists"),
        (persistent("counter", name="kid", version="ver_of_nobody"), "InvalidParameter"),
    ],
)
async def test_a_child_whose_name_or_version_cannot_be_is_an_error_at_once(world: World, src: Any, error: str) -> None:
    world.machine("m", home(src=src, onError={"target": "out", **NOTE}))
    world.machine("counter", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("counter", "taken"))
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        (event,) = await got(runtime, at("m"))
        assert (event["type"], event["data"]["name"]) == ("error.platform.kid", error)
        assert (await runtime.read(at("m"))).state == "out"
        assert await status(runtime, at("counter", "taken")) == "active"


async def test_a_child_of_a_refused_name_fails_the_event_that_wants_it(world: World) -> None:
    config = home()
    config["on"]["SPAWN"] = {"actions": assign(kid=lambda: spawn_persistent("counter", name="no spaces"))}
    world.machine("m", config)
    world.machine("counter", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        with pytest.raises(Exception, match="'no spaces'"):
            await runtime.send(at("m"), "SPAWN")


async def test_stopping_a_child_that_was_never_created_leaves_no_dead_letter_but_its_creation(world: World) -> None:
    world.machine("m", home())
    world.machine("counter", COUNTER, allow_write=lambda request: request.sender is None)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "OUT")
        for pause in (0, 1_000, 5_000, 15_000, 30_000, 30_000):
            await world.clock.advance(pause)
            await soon(runtime.idle())
        assert await dead_letters(runtime) == [("create", "counter/kid")]
        assert await runtime.store.pending_mail(KID) == []


async def test_an_id_used_twice_is_the_later_child_and_the_former_is_stopped(world: World) -> None:
    config = home()
    config["on"]["SPAWN"] = {
        "actions": assign(kid=lambda context, event: spawn_persistent("counter", id="same", name=event["name"]))
    }
    world.machine("m", config)
    world.machine("counter", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        for name in ("kid-a", "kid-b"):
            await runtime.send(at("m"), {"type": "SPAWN", "name": name})
        await soon(runtime.idle())
        assert await status(runtime, at("counter", "kid-a")) == "stopped"
        assert await status(runtime, at("counter", "kid-b")) == "active"


# -- who ends whom -----------------------------------------------------------------------------------------------------


async def test_a_stopped_child_is_read_and_refuses_events_as_ended(world: World) -> None:
    world.machine("m", home())
    world.machine("counter", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "OUT")
        await soon(runtime.idle())
        assert (await runtime.read(KID)).state == "on"
        with pytest.raises(InstanceEnded, match="stopped"):
            await runtime.send(KID, "ADD")


async def test_a_message_to_an_instance_that_was_stopped_is_a_dead_letter_at_once(world: World) -> None:
    config = home()
    reference = {"type": "statebacked.instance", "id": "x", "machineName": "counter", "machineInstanceName": "kid"}
    config["on"]["TELL"] = {"actions": send_to(lambda: reference, "ADD")}
    world.machine("m", config)
    world.machine("counter", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "OUT")
        await runtime.send(at("m"), "TELL")
        await soon(runtime.idle())
        assert await dead_letters(runtime) == [("event", "counter/kid")]


async def test_stop_by_reference_ends_a_child_with_its_own_children(world: World) -> None:
    config = home()
    config["on"]["SPAWN"] = {"actions": assign(kid=lambda: spawn_persistent("middle", name="mid"))}
    config["on"]["STOP"] = {"actions": stop(lambda context: context["kid"])}
    world.machine("m", config)
    world.machine("middle", home(src=persistent("counter", name="grandkid")))
    world.machine("counter", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "SPAWN")
        await soon(runtime.idle())
        assert await status(runtime, at("counter", "grandkid")) == "active"
        await runtime.send(at("m"), "STOP")
        await soon(runtime.idle())
        assert await status(runtime, at("middle", "mid")) == "stopped"
        assert await status(runtime, at("counter", "grandkid")) == "stopped"


async def test_a_parent_that_ends_stops_its_children_but_the_detached_ones(world: World) -> None:
    config = home()
    config["on"]["SPAWN"] = {
        "actions": assign(kid=lambda: spawn_persistent("counter", name="apart", detached=True)),
    }
    config["on"]["LEAVE"] = ".gone"
    config["states"]["gone"] = {"type": "final"}
    world.machine("m", config)
    world.machine("counter", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "SPAWN")
        await runtime.send(at("m"), "LEAVE")
        await soon(runtime.idle())
        assert await status(runtime, KID) == "stopped"
        assert await status(runtime, at("counter", "apart")) == "active"


async def test_a_child_that_has_its_parent_end_is_stopped_by_it(world: World) -> None:
    world.machine("m", {"initial": "in", "states": {
        "in": {"invoke": {"src": persistent("fatal", name="kid")}, "on": {"DIE": "gone"}}, "gone": {"type": "final"},
    }})  # fmt: skip
    world.machine("fatal", {"initial": "a", "states": {"a": {"entry": send_parent("DIE")}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        assert await status(runtime, at("m")) == "done"
        assert await status(runtime, at("fatal", "kid")) == "stopped"
        assert await types(runtime, at("fatal", "kid")) == ["xstate.init", "xstate.stop"]
        assert await dead_letters(runtime) == []


async def test_deleting_a_parent_stops_its_children_once_even_when_the_process_ends_right_after(world: World) -> None:
    config = home()
    config["on"]["SPAWN"] = {
        "actions": assign(kid=lambda: spawn_persistent("counter", name="apart", detached=True)),
    }
    world.machine("m", config)
    world.machine("counter", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "SPAWN")
        await soon(runtime.idle())
        await runtime.delete_instance(at("m"))
    async with world.running() as runtime:
        await soon(runtime.idle())
        assert await types(runtime, KID) == ["xstate.init", "xstate.stop"]
        assert await status(runtime, at("counter", "apart")) == "active"


async def test_two_lives_of_a_parent_within_the_same_moment_send_mail_of_their_own(world: World) -> None:
    """The clock stands still, and the mail of the first life is still on its way when the second one writes its own."""
    config = home(src=persistent("counter"))
    config["states"]["in"]["entry"] = send_to({**REFERENCE, "machineInstanceName": "late"}, "ADD")
    world.machine("m", config)
    world.machine("counter", COUNTER)
    async with world.running() as runtime:
        for _ in range(3):
            await runtime.create_instance(at("m"))
            await soon(runtime.idle())
            await runtime.delete_instance(at("m"))
        await runtime.create_instance(at("counter", "late"))
        await soon(runtime.idle())  # the delivery has to wait for the clock before that is moved
        await world.clock.advance(1_000)
        await soon(runtime.idle())
        assert (await runtime.read(at("counter", "late"))).context == {"n": 3}


REFERENCE = {"type": "statebacked.instance", "id": "x", "machineName": "counter", "machineInstanceName": "kid"}


# -- what nobody outside may say ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event_type",
    [
        "done.invoke.kid",
        "done.state.m.in",
        "error.platform.kid",
        "error.execution",
        "error.communication",
        "xstate.after(1000)#m.in",
        "xstate.update",
        "xstate.init",
        "statebacked.upgrade",
        "perdure.adopt",
    ],
)
async def test_events_of_the_runtime_are_refused_from_everybody_outside(world: World, event_type: str) -> None:
    world.machine("m", home())
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        for auth_context in (None, {"sub": "ann"}):
            with pytest.raises(InvalidParameter, match="runtime") as refusal:
                await runtime.send(at("m"), {"type": event_type, "data": 1}, auth_context=auth_context)
            assert refusal.value.parameter == "event"
        assert await types(runtime, at("m")) == ["xstate.init"]


@pytest.mark.parametrize("event_type", ["done", "done.shopping", "error", "error.network", "xstate", "doneinvoke.x"])
async def test_events_that_only_sound_like_the_runtimes_are_anybodys(world: World, event_type: str) -> None:
    world.machine("m", home())
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), event_type)
        assert [entry.event["type"] for entry in await journal(runtime, at("m"))] == ["xstate.init", event_type]


async def test_allow_write_of_the_child_sees_who_creates_it(world: World) -> None:
    seen: list[WriteRequest] = []

    def allow_write(request: WriteRequest) -> bool:
        seen.append(request)
        return True

    world.machine("m", home())
    world.machine("counter", COUNTER, allow_write=allow_write)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await soon(runtime.idle())
        (request,) = seen
        assert (request.type, request.machine_instance_name, request.event) == ("initialization", "kid", None)
        assert request.sender is not None
        assert (request.sender.machine, request.sender.instance) == ("m", "one")
