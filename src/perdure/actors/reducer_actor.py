"""A reducer at work: a state, and a function that replaces it at every event. XState's behaviour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.actor import Actor, Parent, Sender
from perdure.actors.logic import ReducerLogic
from perdure.json_value import JsonObject
from perdure.statechart.effect import ActorTarget
from perdure.statechart.event import EventLike, to_event

if TYPE_CHECKING:
    from perdure.actors.system import ActorSystem

__all__ = ["ReducerActor", "ReducerMeta"]


class ReducerMeta:
    """What a reducer may know and do besides computing its next state."""

    __slots__ = ("_actor", "_sender")

    def __init__(self, actor: Actor, sender: Sender | None) -> None:
        self._actor = actor
        self._sender = sender

    @property
    def id(self) -> str:
        """What the parent calls this child."""
        return self._actor.id

    @property
    def reference(self) -> JsonObject:
        """The reference to this child."""
        return self._actor.reference

    def send_parent(self, event: EventLike) -> None:
        """Send an event to the parent."""
        if self._actor.parent is not None:
            self._actor.system.post(self._actor.parent.receive, to_event(event), self._actor)

    def respond(self, event: EventLike) -> None:
        """Send an event to the actor that sent the one at hand; to nobody when that came from outside."""
        if self._sender is not None:
            self._actor.system.post(self._sender.receive, to_event(event), self._actor)


class ReducerActor(Actor):
    """A running reducer."""

    __slots__ = ("_error", "_logic", "_state")

    kind = "reducer"

    def __init__(
        self, system: ActorSystem, address: ActorTarget, parent: Parent | None, session: int, logic: ReducerLogic
    ) -> None:
        super().__init__(system, address, parent, session)
        self._logic = logic
        self._state = logic.initial_state
        self._error: Any = None

    @property
    def snapshot(self) -> Any:
        return self._state

    @property
    def error(self) -> Any:
        return self._error

    def begin(self, given: Any, sender: Sender | None) -> None:
        if self.status == "new":
            self.status = "active"
            self._show()

    def receive(self, event: JsonObject, sender: Sender | None) -> None:
        if self.status != "active":
            self.system.drop(self, event, sender)
            return
        try:
            self._state = self._logic.transition(self._state, event, ReducerMeta(self, sender))
        except BaseException as error:
            self.crash(error)
        else:
            self._show(event)

    def _show(self, event: JsonObject | None = None) -> None:
        if self.system.inspector is not None:
            self.system.inspector.changed(self, event)
        if self._observers is not None:
            self._tell(self._state)
        if self.reports:
            self._report({"status": self.status, "context": self._state, "done": False})

    def _keep_error(self, error: Any) -> None:
        self._error = error
