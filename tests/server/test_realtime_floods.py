"""A WebSocket that floods costs its sender time, and too many of them are refused at the door."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.server.test_realtime import SlowReader, hear, say, subscription
from tests.server.world import World, started_world


async def test_a_flood_of_messages_waits_for_the_next_ten_seconds() -> None:
    async with started_world(realtime_messages_max=5) as world:
        await world.create_light()
        reader = SlowReader(world, world.token(await world.key()))
        for _ in range(4):
            reader.say({"type": "ping"})
        for number in range(4):
            reader.say(subscription(f"r{number}", machine="not a name"))
        assert (await reader.read_one())["requestId"] == "r0"
        reader.let_through()
        for _ in range(200):
            await asyncio.sleep(0)
        assert reader.frames.empty(), "the sixth message was read in the same ten seconds"

        await world.clock.advance(10_000)
        heard = [(await reader.frames.get())["requestId"]]
        heard += [(await reader.read_one())["requestId"] for _ in range(2)]
        assert heard == ["r1", "r2", "r3"]
        await reader.leave()


async def test_a_client_may_subscribe_to_all_it_may_have_at_once(world: World) -> None:
    assert world.settings.realtime_messages_max > world.settings.realtime_subscriptions_max


async def test_connections_beyond_their_number_are_refused_at_the_upgrade() -> None:
    async with started_world(realtime_connections_max=2) as world, world.listening() as host:
        await world.create_light()
        url = f"ws://{host}/rt?token={world.token(await world.key())}"
        async with connect(url), connect(url) as second:
            with pytest.raises(InvalidStatus) as refused:
                await connect(url)
            assert refused.value.response.status_code == 429
            assert json.loads(refused.value.response.body or b"{}")["code"] == "too-many-connections"
            await say(second, subscription("1"))
            assert (await hear(second))["state"] == "off"
        async with connect(url) as again:
            await say(again, subscription("1"))
            assert (await hear(again))["state"] == "off"
