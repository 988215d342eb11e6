"""Plans: what taking a set of transitions does, worked out once per configuration.

Selecting transitions needs guards, and so the context; everything after that (which of them conflict, what is left and
entered in which order, which actions run, which done events are raised, which configuration results) depends only on
the configuration, the transitions and the history. That part is a ``Plan``. It is computed by the procedures of
``entry_exit``, which read as the specification does, and kept; a plain transition is then a dict lookup, its guards and
its actions.
"""

from __future__ import annotations

from collections.abc import Mapping

from perdure.statechart.action import Action, RaiseDone
from perdure.statechart.configuration import CACHE_LIMIT, Configuration, configuration_of
from perdure.statechart.entry_exit import (
    compute_entry_set,
    compute_exit_set,
    history_after_exit,
    is_in_final_state,
    remove_conflicting_transitions,
    transition_domains,
)
from perdure.statechart.machine import Machine, StateNode, Transition

__all__ = ["HistoryIds", "Plan", "plan_for"]

HistoryIds = Mapping[str, tuple[str, ...]]
"""History as snapshots keep it: ids of states by ids of history states."""


class Plan:
    """One microstep, ready to be carried out."""

    __slots__ = ("completes", "enter", "history", "leave", "target", "transitions")

    def __init__(
        self,
        *,
        transitions: tuple[Transition, ...],
        leave: tuple[Action, ...],
        enter: tuple[Action, ...],
        target: Configuration,
        history: HistoryIds,
        completes: StateNode | None,
    ) -> None:
        self.transitions = transitions
        self.leave = leave
        """Exit actions in reverse document order, then the transitions' own; run in the old configuration."""
        self.enter = enter
        """Entry actions in document order, each state's timers, invocations and done events behind its own."""
        self.target = target
        self.history = history
        """What the states being left record; empty for most."""
        self.completes = completes
        """The state whose entry ends the whole machine (a final child of the root, or a root with all regions done)."""


def plan_for(
    machine: Machine, configuration: Configuration, enabled: tuple[Transition, ...], history: HistoryIds
) -> Plan:
    """The plan for these enabled transitions, from the cache or worked out now."""
    key: object = enabled if not history else (enabled, tuple(sorted(history.items())))
    plan = configuration.plans.get(key)
    if plan is None:
        if len(configuration.plans) >= CACHE_LIMIT:
            configuration.plans.clear()
        plan = configuration.plans[key] = make_plan(machine, configuration, enabled, history)
    return plan


def make_plan(
    machine: Machine, configuration: Configuration, enabled: tuple[Transition, ...], history_ids: HistoryIds
) -> Plan:
    """SCXML's ``microstep`` up to the point where user code runs."""
    history = {machine.by_id[key]: tuple(machine.by_id[i] for i in ids) for key, ids in history_ids.items()}
    domains = transition_domains(enabled, history)
    transitions = remove_conflicting_transitions(enabled, configuration.nodes, domains)
    leaving = compute_exit_set(transitions, configuration.nodes, domains)
    recorded = history_after_exit(leaving, configuration.nodes)
    entering = compute_entry_set(transitions, domains, {**history, **recorded})
    leave: list[Action] = []
    for node in sorted(leaving, key=lambda node: -node.order):
        leave += node.exit
    for transition in transitions:
        leave += transition.actions
    active = set(configuration.nodes - leaving)
    enter, completes = entry_program(machine, entering, active)
    return Plan(
        transitions=transitions,
        leave=tuple(leave),
        enter=enter,
        target=configuration_of(machine, active),
        history={node.id: tuple(other.id for other in nodes) for node, nodes in recorded.items()},
        completes=completes,
    )


def entry_program(
    machine: Machine, entering: set[StateNode], active: set[StateNode]
) -> tuple[tuple[Action, ...], StateNode | None]:
    """What entering these states runs, and which of them ends the machine. Adds them to ``active`` one by one."""
    program: list[Action] = []
    completed: set[StateNode] = set()
    completes: StateNode | None = None
    for node in sorted(entering, key=lambda node: node.order):
        active.add(node)
        program += node.entry
        if node.kind != "final":
            continue
        parent = node.parent
        if parent is None or (parent is machine.root and parent.kind == "compound"):
            completes = node
            continue
        if parent.kind == "compound":
            program.append(RaiseDone(parent, node))
        marker = parent if parent.kind == "parallel" else parent.parent
        while marker is not None and marker.kind == "parallel" and marker not in completed:
            if not is_in_final_state(marker, active):
                break
            completed.add(marker)
            if marker is machine.root:
                completes = marker
            else:
                program.append(RaiseDone(marker, None))
            marker = marker.parent
    return tuple(program), completes
