"""Fixtures of the simulation."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Worlds in which so much fails have much to say; it is heard only when one of them is asked for by its seed."""
    if os.environ.get("SEED"):
        yield
        return
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
