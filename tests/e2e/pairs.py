"""Driving parents and their children through a server that dies at any moment, and checking what their journals say.

A driver sends numbered events to a parent, one after the other, and notes which of them the server acknowledged. It
never sends a number twice, so the journal can be held against what was noted: what was acknowledged is in it exactly
once, what was not is in it at most once, and everything is in the order in which it was sent.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perdure import wire
from perdure.client import AsyncClient
from perdure.clock import SystemClock
from perdure.errors import InvalidState, ServerUnreachable
from perdure.json_value import Json, JsonObject

__all__ = ["Pair", "assert_journals_are_true", "drive", "wait_until_ended"]

PARENT, CHILD = "parent-machine", "child-machine"
DELAY_MILLISECONDS = 150
END_SECONDS_MAX = 60.0
LOOK_AGAIN_MILLISECONDS = 20.0

clock = SystemClock()


@dataclass(slots=True)
class Pair:
    """A parent of two children, and what its driver knows: which events it sent, and which were acknowledged.

    Its name is its owner's too.
    """

    name: str
    sent: list[int] = field(default_factory=list)
    acknowledged: set[int] = field(default_factory=set)


# -- driving -----------------------------------------------------------------------------------------------------------


async def drive(client: AsyncClient, pair: Pair, *, notes: int) -> None:
    """Create the pair, send it ``notes`` events before and after ``run``, and go on whatever becomes of the server."""
    await create(client, pair)
    for _ in range(notes):
        await send_once(client, pair, "note")
    while not await send_once(client, pair, "run"):
        if (await read(client, pair)).state != "idle":
            break  # it was applied, only its answer was lost
    for _ in range(notes):
        await send_once(client, pair, "note")


async def create(client: AsyncClient, pair: Pair) -> None:
    while True:
        try:
            await client.create_instance(PARENT, pair.name, {"uid": pair.name, "delayMs": DELAY_MILLISECONDS})
        except ServerUnreachable:
            await clock.sleep(LOOK_AGAIN_MILLISECONDS)
        except InvalidState:
            return  # it was created, only the answer was lost
        else:
            return


async def send_once(client: AsyncClient, pair: Pair, event_type: str) -> bool:
    """Send the next numbered event; whether it was acknowledged. Returns once the server answers (again)."""
    number = len(pair.sent)
    pair.sent.append(number)
    try:
        await client.send(PARENT, pair.name, {"type": event_type, "number": number})
    except ServerUnreachable:
        await read(client, pair)
        return False
    pair.acknowledged.add(number)
    return True


async def read(client: AsyncClient, pair: Pair) -> wire.State:
    while True:
        try:
            return await client.get_instance(PARENT, pair.name)
        except ServerUnreachable:
            await clock.sleep(LOOK_AGAIN_MILLISECONDS)


# -- checking, as an administrator -------------------------------------------------------------------------------------


async def wait_until_ended(client: AsyncClient, pairs: Sequence[Pair]) -> Mapping[str, list[str]]:
    """Wait until the parents and their children are where they should end; each pair's children by its name."""
    async with asyncio.timeout(END_SECONDS_MAX):
        for pair in pairs:
            await wait_for_state(client, PARENT, pair.name, {"running": "done"})
        # A parent is there once both children have said hi, so from now on there are no further ones.
        children = await children_of_all(client)
        for child in itertools.chain.from_iterable(children.values()):
            await wait_for_state(client, CHILD, child, "done")
    return children


async def wait_for_state(client: AsyncClient, machine: str, instance: str, value: Json) -> None:
    while (await client.inspect_instance(machine, instance)).state != value:
        await clock.sleep(LOOK_AGAIN_MILLISECONDS)


async def children_of_all(client: AsyncClient) -> Mapping[str, list[str]]:
    """The names of the children by the pair that they were created for: each pair has a ``uid`` of its own."""
    children: dict[str, list[str]] = defaultdict(list)
    for instance in await client.list_instances(CHILD):
        context = (await client.inspect_instance(CHILD, instance.slug)).context
        children[context["uid"]].append(instance.slug)
    return children


async def assert_journals_are_true(client: AsyncClient, pair: Pair, children: list[str]) -> None:
    """Hold the journals of a pair that has ended against what was sent and acknowledged."""
    parent = await client.inspect_instance(PARENT, pair.name)
    assert parent.state == {"running": "done"}, f"{pair.name} has ended in {parent.state}"
    events = await journal(client, PARENT, pair.name)
    applied = [event["number"] for event in events if "number" in event]
    assert applied == sorted(set(applied)), f"{pair.name}: applied twice, or out of order: {applied}"
    assert set(applied) <= set(pair.sent), f"{pair.name}: applied what nobody sent: {applied}"
    lost = pair.acknowledged - set(applied)
    assert not lost, f"{pair.name}: acknowledged and lost: {sorted(lost)}"

    assert len(children) == 2, f"{pair.name}: both children are created exactly once, not {children}"
    spawned = parent.context["actor1"]["machineInstanceName"]
    assert spawned in children, f"{pair.name}: the child that it refers to, {spawned}, is none of {children}"
    received = Counter(event["type"] for event in events if "number" not in event)
    expected = {"xstate.init": 1, "childSaysHi": 2}
    assert received == expected, f"{pair.name} received {received}"
    for child in children:
        types = [event["type"] for event in await journal(client, CHILD, child)]
        assert types == ["xstate.init", "hiFromParent"], f"the child {child} of {pair.name} received {types}"
        assert (await client.inspect_instance(CHILD, child)).state == "done"


async def journal(client: AsyncClient, machine: str, instance: str) -> list[JsonObject]:
    """The events of an instance, oldest first."""
    return [transition.event for transition in await client.list_transitions(machine, instance)]
