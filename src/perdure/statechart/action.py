"""Actions: what a machine does on its way, and the creators that users write.

There are two kinds of things here. **Creators** (``assign``, ``send_to``, …) return plain descriptions that go into a
config. When the machine is built each becomes an **Action**, an object whose ``perform(step)`` changes the context,
raises an event or appends an effect. Actions run in document order, each seeing the context left by the one before.

The actions that no user writes are here too: entering a state starts its timers and announces its children, leaving it
cancels and stops them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, final

import msgspec

from perdure.errors import EventFailed
from perdure.json_value import Json, JsonObject
from perdure.statechart.effect import (
    ChildTarget,
    InstanceTarget,
    Log,
    ParentTarget,
    RunAction,
    SelfTarget,
    Target,
)
from perdure.statechart.event import ERROR_EXECUTION, ESCALATED, EventLike, done_state_type, to_event
from perdure.statechart.guard import Test
from perdure.statechart.machine import After, Invoke, StateNode
from perdure.statechart.reference import ACTOR_REFERENCE, INSTANCE_REFERENCE
from perdure.statechart.spawning import spawner

if TYPE_CHECKING:
    from perdure.statechart.callables import UniformCall
    from perdure.statechart.macrostep import Macrostep

__all__ = [
    "Action",
    "ActionConfig",
    "Delay",
    "assign",
    "cancel",
    "choose",
    "escalate",
    "forward_to",
    "log",
    "pure",
    "raise_",
    "respond",
    "send",
    "send_parent",
    "send_to",
    "start",
    "stop",
]

ActionConfig: TypeAlias = Any
"""A name, a callable, ``{"type": name, ...params}``, or what a creator returned."""
Delay: TypeAlias = "float | timedelta | str | Callable[..., Any]"
"""Milliseconds, a ``timedelta``, the name of a delay, or a callable that returns one of the first two."""
EventExpression: TypeAlias = "EventLike | Callable[..., Any]"


# -- what users write ------------------------------------------------------------------------------


class AssignConfig(msgspec.Struct, frozen=True):
    assignment: Any


class SendConfig(msgspec.Struct, frozen=True):
    event: Any
    target: Any
    delay: Any = None
    id: str | None = None
    is_internal: bool = False


class CancelConfig(msgspec.Struct, frozen=True):
    send_id: Any


class LogConfig(msgspec.Struct, frozen=True):
    expression: Any
    label: str | None


class EscalateConfig(msgspec.Struct, frozen=True):
    error: Any
    delay: Any
    id: str | None


class StartConfig(msgspec.Struct, frozen=True):
    activity: Any


class StopConfig(msgspec.Struct, frozen=True):
    child: Any


class ChooseConfig(msgspec.Struct, frozen=True):
    branches: Any


class PureConfig(msgspec.Struct, frozen=True):
    get_actions: Any


SELF = "#_self"
PARENT = "#_parent"
INTERNAL = "#_internal"
SENDER = "#_sender"


def assign(assignment: Mapping[str, Any] | Callable[..., Any] | None = None, /, **values: Any) -> AssignConfig:
    """Change the context: by a callable that returns the keys to change, or key by key with values and callables.

    The new context is a new dict, or a new value of its type, which a callable may also return as a whole; the old one
    is never changed. ``spawn`` and ``spawn_persistent`` may be called inside.
    """
    if callable(assignment):
        if values:
            raise TypeError("assign takes a callable or keys with values, not both")
        return AssignConfig(assignment)
    return AssignConfig({**(assignment or {}), **values})


def raise_(event: EventExpression, *, delay: Delay | None = None, id: str | None = None) -> SendConfig:
    """Put an event into the internal queue: it is taken in this macrostep, before any external event.

    With a delay it is a timer, and so external when it comes back.
    """
    return SendConfig(event, SELF, delay, id, is_internal=delay is None)


def send(event: EventExpression, *, to: Any = None, delay: Delay | None = None, id: str | None = None) -> SendConfig:
    """Send an event to this machine itself (as an external event), or with ``to`` to another actor."""
    if to == INTERNAL:
        return raise_(event, delay=delay, id=id)
    return SendConfig(event, SELF if to is None else to, delay, id)


def send_to(target: Any, event: EventExpression, *, delay: Delay | None = None, id: str | None = None) -> SendConfig:
    """Send an event to a child by id, to an instance by reference, or to what a callable of the context returns."""
    return SendConfig(event, target, delay, id)


def send_parent(event: EventExpression, *, delay: Delay | None = None, id: str | None = None) -> SendConfig:
    """Send an event to the actor that started this one; to each of them, where there are several."""
    return SendConfig(event, PARENT, delay, id)


def forward_to(target: Any, *, delay: Delay | None = None, id: str | None = None) -> SendConfig:
    """Send the event being handled on to a child by id, to an instance by reference, or to what a callable returns."""
    return SendConfig(forwarded, target, delay, id)


def forwarded(context: Any, event: JsonObject) -> JsonObject:
    return event


def respond(event: EventExpression, *, delay: Delay | None = None, id: str | None = None) -> SendConfig:
    """Send an event back to the actor that sent the one being handled.

    What comes from outside (a client, a timer, the machine itself) has no sender: then it is a message to nobody.
    """
    return SendConfig(event, SENDER, delay, id)


def escalate(error: Any = None, *, delay: Delay | None = None, id: str | None = None) -> EscalateConfig:
    """Report an error to the actor that started this one, which gets it as ``error.platform.<id>``; this one goes on.

    ``error``, or what it returns when it is a callable, is the ``data`` of that event.
    """
    return EscalateConfig(error, delay, id)


def cancel(send_id: str | Callable[..., str]) -> CancelConfig:
    """Forget every delayed event with this send id; by default the send id is the event's type."""
    return CancelConfig(send_id)


def log(expression: str | Callable[..., Any] | None = None, label: str | None = None) -> LogConfig:
    """Log a text, or what a callable returns; without arguments the context and the event."""
    return LogConfig(expression, label)


def start(activity: Any) -> StartConfig:
    """Start an activity now: the name of a service, ``{"type": name, …}``, or a callable. It is stopped by ``stop``
    with its name (or the ``id`` given to it), else when the machine ends. Its own end is of no interest.
    """
    return StartConfig(activity)


def stop(child: Any) -> StopConfig:
    """Stop a child given by id, by reference, or by a callable of the context that returns either; or every activity
    with this name.
    """
    return StopConfig(child)


def choose(branches: Sequence[Mapping[str, Any]]) -> ChooseConfig:
    """Run the actions of the first branch whose ``cond`` holds: ``[{"cond": …, "actions": …}, {"actions": …}]``."""
    return ChooseConfig(branches)


def pure(get_actions: Callable[..., Any]) -> PureConfig:
    """Run the actions that a callable returns: one, a list, or ``None``. Custom actions are named, not inline."""
    return PureConfig(get_actions)


CREATED = (
    AssignConfig,
    SendConfig,
    EscalateConfig,
    CancelConfig,
    LogConfig,
    StartConfig,
    StopConfig,
    ChooseConfig,
    PureConfig,
)


# -- what a built machine performs -----------------------------------------------------------------


class Action(Protocol):
    """One thing to do, in its place in the order."""

    def perform(self, step: Macrostep) -> None:
        """Change the macrostep. Raises ``EventFailed`` when user code does."""
        ...


@final
class Assign(msgspec.Struct, frozen=True):
    """Replace the context by a copy with some keys changed."""

    next_context: UniformCall
    """Makes the copy. Where what it is given as ``step`` is no macrostep, it can spawn nothing."""

    def perform(self, step: Macrostep) -> None:
        token = spawner.set(step)
        try:
            step.context = self.next_context(step.context, step.event, step)
        finally:
            spawner.reset(token)


def merging(updates: UniformCall) -> UniformCall:
    """Copies the context with the keys changed that an assigner returns."""

    def next_context(context: Any, event: JsonObject, step: Any) -> JsonObject:
        changed = updates(context, event, step)
        if type(changed) is not dict and not isinstance(changed, Mapping):
            raise EventFailed(f"an assigner must return a mapping of keys to change, not {type(changed).__name__}")
        return {**context, **changed}

    return next_context


class Custom(msgspec.Struct, frozen=True):
    """Ask the world to call a custom action."""

    name: str
    params: Json

    def perform(self, step: Macrostep) -> None:
        step.effects.append(RunAction(self.name, step.context, step.event, self.params))


class Raise(msgspec.Struct, frozen=True):
    """Queue an internal event."""

    event: UniformCall

    def perform(self, step: Macrostep) -> None:
        step.queue.append(self.event(step.context, step.event, step))


class SendEvent(msgspec.Struct, frozen=True):
    """Ask the world to deliver an event."""

    event: UniformCall
    target: UniformCall
    delay: UniformCall | None
    id: str | None

    def perform(self, step: Macrostep) -> None:
        event = self.event(step.context, step.event, step)
        delay = None
        if self.delay is not None:
            delay = self.delay(step.context, step.event, step)
            if isinstance(delay, str):
                step.raise_event(ERROR_EXECUTION, f"there is no delay named {delay!r}")
                return
        target = self.target(step.context, step.event, step)
        if target != SENDER:
            step.send(event, as_target(target, step), self.id or event["type"], delay)
        elif step.origin is None:
            step.no_receiver("the sender of the event it handles", event)
        else:
            step.send(event, step.origin, self.id or event["type"], delay)


def as_target(value: Any, step: Macrostep) -> Target | None:
    """What a send's target means: one of the reserved names, a child's id, or a reference."""
    if value == SELF:
        return SelfTarget()
    if value == PARENT:
        return ParentTarget()
    if isinstance(value, str):
        return ChildTarget(value)
    if isinstance(value, Mapping) and value.get("type") == ACTOR_REFERENCE:
        return step.target_at(value.get("path"))
    return instance_at(value)


def instance_at(value: Any) -> InstanceTarget | None:
    """The instance that a reference names, if it is a reference to one."""
    if isinstance(value, Mapping) and value.get("type") == INSTANCE_REFERENCE:
        machine, instance = value.get("machineName"), value.get("machineInstanceName")
        if isinstance(machine, str) and isinstance(instance, str):
            return InstanceTarget(machine, instance)
    return None


class CancelEvent(msgspec.Struct, frozen=True):
    """Ask the world to forget delayed events."""

    send_id: UniformCall

    def perform(self, step: Macrostep) -> None:
        send_id = self.send_id(step.context, step.event, step)
        if not isinstance(send_id, str):
            raise EventFailed(f"cancel needs a send id, which is a string, not {type(send_id).__name__}")
        step.cancel(send_id)


class LogValue(msgspec.Struct, frozen=True):
    """Ask the world to log a value."""

    expression: UniformCall
    label: str | None

    def perform(self, step: Macrostep) -> None:
        step.effects.append(Log(self.expression(step.context, step.event, step), self.label))


class Start(msgspec.Struct, frozen=True):
    """Start an activity that is tied to no state."""

    id: str
    source: str
    params: Json

    def perform(self, step: Macrostep) -> None:
        step.start_child(self.id, source=self.source, context=step.context, activity=True, params=self.params)


class Stop(msgspec.Struct, frozen=True):
    """Stop a child, or activities."""

    child: UniformCall

    def perform(self, step: Macrostep) -> None:
        step.stop_referenced(self.child(step.context, step.event, step))


class Choose(msgspec.Struct, frozen=True):
    """Perform the actions of the first branch whose guard holds."""

    branches: tuple[tuple[Test | None, tuple[Action, ...]], ...]

    def perform(self, step: Macrostep) -> None:
        for guard, actions in self.branches:
            if guard is None or guard(step.context, step.event, step):
                for action in actions:
                    action.perform(step)
                return


class Pure(msgspec.Struct, frozen=True):
    """Perform the actions that user code chooses now."""

    get_actions: UniformCall
    label: str

    def perform(self, step: Macrostep) -> None:
        chosen = self.get_actions(step.context, step.event, step)
        if chosen is None:
            return
        for value in chosen if isinstance(chosen, (list, tuple)) else (chosen,):
            step.machine.resolve_action(value, self.label).perform(step)


# -- what entering and leaving a state performs ----------------------------------------------------


class StartTimer(msgspec.Struct, frozen=True):
    """Start an ``after`` timer of a state being entered."""

    after: After

    def perform(self, step: Macrostep) -> None:
        delay = self.after.delay(step.context, step.event, step)
        if isinstance(delay, str):
            step.raise_event(ERROR_EXECUTION, f"there is no delay named {delay!r}")
        else:
            step.send({"type": self.after.event}, SelfTarget(), self.after.event, delay)


class CancelTimer(msgspec.Struct, frozen=True):
    """Cancel an ``after`` timer of a state being left."""

    after: After

    def perform(self, step: Macrostep) -> None:
        step.cancel(self.after.event)


class Announce(msgspec.Struct, frozen=True):
    """Note that a state being entered invokes a child; it starts once the macrostep is over, if it is still due."""

    invoke: Invoke

    def perform(self, step: Macrostep) -> None:
        step.announce(self.invoke)


class StopInvoked(msgspec.Struct, frozen=True):
    """Stop the child of a state being left."""

    invoke: Invoke

    def perform(self, step: Macrostep) -> None:
        step.leave_invoke(self.invoke)


class RaiseDone(msgspec.Struct, frozen=True):
    """Raise ``done.state.<id>`` for a state that has reached its end, with the final child's data as of now."""

    state: StateNode
    final: StateNode | None

    def perform(self, step: Macrostep) -> None:
        event: JsonObject = {"type": done_state_type(self.state.id)}
        if self.final is not None and self.final.data is not None:
            event["data"] = self.final.data(step.context, step.event, step)
        step.queue.append(event)


def constant_event(event: JsonObject) -> UniformCall:
    """An event expression that is always the same event; a fresh dict each time, since events travel into user code."""
    return lambda context, current, step: dict(event)


def escalation(error: UniformCall) -> UniformCall:
    """The event that carries an error to the parent; whoever delivers it knows by which id the parent has this one."""
    return lambda context, current, step: {"type": ESCALATED, "data": error(context, current, step)}


def computed_event(expression: UniformCall, label: str) -> UniformCall:
    """An event expression computed by user code, checked to be an event."""

    def compute(context: Any, event: JsonObject, step: Any) -> JsonObject:
        value = expression(context, event, step)
        try:
            return to_event(value)
        except Exception as error:
            raise EventFailed(f"{label} must return an event: {error}") from error

    return compute
