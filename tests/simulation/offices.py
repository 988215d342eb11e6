"""What clients and the host application do besides sending events, and what they must find afterwards.

Broadcasts, adoptions, dead letters that are sent once more, and requests with an idempotency key, which are made again
and again, be it after an answer, after an error or after the death of whoever was asked.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from perdure import PerdureError, Runtime
from perdure.durable.upkeep_records import decode_answer
from perdure.durable.watchers import InstanceState
from tests.simulation.families import ORG, Act

if TYPE_CHECKING:
    from tests.simulation.world import RandomWorld, Request

__all__ = ["Offices"]


class Offices:
    def __init__(self, world: RandomWorld) -> None:
        self._world = world
        self._keyed: dict[int, Request] = {}
        """Requests with a key, by the number of the event."""
        self._under_way: Counter[int] = Counter()

    def is_keyed(self, number: int) -> bool:
        return number in self._keyed

    async def broadcast(self, runtime: Runtime, act: Act) -> None:
        """What the host application is told that it has sent is on its way."""
        world, group = self._world, act.address.instance
        world.tell(f"the host broadcasts {act.event} to {group}")
        try:
            await runtime.broadcast(ORG, group, act.event)
        except PerdureError:
            return
        if act.event["number"] not in world.store.families.cries:
            world.found(f"broadcast {act.event} was acknowledged, and is not in the store")

    async def adopt(self, runtime: Runtime, act: Act) -> None:
        """An adoption that was answered is in the parent's journal."""
        world, life = self._world, self._world.life(act.address)
        wish = dict(act.event)
        kid = wish.pop("kid")
        world.tell(f"the host has {act.address} adopt {kid}: {wish}")
        try:
            await runtime.adopt(act.address, kid, **wish)
        except PerdureError:
            return
        if not world.is_of_now(act.address, life):
            return
        entries = (await world.store.journal(act.address, cursor=None, limit=10_000)).rows
        if not any(entry.event.get("machineInstanceName") == kid.instance for entry in entries):
            world.found(f"that {act.address} adopts {kid} was acknowledged, and is not in its journal")

    async def redrive(self, runtime: Runtime) -> None:
        """Send an event that is a dead letter once more. What the runtime says of relatives is not: a parent that was
        told that there is no child, say, has not asked for it any more.
        """
        dead = (await self._world.store.list_dead_letters(ORG, cursor=None, limit=1_000)).rows
        events = [mail.id for mail in dead if mail.kind == "event" and not mail.is_platform]
        if events:
            self._world.tell(f"dead letter {events[0]} is sent again")
            try:
                await runtime.dead_letters.redrive(ORG, events[0])
            except PerdureError:
                return

    async def keyed(self, runtime: Runtime, act: Act) -> None:
        """The same request under the same key, for the first time or again: applied once, and answered the same."""
        world, address, number = self._world, act.address, act.event["number"]
        await world.bring_to_life(runtime, address)
        request = self._keyed.get(number)
        if request is None:
            request = self._keyed[number] = world.request(address, number)
        elif not world.is_of_now(address, request.life):
            return  # in another life of the instance it would be another request
        known = await world.store.receipt(address, f"key-{number}")
        is_alone = not self._under_way[number]
        self._under_way[number] += 1
        world.tell(f"{address} is sent {act.event} with a key, {'' if known else 'not '}known")
        try:
            answer = await runtime.send(address, act.event, idempotency_key=f"key-{number}")
        except PerdureError as error:
            world.tell(f"{address} does not take {number} with its key: {error}")
            return
        finally:
            self._under_way[number] -= 1
        if not world.is_of_now(address, request.life):
            return
        if request.ended_at is None:
            world.answered(request, answer.ts)
        await self._check(request, answer, before=known.answer if known is not None and is_alone else None)

    async def _check(self, request: Request, answer: InstanceState, before: bytes | None) -> None:
        """It is in the journal once, and what was on the receipt is what is answered."""
        world, address = self._world, request.address
        receipt = await world.store.receipt(address, f"key-{request.number}")
        if receipt is None:
            world.found(f"{request} was answered, and there is no receipt of it")
        if before is not None:
            said = decode_answer(before)
            if (answer.ts, answer.state, answer.context) != (said.ts, said.state, said.context):
                world.found(f"{request} was answered {answer}, and its receipt says {said}")
        entries = (await world.store.journal(address, cursor=None, limit=10_000)).rows
        types = [entry.event["type"] for entry in entries if entry.event.get("number") == request.number]
        if sum(event_type not in ("ECHO",) for event_type in types) != 1:
            world.found(f"{request} was answered, and is in the journal as {types}")
