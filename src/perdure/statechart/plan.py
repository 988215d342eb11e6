"""Plans: what taking a set of transitions does, worked out once per configuration.

Selecting transitions needs guards, and so the context; everything after that (which of them conflict, what is left and
entered in which order, which actions run, which done events are raised, which configuration results) depends only on
the configuration, the transitions and, where one of these leads to a history state, what that has recorded. Those three
are the key of a ``Plan``. It is computed by the procedures of ``entry_exit``, which read as the specification does, and
kept.

Where the plans of an event do no more than change the configuration and the context and ask for custom actions, a
``QuickPlan`` says so: then the whole macrostep is a lookup, its guards and its assigners.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from perdure.errors import SnapshotMismatch
from perdure.statechart.action import Action, Assign, Custom, RaiseDone
from perdure.statechart.configuration import Configuration, configuration_of, make_room
from perdure.statechart.entry_exit import (
    History,
    compute_entry_set,
    compute_exit_set,
    history_after_exit,
    is_in_final_state,
    remove_conflicting_transitions,
    transition_domains,
)
from perdure.statechart.event import DONE_INVOKE, ERROR_PLATFORM
from perdure.statechart.guard import Test
from perdure.statechart.machine import Machine, StateNode, Transition, find_conflict

__all__ = ["HistoryIds", "Plan", "QuickPlan", "plan_for", "quick_plan", "recorded_states"]

HistoryIds = Mapping[str, tuple[str, ...]]
"""History as snapshots keep it: ids of states by ids of history states."""

QuickPlan: TypeAlias = tuple[tuple[Test | None, tuple[Assign | Custom, ...], Configuration], ...]
"""Guards to ask in order, each with what is done when it holds, and the configuration that results. When none holds,
nothing happens.
"""


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
    plan = configuration.plans.get(enabled)
    if plan is not None:
        return plan
    recorded = tuple(history.get(name) for transition in enabled for name in transition.histories)
    key: object = (enabled, recorded) if recorded else enabled
    plan = configuration.plans.get(key)
    if plan is None:
        plan = make_plan(machine, configuration, enabled, history)
        make_room(machine, len(plan.leave) + len(plan.enter) + len(enabled))
        configuration.plans[key] = plan
    return plan


def make_plan(
    machine: Machine, configuration: Configuration, enabled: tuple[Transition, ...], history_ids: HistoryIds
) -> Plan:
    """SCXML's ``microstep`` up to the point where user code runs; ``Macrostep.microstep`` is the rest."""
    history = relevant_history(machine, enabled, history_ids)
    domains = transition_domains(enabled, history)
    transitions = remove_conflicting_transitions(enabled, configuration.active, domains)
    leaving = compute_exit_set(transitions, configuration.active, domains)
    recorded = history_after_exit(leaving, configuration.active)
    entering = compute_entry_set(transitions, domains, {**history, **recorded})
    active = set(configuration.nodes - leaving)
    enter, completes = entry_program(machine, entering, active)
    return Plan(
        transitions=transitions,
        leave=exit_program(leaving, transitions),
        enter=enter,
        target=configuration_of(machine, active),
        history={node.id: tuple(other.id for other in nodes) for node, nodes in recorded.items()},
        completes=completes,
    )


def exit_program(leaving: set[StateNode], transitions: Iterable[Transition]) -> tuple[Action, ...]:
    """What leaving these states runs, SCXML's ``exitStates``, and then its ``executeTransitionContent``."""
    program: list[Action] = []
    for node in sorted(leaving, key=lambda node: -node.order):
        program += node.exit
    for transition in transitions:
        program += transition.actions
    return tuple(program)


def relevant_history(machine: Machine, enabled: tuple[Transition, ...], history_ids: HistoryIds) -> History:
    """What the history states have recorded that these transitions lead to.

    Raises ``SnapshotMismatch`` when this machine cannot have recorded it.
    """
    history = {}
    for name in (name for transition in enabled for name in transition.histories if name in history_ids):
        node = machine.by_id[name]
        history[node] = recorded_states(machine, node, history_ids[name])
    return history


def recorded_states(machine: Machine, history: StateNode, recorded: tuple[str, ...]) -> tuple[StateNode, ...]:
    """The states that a history state has recorded. Raises ``SnapshotMismatch`` when this machine cannot have."""
    assert history.parent is not None
    found = [machine.by_id.get(name) for name in recorded]
    nodes = tuple(state for state in found if state is not None and state.descends_from(history.parent))
    if len(nodes) < len(found) or not nodes or find_conflict(nodes) is not None:
        raise SnapshotMismatch(
            f"machine {machine.id!r} cannot have recorded {list(recorded)} for history state {history.id!r}"
        )
    return nodes


def entry_program(
    machine: Machine, entering: set[StateNode], active: set[StateNode]
) -> tuple[tuple[Action, ...], StateNode | None]:
    """What entering these states runs, and which of them ends the machine: SCXML's ``enterStates``.

    Adds them to ``active`` one by one.
    """
    program: list[Action] = []
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
        while marker is not None and marker.kind == "parallel" and is_in_final_state(marker, active):
            if marker is machine.root:
                completes = marker
            else:
                program.append(RaiseDone(marker, None))
            marker = marker.parent
    return tuple(program), completes


def quick_plan(machine: Machine, configuration: Configuration, event_type: str) -> QuickPlan | None:
    """The macrostep for an external event, where it is one microstep of assigners and custom actions at most.

    ``None`` where it may be more: where it sends, starts or stops anything, sets off another microstep, or ends the
    machine. Word of a child's end changes the children, and may end the machine, so that it never has a quick plan. A
    machine with schemas has none: its macrosteps begin by reading the context and the event.
    """
    candidates = configuration.candidates_for(machine, event_type)
    is_word = event_type.startswith((DONE_INVOKE, ERROR_PLATFORM))
    if configuration.always or is_word or machine.schemas is not None:
        return None
    if len(candidates) > 1:
        first = tuple(dict.fromkeys(leaf[0] for leaf in candidates))
        choices = [first] if all(transition.guard is None for transition in first) else []
        if not choices:
            return None
    else:
        choices = [(transition,) for leaf in candidates for transition in leaf]
    found: list[tuple[Test | None, tuple[Assign | Custom, ...], Configuration]] = []
    for enabled in choices:
        if any(transition.histories for transition in enabled):
            return None
        plan = plan_for(machine, configuration, enabled, {})
        actions = plan.leave + plan.enter
        quick = tuple(action for action in actions if isinstance(action, (Assign, Custom)))
        if len(quick) < len(actions) or plan.history or plan.completes or plan.target.always:
            return None
        guard = enabled[0].guard
        stays = plan.target.leaves == configuration.leaves
        found.append((guard, quick, configuration if stays else plan.target))
        if guard is None:
            break
    return tuple(found)
