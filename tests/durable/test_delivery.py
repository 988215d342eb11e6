"""The delivery loop: no commit falls between its look at the store and its sleep."""

from __future__ import annotations

import asyncio
from typing import Any

from perdure import send_to
from perdure.durable.records import Mail
from perdure.stores.memory import MemoryStore
from tests.durable.world import World, at, types


class HesitantStore(MemoryStore):
    """A store whose answer about what is due takes as long as a test likes."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def due_mail(self, now: float, limit: int, **options: Any) -> list[Mail]:
        answer = await super().due_mail(now, limit, **options)
        self.asked.set()
        await self.may_answer.wait()
        return answer


async def test_mail_committed_while_the_loop_looks_is_delivered_though_the_look_missed_it() -> None:
    store = HesitantStore()
    world = World(lambda: store)
    receiver = {"type": "statebacked.instance", "id": "r", "machineName": "receiver", "machineInstanceName": "one"}
    world.machine("receiver", {"initial": "a", "states": {"a": {}}})
    world.machine("sender", {"initial": "a", "states": {"a": {"on": {"GO": {"actions": send_to(receiver, "HI")}}}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("receiver"))
        await runtime.create_instance(at("sender"))
        await runtime.idle()
        store.may_answer.clear()
        store.asked.clear()
        await runtime.send(at("sender"), "GO")  # wakes the loop, which asks what is due
        await asyncio.wait_for(store.asked.wait(), 5)
        await runtime.send(at("sender"), "GO")
        store.may_answer.set()
        async with asyncio.timeout(5):
            await runtime.idle()
        assert await types(runtime, at("receiver")) == ["xstate.init", "HI", "HI"]
