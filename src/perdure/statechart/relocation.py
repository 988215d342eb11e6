"""Relocation: an actor of one machine goes on as an actor of another, which is a later version of its own.

Somebody else says where each active state leads and what the context becomes; this module makes an actor of that. What
is *at* the new place holds from then on: its timers run, its children run, and its eventless transitions are taken.
What happens *on the way* does not happen: no entry or exit action runs, since nobody has gone through a transition.

A state is **kept** when it was active before under the same id. A kept state keeps the timers that it had, with the
time that is left, and its children. Its timers that the new machine does not know are cancelled, those that are new in
it start. For all other states timers and children start as if they had just been entered, and those of states that
are active no more are cancelled. Children are carried over in any case: one that the new states expect under the same
id is theirs, and any other goes on as if it had been spawned.

The former machine may be out of reach, when its code is gone. Then states are compared by their default ids, what is
new in a kept state cannot be told, and every timer that the new machine could take for its own is cancelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from perdure.errors import SnapshotMismatch
from perdure.json_value import JsonObject
from perdure.statechart.action import Announce, RaiseDone, StartTimer
from perdure.statechart.configuration import configuration_of
from perdure.statechart.defects import nearest
from perdure.statechart.entry_exit import add_with_ancestors, complete_by_default, is_in_final_state
from perdure.statechart.machine import Invoke, Machine, PersistentSource, StateNode, find_conflict
from perdure.statechart.macrostep import Scope
from perdure.statechart.plan import entry_program
from perdure.statechart.snapshot import Child, Snapshot, StateValue
from perdure.statechart.step import Step, configuration_for, outcome

__all__ = ["StatePath", "history_paths", "leaf_paths", "leaves_under", "relocate", "shown_path"]

StatePath: TypeAlias = tuple[str, ...]
"""The keys that lead from the root to a state; the root's own path is empty."""

HistoryPaths: TypeAlias = Mapping[str, Sequence[StatePath]]
"""For the id of each history state: the paths of the states that it has recorded."""


def relocate(
    machine: Machine,
    before: Snapshot,
    paths: Sequence[StatePath],
    *,
    context: Any,
    history: HistoryPaths,
    event: JsonObject,
    former: Machine | None,
    scope: Scope,
) -> Step:
    """The macrostep that lets the actor of ``before`` go on in ``machine``, at the states that ``paths`` name.

    A path may name a compound state, which is then entered by default. ``former`` is the machine of ``before``. User
    code sees ``event``. Raises ``SnapshotMismatch``, naming the path at fault, where this machine cannot stand, and
    what ``transition`` raises for the eventless transitions that follow.
    """
    configuration = configuration_of(machine, states_at(machine, paths))
    origin = Origin(before, former)
    kept = {node for node in configuration.active if origin.has(node.id)}
    entered = {node for node in configuration.active if node not in kept}
    children, adopted = carried_children(before, entered, {node.id for node in configuration.active})
    stand = Snapshot(
        machine.id,
        configuration.leaves,
        configuration.value,
        context,
        history_in(machine, history, former),
        children,
        before.children_started,
        configuration.tags,
    )
    step = machine.macrostep(machine, stand, configuration, context, event, scope)
    for timer in origin.timers_to_cancel(machine, kept):
        step.cancel(timer)
    program, completes = entry_program(machine, entered, set(kept))
    for action in program:
        if isinstance(action, StartTimer | RaiseDone) or (
            isinstance(action, Announce) and action.invoke not in adopted
        ):
            action.perform(step)
    for node in sorted(kept, key=lambda node: node.order):
        for after in node.afters:
            if origin.lacks_timer(node.id, after.event):
                StartTimer(after).perform(step)
    if completes is None and is_in_final_state(machine.root, set(configuration.nodes)):
        # It was no end in the former machine, so that nothing of it was entered now.
        completes = next((node for node in configuration.active if is_end(node, machine)), machine.root)
    if completes is not None:
        step.complete(completes)
    step.run_to_stable()
    return outcome(step)


class Origin:
    """Where the actor comes from: which states were active, and which timers these have."""

    def __init__(self, before: Snapshot, former: Machine | None) -> None:
        self.leaves = before.configuration
        self.active: dict[str, set[str]] | None = None
        """For each active state's id the events of its timers; ``None`` when the former machine is out of reach."""
        if former is not None:
            nodes = configuration_for(former, before).active
            self.active = {node.id: {after.event for after in node.afters} for node in nodes}

    def has(self, state_id: str) -> bool:
        """Whether a state with this id was active."""
        if self.active is not None:
            return state_id in self.active
        return any(leaf == state_id or leaf.startswith(f"{state_id}.") for leaf in self.leaves)

    def lacks_timer(self, state_id: str, timer: str) -> bool:
        """Whether a kept state is known to have had no such timer."""
        return self.active is not None and timer not in self.active[state_id]

    def timers_to_cancel(self, machine: Machine, kept: set[StateNode]) -> list[str]:
        """The send ids of the timers that may run and are no timers of a kept state any more."""
        wanted = {after.event for node in kept for after in node.afters}
        if self.active is None:
            possible = [after.event for node in machine.nodes for after in node.afters]
        else:
            possible = [timer for timers in self.active.values() for timer in sorted(timers)]
        return [timer for timer in possible if timer not in wanted]


def is_end(node: StateNode, machine: Machine) -> bool:
    return node.kind == "final" and node.parent is machine.root


def carried_children(
    before: Snapshot, entered: set[StateNode], active: set[str]
) -> tuple[dict[str, Child], list[Invoke]]:
    """The children as the new states have them, and the invocations that need not start one."""
    expected = {
        invoke.id: invoke
        for node in sorted(entered, key=lambda node: node.order)
        for invoke in node.invokes
        if isinstance(invoke.source, PersistentSource)
    }
    children: dict[str, Child] = {}
    adopted: list[Invoke] = []
    for child in before.children.values():
        invoke = expected.get(child.id)
        if invoke is not None and isinstance(invoke.source, PersistentSource) and invoke.source.machine == child.source:
            adopted.append(invoke)
            child = msgspec.structs.replace(child, state=invoke.state_id)
        elif child.state is not None and child.state not in active:
            child = msgspec.structs.replace(child, state=None)
        children[child.id] = child
    return children, adopted


# -- paths ---------------------------------------------------------------------------------------------------------


def leaf_paths(value: StateValue) -> list[StatePath]:
    """The paths of the active leaves of a state value, in its order."""
    found: list[StatePath] = []
    pending: list[tuple[StatePath, StateValue]] = [((), value)]
    while pending:
        path, part = pending.pop()
        if isinstance(part, Mapping) and part:
            pending += [((*path, key), below) for key, below in reversed(list(part.items()))]
        else:
            found.append((*path, part) if isinstance(part, str) else path)
    return found


def leaves_under(machine: Machine, paths: Sequence[StatePath]) -> list[StatePath]:
    """The paths of the leaves where an actor stands that is led to these states. Raises ``SnapshotMismatch``."""
    return leaf_paths(configuration_of(machine, states_at(machine, paths)).value)


def history_paths(before: Snapshot, former: Machine | None) -> dict[str, list[StatePath]]:
    """What the history states of a snapshot have recorded, as paths.

    Raises ``SnapshotMismatch`` for a state with an id of its own when the machine that knows it is out of reach.
    """
    return {
        history_id: [recorded_path(before, former, state_id) for state_id in recorded]
        for history_id, recorded in before.history.items()
    }


def recorded_path(before: Snapshot, former: Machine | None, state_id: str) -> StatePath:
    if former is not None:
        return former.by_id[state_id].path
    prefix, _, rest = state_id.partition(".")
    if prefix != before.machine or not rest:
        raise SnapshotMismatch(
            f"a history state has recorded {state_id!r}, and only the code of its version can tell where that is: "
            "bring that version along"
        )
    return tuple(rest.split("."))


def states_at(machine: Machine, paths: Sequence[StatePath]) -> set[StateNode]:
    """The configuration with these states in it. Raises ``SnapshotMismatch`` when there is none."""
    targets = [state_at(machine, path) for path in paths]
    refuse_conflict(machine, targets)
    states = {machine.root}
    for target in targets:
        add_with_ancestors(target, None, states)
    complete_by_default(states, list(states))
    return states


def state_at(machine: Machine, path: StatePath) -> StateNode:
    """The state that a path leads to. Raises ``SnapshotMismatch`` when it is none that can be active."""
    node = machine.root
    for key in path:
        child = node.children.get(key)
        if child is None or child.kind == "history":
            known = nearest(key, [state.key for state in node.states])
            raise SnapshotMismatch(
                f"{shown_path(path)} is no state of machine {machine.id!r}: {node.id!r} has no state {key!r} that can "
                f"be active. {known}".rstrip()
            )
        node = child
    return node


def refuse_conflict(machine: Machine, targets: Sequence[StateNode]) -> None:
    conflict = find_conflict(targets)
    if conflict is not None:
        first, second = (shown_path(node.path) for node in conflict)
        raise SnapshotMismatch(f"{first} and {second} of machine {machine.id!r} cannot be active at the same time")


def shown_path(path: StatePath) -> str:
    return ".".join(path) or "(the root)"


def history_in(machine: Machine, history: HistoryPaths, former: Machine | None) -> dict[str, tuple[str, ...]]:
    """What the history states of this machine have recorded.

    A history state is the one with the same id when what was recorded is in its parent, else the innermost one with the
    same key of which that is true. What no history state can have recorded is forgotten. Raises ``SnapshotMismatch``
    for a path that leads to no state.
    """
    found: dict[str, tuple[str, ...]] = {}
    for history_id, paths in history.items():
        nodes = [state_at(machine, path) for path in paths]
        refuse_conflict(machine, nodes)
        key = history_id.rpartition(".")[2] if former is None else former.by_id[history_id].key
        fitting = [
            candidate
            for candidate in machine.nodes
            if candidate.kind == "history"
            and (candidate.id == history_id or candidate.key == key)
            and all(candidate.parent in set(node.ancestors()) for node in nodes)
        ]
        if fitting:
            home = max(fitting, key=lambda node: (node.id == history_id, len(node.path)))
            found[home.id] = tuple(node.id for node in nodes)
    return found
