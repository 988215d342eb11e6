from __future__ import annotations

from pathlib import Path

import pytest

from tests.durable.world import World, memory_store, sqlite_store


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(memory_store() if request.param == "memory" else sqlite_store(tmp_path / "test.db"))
