"""The fixtures of the end-to-end tests: real server processes over real files, killed whenever a test likes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from perdure.testing.server_process import ServerProcess

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
async def server_process(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A running server with the machines of all examples."""
    async with ServerProcess(tmp_path, [EXAMPLES]) as server:
        yield server
