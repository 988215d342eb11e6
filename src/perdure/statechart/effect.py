"""Everything a machine may ask of the world, on one screen.

A macrostep returns a list of effects. Whoever drives the engine carries them out **in list order** and, where the actor
is durable, only after the snapshot that came with them is committed. The engine itself performs none of them.

Within one macrostep the order is the one in which the statechart produced them: exit actions (reverse document order),
transition actions, entry actions (document order), microstep by microstep; then the starts of the children invoked by
states that are still active, each followed by the messages already sent to it; at the very end ``Done`` or ``Fail``.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from perdure.json_value import Json, JsonObject
from perdure.statechart.retry import Retry

__all__ = [
    "ActorTarget",
    "AdoptChild",
    "Broadcast",
    "Cancel",
    "ChildTarget",
    "Done",
    "Effect",
    "Fail",
    "InstanceTarget",
    "JoinGroup",
    "LeaveGroup",
    "Log",
    "ParentTarget",
    "RunAction",
    "SelfTarget",
    "Send",
    "StartChild",
    "StopChild",
    "Target",
    "Warn",
]


class InstanceTarget(msgspec.Struct, frozen=True, tag="instance"):
    """A persistent instance, addressed from anywhere by machine and name."""

    machine: str
    instance: str


class ChildTarget(msgspec.Struct, frozen=True, tag="child"):
    """A running ephemeral child of this actor; a persistent one is addressed as the instance it is."""

    id: str


class ActorTarget(msgspec.Struct, frozen=True, tag="actor"):
    """An ephemeral actor that is no child of this one, addressed by its path: the ids from the root down to it."""

    path: str


class ParentTarget(msgspec.Struct, frozen=True, tag="parent"):
    """The actor (or, for a shared persistent child, all the actors) that started this one.

    An event of the type ``xstate.error`` gets there as ``error.platform.<id>``, with the id by which it has this one.
    """


class SelfTarget(msgspec.Struct, frozen=True, tag="self"):
    """This actor's own mailbox: an external event, taken after all internal ones."""


Target: TypeAlias = InstanceTarget | ActorTarget | ChildTarget | ParentTarget | SelfTarget


class RunAction(msgspec.Struct, frozen=True, tag="run-action"):
    """Call a custom action with the context as it was at that place in the order of actions."""

    action: str
    """Its name among the machine's actions; an inline callable is named by its place in the config."""
    context: Json
    event: JsonObject
    params: Json = None


class Send(msgspec.Struct, frozen=True, tag="send"):
    """Deliver an event, now or after a delay."""

    event: JsonObject
    target: Target
    id: str
    """What ``Cancel`` names; by default the event's type."""
    delay: float | None = None
    """Milliseconds. ``None`` is no timer at all; 0 is a timer that is due at once."""


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Forget every delayed event with this send id that has not been delivered yet."""

    id: str


class StartChild(msgspec.Struct, frozen=True, tag="start-child"):
    """Start a child: a service of the machine, or a persistent instance of another machine."""

    id: str
    source: str
    """The service's name among the machine's services, or the machine of a persistent child.

    For a child spawned by value, ``behavior``, it is only what to call it.
    """
    session: int
    event: JsonObject
    """The event that started it; a service sees it as its second argument."""
    context: Json
    """For a service the parent's context, or the data it is given in its place; for a persistent child the initial
    context it is given, or ``None``.
    """
    has_data: bool = False
    """Whether ``context`` is what the child was given, and so the context of a child that is a machine."""
    instance: str | None = None
    """The instance name of a persistent child; ``None`` for an ephemeral one."""
    version: str | None = None
    detached: bool = False
    auto_forward: bool = False
    sync: bool = False
    """Whether the parent wants an ``xstate.update`` event for every step of the child."""
    snapshots: bool = False
    """Whether the parent wants an ``xstate.snapshot.<id>`` event for every step of the child."""
    params: Json = None
    retry: Retry | None = None
    """How it is to be tried again; ``None`` is once and never again."""
    attempt: int = 1
    idempotency_key: str | None = None
    """The same for every attempt at this child, and for none of another; ``None`` where there is one attempt."""
    behavior: Any = None
    """What an assigner has spawned by value: a machine, a callable, or other actor logic. It is the one thing in an
    effect that is not data, so that only a runner in the same process can start such a child.
    """


class StopChild(msgspec.Struct, frozen=True, tag="stop-child"):
    """Stop a running child. Unknown to the runner means it has ended already, which is no error."""

    id: str
    session: int
    source: str
    instance: str | None = None


class AdoptChild(msgspec.Struct, frozen=True, tag="adopt-child"):
    """Ask an instance that exists to be a child of this one too."""

    id: str
    session: int
    source: str
    """Its machine."""
    instance: str
    detached: bool = False
    sync: bool = False


class JoinGroup(msgspec.Struct, frozen=True, tag="join-group"):
    """Become a member of a group of instances."""

    name: str


class LeaveGroup(msgspec.Struct, frozen=True, tag="leave-group"):
    """Be a member of a group of instances no longer."""

    name: str


class Broadcast(msgspec.Struct, frozen=True, tag="broadcast"):
    """Deliver an event to every member of a group of instances."""

    event: JsonObject
    group: str


class Log(msgspec.Struct, frozen=True, tag="log"):
    """A value the machine wants logged."""

    value: Json
    label: str | None = None


class Warn(msgspec.Struct, frozen=True, tag="warn"):
    """Something the author of the machine should know: a message to nobody, a child that does not exist."""

    message: str


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The machine has reached its root's final state; tell the parents. All its delayed events are void."""

    output: Json = None


class Fail(msgspec.Struct, frozen=True, tag="fail"):
    """An error of a child was handled by nobody: the machine has ended in status ``error``. Tell the parents."""

    error: Json = None


Effect: TypeAlias = (
    RunAction
    | Send
    | Cancel
    | StartChild
    | StopChild
    | AdoptChild
    | JoinGroup
    | LeaveGroup
    | Broadcast
    | Log
    | Warn
    | Done
    | Fail
)
