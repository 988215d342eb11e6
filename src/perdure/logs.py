"""Loggers: structured events that end in the standard library's ``logging``.

A library must not decide where its host's log goes, and a log that cannot be written (a closed pipe, a full disk) must
not stop an instance; the standard library's handlers see to both. How events are rendered is structlog's global
configuration, which the commands set and an embedding application may.
"""

from __future__ import annotations

import logging

import structlog

__all__ = ["get_logger"]


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a part of perdure; ``name`` is the name it has in ``logging``."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name), wrapper_class=structlog.stdlib.BoundLogger
    )
    return logger
