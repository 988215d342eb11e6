"""The random worlds find the bugs that they are there for."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MUTANTS, first_seed_that_finds

SEEDS_MAX = 300
"""The most that one has taken is 127; which seed finds a bug changes with every change of the runtime."""


@pytest.mark.slow
@pytest.mark.parametrize("bug", MUTANTS)
def test_bug_put_in_by_hand_is_found_within_300_seeds(bug: str) -> None:
    assert first_seed_that_finds(MUTANTS[bug], SEEDS_MAX) is not None
