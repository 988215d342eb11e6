"""What may be asked of a machine about where it stands, or would stand: XState's ``machine.…`` and ``state.…``.

XState's states know their machine; a snapshot is plain data and does not, so the machine is asked about the snapshot.
Nothing here performs anything: where effects matter, take ``initial`` and ``transition``. These functions are the
methods of ``Machine``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from perdure.errors import InvalidParameter, SnapshotMismatch
from perdure.json_value import Json
from perdure.statechart.configuration import Configuration, configuration_of
from perdure.statechart.defects import nearest
from perdure.statechart.entry_exit import complete_by_default, is_in_final_state
from perdure.statechart.event import INIT, to_event
from perdure.statechart.machine import Machine, StateNode
from perdure.statechart.plan import recorded_states
from perdure.statechart.snapshot import C, Snapshot, StateValue, decode_snapshot
from perdure.statechart.state_value import split_path, value_of_path
from perdure.statechart.step import DEFAULT_SCOPE, configuration_for, transition

__all__ = ["can", "meta", "next_events", "next_snapshot", "resolve", "restore"]


def next_snapshot(machine: Machine[C], snapshot: Snapshot[C] | StateValue, event: Any) -> Snapshot[C]:
    if not isinstance(snapshot, Snapshot):
        snapshot = resolve(machine, snapshot)
    return transition(machine, snapshot, event).snapshot


def can(machine: Machine[C], snapshot: Snapshot[C], event: Any) -> bool:
    configuration = configuration_for(machine, snapshot)
    if snapshot.status != "active":
        return False
    event = to_event(event)
    step = machine.macrostep(machine, snapshot, configuration, snapshot.context, event, DEFAULT_SCOPE)
    enabled = step.enabled_among(configuration.candidates_for(machine, event["type"]))
    return any(transition.targets or transition.actions for transition in enabled)


def next_events(machine: Machine[C], snapshot: Snapshot[C]) -> tuple[str, ...]:
    configuration = configuration_for(machine, snapshot)
    if snapshot.status != "active":
        return ()
    found = (transition for node in configuration.active for transition in node.transitions)
    return tuple(dict.fromkeys(item.event for item in found if item.targets or item.actions))


def meta(machine: Machine[C], snapshot: Snapshot[C]) -> dict[str, Json]:
    return {node.id: node.meta for node in configuration_for(machine, snapshot).active if node.meta is not None}


def resolve(machine: Machine[C], value: StateValue = None, context: Any = None) -> Snapshot[C]:
    states = named_states(machine, value)
    complete_by_default(states, list(states))
    configuration = configuration_of(machine, states)
    if context is None:
        context = machine.initial_context()
    elif machine.schemas is None and not isinstance(context, Mapping):
        raise InvalidParameter(f"a context is an object, not {type(context).__name__}", "context")
    step = machine.macrostep(machine, None, configuration, context, {"type": INIT}, DEFAULT_SCOPE)
    return standing_at(machine, configuration, step.context)


def standing_at(machine: Machine[C], configuration: Configuration, context: Any) -> Snapshot[C]:
    is_done = is_in_final_state(machine.root, set(configuration.nodes))
    return Snapshot(
        machine.id,
        configuration.leaves,
        configuration.value,
        context,
        tags=configuration.tags,
        status="done" if is_done else "active",
    )


def named_states(machine: Machine[C], value: StateValue) -> set[StateNode]:
    """The states that a state value names, with all that are on the way to them."""
    if isinstance(value, str) and value not in machine.root.children:
        value = value_of_path(split_path(value, machine.config.get("delimiter", ".")))
    elif isinstance(value, (list, tuple)):
        value = value_of_path(value)
    found = {machine.root}
    pending: list[tuple[StateNode, StateValue]] = [(machine.root, value)]
    while pending:
        parent, part = pending.pop()
        if part is None:
            continue
        below = {part: None} if isinstance(part, str) else part
        if not isinstance(below, Mapping):
            raise InvalidParameter(f"a state value is a key or an object of keys, not {part!r}", "value")
        if len(below) > 1 and parent.kind != "parallel":
            raise InvalidParameter(f"{sorted(below)} cannot be active at the same time in {parent.id!r}", "value")
        for key, inner in below.items():
            child = parent.children.get(key)
            if child is None or child.kind == "history":
                known = nearest(str(key), [state.key for state in parent.states])
                raise InvalidParameter(f"{key!r} is no state of {parent.id!r} that can be active. {known}", "value")
            found.add(child)
            pending.append((child, inner))
    return found


def restore(machine: Machine[C], data: bytes | str) -> Snapshot[C]:
    snapshot = decode_snapshot(data)
    configuration = configuration_for(machine, snapshot)
    for name, recorded in snapshot.history.items():
        node = machine.by_id.get(name)
        if node is None or node.kind != "history":
            raise SnapshotMismatch(f"machine {machine.id!r} has no history state with the id {name!r}")
        recorded_states(machine, node, recorded)
    for child in snapshot.children.values():
        if not (child.is_persistent or child.by_value) and child.source not in machine.services:
            raise SnapshotMismatch(f"machine {machine.id!r} has no service {child.source!r}, which {child.id!r} runs")
        if child.state is not None and child.state not in machine.by_id:
            raise SnapshotMismatch(f"machine {machine.id!r} has no state {child.state!r}, which runs {child.id!r}")
    step = machine.macrostep(machine, snapshot, configuration, snapshot.context, {"type": INIT}, DEFAULT_SCOPE)
    # Keys and tags may be others than when it was made; the ids of the active states decide.
    return msgspec.structs.replace(snapshot, value=configuration.value, tags=configuration.tags, context=step.context)
