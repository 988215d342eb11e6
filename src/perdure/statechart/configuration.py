"""Configurations: the sets of active states, interned, each with what can be known about it once and for all.

A machine visits few of its configurations, over and over. Each is built once and kept by the ids of its leaves; it
carries its state value, its tags, and lazily, per event type, the transitions that could be taken there. The idea is
the lazy DFA of regular-expression engines: states and edges of the product automaton appear as they are needed, and the
cache is dropped when it grows too large.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from perdure.errors import SnapshotMismatch
from perdure.statechart.event import descriptor_matches, descriptor_rank
from perdure.statechart.machine import Machine, StateNode, Transition
from perdure.statechart.snapshot import StateValue

if TYPE_CHECKING:
    from perdure.statechart.plan import Plan, QuickPlan

__all__ = ["CACHE_LIMIT", "Configuration", "configuration_of", "make_room", "restore_configuration", "size_of_type"]

CACHE_LIMIT = 500_000
"""Active states, transitions and actions that one machine's cache may refer to before it starts afresh."""


class Configuration:
    """A legal set of active states of one machine, interned: equal sets are the same object while the cache lasts."""

    __slots__ = ("active", "always", "candidates", "leaves", "nodes", "plans", "quick", "tags", "value")

    def __init__(self, machine: Machine, nodes: tuple[StateNode, ...]) -> None:
        self.active = nodes
        """The active states in document order."""
        self.nodes = frozenset(nodes)
        self.leaves = leaf_ids(nodes)
        self.value = state_value(nodes)
        self.tags = tuple(dict.fromkeys(tag for node in nodes for tag in node.tags))
        self.always = candidate_transitions(machine, self.leaves, "")
        self.candidates: dict[str, tuple[tuple[Transition, ...], ...]] = {}
        self.plans: dict[object, Plan] = {}
        self.quick: dict[str, QuickPlan | None] = {}
        """Per event type what ``quick_plan`` says; ``None`` where only the whole algorithm will do."""

    def candidates_for(self, machine: Machine, event_type: str) -> tuple[tuple[Transition, ...], ...]:
        """For each leaf with any: the transitions to try for this event type, in the order to try them.

        The part of SCXML's ``selectTransitions`` that asks no guard.
        """
        found = self.candidates.get(event_type)
        if found is None:
            found = candidate_transitions(machine, self.leaves, event_type)
            make_room(machine, size_of_type(event_type) + sum(map(len, found)))
            self.candidates[event_type] = found
        return found

    def __repr__(self) -> str:
        return f"<Configuration {self.value!r}>"


def make_room(machine: Machine, size: int) -> None:
    """Account for a new entry of the cache; when it would be too large, start it afresh.

    One account for the whole machine, since a thousand regions make few large configurations and a hostile sender many
    small entries for event types that nobody knows.
    """
    machine.cached += size
    if machine.cached > CACHE_LIMIT:
        machine.configurations.clear()
        machine.cached = size


def size_of_type(event_type: str) -> int:
    """What an event type counts in that account: one, or more for a long one, since anybody may send any type."""
    return 1 + len(event_type) // 100


def configuration_of(machine: Machine, nodes: Iterable[StateNode]) -> Configuration:
    """The interned configuration with exactly these active states."""
    ordered = tuple(sorted(nodes, key=lambda node: node.order))
    leaves = leaf_ids(ordered)
    found = machine.configurations.get(leaves)
    if found is None:
        make_room(machine, len(ordered))
        found = machine.configurations[leaves] = Configuration(machine, ordered)
    return found


def restore_configuration(machine: Machine, leaves: tuple[str, ...]) -> Configuration:
    """The configuration a snapshot names. Raises ``SnapshotMismatch`` when this machine cannot be in it."""
    nodes: set[StateNode] = set()
    for leaf in leaves:
        node = machine.by_id.get(leaf)
        if node is None or node.kind not in ("atomic", "final"):
            raise SnapshotMismatch(f"machine {machine.id!r} has no atomic or final state with the id {leaf!r}")
        nodes.add(node)
        nodes.update(node.ancestors())
    for node in nodes or {machine.root}:
        active = sum(child in nodes for child in node.states)
        expected = len(list(node.states)) if node.kind == "parallel" else int(node.kind == "compound")
        if active != expected or not nodes:
            raise SnapshotMismatch(
                f"{list(leaves)} is no configuration of machine {machine.id!r}: "
                f"state {node.id!r} needs {expected} active children and has {active}"
            )
    return configuration_of(machine, nodes)


def leaf_ids(nodes: Iterable[StateNode]) -> tuple[str, ...]:
    return tuple(node.id for node in nodes if node.kind in ("atomic", "final"))


def state_value(nodes: tuple[StateNode, ...]) -> StateValue:
    """XState's nested form: a compound state over an atomic child is ``{parent: child}``, deeper ones nest.

    Built from the active states in document order, innermost first, so that nesting of any depth needs no recursion.
    """
    values: dict[StateNode | None, dict[str, StateValue]] = {node: {} for node in nodes}
    short: dict[StateNode | None, StateValue] = {}
    for node in reversed(nodes):
        below = values[node]
        key, value = next(iter(below.items())) if len(below) == 1 else ("", None)
        short[node] = key if node.kind == "compound" and value == {} else dict(reversed(below.items()))
        if node.parent is not None:
            values[node.parent][node.key] = short[node]
    return short[nodes[0]]


def candidate_transitions(
    machine: Machine, leaves: Iterable[str], event_type: str
) -> tuple[tuple[Transition, ...], ...]:
    """For each leaf, innermost state first, the transitions whose descriptor matches; leaves without any are left out.

    Within a state the longest descriptor comes first; equal ones stay in the order of the config.
    """
    matching: dict[StateNode, list[Transition]] = {}
    found = []
    for leaf in leaves:
        candidates: list[Transition] = []
        for node in with_ancestors(machine.by_id[leaf]):
            if node not in matching:
                matching[node] = matching_transitions(node, event_type) if event_type else node.always
            candidates += matching[node]
        if candidates:
            found.append(tuple(candidates))
    return tuple(found)


def with_ancestors(node: StateNode | None) -> Iterator[StateNode]:
    while node is not None:
        yield node
        node = node.parent


def matching_transitions(node: StateNode, event_type: str) -> list[Transition]:
    matching = [transition for transition in node.transitions if descriptor_matches(transition.event, event_type)]
    return sorted(matching, key=lambda transition: descriptor_rank(transition.event))
