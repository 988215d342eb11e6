"""Random worlds over the whole durable core: whatever happens in them, what was promised holds.

A seed is a world. ``SEED=7 pytest tests/simulation`` runs one, with its log; ``SEEDS=1000:3000`` runs many.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from tests.simulation.invariants import violations
from tests.simulation.regressions import REGRESSIONS
from tests.simulation.world import RandomWorld

SEEDS_ALWAYS = 250
SECONDS_MAX = 60


def seeds() -> list[int]:
    if os.environ.get("SEED"):
        return [int(os.environ["SEED"])]
    first, _, end = os.environ.get("SEEDS", f"0:{SEEDS_ALWAYS}").partition(":")
    return sorted({*REGRESSIONS, *range(int(first), int(end))})


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Worlds in which so much fails have much to say; it is heard only when one of them is asked for by its seed."""
    if os.environ.get("SEED"):
        yield
        return

    def drop(*_: Any) -> Any:
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[drop])
    yield
    structlog.configure(**before)


@pytest.mark.parametrize("seed", seeds())
async def test_everything_promised_holds_in_the_random_world(seed: int) -> None:
    world = RandomWorld(seed)
    await asyncio.wait_for(world.run(), SECONDS_MAX)
    found = await violations(world)
    assert not found, f"SEED={seed} pytest tests/simulation  # reproduces this:\n" + "\n".join(found)
