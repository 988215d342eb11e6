"""Indexes of living instances: what they find follows every commit, upgrades among them."""

from __future__ import annotations

from typing import Any

import pytest

from perdure import InstanceEnded, Runtime, assign
from perdure.durable.records import IndexQuery
from perdure.errors import InvalidParameter, NotFound, StoreError
from tests.durable.versions import migrate, register
from tests.durable.world import ORG, FaultyWorld, World, at, types

PERSON: dict[str, Any] = {
    "initial": "here",
    "context": {"city": "Rome"},
    "states": {"here": {"on": {"GO": {"actions": assign(city=lambda context, event: event["city"])}, "DIE": "gone"}}},
}
PERSON["states"]["gone"] = {"type": "final"}
CITY = {"city": "$.city"}


async def found(runtime: Runtime, index: str = "city") -> list[str]:
    page = await runtime.indexes.query(ORG, "person", index, IndexQuery(), limit=100)
    return [f"{row.value}/{row.name}" for row in page.rows]


async def test_an_instance_is_found_by_what_its_last_event_left(world: World) -> None:
    async with world.running() as runtime:
        await register(runtime, "1", PERSON, name="person", index_selectors=CITY)
        await runtime.create_instance(at("person", "ann"))
        before = await found(runtime)
        await runtime.send(at("person", "ann"), {"type": "GO", "city": ["Oslo", "Bonn"]})
        after = await found(runtime)
        await runtime.delete_instance(at("person", "ann"))
        gone = await found(runtime)
    assert (before, after, gone) == (["Rome/ann"], ["Bonn/ann", "Oslo/ann"], [])


async def test_an_upgrade_brings_the_selectors_of_the_new_version(world: World) -> None:
    async with world.running() as runtime:
        await register(runtime, "1", PERSON, name="person", index_selectors=CITY)
        await runtime.create_instance(at("person", "ann"))
        newer = await register(runtime, "2", PERSON, name="person", index_selectors={"city": "$.town"})
        await migrate(runtime, "1", "2", name="person", context=lambda old, new, context: {"town": "Bern"})
        await runtime.upgrades.upgrade(at("person", "ann"), newer.id)
        assert await found(runtime) == ["Bern/ann"]


async def test_a_commit_whose_news_is_lost_is_found_all_the_same() -> None:
    world = FaultyWorld()
    async with world.running() as runtime:
        await register(runtime, "1", PERSON, name="person", index_selectors=CITY)
        await runtime.create_instance(at("person", "ann"))
        for moment, city in (("before", "Oslo"), ("after", "Bonn")):
            world.faults.fail("commit", "before" if moment == "before" else "after")
            with pytest.raises(StoreError):
                await runtime.send(at("person", "ann"), {"type": "GO", "city": city})
        assert await found(runtime) == ["Bonn/ann"]


async def test_resting_paused_and_ended_instances_are_brought_in_without_an_event(world: World) -> None:
    async with world.running() as runtime:
        await register(runtime, "1", PERSON, name="person")
        for name in ("ann", "bob", "cid"):
            await runtime.create_instance(at("person", name))
        await runtime.set_status(at("person", "bob"), "paused")
        await runtime.send(at("person", "cid"), "DIE")
        with pytest.raises(NotFound, match="has no index 'city'"):
            await runtime.indexes.rebuild(ORG, "person", "city")
        await runtime.indexes.add(ORG, "person", "city", "$.city")
        before = await found(runtime)
        page = await runtime.indexes.rebuild(ORG, "person", "city")
        assert (before, page.rebuilt, page.failed, page.cursor) == ([], 3, {}, None)
        assert await found(runtime) == ["Rome/ann", "Rome/bob", "Rome/cid"]
        assert await types(runtime, at("person", "ann")) == ["xstate.init"]


async def test_an_index_without_any_selector_is_refused(world: World) -> None:
    async with world.running() as runtime:
        await register(runtime, "1", PERSON, name="person")
        with pytest.raises(InvalidParameter, match="is not JSONPath"):
            await runtime.indexes.add(ORG, "person", "city", "city")
        with pytest.raises(NotFound):
            await runtime.indexes.add(ORG, "person", "city")


async def test_an_ended_instance_is_told_apart_in_a_whole_upgrade(world: World) -> None:
    async with world.running() as runtime:
        await register(runtime, "1", PERSON, name="person")
        for name in ("ann", "bob"):
            await runtime.create_instance(at("person", name))
        await runtime.send(at("person", "bob"), "DIE")
        newer = await register(runtime, "2", PERSON, name="person")
        await migrate(runtime, "1", "2", name="person")
        planned = await runtime.upgrades.plan(ORG, "person", newer.id)
        applied = await runtime.upgrades.apply(ORG, "person", newer.id)
        with pytest.raises(InstanceEnded):
            await runtime.upgrades.upgrade(at("person", "bob"), newer.id)
    for page in (planned, applied):
        assert [(each.instance, each.kind) for each in page.outcomes] == [("ann", "moved"), ("bob", "ended")]
