"""From what a machine asked to be started to the actor that runs it.

A source that cannot run, or that lies too deep, becomes an actor all the same: one that fails as soon as it begins. So
every child ends in one of two ways, and its parent has one place to handle errors.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from perdure.actors.actor import SNAPSHOTS, UPDATES, Actor, Parent, Sender
from perdure.actors.callback_actor import CallbackActor
from perdure.actors.logic import CallbackLogic, ObservableLogic, ReducerLogic, from_observable
from perdure.actors.machine_actor import MachineActor
from perdure.actors.reducer_actor import ReducerActor
from perdure.actors.task_actor import PromiseActor, StreamActor
from perdure.errors import EventFailed
from perdure.statechart.effect import ActorTarget, StartChild
from perdure.statechart.machine import Machine
from perdure.statechart.reference import path_of

if TYPE_CHECKING:
    from perdure.actors.system import ActorSystem

__all__ = ["DEPTH_MAX", "new_child"]

DEPTH_MAX = 1_000
"""How deep actors may be nested: a machine that spawns itself for ever fails here instead of filling the memory."""


class BrokenActor(Actor):
    """A child that cannot be started. ``begin`` is given the reason."""

    __slots__ = ()

    kind = "broken"

    def begin(self, given: Any, sender: Sender | None) -> None:
        if self.status == "new":
            self.status = "active"
            self.crash(given)


def new_child(system: ActorSystem, parent: Parent, effect: StartChild, behavior: Any) -> tuple[Actor, Any]:
    """The actor that runs ``behavior``, and what it is to be given when it begins."""
    address = ActorTarget(f"{path_of(parent.address)}/{effect.id}")
    child: Actor
    given: Any = effect
    reason = obstacle(parent, effect)
    if reason is not None:
        child, given = BrokenActor(system, address, parent, effect.session), EventFailed(reason)
    elif isinstance(behavior, Machine):
        child = MachineActor(system, address, parent, effect.session, behavior)
        given = effect.context if effect.has_data else None
    elif isinstance(behavior, ReducerLogic):
        child = ReducerActor(system, address, parent, effect.session, behavior)
    elif isinstance(behavior, CallbackLogic):
        child = CallbackActor(system, address, parent, effect.session, behavior)
    elif isinstance(behavior, ObservableLogic):
        child = StreamActor(system, address, parent, effect.session, behavior)
    elif inspect.isasyncgenfunction(behavior):
        child = StreamActor(system, address, parent, effect.session, from_observable(behavior))
    elif callable(behavior):
        child = PromiseActor(system, address, parent, effect.session, behavior)
    else:
        child = BrokenActor(system, address, parent, effect.session)
        given = EventFailed(f"{effect.source!r} cannot run as a child: it is {behavior!r}")
    child.reports = (UPDATES if effect.sync else 0) | (SNAPSHOTS if effect.snapshots else 0)
    return child, given


def obstacle(parent: Parent, effect: StartChild) -> str | None:
    """Why a child cannot be started whatever it is, if that is so."""
    if effect.instance is not None:
        return f"{effect.id!r} is a persistent child, which needs a perdure.Runtime: actors in memory cannot have any"
    depth, above = 1, parent.parent
    while above is not None:
        depth, above = depth + 1, above.parent
    if depth > DEPTH_MAX:
        return f"{effect.id!r} would be nested more than {DEPTH_MAX:,} actors deep"
    return None
