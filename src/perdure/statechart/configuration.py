"""Configurations: the sets of active states, interned, each with what can be known about it once and for all.

A machine visits few of its configurations, over and over. Each is built once and kept by the ids of its leaves; it
carries its state value, its tags, and lazily, per event type, the transitions that could be taken there. The idea is
the lazy DFA of regular-expression engines: states and edges of the product automaton appear as they are needed, and the
cache is dropped when it grows too large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.errors import SnapshotMismatch
from perdure.statechart.event import descriptor_matches, descriptor_rank
from perdure.statechart.machine import Machine, StateNode, Transition
from perdure.statechart.snapshot import StateValue

if TYPE_CHECKING:
    from perdure.statechart.plan import Plan

__all__ = ["CACHE_LIMIT", "Configuration", "configuration_of", "restore_configuration"]

CACHE_LIMIT = 10_000
"""Configurations per machine, and event types or plans per configuration, before the cache starts afresh."""


class Configuration:
    """A legal set of active states of one machine. Compared by identity: equal sets are the same object."""

    __slots__ = ("always", "candidates", "leaves", "nodes", "plans", "tags", "value")

    def __init__(self, machine: Machine, nodes: tuple[StateNode, ...]) -> None:
        self.nodes = frozenset(nodes)
        leaf_nodes = [node for node in nodes if node.kind in ("atomic", "final")]
        self.leaves = tuple(node.id for node in leaf_nodes)
        self.value = state_value(machine.root, self.nodes)
        self.tags = tuple(dict.fromkeys(tag for node in nodes for tag in node.tags))
        self.always = candidate_transitions(leaf_nodes, "")
        self.candidates: dict[str, tuple[tuple[Transition, ...], ...]] = {}
        self.plans: dict[object, Plan] = {}

    def candidates_for(self, machine: Machine, event_type: str) -> tuple[tuple[Transition, ...], ...]:
        """For each leaf with any: the transitions to try for this event type, in the order to try them."""
        found = self.candidates.get(event_type)
        if found is None:
            leaves = [machine.by_id[leaf] for leaf in self.leaves]
            found = candidate_transitions(leaves, event_type)
            if len(self.candidates) >= CACHE_LIMIT:
                self.candidates.clear()
            self.candidates[event_type] = found
        return found

    def __repr__(self) -> str:
        return f"<Configuration {self.value!r}>"


def configuration_of(machine: Machine, nodes: set[StateNode] | frozenset[StateNode]) -> Configuration:
    """The interned configuration with exactly these active states."""
    ordered = tuple(sorted(nodes, key=lambda node: node.order))
    leaves = tuple(node.id for node in ordered if node.kind in ("atomic", "final"))
    found = machine.configurations.get(leaves)
    if found is None:
        if len(machine.configurations) >= CACHE_LIMIT:
            machine.configurations.clear()
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
        expected = {"compound": 1, "parallel": len(list(node.states))}.get(node.kind, 0)
        if active != expected or not nodes:
            raise SnapshotMismatch(
                f"{list(leaves)} is no configuration of machine {machine.id!r}: "
                f"state {node.id!r} needs {expected} active children and has {active}"
            )
    return configuration_of(machine, nodes)


def state_value(root: StateNode, active: frozenset[StateNode]) -> StateValue:
    """XState's nested form: a compound state over an atomic child is ``{parent: child}``, deeper ones nest.

    Bottom-up over the active nodes, so that nesting of any depth needs no recursion.
    """
    values: dict[StateNode, StateValue] = {}
    for node in sorted(active, key=lambda node: -node.order):
        children = [child for child in node.states if child in active]
        if not children:
            values[node] = {}
        elif node.kind == "compound" and not values[children[0]]:
            values[node] = children[0].key
        else:
            values[node] = {child.key: values[child] for child in children}
    return values[root]


def candidate_transitions(leaves: list[StateNode], event_type: str) -> tuple[tuple[Transition, ...], ...]:
    """For each leaf, innermost state first, the transitions whose descriptor matches; leaves without any are left out.

    Within a state the longest descriptor comes first; equal ones stay in the order of the config.
    """
    found = []
    for leaf in leaves:
        candidates: list[Transition] = []
        for node in (leaf, *leaf.ancestors()):
            if not event_type:
                candidates += node.always
                continue
            matching = [t for t in node.transitions if descriptor_matches(t.event, event_type)]
            candidates += sorted(matching, key=lambda t: descriptor_rank(t.event))
        if candidates:
            found.append(tuple(candidates))
    return tuple(found)
