"""The log of perdure as a list of events, for tests."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from structlog.testing import LogCapture

from perdure.logs import PROCESSORS

__all__ = ["captured_log"]


@contextmanager
def captured_log() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged meanwhile, instead of writing it."""
    capture, usual = LogCapture(), list(PROCESSORS)
    PROCESSORS[:] = [capture]
    try:
        yield capture.entries
    finally:
        PROCESSORS[:] = usual
