"""Loggers: structured events that end in the standard library's ``logging``.

A library must not decide where its host's log goes, and a log that cannot be written (a closed pipe, a full disk) must
not stop an instance; the standard library's handlers see to both. Events are rendered here and not by structlog's
global configuration, which is the host's and by default shows the values of local variables with every traceback.
"""

from __future__ import annotations

import logging

import structlog
from structlog.typing import Processor

__all__ = ["PROCESSORS", "get_logger"]

PROCESSORS: list[Processor] = [
    structlog.stdlib.filter_by_level,
    structlog.processors.format_exc_info,
    structlog.processors.KeyValueRenderer(key_order=["event"]),
]
"""What every event goes through. Whoever runs the process may replace what is in the list, as the commands do."""


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a part of perdure; ``name`` is the name it has in ``logging``."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name), processors=PROCESSORS, wrapper_class=structlog.stdlib.BoundLogger
    )
    return logger
