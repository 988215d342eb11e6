"""Inspection: what happens in a system, as a stream of records for tools that show it.

A record is plain and frozen; the values in it (events, snapshots) are the actors' own and must not be changed. Nobody
inspecting costs nothing but the question whether anybody is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from perdure.json_value import JsonObject
from perdure.logs import get_logger

if TYPE_CHECKING:
    from perdure.actors.actor import Actor, Sender
    from perdure.statechart.configuration import Configuration
    from perdure.statechart.machine import Transition

__all__ = [
    "ActorCreated",
    "ActorEnded",
    "EventSent",
    "InspectionEvent",
    "Inspector",
    "MicrostepTaken",
    "SnapshotTaken",
]

logger = get_logger("perdure.actors")

DELIVERIES = frozenset(("child_ended", "child_spoke", "receive", "receive_batch", "receive_from_outside"))
"""The entries of the queue that are messages."""


class ActorCreated(msgspec.Struct, frozen=True, kw_only=True, tag="actor-created"):
    """An actor can be reached from now on; it begins in its turn."""

    at: float
    """Milliseconds of the system's clock, as in every record."""
    path: str
    id: str
    kind: str
    """``machine``, ``promise``, ``callback``, ``observable`` or ``reducer``."""
    parent: str | None
    """The path of its parent; ``None`` for a root."""
    actor: Any
    """The actor itself."""


class EventSent(msgspec.Struct, frozen=True, kw_only=True, tag="event-sent"):
    """An event is on its way."""

    at: float
    path: str
    """Who is to get it."""
    sender: str | None
    """The path of who sent it; ``None`` for what comes from outside, a timer or the actor itself."""
    event: JsonObject


class MicrostepTaken(msgspec.Struct, frozen=True, kw_only=True, tag="microstep-taken"):
    """A machine has taken a set of transitions, on the way to its next snapshot."""

    at: float
    path: str
    event: JsonObject | None
    """What the whole step began with; ``None`` for the machine's beginning."""
    transitions: tuple[str, ...]
    """Each with its source, the event that enabled it (``always`` for none), and where it leads."""
    value: Any
    """The state value that they led to."""


class SnapshotTaken(msgspec.Struct, frozen=True, kw_only=True, tag="snapshot-taken"):
    """An actor has taken a step."""

    at: float
    path: str
    event: JsonObject | None
    """What it has handled; ``None`` for its beginning."""
    snapshot: Any
    """Where it stands now: a machine's ``Snapshot``, a reducer's state."""
    effects: tuple[Any, ...] = ()
    """What a machine asked for, in order."""
    changed: bool = True


class ActorEnded(msgspec.Struct, frozen=True, kw_only=True, tag="actor-ended"):
    """An actor is no more."""

    at: float
    path: str
    status: str
    """``done``, ``error`` or ``stopped``."""
    actor: Any
    """The actor itself."""


InspectionEvent: TypeAlias = ActorCreated | EventSent | MicrostepTaken | SnapshotTaken | ActorEnded


class Inspector:
    """Makes the records of one system and hands them to a function, whose failures are logged."""

    def __init__(self, listener: Callable[[InspectionEvent], object], now: Callable[[], float]) -> None:
        self._listener = listener
        self._now = now
        self.microsteps: list[tuple[tuple[str, ...], Any]] = []
        """What ``watch`` was told of the step that is being computed; void when that fails."""

    def watch(self, transitions: tuple[Transition, ...], target: Configuration) -> None:
        """A microstep of the machine whose step is being computed."""
        self.microsteps.append((tuple(str(transition)[1:-1] for transition in transitions), target.value))

    def created(self, actor: Actor) -> None:
        parent = None if actor.parent is None else actor.path[: -len(actor.id) - 1]
        self._say(
            ActorCreated(at=self._now(), path=actor.path, id=actor.id, kind=actor.kind, parent=parent, actor=actor)
        )

    def ended(self, actor: Actor) -> None:
        self._say(ActorEnded(at=self._now(), path=actor.path, status=actor.status, actor=actor))

    def sent(self, operation: Any, event: Any, sender: Sender | None) -> None:
        """An entry of the queue, if it is a message."""
        receiver = getattr(operation, "__self__", None)
        path = getattr(receiver, "path", None)
        if path is None or operation.__name__ not in DELIVERIES:
            return
        for each in event if isinstance(event, list) else (event,):
            self._say(EventSent(at=self._now(), path=path, sender=None if sender is None else sender.path, event=each))

    def stepped(self, actor: Actor, step: Any, event: JsonObject | None) -> None:
        """A machine has taken a step, of the microsteps noted."""
        microsteps, self.microsteps = self.microsteps, []
        for transitions, value in microsteps:
            self._say(
                MicrostepTaken(at=self._now(), path=actor.path, event=event, transitions=transitions, value=value)
            )
        self._say(
            SnapshotTaken(
                at=self._now(),
                path=actor.path,
                event=event,
                snapshot=step.snapshot,
                effects=step.effects,
                changed=step.changed,
            )
        )

    def changed(self, actor: Actor, event: JsonObject | None) -> None:
        """An actor of another kind has taken a step."""
        self._say(SnapshotTaken(at=self._now(), path=actor.path, event=event, snapshot=actor.snapshot))

    def _say(self, record: InspectionEvent) -> None:
        try:
            self._listener(record)
        except Exception:
            logger.exception("an inspector raised")
