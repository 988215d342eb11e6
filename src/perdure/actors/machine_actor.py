"""A machine at work in memory: it takes events one by one and carries out the effects of each, in their order.

Every event is one macrostep of the engine. The snapshot is replaced, the effects are performed, then whoever observes
the actor is told; what the effects send waits in the queue of the system meanwhile.

A guard or an assigner that raises leaves the machine as it was. Who sent the event from outside learns of it by the
exception. Where an event of another actor, a timer or a child did it, nobody is there to learn of it, and to go on as
if nothing had been sent would hide it: the actor ends in status ``error``, which its parent can handle.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from perdure.actors.actor import Actor, Parent, Sender, error_data
from perdure.actors.timers import Timer
from perdure.errors import InvalidParameter, InvalidState, PerdureError, text_of
from perdure.json_value import Json, JsonObject
from perdure.logs import get_logger
from perdure.machine_output import note, note_value
from perdure.statechart import step as engine
from perdure.statechart.callables import Meta, call_with, known_parameters
from perdure.statechart.effect import (
    ActorTarget,
    AdoptChild,
    Broadcast,
    Cancel,
    ChildTarget,
    Done,
    Effect,
    Fail,
    JoinGroup,
    LeaveGroup,
    Log,
    ParentTarget,
    RunAction,
    SelfTarget,
    Send,
    StartChild,
    StopChild,
    Target,
    Warn,
)
from perdure.statechart.event import ERROR_COMMUNICATION, ERROR_EXECUTION, ESCALATED, error_platform_type
from perdure.statechart.machine import Machine
from perdure.statechart.schema import plain
from perdure.statechart.snapshot import Snapshot
from perdure.statechart.step import Scope, Step

if TYPE_CHECKING:
    from perdure.actors.system import ActorSystem

__all__ = ["MachineActor"]

logger = get_logger("perdure.machine")


class MachineActor(Actor):
    """A running machine."""

    __slots__ = ("_error", "_scope", "_snapshot", "children", "machine", "timers")

    kind = "machine"

    def __init__(
        self, system: ActorSystem, address: ActorTarget, parent: Parent | None, session: int, machine: Machine[Any]
    ) -> None:
        super().__init__(system, address, parent, session)
        self.machine = machine
        self.children: dict[str, Actor] | None = None
        self.timers: dict[str, list[Timer]] | None = None
        """Its delayed sends by their ids; ``None`` where there never were any."""
        self._snapshot: Snapshot[Any] | None = None
        watch = None if system.inspector is None else system.inspector.watch
        self._scope = Scope(has_parent=parent is not None, address=address, watch=watch)
        """The surroundings of the last macrostep: those of the next one, when the same actor sends again."""
        self._error: Any = None

    @property
    def snapshot(self) -> Snapshot[Any]:
        """Where it stands. Raises ``InvalidState`` before it has started."""
        if self._snapshot is None:
            raise InvalidState(f"{self.path} has not started: call start()")
        return self._snapshot

    @property
    def output(self) -> Any:
        return None if self._snapshot is None else self._snapshot.output

    @property
    def error(self) -> Any:
        return self._error

    # -- what the queue calls ------------------------------------------------------------------------

    def begin(self, given: Any, sender: Sender | None) -> None:
        """Enter the machine. ``given`` is the context that replaces its own, or ``None``."""
        if self.status != "new":
            return
        self.status = "active"
        try:
            step = engine.initial(self.machine, given, replaces=given is not None, scope=self._scope)
        except BaseException as error:
            self.crash(error)
        else:
            self._take(step, None)

    def receive(self, event: JsonObject, sender: Sender | None) -> None:
        if self.status != "active":
            self.system.drop(self, event, sender)
            return
        try:
            step = self._step(event, None if sender is None else sender.address)
        except InvalidParameter as error:
            self.system.refuse(self, event, sender, text_of(error))
        except BaseException as error:
            self.crash(error)
        else:
            self._take(step, event)

    def receive_from_outside(self, event: JsonObject, sender: Sender | None) -> None:
        if self.status != "active":
            self.system.drop(self, event, sender)
            return
        try:
            step = self._step(event, None)
        except PerdureError as error:
            self.system.fail(error)
        else:
            self._take(step, event)

    def receive_batch(self, events: list[JsonObject], sender: Sender | None) -> None:
        """Take several events as one: either all or, when one of them fails, none; observers are told once."""
        if self.status != "active":
            self.system.drop(self, events[0], sender)
            return
        before, steps = self._snapshot, []
        try:
            for event in events:
                step = self._step(event, None)
                self._snapshot = step.snapshot
                steps.append(step)
        except PerdureError as error:
            self._snapshot = before
            self.system.fail(error)
            return
        effects = tuple(effect for step in steps for effect in step.effects)
        self._take(Step(steps[-1].snapshot, effects, any(step.changed for step in steps)), events[-1])

    def child_ended(self, event: JsonObject, child: Actor) -> None:
        if self._awaits(child):
            self.receive(event, None)

    def child_spoke(self, event: JsonObject, child: Actor) -> None:
        if self._awaits(child):
            self.receive(event, child)

    def timer_is_due(self, effect: Send, sender: Sender | None) -> None:
        if self.status == "active":
            self._deliver(effect.target, effect.event)

    def _awaits(self, child: Actor) -> bool:
        """Whether the machine still has this child, and not another one of its id."""
        if self.status != "active" or self._snapshot is None:
            return False
        known = self._snapshot.children.get(child.id)
        return known is not None and known.session == child.session

    # -- a step --------------------------------------------------------------------------------------

    def _step(self, event: JsonObject, origin: Target | None) -> Step[Any]:
        scope = self._scope
        if scope.origin is not origin:
            scope = self._scope = Scope(
                has_parent=self.parent is not None, address=self.address, origin=origin, watch=scope.watch
            )
        if scope.watch is not None and self.system.inspector is not None:
            self.system.inspector.microsteps.clear()  # those of a step that failed
        assert self._snapshot is not None
        return engine.transition(self.machine, self._snapshot, event, scope=scope)

    def _take(self, step: Step[Any], event: JsonObject | None) -> None:
        """Make a step's snapshot the actor's own, perform its effects, and tell who listens."""
        self._snapshot = step.snapshot
        inspector = self.system.inspector
        if inspector is not None:
            inspector.stepped(self, step, event)
        for effect in step.effects:
            PERFORMED_BY[type(effect)](self, effect)
        if self._observers is not None:
            self._tell(step.snapshot)
        if self.reports:
            self._report(self.standing())

    def undelivered(self, event: JsonObject) -> None:
        self.system.post(self.receive, event)

    def place(self) -> Json:
        return None if self._snapshot is None else self._snapshot.value

    def standing(self) -> JsonObject:
        """Where it stands, as plain data for its parent."""
        snapshot = self.snapshot
        return {
            "status": snapshot.status,
            "value": snapshot.value,
            "context": snapshot.context if isinstance(snapshot.context, dict) else plain(snapshot.context),
            "tags": list(snapshot.tags),
            "done": snapshot.is_done,
        }

    # -- its end -------------------------------------------------------------------------------------

    def end(self) -> None:
        """Run the exit actions; the children have been stopped already."""
        if self.status == "active":
            try:
                step = engine.stop(self.machine, self.snapshot, scope=self._scope)
            except Exception as error:
                logger.error("the exit of a stopped actor failed", actor=self.path, exc_info=error)
                self._snapshot = msgspec.structs.replace(self.snapshot, status="stopped")
            else:
                self._snapshot = step.snapshot
                for effect in step.effects:
                    if not isinstance(effect, StopChild):
                        PERFORMED_BY[type(effect)](self, effect)
        self.system.timers.cancel_all(self)
        super().end()

    def crash(self, error: BaseException) -> None:
        """A pure part of the machine has raised where nobody waits for the answer: it ends as it stands, in error."""
        self.system.let_through(error)
        data = error_data(error)
        if self._snapshot is not None:
            self._snapshot = msgspec.structs.replace(self._snapshot, status="error", error=data)
        for child in tuple((self.children or {}).values()):
            self._detach(child)
        self._end_in_error(data, error)

    def _end_in_error(self, error: Json, cause: BaseException | None) -> None:
        self.status = "error"
        self._error = error
        self.system.timers.cancel_all(self)
        self.system.post(self._say_error, cause)

    # What follows is said in its turn: after all that the actor has sent, and once its children have stopped.

    def _say_done(self, output: Any, sender: Sender | None) -> None:
        self._finish(output)

    def _say_error(self, cause: BaseException | None, sender: Sender | None) -> None:
        self._fail(self._error, cause)

    # -- effects -------------------------------------------------------------------------------------

    def _run_action(self, effect: RunAction) -> None:
        function = self.machine.actions[effect.action]
        meta = Meta(snapshot=None, params=effect.params, reference=self.reference)
        try:
            result = call_with(function, known_parameters(function), effect.context, effect.event, meta)
        except BaseException as error:
            self.system.let_through(error)
            self._action_failed(effect.action, error)
            return
        if inspect.isawaitable(result):
            self.system.keep_running(self, result, effect.action)

    def _action_failed(self, action: str, error: BaseException) -> None:
        logger.error("action raised", actor=self.path, action=action, exc_info=error)
        self.system.post(self.receive, {"type": ERROR_EXECUTION, "data": {"action": action, **error_data(error)}})

    def _send(self, effect: Send) -> None:
        if effect.delay is None:
            self._deliver(effect.target, effect.event)
        else:
            self.system.timers.add(self, effect)

    def _deliver(self, target: Target, event: JsonObject) -> None:
        """Put an event into the queue for whoever is there now; a message to nobody is reported."""
        kind = type(target)
        receiver: Actor | Parent | Sender | None
        if kind is ChildTarget:
            receiver = (self.children or {}).get(target.id)  # type: ignore[union-attr]  # kind says so
        elif kind is ParentTarget:
            receiver = self.parent
            if event["type"] == ESCALATED:
                event = {"type": error_platform_type(self.id), "data": event.get("data")}
        elif kind is SelfTarget:
            self.system.post(self.receive, event)
            return
        else:
            receiver = self.system.find(target)
        if receiver is None:
            self.system.undeliverable(self, event, target)
        else:
            self.system.post(receiver.receive, event, self)

    def _cancel(self, effect: Cancel) -> None:
        self.system.timers.cancel(self, effect.id)

    def _start_child(self, effect: StartChild) -> None:
        behavior = effect.behavior if effect.behavior is not None else self.machine.services.get(effect.source)
        self.system.start_child(self, effect, behavior)

    def _stop_child(self, effect: StopChild) -> None:
        child = (self.children or {}).get(effect.id)
        if child is not None and child.session == effect.session:
            self._detach(child)

    def _detach(self, child: Actor) -> None:
        """A child is this actor's no more. It takes what it was sent before, then stops."""
        self.system.remove(child)
        self.system.post(child.halt, None)

    def _log(self, effect: Log) -> None:
        logger.info("log", actor=self.path, label=effect.label, value=effect.value)
        note_value(effect.label, effect.value)

    def _warn(self, effect: Warn) -> None:
        logger.warning(effect.message, actor=self.path)
        note("stderr", effect.message)

    def _done(self, effect: Done) -> None:
        self.status = "done"
        self.system.timers.cancel_all(self)
        self.system.post(self._say_done, effect.output)

    def _failed(self, effect: Fail) -> None:
        self._end_in_error(effect.error, None)

    def _needs_instance(self, effect: AdoptChild | JoinGroup | LeaveGroup | Broadcast) -> None:
        """Groups and adoption are for persistent instances, which this is not."""
        message = f"{self.path} asks for {type(effect).__name__}, which only a persistent instance can"
        logger.warning(message, actor=self.path)
        self.system.post(self.receive, {"type": ERROR_COMMUNICATION, "data": {"message": message}})


PERFORMED_BY: Mapping[type[Effect], Callable[[MachineActor, Any], None]] = {
    RunAction: MachineActor._run_action,
    Send: MachineActor._send,
    Cancel: MachineActor._cancel,
    StartChild: MachineActor._start_child,
    StopChild: MachineActor._stop_child,
    AdoptChild: MachineActor._needs_instance,
    JoinGroup: MachineActor._needs_instance,
    LeaveGroup: MachineActor._needs_instance,
    Broadcast: MachineActor._needs_instance,
    Log: MachineActor._log,
    Warn: MachineActor._warn,
    Done: MachineActor._done,
    Fail: MachineActor._failed,
}
