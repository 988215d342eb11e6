"""Reading ``retry`` of an invocation: ``{"attempts": 5, "backoff": 1000, "timeout": 30000}``.

``backoff`` is the pause after the first failed attempt, or a dict of that (``initial``), the ``factor`` by which each
pause is longer than the one before, and the ``max`` of them all. Times are milliseconds or ``timedelta``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perdure.statechart.defects import Defects, child_path, describe
from perdure.statechart.delay import as_milliseconds
from perdure.statechart.retry import Retry

__all__ = ["ATTEMPTS_MAX", "read_retry"]

ATTEMPTS_MAX = 100

KEYS = ("attempts", "backoff", "timeout")
BACKOFF_KEYS = ("initial", "factor", "max")


def read_retry(config: Any, path: str, defects: Defects, *, is_persistent: bool) -> Retry | None:
    """The ``retry`` of an invocation; ``None``, with the defects reported, when it says none or makes no sense."""
    if config is None:
        return None
    if is_persistent:
        defects.add(path, "a persistent child is not tried again", "It keeps its own state; retry its services.")
        return None
    if not isinstance(config, Mapping):
        defects.add(path, f"retry cannot be {describe(config)}", 'Give {"attempts": 5, "backoff": 1000}.')
        return None
    defects.unknown_keys(path, config, KEYS)
    attempts = config.get("attempts")
    if isinstance(attempts, bool) or not isinstance(attempts, int) or not 1 <= attempts <= ATTEMPTS_MAX:
        defects.add(
            child_path(path, "attempts"),
            f"the attempts cannot be {describe(attempts)}",
            f"Give a whole number from 1 to {ATTEMPTS_MAX}.",
        )
        return None
    backoff = config.get("backoff", {})
    place = child_path(path, "backoff")
    if not isinstance(backoff, Mapping):
        backoff = {"initial": backoff}
    else:
        defects.unknown_keys(place, backoff, BACKOFF_KEYS)
    timeout = None
    if config.get("timeout") is not None:
        timeout = duration(config, "timeout", 1.0, path, defects)
        if timeout <= 0:
            defects.add(child_path(path, "timeout"), "no attempt succeeds in no time", "Give more than 0 milliseconds.")
    factor = backoff.get("factor", 2.0)
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 1 <= factor <= 100:
        defects.add(child_path(place, "factor"), f"the factor cannot be {describe(factor)}", "Give 1 to 100.")
        factor = 2.0
    return Retry(
        attempts=attempts,
        backoff=duration(backoff, "initial", 1_000.0, place, defects),
        factor=float(factor),
        backoff_max=duration(backoff, "max", 60_000.0, place, defects),
        timeout=timeout,
    )


def duration(config: Mapping[str, Any], key: str, default: float, path: str, defects: Defects) -> float:
    """A time among the keys of a dict, in milliseconds."""
    milliseconds = as_milliseconds(config.get(key, default))
    if milliseconds is None:
        defects.add(
            child_path(path, key),
            f"a time cannot be {describe(config[key])}",
            "Give milliseconds or a timedelta.",
        )
        return default
    return float(milliseconds)
