"""A server that is killed again and again keeps every promise it made: the short form of ``make torture``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.torture.checker import violations
from tests.torture.torture import Plan, torture

KILLS = 8


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [int(os.environ.get("PERDURE_SEED", "20261122"))])
async def test_nothing_promised_is_broken_over_8_kills(tmp_path: Path, seed: int) -> None:
    evidence = await torture(Plan(folder=tmp_path, kills=KILLS, seed=seed, clients=2))
    assert violations(evidence) == []
    outcomes = {operation.outcome for operation in evidence.operations}
    assert outcomes == {"answered", "unknown"}, "no kill hit a request: the test has tested nothing"
