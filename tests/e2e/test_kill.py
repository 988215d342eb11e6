"""A server that is killed without warning loses nothing that it acknowledged and does nothing twice."""

from __future__ import annotations

import asyncio
import itertools
import os
import random  # noqa: TID251 - seeded: the same seed kills after the same pauses

import pytest

from perdure.clock import SystemClock
from perdure.testing.server_process import ServerProcess
from tests.e2e.pairs import Pair, assert_journals_are_true, drive, wait_until_ended

CHECKER = {"sub": "checker"}
KILLS = 20
DRIVERS = 4
"""Pairs in progress at any time."""


async def test_a_pair_goes_on_after_a_kill_as_if_nothing_had_happened(server_process: ServerProcess) -> None:
    pair = Pair("pair")
    async with server_process.client({"sub": pair.name}) as client:
        await drive(client, pair, notes=2)
        await server_process.kill()
        await server_process.start()
        children = await wait_until_ended(client, [pair])
        await assert_journals_are_true(client, pair, children[pair.name])
        assert pair.acknowledged == set(pair.sent), "nobody killed the server while it was answering"


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [int(os.environ.get("PERDURE_SEED", "20261121"))])
async def test_no_acknowledged_event_is_lost_or_doubled_over_20_kills(server_process: ServerProcess, seed: int) -> None:
    chance = random.Random(seed)
    pairs: list[Pair] = []
    is_over = asyncio.Event()
    async with server_process.client(CHECKER) as client:
        drivers = [
            asyncio.create_task(drive_pairs(server_process, number, pairs, is_over)) for number in range(DRIVERS)
        ]
        for _ in range(KILLS):
            await SystemClock().sleep(chance.uniform(0, 600))
            await server_process.kill()
            await server_process.start()
            assert not any(driver.done() for driver in drivers), "a driver failed"
        is_over.set()
        await asyncio.gather(*drivers)
        children = await wait_until_ended(client, pairs)
        for pair in pairs:
            await assert_journals_are_true(client, pair, children[pair.name])
    assert set(children) == {pair.name for pair in pairs}
    unacknowledged = sum(len(pair.sent) - len(pair.acknowledged) for pair in pairs)
    assert unacknowledged > 0, "no kill hit a request: the test has tested nothing"


async def drive_pairs(server: ServerProcess, driver: int, pairs: list[Pair], is_over: asyncio.Event) -> None:
    """Drive one pair after the other until told to end; the one in progress is driven to its end."""
    for number in itertools.count():
        if is_over.is_set():
            return
        pair = Pair(f"pair-{driver}-{number}")
        pairs.append(pair)
        async with server.client({"sub": pair.name}) as client:
            await drive(client, pair, notes=8)
