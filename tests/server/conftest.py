"""The fixtures of the server's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.server.world import World, started_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with started_world() as world:
        yield world


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with every scope."""
    async with await world.client() as client:
        yield client
