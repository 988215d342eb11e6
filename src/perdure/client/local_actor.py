"""What both kinds of actor know: the newest state, who wants to hear of it, and the events under way. No I/O.

States come from two sides, pushes and answers, in any order; one that is older than what is known is dropped by its
``ts``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from perdure import wire
from perdure.errors import InvalidState, PerdureError
from perdure.json_value import JsonObject

__all__ = ["LocalActor", "OnError", "OnState"]

OnState: TypeAlias = Callable[[wire.State], object]
OnError: TypeAlias = Callable[[PerdureError], object]


class LocalActor:
    """The local side of an instance."""

    def __init__(self, machine: str, instance: str) -> None:
        self.machine = machine
        self.instance = instance
        self.failure: PerdureError | None = None
        """Why the instance can no longer be followed."""
        self._state: wire.State | None = None
        self._listeners: dict[object, tuple[OnState, OnError | None]] = {}
        self._in_flight: dict[object, JsonObject] = {}

    @property
    def id(self) -> str:
        return f"{self.machine}/{self.instance}"

    @property
    def in_flight_events(self) -> tuple[JsonObject, ...]:
        return tuple(self._in_flight.values())

    def get_snapshot(self) -> wire.State:
        """The newest state. Raises ``InvalidState`` before there is one."""
        if self._state is None:
            raise InvalidState(f"the actor {self.id} has not begun: enter it with `with` or `async with` first")
        return self._state

    def subscribe(self, on_state: OnState, on_error: OnError | None) -> Callable[[], None]:
        key = object()
        self._listeners[key] = (on_state, on_error)
        return lambda: void(self._listeners.pop(key, None))

    @contextmanager
    def flying(self, event: JsonObject | str) -> Iterator[JsonObject]:
        """The event is under way until the block ends."""
        key = object()
        self._in_flight[key] = {"type": event} if isinstance(event, str) else event
        try:
            yield self._in_flight[key]
        finally:
            del self._in_flight[key]

    def offer(self, state: wire.State) -> bool:
        """A state got here; whether it is news. Listeners hear of it before this returns."""
        if self._state is not None and state.ts <= self._state.ts:
            return False
        self._state = state
        for on_state, _ in tuple(self._listeners.values()):
            on_state(state)
        return True

    def fail(self, error: PerdureError) -> None:
        """The instance can no longer be followed."""
        self.failure = error
        for _, on_error in tuple(self._listeners.values()):
            if on_error is not None:
                on_error(error)


def void(_: object) -> None:
    """Forget a value."""
