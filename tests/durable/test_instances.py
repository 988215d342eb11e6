"""Instances: creating, sending, reading, watching, pausing, deleting, and many at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure import (
    AuthorizerRefused,
    InstanceExists,
    InvalidParameter,
    InvalidState,
    MachineCodeError,
    MachineConfigError,
    NotFound,
    assign,
)
from tests.durable.world import ORG, World, at, types

COUNTER = {
    "initial": "on",
    "context": {"count": 0, "public": {}},
    "states": {"on": {"tags": ["lit"], "on": {"ADD": {"actions": assign(count=lambda context: context["count"] + 1)}}}},
}


async def test_an_instance_answers_its_state_context_and_tags(world: World) -> None:
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        created = await runtime.create_instance(at("m"), {"count": 5})
        assert (created.state, created.context, created.tags, created.done) == (
            "on",
            {"count": 5, "public": {}},
            ("lit",),
            False,
        )
        assert (await runtime.send(at("m"), "ADD")).context["count"] == 6
    async with world.running() as runtime:
        assert (await runtime.read(at("m"))).context["count"] == 6


async def test_the_loser_of_a_create_race_is_told_that_it_exists(world: World) -> None:
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        answers = await asyncio.gather(*(runtime.create_instance(at("m")) for _ in range(20)), return_exceptions=True)
        assert sum(isinstance(answer, InstanceExists) for answer in answers) == 19
        assert await types(runtime, at("m")) == ["xstate.init"]


@pytest.mark.parametrize("name", ["", "a b", "é", "x" * 129, "a/b"])
async def test_a_bad_name_is_refused(world: World, name: str) -> None:
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        with pytest.raises(InvalidParameter, match="is no name") as refusal:
            await runtime.create_instance(at("m", name))
        assert refusal.value.parameter == "slug"
        with pytest.raises(InvalidParameter):
            await runtime.create_machine(ORG, name)


@pytest.mark.parametrize("event", ["", {}, {"type": 3}, {"typ": "X"}, 7, {"type": "X", "value": object()}])
async def test_what_is_no_event_is_refused(world: World, event: Any) -> None:
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        with pytest.raises(InvalidParameter) as refusal:
            await runtime.send(at("m"), event)
        assert refusal.value.parameter == "event"
        assert await types(runtime, at("m")) == ["xstate.init"]


async def test_what_is_not_there_is_named(world: World) -> None:
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        await runtime.create_machine(ORG, "empty")
        for attempt, message in [
            (runtime.send(at("m"), "ADD"), "machine 'm' has no instance 'one'"),
            (runtime.read(at("nope")), "no machine 'nope'"),
            (runtime.subscribe(at("m")), "no instance"),
            (runtime.set_status(at("m"), "paused"), "no instance"),
            (runtime.delete_instance(at("m")), "no instance"),
            (runtime.create_instance(at("nope")), "no machine 'nope'"),
            (runtime.create_instance(at("empty")), "no current version"),
        ]:
            with pytest.raises(NotFound, match=message):
                await attempt
        with pytest.raises(InvalidParameter, match="no version of machine 'm'"):
            await runtime.create_instance(at("m"), version_id="ver_unknown")
        with pytest.raises(InvalidParameter, match="context"):
            await runtime.create_instance(at("m"), [1])  # type: ignore[arg-type]  # what a careless caller may do


async def test_strangers_may_neither_create_nor_send_nor_read_nor_watch(world: World) -> None:
    world.machine("m", COUNTER)
    stranger = {"sub": "stranger"}
    async with world.running() as runtime:
        with pytest.raises(AuthorizerRefused):
            await runtime.create_instance(at("m"), auth_context=stranger)
        await runtime.create_instance(at("m"), auth_context={"sub": "ann"})
        for attempt in (
            runtime.send(at("m"), "ADD", auth_context=stranger),
            runtime.read(at("m"), auth_context=stranger),
            runtime.subscribe(at("m"), auth_context=stranger),
        ):
            with pytest.raises(AuthorizerRefused):
                await attempt
        assert (await runtime.read(at("m"), auth_context={"sub": "ann"})).context["count"] == 0


async def test_a_watcher_sees_the_current_state_and_then_every_settled_one(world: World) -> None:
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        subscription = await runtime.subscribe(at("m"))
        seen = []
        async for state in subscription:
            seen.append((state.context["count"], state.ts))
            if len(seen) == 4:
                await subscription.close()
            else:
                await runtime.send(at("m"), "ADD")
        assert [count for count, _ in seen] == [0, 1, 2, 3]
        assert sorted(ts for _, ts in seen) == [ts for _, ts in seen]
        assert len({ts for _, ts in seen}) == 4


async def test_a_slow_watcher_gets_the_newest_state(world: World) -> None:
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        subscription = await runtime.subscribe(at("m"))
        for _ in range(10):
            await runtime.send(at("m"), "ADD")
        assert (await anext(aiter(subscription))).context["count"] == 10


async def test_watching_ends_when_the_instance_is_deleted_or_the_runtime_closes(world: World) -> None:
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        for name in ("deleted", "left"):
            await runtime.create_instance(at("m", name))
        watching = [asyncio.ensure_future(collect(await runtime.subscribe(at("m", n)))) for n in ("deleted", "left")]
        await runtime.delete_instance(at("m", "deleted"))
        assert len(await watching[0]) == 1
        assert not watching[1].done()
    assert len(await watching[1]) == 1


async def collect(subscription: Any) -> list[Any]:
    return [state async for state in subscription]


async def test_a_deleted_instance_is_gone_and_its_name_is_free_again(world: World) -> None:
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "ADD")
        await runtime.delete_instance(at("m"))
        with pytest.raises(NotFound):
            await runtime.read(at("m"))
        assert await types(runtime, at("m")) == []
        assert (await runtime.create_instance(at("m"))).context["count"] == 0


async def test_a_paused_instance_refuses_events_and_can_be_read(world: World) -> None:
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.set_status(at("m"), "paused")
        with pytest.raises(InvalidState, match="paused"):
            await runtime.send(at("m"), "ADD")
        assert (await runtime.read(at("m"))).context["count"] == 0
        await runtime.set_status(at("m"), "running")
        assert (await runtime.send(at("m"), "ADD")).context["count"] == 1


async def test_concurrent_events_are_each_applied_once(world: World) -> None:
    world.machine("m", COUNTER)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        answers = await asyncio.gather(*(runtime.send(at("m"), "ADD") for _ in range(200)))
        assert max(answer.context["count"] for answer in answers) == 200
        assert len({answer.ts for answer in answers}) == 200
        assert (await types(runtime, at("m"))).count("ADD") == 200


SOURCE = """
from perdure import create_machine
machine = create_machine({"id": "m", "initial": "%s", "states": {"%s": {}}})
def allow_read(request): return True
def allow_write(request): return True
"""


async def test_an_instance_keeps_the_version_it_was_created_with(world: World) -> None:
    async with world.running() as runtime:
        await runtime.create_machine(ORG, "m")
        first = await runtime.deploy(ORG, "m", SOURCE % ("old", "old"), file_name="m.py")
        await runtime.create_instance(at("m", "a"))
        await runtime.deploy(ORG, "m", SOURCE % ("new", "new"), file_name="m.py")
        await runtime.create_instance(at("m", "b"))
        await runtime.create_instance(at("m", "c"), version_id=first.id)
    async with world.running() as runtime:
        states = [(await runtime.send(at("m", name), "X")).state for name in ("a", "b", "c")]
        assert states == ["old", "new", "old"]


HOOKED = """
import perdure
machine = perdure.create_machine({})
allow_read = allow_write = print
http_api = {"hook": {"handler": lambda: None}}
"""


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("x = (", 1, "syntax error"),
        ("import perdure\nimport no_such_module\n", 2, "ModuleNotFoundError"),
        ("def f():\n    raise ValueError('x')\n\nf()\n", 2, "ValueError: x"),
        ("raise SystemExit(3)", 1, "SystemExit"),
        ("machine = 1", None, "lacks allow_read, allow_write"),
        ("machine = 1\nallow_read = allow_write = print", None, "machine is a int"),
        (
            "import perdure\nmachine = perdure.create_machine({})\nallow_read = 1\nallow_write = print",
            None,
            "allow_read",
        ),
        (
            "import perdure\nmachine = perdure.create_machine({})\nasync def allow_read(r): ...\nallow_write = print",
            None,
            "allow_read must be a plain function",
        ),
        (
            "import perdure\nmachine = perdure.create_machine({})\nallow_read = print\ndef allow_write(a, b): ...",
            None,
            "allow_write must be a plain function of one request",
        ),
        (
            HOOKED,
            None,
            r"http_api\['hook'\]\['handler'\] must be a function of one request",
        ),
    ],
)
async def test_code_that_cannot_be_a_version_says_where_and_why_and_the_running_version_stays(
    world: World, source: str, line: int | None, reason: str
) -> None:
    async with world.running() as runtime:
        await runtime.create_machine(ORG, "m")
        version = await runtime.deploy(ORG, "m", SOURCE % ("old", "old"), file_name="m.py")
        with pytest.raises(MachineCodeError, match=reason) as refusal:
            await runtime.deploy(ORG, "m", source, file_name="broken.py")
        assert (refusal.value.file, refusal.value.line) == ("broken.py", line)
        machine = await runtime.store.machine(ORG, "m")
        assert machine is not None
        assert machine.current_version == version.id


async def test_a_defective_config_is_refused_with_every_defect(world: World) -> None:
    source = SOURCE.replace('"initial"', '"inital"') % ("a", "b")
    async with world.running() as runtime:
        await runtime.create_machine(ORG, "m")
        with pytest.raises(MachineConfigError) as refusal:
            await runtime.deploy(ORG, "m", source, file_name="m.py")
        assert [defect.path for defect in refusal.value.defects] == ["$.inital", "$"]


async def test_two_runtimes_on_one_store_lose_no_event() -> None:
    from tests.durable.world import memory_store

    world = World(memory_store())
    world.machine("m", COUNTER)
    async with world.running() as one, world.running() as other:
        await one.create_instance(at("m"))
        await asyncio.gather(*(runtime.send(at("m"), "ADD") for _ in range(50) for runtime in (one, other)))
        record = await one.store.load(at("m"))
        assert record is not None
        assert record.snapshot.context["count"] == 100
        assert (await types(one, at("m"))).count("ADD") == 100
