"""Fixtures of the simulation."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator

import pytest

from perdure.statechart import callables


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Worlds in which so much fails have much to say; it is heard only when one of them is asked for by its seed."""
    if os.environ.get("SEED"):
        yield
        return
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(autouse=True, scope="session")
def _library() -> None:
    """What is there before the first world stays; without it the collection after each world is cheap."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _remains(_quiet: None) -> Iterator[None]:
    """Clear away the coroutines of dead runtimes while nothing else is under way: CPython 3.11 fails to parse a module
    (``SystemError: AST constructor recursion depth mismatch``) when it happens to collect them meanwhile.

    And the world itself, which a cache of its functions' signatures would keep: after a thousand worlds the collection
    took ten times as long as a world.
    """
    yield
    callables._remembered_parameters.cache_clear()
    gc.collect()
