"""The engine's three functions: enter a machine, handle an event, stop.

Each runs one macrostep, from one stable configuration to the next; what the machine asks of the world is collected as
effects and performed by others. All of them are pure: equal arguments give equal results, and when one raises, nothing
has happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic

import msgspec

from perdure.errors import EventFailed, InvalidParameter, SnapshotMismatch
from perdure.json_value import Json, JsonObject, says_the_same
from perdure.statechart import spawning
from perdure.statechart.action import Assign, StartTimer
from perdure.statechart.callables import Meta
from perdure.statechart.configuration import (
    Configuration,
    configuration_of,
    make_room,
    restore_configuration,
    size_of_type,
)
from perdure.statechart.effect import Effect, RunAction
from perdure.statechart.entry_exit import add_with_ancestors, complete_by_default
from perdure.statechart.event import ADOPT, INIT, STOP, EventLike, to_event
from perdure.statechart.instance_actions import take_in
from perdure.statechart.machine import Beginning, Machine, StateNode
from perdure.statechart.macrostep import Macrostep, Scope
from perdure.statechart.plan import QuickPlan, entry_program, quick_plan
from perdure.statechart.reference import reference_of
from perdure.statechart.schema import is_schema_type, plain
from perdure.statechart.snapshot import C, Snapshot
from perdure.statechart.spawning import spawner

__all__ = ["Scope", "Step", "adopt", "initial", "resume", "stop", "transition"]


class Step(msgspec.Struct, Generic[C], frozen=True):
    """The outcome of a macrostep: the next snapshot, and the effects to perform, in order, once it is safe."""

    snapshot: Snapshot[C]
    effects: tuple[Effect, ...]
    changed: bool
    """Whether the state value, the context or the children differ, or anything was asked of the world."""


DEFAULT_SCOPE = Scope()


def initial(
    machine: Machine[C],
    context: JsonObject | C | None = None,
    *,
    replaces: bool = False,
    scope: Scope = DEFAULT_SCOPE,
) -> Step[C]:
    """Enter the machine: SCXML's ``interpret``, until it would wait for an event.

    ``context`` is merged over the machine's own initial context, key by key, or ``replaces`` it.

    Raises ``EventFailed`` when user code raises, ``MicrostepLimitExceeded`` when it does not become stable,
    ``InvalidParameter`` for a context that does not fit.
    """
    given: object = context
    if is_schema_type(type(given)):
        given = plain(given)
    if given is not None and not isinstance(given, Mapping):
        raise InvalidParameter(f"a context is an object, not {type(given).__name__}", "context")
    program, completes, configuration = machine.beginning or learn_beginning(machine)
    first_context = dict(given or {}) if replaces else {**machine.initial_context(), **(given or {})}
    step = machine.macrostep(machine, None, configuration, first_context, {"type": INIT}, scope)
    step.perform(program)
    if completes is not None:
        step.complete(completes)
    step.run_to_stable()
    return outcome(step)


def learn_beginning(machine: Machine[C]) -> Beginning:
    """What entering the machine does, worked out once."""
    entering: set[StateNode] = set()
    complete_by_default(entering, add_with_ancestors(machine.root, None, entering))
    active: set[StateNode] = set()
    program, completes = entry_program(machine, entering, active)
    machine.beginning = program, completes, configuration_of(machine, active)
    return machine.beginning


def transition(
    machine: Machine[C], snapshot: Snapshot[C], event: EventLike, *, scope: Scope = DEFAULT_SCOPE
) -> Step[C]:
    """Handle one external event: one turn of SCXML's ``mainEventLoop``. A machine that has ended ignores it.

    Raises ``EventFailed`` when a guard, an assigner or another pure part of the machine raises,
    ``MicrostepLimitExceeded`` when it does not become stable, ``SnapshotMismatch`` when the snapshot is not of this
    machine, ``InvalidParameter`` for what is no event, or does not fit the schema of its type. In each case the
    snapshot still stands.
    """
    configuration = machine.configurations.get(snapshot.configuration)
    if configuration is None or snapshot.machine != machine.id:
        configuration = configuration_for(machine, snapshot)
    if snapshot.status != "active":
        return Step(snapshot, (), False)
    event_type: object = event["type"] if type(event) is dict and "type" in event else event
    if type(event_type) is str and event_type and not snapshot.forwarding and scope.watch is None:
        try:
            quick = configuration.quick[event_type]
        except KeyError:
            quick = learn_quick_plan(machine, configuration, event_type)
        if quick is not None:
            quick_outcome = quick_step(quick, snapshot, configuration, event, event_type, scope)
            if quick_outcome is not None:
                return quick_outcome
            configuration.quick[event_type] = None
    event = to_event(event)
    step = machine.macrostep(machine, snapshot, configuration, snapshot.context, event, scope)
    if step.children:
        ended = step.forget_ended_child(event)
        if ended is not None and ended.activity:
            step.end_activity(ended, event)
            return outcome(step)
        if step.forwarding:
            step.forward_automatically(event)
    step.take(event)
    step.run_to_stable()
    return outcome(step)


def stop(machine: Machine[C], snapshot: Snapshot[C], *, scope: Scope = DEFAULT_SCOPE) -> Step[C]:
    """Stop an actor from outside: exit actions run, innermost first, and its children stop. It ends without output."""
    configuration = configuration_for(machine, snapshot)
    if snapshot.status != "active":
        return Step(snapshot, (), False)
    step = machine.macrostep(machine, snapshot, configuration, snapshot.context, {"type": STOP}, scope)
    step.leave_everything()
    step.status = "stopped"
    return outcome(step)


def resume(machine: Machine[C], snapshot: Snapshot[C], *, scope: Scope = DEFAULT_SCOPE) -> Step[C]:
    """Go on from a snapshot whose surroundings are gone: the ``after`` timers of the active states start anew.

    No state is entered again, and no child started.
    """
    configuration = configuration_for(machine, snapshot)
    if snapshot.status != "active":
        return Step(snapshot, (), False)
    step = machine.macrostep(machine, snapshot, configuration, snapshot.context, {"type": INIT}, scope)
    for node in configuration.active:
        step.perform(tuple(StartTimer(after) for after in node.afters))
    step.run_to_stable()
    return outcome(step)


def adopt(
    machine: Machine[C],
    snapshot: Snapshot[C],
    reference: Mapping[str, Any],
    *,
    child_id: str | None,
    detached: bool,
    auto_forward: bool,
    sync: bool,
    scope: Scope = DEFAULT_SCOPE,
) -> Step[C]:
    """Adopt an instance because the world outside says so, not an action. Raises what the action does."""
    configuration = configuration_for(machine, snapshot)
    step = machine.macrostep(machine, snapshot, configuration, snapshot.context, {"type": ADOPT}, scope)
    take_in(step, reference, child_id, detached=detached, auto_forward=auto_forward, sync=sync)
    return outcome(step)


def configuration_for(machine: Machine, snapshot: Snapshot) -> Configuration:
    """Where the snapshot stands in this machine. Raises ``SnapshotMismatch`` when it does not."""
    if snapshot.machine != machine.id:
        raise SnapshotMismatch(f"the snapshot is of machine {snapshot.machine!r}, not of {machine.id!r}")
    return machine.configurations.get(snapshot.configuration) or restore_configuration(machine, snapshot.configuration)


def outcome(step: Macrostep) -> Step:
    """The snapshot that a finished macrostep leads to, with its effects."""
    before, configuration = step.before, step.configuration
    effects = tuple(step.effects)
    snapshot = Snapshot(
        step.machine.id,
        configuration.leaves,
        configuration.value,
        step.context,
        step.history,
        step.children,
        step.children_started,
        configuration.tags,
        step.status,
        step.output,
        step.error,
        0,
        step.forwarding,
    )
    if before is None or effects or step.status != "active" or configuration.leaves != before.configuration:
        return Step(snapshot, effects, True)
    same_children = step.children is before.children or step.children == before.children
    same_context = is_same_context(step.context, before.context)
    if not (same_children and same_context):
        return Step(snapshot, effects, True)
    return Step(before if step.history is before.history else snapshot, effects, False)


def is_same_context(after: Any, before: Any) -> bool:
    return after is before or (after == before and says_the_same(after, before))


# -- macrosteps that need no Macrostep -------------------------------------------------------------


UNSEEN: JsonObject = {}
"""Stands for the event as long as nobody has seen it."""


class Asking(msgspec.Struct, frozen=True):
    """What a guard or an assigner may ask when there is no ``Macrostep``."""

    before: Snapshot
    configuration: Configuration
    scope: Scope

    def meta(self, params: Json) -> Meta:
        return Meta(snapshot=self.before, params=params, reference=reference_of(self.scope.address))


def learn_quick_plan(machine: Machine, configuration: Configuration, event_type: str) -> QuickPlan | None:
    quick = configuration.quick[event_type] = quick_plan(machine, configuration, event_type)
    make_room(machine, size_of_type(event_type))
    return quick


def quick_step(
    quick: QuickPlan,
    snapshot: Snapshot,
    configuration: Configuration,
    event: EventLike,
    event_type: str,
    scope: Scope,
) -> Step | None:
    """The outcome of a macrostep of assigners and custom actions at most.

    ``None`` when an assigner has tried to spawn a child, which takes a ``Macrostep``: then all has to be done again. It
    was refused the child as if it had not been called inside ``assign``, and whatever it made of that is void. (To show
    assigners their macrostep, as ``Assign.perform`` does, takes a context variable; setting that costs as much as the
    assigner.)
    """
    before = context = snapshot.context
    effects: list[RunAction] = []
    asking, seen_event = None, UNSEEN
    refusal = spawning.last_refusal
    try:
        for guard, actions, target in quick:
            if asking is None and (guard is not None or actions):
                asking = Asking(snapshot, configuration, scope)
                seen_event = {"type": event_type} if event is event_type else to_event(event)
            if guard is not None and not guard(context, seen_event, asking):
                continue
            for action in actions:
                if type(action) is Assign:  # isinstance takes the long way for every action that is none
                    if spawner.get() is not None:
                        return None  # called by an assigner of another machine, whose child it would become
                    context = action.next_context(context, seen_event, asking)
                else:
                    effects.append(RunAction(action.name, context, seen_event, action.params))
            if spawning.last_refusal is not refusal:
                return None
            if target is configuration and not effects and is_same_context(context, before):
                break
            after = Snapshot(
                snapshot.machine,
                target.leaves,
                target.value,
                context,
                snapshot.history,
                snapshot.children,
                snapshot.children_started,
                target.tags,
            )
            return Step(after, tuple(effects), True)
    except EventFailed:
        if spawning.last_refusal is refusal:
            raise
        return None
    return Step(snapshot, (), False)
