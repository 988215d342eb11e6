"""Upkeep: what goes by itself once its time is over, and what stays."""

from __future__ import annotations

import asyncio

import msgspec

from perdure.durable.upkeep_records import JournalRetention, LogEntry
from tests.durable.world import ORG, FaultyWorld, World, at, journal

PLAIN = {"initial": "a", "states": {"a": {}}}
DAY = 86_400_000.0


async def test_journals_are_shortened_by_the_rule_of_their_machine_and_others_are_not(world: World) -> None:
    world.machine("short", PLAIN)
    world.machine("long", PLAIN)
    async with world.running() as runtime:
        await runtime.store.set_retention(JournalRetention(org=ORG, machine="short", entries_max=3))
        for machine in ("short", "long"):
            await runtime.create_instance(at(machine))
            for n in range(9):
                await runtime.send(at(machine), {"type": "E", "n": n})
        await world.clock.advance(world.settings.upkeep_interval)
        async with asyncio.timeout(30):
            while len(await journal(runtime, at("short"))) > 3:  # noqa: ASYNC110 - the store's thread signals nothing
                await asyncio.sleep(0)
        assert [entry.event.get("n") for entry in await journal(runtime, at("short"))] == [6, 7, 8]
        assert len(await journal(runtime, at("long"))) == 10
        await runtime.send(at("short"), "MORE")
        assert (await runtime.read(at("short"))).state == "a"


async def test_journals_are_shortened_by_age_and_keep_their_newest_entry(world: World) -> None:
    world.machine("m", PLAIN)
    async with world.running() as runtime:
        await runtime.store.set_retention(JournalRetention(org=ORG, machine="m", age_max=DAY))
        await runtime.create_instance(at("m"))
        world.clock._now += DAY / 2
        await runtime.send(at("m"), {"type": "E", "n": 1})
        world.clock._now += DAY * 0.75
        assert await runtime.upkeep.once() == 1
        assert [entry.event.get("n") for entry in await journal(runtime, at("m"))] == [1]
        world.clock._now += 9 * DAY
        assert await runtime.upkeep.once() == 0
        assert [entry.event.get("n") for entry in await journal(runtime, at("m"))] == [1]


async def test_receipts_and_logs_go_when_their_time_is_over(world: World) -> None:
    world.machine("m", PLAIN)
    world.settings = msgspec.structs.replace(world.settings, receipt_lifetime=1_000.0, log_lifetime=2_000.0)
    entry = LogEntry(
        org=ORG, machine="m", instance="one", version_id="v", at=world.clock.now(), output_type="stdout", text="hello"
    )
    async with world.running() as runtime:
        await runtime.create_instance(at("m"), idempotency_key="k")
        await runtime.store.append_logs([entry])
        world.clock._now += 1_001
        assert await runtime.upkeep.once() == 1
        assert await runtime.store.receipt(at("m"), "k") is None
        world.clock._now += 1_000
        assert await runtime.upkeep.once() == 1
        assert await runtime.store.logs(ORG, since=0.0, until=1e15, limit=9) == []


async def test_upkeep_goes_on_after_a_failure() -> None:
    world = FaultyWorld()
    world.machine("m", PLAIN)
    world.settings = msgspec.structs.replace(world.settings, receipt_lifetime=1_000.0)
    async with world.running() as runtime:
        await runtime.create_instance(at("m"), idempotency_key="k")
        world.faults.fail("prune_receipts", times=1)
        await world.clock.advance(world.settings.upkeep_interval)
        assert await runtime.store.receipt(at("m"), "k") is not None
        await world.clock.advance(world.settings.upkeep_interval)
        assert await runtime.store.receipt(at("m"), "k") is None
        assert world.faults.calls["prune_receipts"] >= 2
