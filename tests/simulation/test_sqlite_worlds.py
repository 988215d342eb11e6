"""What happens in a random world happens in the same way on SQLite."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from perdure.durable.store import Store
from perdure.stores.sqlite import SqliteStore
from tests.simulation.families import GROUPS, ORG
from tests.simulation.invariants import violations
from tests.simulation.retelling import Call, overheard, told_otherwise
from tests.simulation.world import RandomWorld

SEEDS_ALWAYS = (*range(25), 38)
"""In the last of them a dead letter is re-driven, which is rare."""
SECONDS_MAX = 60


def seeds() -> list[int]:
    if "SQLITE_SEEDS" not in os.environ:
        return list(SEEDS_ALWAYS)
    first, _, end = os.environ["SQLITE_SEEDS"].partition(":")
    return list(range(int(first), int(end)))


async def calls_of(seed: int) -> list[Call]:
    world = RandomWorld(seed)
    calls = overheard(world)
    await asyncio.wait_for(world.run(), SECONDS_MAX)
    await violations(world)  # asks for everything that there is
    for group in GROUPS:
        await world.store.list_members(ORG, group, cursor=None, limit=1_000)
    return calls


@pytest.mark.parametrize("seed", seeds())
async def test_sqlite_answers_whatever_a_random_world_asks_as_the_reference_does(seed: int, tmp_path: Path) -> None:
    calls = await calls_of(seed)
    asyncio.get_running_loop().set_task_factory(None)

    async def open_store() -> Store:
        store = SqliteStore(tmp_path / "perdure.db")
        await store.open()
        return store

    assert await told_otherwise(calls, open_store, seed) is None


async def test_worlds_ask_for_groups_broadcasts_receipts_and_dead_letters() -> None:
    """So that the retelling is not of nothing."""
    asked = {call.method for seed in SEEDS_ALWAYS for call in await calls_of(seed) if call.outcome}
    assert {"list_members", "expand_broadcast", "receipt", "redrive_dead_letter", "is_broadcasting"} <= asked


async def test_store_that_forgets_who_is_in_a_group_is_found(tmp_path: Path) -> None:
    """That the retelling can fail, shown by a bug put in by hand."""

    class Forgetful(SqliteStore):
        async def expand_broadcast(self, mail_id: str, limit: int) -> bool:
            return await super().expand_broadcast(mail_id, 1) and limit > 1

    async def open_store() -> Store:
        store = Forgetful(tmp_path / "perdure.db")
        await store.open()
        return store

    for seed in range(8):
        calls = await calls_of(seed)
        asyncio.get_running_loop().set_task_factory(None)
        (tmp_path / "perdure.db").unlink(missing_ok=True)
        if await told_otherwise(calls, open_store, seed) is not None:
            return
    pytest.fail("nobody noticed")
