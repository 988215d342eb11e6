"""What a machine can come to: the graph of its reachable states, and paths through it, for model-based tests.

``reachable`` plays every event in every state, breadth first, through the public ``initial`` and ``transition``;
nothing is performed and no time passes. ``shortest_paths`` and ``simple_paths`` read the graph that it returns: each
path says which events lead where, so that a test can play them on the real thing and compare after every step.

A machine with a context has as many states as its context has values, so that three things keep a graph finite: the
events that are offered, a ``filter`` that leaves states out, and a serialiser that decides which snapshots are the same
state. What is still too large is refused with an error that names the bound.

Offered are the events that are given, the timers of active states (each may fire at any time: how long a delay is, and
which of two is shorter, is not looked at), and where it is asked for, the end of each running child. What a machine
sends to itself is an external event, to be given like any other; without given events every type that the machine's
transitions name is offered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from perdure.errors import EventFailed, InvalidParameter
from perdure.json_value import JsonObject, encode_json
from perdure.statechart.event import (
    DONE_INVOKE,
    ERROR_PLATFORM,
    INTERNAL_PREFIXES,
    done_invoke_type,
    error_platform_type,
    to_event,
)
from perdure.statechart.machine import Machine
from perdure.statechart.snapshot import Snapshot
from perdure.statechart.step import initial, transition

__all__ = [
    "Edge",
    "Events",
    "Graph",
    "Path",
    "PathStep",
    "configuration_only",
    "known_events",
    "reachable",
    "shortest_paths",
    "simple_paths",
    "whole_event",
    "whole_state",
]

EventLike: TypeAlias = "str | Mapping[str, Any]"
Payloads: TypeAlias = "Iterable[Mapping[str, Any]] | Callable[[Snapshot], Iterable[Mapping[str, Any]]]"
"""The other fields of an event, as a list or as a function of the snapshot that returns one."""
Events: TypeAlias = "Iterable[EventLike] | Mapping[str, Payloads] | Callable[[Snapshot], Iterable[EventLike]]"
"""Events as a list, as a dict from type to payloads, or as a function of the snapshot that returns a list."""

MAX_STATES = 1_000
MAX_PATHS = 10_000


class Edge(msgspec.Struct, frozen=True):
    """An event that does something: it changes the state or asks something of the world."""

    source: Hashable
    event: JsonObject
    target: Hashable


class Graph(msgspec.Struct, frozen=True):
    """The reachable states by their keys, in the order in which they were found: nearest first."""

    start: Hashable
    snapshots: dict[Hashable, Snapshot]
    """The first snapshot found for each key; with a coarse serialiser it stands for others."""
    edges: dict[Hashable, tuple[Edge, ...]]
    """For each state the events that do something there, in the order in which they are offered."""


class PathStep(NamedTuple):
    """A state on the way, and the event that leads on."""

    snapshot: Snapshot
    event: JsonObject


class Path(msgspec.Struct, frozen=True):
    """A way from the start to a state."""

    steps: tuple[PathStep, ...]
    snapshot: Snapshot
    """Where it ends."""

    @property
    def events(self) -> tuple[JsonObject, ...]:
        return tuple(step.event for step in self.steps)


def reachable(
    machine: Machine,
    events: Events | None = None,
    *,
    start: Snapshot | None = None,
    timers: bool = True,
    children: bool = False,
    filter: Callable[[Snapshot], bool] | None = None,
    serialize_state: Callable[[Snapshot], Hashable] | None = None,
    serialize_event: Callable[[JsonObject], Hashable] | None = None,
    max_states: int = MAX_STATES,
) -> Graph:
    """The graph of what can be reached from ``start``, by default from the initial state.

    ``timers`` offers the ``after`` events of active states; ``children`` offers ``done.invoke`` and ``error.platform``
    of every running child. Such an event may also be given, with its data: it is offered while that child runs, and
    instead of the one without data. A state that ``filter`` refuses is not part of the graph, except the start. Events
    that ``serialize_event`` says are equal are offered once.

    An event that is ignored has no edge. Raises ``InvalidParameter`` when there are more than ``max_states`` states,
    and ``EventFailed`` when the machine's code raises, with a note of the state and the event.
    """
    key_of = serialize_state or whole_state
    event_key = serialize_event or whole_event
    offered = offering(machine, events, timers=timers, children=children)
    first = start if start is not None else initial(machine).snapshot
    snapshots = {key_of(first): first}
    edges: dict[Hashable, tuple[Edge, ...]] = {}
    waiting = deque(snapshots)
    while waiting:
        source = waiting.popleft()
        found: dict[Hashable, Edge] = {}
        for event in offered(snapshots[source]):
            if event_key(event) in found:
                continue
            after = outcome(machine, snapshots[source], event)
            if after is None or (filter is not None and not filter(after)):
                continue
            target = key_of(after)
            found[event_key(event)] = Edge(source, event, target)
            if target in snapshots:
                continue
            if len(snapshots) >= max_states:
                raise InvalidParameter(
                    f"machine {machine.id!r} has more than max_states={max_states} reachable states: offer fewer "
                    "events, leave states out with filter, take states together with "
                    "serialize_state=configuration_only, or raise max_states",
                    "max_states",
                )
            snapshots[target] = after
            waiting.append(target)
        edges[source] = tuple(found.values())
    return Graph(key_of(first), snapshots, edges)


def shortest_paths(graph: Graph, *, to: Callable[[Snapshot], bool] | None = None) -> list[Path]:
    """For every state one path with the fewest events, nearest state first; with ``to`` only for states it accepts."""
    arrivals: dict[Hashable, Edge] = {}
    waiting = deque([graph.start])
    while waiting:
        for edge in graph.edges[waiting.popleft()]:
            if edge.target != graph.start and edge.target not in arrivals:
                arrivals[edge.target] = edge
                waiting.append(edge.target)
    paths = []
    for key in (graph.start, *arrivals):
        if to is not None and not to(graph.snapshots[key]):
            continue
        way: list[Edge] = []
        here = key
        while here != graph.start:
            way.append(arrivals[here])
            here = arrivals[here].source
        paths.append(path_of(graph, list(reversed(way))))
    return paths


def simple_paths(
    graph: Graph, *, to: Callable[[Snapshot], bool] | None = None, max_paths: int = MAX_PATHS
) -> list[Path]:
    """Every path that visits no state twice, depth first; with ``to`` only those that end in states it accepts.

    Their number grows exponentially with the size of the graph. Raises ``InvalidParameter`` when it is over
    ``max_paths``; the ones that ``to`` refuses do not count.
    """
    paths: list[Path] = []
    way: list[Edge] = []
    visited = {graph.start}
    choices = [iter(graph.edges[graph.start])]
    here: Hashable = graph.start
    while True:
        if to is None or to(graph.snapshots[here]):
            if len(paths) >= max_paths:
                raise InvalidParameter(
                    f"there are more than max_paths={max_paths} simple paths: choose where they end with to, take "
                    "shortest_paths, or raise max_paths",
                    "max_paths",
                )
            paths.append(path_of(graph, way))
        edge = next_edge(choices, way, visited)
        if edge is None:
            return paths
        way.append(edge)
        visited.add(edge.target)
        choices.append(iter(graph.edges[edge.target]))
        here = edge.target


def next_edge(choices: list[Iterator[Edge]], way: list[Edge], visited: set[Hashable]) -> Edge | None:
    """The next edge to a state that is not on the way, going back where there is none; ``None`` when all is seen."""
    while True:
        for edge in choices[-1]:
            if edge.target not in visited:
                return edge
        choices.pop()
        if not way:
            return None
        visited.remove(way.pop().target)


def path_of(graph: Graph, way: Sequence[Edge]) -> Path:
    end = way[-1].target if way else graph.start
    steps = tuple(PathStep(graph.snapshots[edge.source], edge.event) for edge in way)
    return Path(steps, graph.snapshots[end])


def outcome(machine: Machine, snapshot: Snapshot, event: JsonObject) -> Snapshot | None:
    """The snapshot that an event leads to; ``None`` when it is ignored."""
    try:
        step = transition(machine, snapshot, event)
    except EventFailed as error:
        error.add_note(f"in the state {text_of(snapshot.value)} with the event {text_of(event)}")
        raise
    return step.snapshot if step.changed else None


# -- which snapshots and events are the same -------------------------------------------------------


def whole_state(snapshot: Snapshot) -> str:
    """All that a snapshot's future depends on: configuration, context, history, running children, status.

    Two children started one after the other under the same id count as one.
    """
    parts = [text_of(snapshot.value)]
    children = [[child.id, child.source, child.instance] for child in snapshot.children.values()]
    for name, part in (("context", snapshot.context), ("history", snapshot.history), ("children", children)):
        if part:
            parts.append(f"{name} {text_of(part)}")
    if snapshot.status != "active":
        parts.append(snapshot.status)
    return " | ".join(parts)


def configuration_only(snapshot: Snapshot) -> str:
    """The state value alone: snapshots that differ in their context or history are one state."""
    return text_of(snapshot.value)


def whole_event(event: JsonObject) -> str:
    """The type and all other fields."""
    return text_of(event)


def text_of(value: Any) -> str:
    return encode_json(value).decode()


# -- which events are offered ----------------------------------------------------------------------


def known_events(machine: Machine) -> list[str]:
    """Every event type that a transition names in full, in document order, but for those that only the engine sends."""
    types = dict.fromkeys(transition.event for node in machine.nodes for transition in node.transitions)
    return [name for name in types if not name.endswith("*") and not name.startswith(INTERNAL_PREFIXES)]


def offering(
    machine: Machine, events: Events | None, *, timers: bool, children: bool
) -> Callable[[Snapshot], list[JsonObject]]:
    """A function that says which events a state is offered."""
    given = given_events(known_events(machine) if events is None else events)

    def offered(snapshot: Snapshot) -> list[JsonObject]:
        if snapshot.status != "active":
            return []
        found = [event for event in given(snapshot) if is_possible(event, snapshot)]
        if timers:
            found += [{"type": event} for event in timer_events(machine, snapshot)]
        if children:
            types = {event["type"] for event in found}
            found += [event for event in child_events(snapshot) if event["type"] not in types]
        return found

    return offered


def given_events(events: Events) -> Callable[[Snapshot], list[JsonObject]]:
    """The given events as a function of the snapshot, each as a dict. Raises ``InvalidParameter`` for what is none."""
    if callable(events):
        function = events
        return lambda snapshot: [to_event(event) for event in function(snapshot)]
    if isinstance(events, Mapping):
        by_type = {name: payloads if callable(payloads) else list(payloads) for name, payloads in events.items()}
        return lambda snapshot: [
            to_event({**payload, "type": event_type})
            for event_type, payloads in by_type.items()
            for payload in (payloads(snapshot) if callable(payloads) else payloads)
        ]
    listed = [to_event(event) for event in events]
    return lambda snapshot: listed


def is_possible(event: JsonObject, snapshot: Snapshot) -> bool:
    """Whether the event can come: what a child reports at its end comes only while it runs."""
    for prefix in (DONE_INVOKE, ERROR_PLATFORM):
        if event["type"].startswith(prefix):
            return event["type"].removeprefix(prefix) in snapshot.children
    return True


def timer_events(machine: Machine, snapshot: Snapshot) -> list[str]:
    """The ``after`` events of the active states, in document order."""
    active = {machine.by_id[leaf] for leaf in snapshot.configuration}
    active |= {ancestor for leaf in tuple(active) for ancestor in leaf.ancestors()}
    return [after.event for node in machine.nodes if node in active for after in node.afters]


def child_events(snapshot: Snapshot) -> Iterator[JsonObject]:
    """The two ways in which each running child may end, with nothing in particular as data; the end of an activity is
    none of the machine's business.
    """
    for child in snapshot.children.values():
        if child.activity:
            continue
        yield {"type": done_invoke_type(child.id), "data": None}
        yield {"type": error_platform_type(child.id), "data": {"name": "Error", "message": "the child failed"}}
