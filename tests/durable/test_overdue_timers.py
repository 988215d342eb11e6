"""Timers whose time comes while no process runs: after the restart they fire at once, in the order they were due in.

Instances work side by side. Those of one instance are applied in that order; those of several are handed out in it.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from perdure import assign, send
from perdure.durable.limits import Limits
from tests.durable.world import World, at, soon

AWAY = 1_000_000.0
COUNT = 300
"""Timers that are overdue together: more than are handed out at a time."""


def rung(context: Any, event: Any) -> list[str]:
    return [*context["rung"], event["name"]]


def alarm_clock(world: World) -> list[str]:
    """A machine that sets an alarm when asked, and notes those that ring; and a list of all that any instance has had,
    in the order in which they have had them."""
    heard: list[str] = []
    ring = send(
        lambda context, event: {"type": "RING", "name": event["name"]}, delay=lambda context, event: event["delay"]
    )
    on = {"SET": {"actions": ring}, "RING": {"actions": [assign(rung=rung), "hear"]}}
    world.machine(
        "clock",
        {"initial": "on", "context": {"rung": []}, "states": {"on": {"on": on}}},
        actions={"hear": lambda context, event: heard.append(event["name"])},
    )
    return heard


def shuffled(count: int, stride: int) -> list[int]:
    """The numbers below ``count``, which has no divisor in common with ``stride``, in an order of no use."""
    return [(place * stride + 57) % count for place in range(count)]


def setting(delay: float, name: str | None = None) -> dict[str, Any]:
    return {"type": "SET", "name": f"{delay:g}" if name is None else name, "delay": delay}


@pytest.mark.parametrize("count", [5, COUNT])
async def test_overdue_timers_of_one_instance_fire_at_once_after_a_restart_in_the_order_of_their_times(
    world: World, count: int
) -> None:
    alarm_clock(world)
    delays = [10 + 7 * place for place in shuffled(count, 113)]
    async with world.running() as runtime:
        await runtime.create_instance(at("clock"))
        for delay in delays:
            await runtime.send(at("clock"), setting(delay))
        await runtime.send(at("clock"), setting(AWAY + 1_000, "later"))
    await world.clock.advance(AWAY)
    async with world.running() as runtime:
        await soon(runtime.idle())
        assert (await runtime.read(at("clock"))).context["rung"] == [f"{delay}" for delay in sorted(delays)]
        await world.clock.advance(1_000)
        await soon(runtime.idle())
        assert (await runtime.read(at("clock"))).context["rung"][count:] == ["later"]


async def alarms_of_many(world: World, limits: Limits) -> list[str]:
    """What is heard after a restart, without any time passing, from as many instances, each with one overdue alarm."""
    heard = alarm_clock(world)
    async with world.running() as runtime:
        for place in shuffled(COUNT, 113):
            await runtime.create_instance(at("clock", f"c{place}"))
        for place in shuffled(COUNT, 77):
            await runtime.send(at("clock", f"c{place}"), setting(10_000.0 + place, f"{place}"))
    await world.clock.advance(AWAY)
    assert heard == []
    world.settings = msgspec.structs.replace(world.settings, limits=limits)
    async with world.running() as runtime:
        await soon(runtime.idle())
    return heard


async def test_overdue_timers_of_several_instances_all_fire_at_once_after_a_restart(world: World) -> None:
    assert sorted(await alarms_of_many(world, Limits()), key=int) == [f"{place}" for place in range(COUNT)]


async def test_overdue_timers_of_several_instances_are_handed_out_in_the_order_of_their_times(world: World) -> None:
    one_by_one = Limits(in_flight_max=1)  # or else what is handed out in order is worked on side by side
    assert await alarms_of_many(world, one_by_one) == [f"{place}" for place in range(COUNT)]
