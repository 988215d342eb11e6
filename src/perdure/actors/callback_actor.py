"""A callback at work: a function that was given two others, one to speak with and one to hear with.

It speaks from wherever it likes: at once, later from the event loop, or from a thread of its own. Once it is stopped
nothing of it is heard any more.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from perdure.actors.actor import Parent, Sender, logger
from perdure.actors.logic import CallbackLogic
from perdure.actors.task_actor import TaskActor
from perdure.json_value import JsonObject
from perdure.statechart.callables import Meta
from perdure.statechart.effect import ActorTarget, StartChild
from perdure.statechart.event import EventLike, to_event

if TYPE_CHECKING:
    from perdure.actors.system import ActorSystem

__all__ = ["CallbackActor"]


class CallbackActor(TaskActor):
    """A running callback. It has a task only when its function is asynchronous."""

    __slots__ = ("_cleanup", "_listeners", "_logic")

    kind = "callback"

    def __init__(
        self, system: ActorSystem, address: ActorTarget, parent: Parent | None, session: int, logic: CallbackLogic
    ) -> None:
        super().__init__(system, address, parent, session)
        self._logic = logic
        self._listeners: list[Callable[[JsonObject], object]] = []
        self._cleanup: Callable[[], object] | None = None

    def begin(self, given: StartChild, sender: Sender | None) -> None:
        if self.status != "new":
            return
        self.status = "active"
        meta = Meta(snapshot=None, params=given.params, reference=self.reference)
        try:
            result = self._logic.call(self.send_back, self.listen, given.context, given.event, meta)
        except BaseException as error:
            self.crash(error)
            return
        if inspect.isawaitable(result):
            self._run_in_task(self._finish_with, result)
        elif callable(result):
            self._cleanup = result

    async def _finish_with(self, result: Any) -> Any:
        return self.system.plain(await result)

    def send_back(self, event: EventLike) -> None:
        """Send an event to the parent, from any thread. Raises ``InvalidParameter`` for what is no event."""
        checked = to_event(event)
        if self.system.is_here:
            self._say(checked, None)
        else:
            self.system.submit_quietly(self._say, checked)

    def _say(self, event: JsonObject, sender: Sender | None) -> None:
        if self.has_ended or self.parent is None:
            logger.warning("an event was dropped", actor=self.path, type=event["type"], reason="its sender has ended")
        else:
            self.system.submit_quietly(self.parent.receive, event, self)

    def listen(self, listener: Callable[[JsonObject], object]) -> None:
        """Have a function called with every event that the child is sent from now on."""
        self._listeners.append(listener)

    def receive(self, event: JsonObject, sender: Sender | None) -> None:
        if self.status != "active":
            self.system.drop(self, event, sender)
        elif not self._listeners:
            self.system.refuse(self, event, sender, "its callback does not receive events")
        else:
            for listener in tuple(self._listeners):
                try:
                    listener(event)
                except BaseException as error:
                    self.crash(error)
                    return

    def _clean_up(self) -> None:
        super()._clean_up()
        self._listeners.clear()
        cleanup, self._cleanup = self._cleanup, None
        if cleanup is None:
            return
        try:
            result = cleanup()
            if inspect.isawaitable(result):
                self.system.keep_running(self, result, "cleanup")
        except BaseException as error:
            self.system.let_through(error)
            logger.error("a cleanup raised", actor=self.path, exc_info=error)
