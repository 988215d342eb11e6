"""Delays: what counts as a time, and how one is computed when a timer starts.

A delay is milliseconds or a ``timedelta``, the name of one, or a callable that returns any of these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from perdure.errors import EventFailed
from perdure.json_value import JsonObject
from perdure.statechart.callables import UniformCall

__all__ = ["as_milliseconds", "computed_delay"]


def as_milliseconds(value: Any) -> float | None:
    """Milliseconds of a finite number or a ``timedelta``, never negative; ``None`` for anything else."""
    if isinstance(value, timedelta):
        value = value.total_seconds() * 1000
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return max(value, 0)


def computed_delay(
    function: UniformCall, known: Mapping[str, Any], path: str, bind: Callable[[Any, str], UniformCall]
) -> UniformCall:
    """A delay that user code computes: milliseconds, or the name that nobody knows.

    ``bind`` makes what a name stands for callable. Raises ``EventFailed`` for what is no time.
    """

    def compute(context: Any, event: JsonObject, step: Any) -> float | str:
        value = function(context, event, step)
        if isinstance(value, str):
            if value not in known:
                return value
            value = known[value]
            if callable(value):
                value = bind(value, f"the delay at {path}")(context, event, step)
        milliseconds = as_milliseconds(value)
        if milliseconds is None:
            text = f"{value!r:.60} ({type(value).__name__})"
            raise EventFailed(f"the delay at {path} must be milliseconds or a timedelta, not {text}")
        return milliseconds

    return compute
