"""Observers: functions of a user's that hear what becomes of an actor, and can do it no harm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from perdure.errors import InvalidParameter
from perdure.logs import get_logger

__all__ = ["Observer", "as_observer"]

logger = get_logger("perdure.actors")


class Observer:
    """Who wants to hear of what; compared by identity, so that the same function may listen twice."""

    __slots__ = ("complete", "done", "error", "next")

    def __init__(
        self,
        *,
        next: Callable[[Any], object] | None = None,
        error: Callable[[Any], object] | None = None,
        complete: Callable[[], object] | None = None,
        done: Callable[[Any], object] | None = None,
    ) -> None:
        self.next = next
        """Every snapshot."""
        self.error = error
        """The failure of the actor."""
        self.complete = complete
        """The end of the actor, well or because it was stopped."""
        self.done = done
        """The output of an actor that is done."""

    def call(self, listener: Callable[..., object] | None, *arguments: Any) -> None:
        """Tell a listener; what it raises is logged."""
        if listener is None:
            return
        try:
            listener(*arguments)
        except Exception:
            logger.exception("an observer raised", observer=repr(listener))


def as_observer(given: Any) -> Observer:
    """What ``subscribe`` takes: a function, or an object or dict with ``next``, ``error`` and ``complete``, any of
    which may be missing. Raises ``InvalidParameter`` for anything else.
    """
    if callable(given):
        return Observer(next=given)
    names = ("next", "error", "complete")
    if isinstance(given, Mapping):
        parts = {name: given.get(name) for name in names}
    else:
        parts = {name: getattr(given, name, None) for name in names}
    if not any(callable(part) for part in parts.values()):
        raise InvalidParameter("an observer is a function, or has the methods next, error and complete", "observer")
    return Observer(**parts)
