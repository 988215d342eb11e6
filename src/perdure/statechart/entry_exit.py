"""Which states a set of transitions leaves and enters: SCXML Appendix D, procedure by procedure.

Names are the specification's in snake case. One thing differs by decision: the transition domain is the least common
ancestor of *any* kind, where SCXML takes the least compound one (LCCA), because in both XState versions a parallel
state stays active when a transition leads from one of its regions into another: only the regions start over.
https://www.w3.org/TR/scxml/#AlgorithmforSCXMLInterpretation
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping

from perdure.statechart.machine import StateNode, Transition

__all__ = [
    "History",
    "compute_entry_set",
    "compute_exit_set",
    "history_after_exit",
    "is_in_final_state",
    "remove_conflicting_transitions",
    "transition_domains",
]

ActiveStates = tuple[StateNode, ...]
"""A configuration in document order."""

History = Mapping[StateNode, tuple[StateNode, ...]]
"""For each history state whose parent was left: the states to restore."""

Domains = Mapping[Transition, StateNode | None]
"""For each transition the innermost state that stays active while it is taken; ``None`` when the root is re-entered."""


def transition_domains(transitions: Iterable[Transition], history: History) -> Domains:
    """The domain of each transition that has targets, told with the history from before the microstep."""
    return {transition: transition_domain(transition, history) for transition in transitions if transition.targets}


def remove_conflicting_transitions(
    enabled: Iterable[Transition], configuration: ActiveStates, domains: Domains
) -> tuple[Transition, ...]:
    """SCXML's ``removeConflictingTransitions``: of transitions that leave a common state keep one.

    A descendant's pre-empts its ancestor's; else the first is kept.
    """
    kept: dict[Transition, set[StateNode]] = {}
    taken_by: dict[StateNode, Transition] = {}
    for transition in enabled:
        leaving = compute_exit_set((transition,), configuration, domains)
        rivals = {taken_by[node] for node in leaving if node in taken_by}
        if all(transition.source.descends_from(rival.source) for rival in rivals):
            for rival in rivals:
                for node in kept.pop(rival):
                    del taken_by[node]
            kept[transition] = leaving
            taken_by.update(dict.fromkeys(leaving, transition))
    return tuple(kept)


def compute_exit_set(
    transitions: Iterable[Transition], configuration: ActiveStates, domains: Domains
) -> set[StateNode]:
    """SCXML's ``computeExitSet``: the active states below the domain of any of the transitions.

    All of them when one re-enters the root.
    """
    leaving: set[StateNode] = set()
    for transition in transitions:
        if not transition.targets:
            continue
        domain = domains[transition]
        leaving.update(configuration if domain is None else active_below(domain, configuration))
    return leaving


def active_below(node: StateNode, configuration: ActiveStates) -> ActiveStates:
    """The active proper descendants: in document order they stand next to one another."""
    first = bisect_right(configuration, node.order, key=document_order)
    return configuration[first : bisect_right(configuration, node.last, lo=first, key=document_order)]


def document_order(node: StateNode) -> int:
    return node.order


def transition_domain(transition: Transition, history: History) -> StateNode | None:
    """SCXML's ``getTransitionDomain``: the innermost state that stays active while the transition is taken.

    ``None`` when not even the root does.
    """
    source = transition.source
    targets = effective_targets(transition.targets, history)
    if transition.is_internal and all(target is source or target.descends_from(source) for target in targets):
        return source
    return find_lca(source, targets)


def find_lca(source: StateNode, targets: Iterable[StateNode]) -> StateNode | None:
    """SCXML's ``findLCCA``, without its second C: the innermost proper ancestor of all these states, of any kind."""
    for ancestor in source.ancestors():
        if all(target.descends_from(ancestor) for target in targets):
            return ancestor
    return None


def effective_targets(targets: Iterable[StateNode], history: History) -> list[StateNode]:
    """SCXML's ``getEffectiveTargetStates``: the targets with every history state replaced by what it stands for now."""
    found: list[StateNode] = []
    for target in targets:
        if target.kind == "history":
            found += history_targets(target, history)
        else:
            found.append(target)
    return found


def history_targets(node: StateNode, history: History) -> tuple[StateNode, ...]:
    """What a history state leads to: what it recorded, else its default target, else its parent's initial states."""
    recorded = history.get(node)
    if recorded is not None:
        return recorded
    assert node.parent is not None
    return node.history_target or node.parent.initial or tuple(node.parent.states)


def compute_entry_set(transitions: Iterable[Transition], domains: Domains, history: History) -> set[StateNode]:
    """SCXML's ``computeEntrySet``: the states that the transitions make active.

    These are their targets, the ancestors of the targets below the domain, and what default entry adds so that the
    configuration is legal.

    The domain is not entered, but it is completed: when it is a parallel state, its regions without a target start
    over. ``history`` includes what the exits of this very microstep recorded; the domains do not, so that what is
    entered and what was left always fit together.
    """
    entering: set[StateNode] = set()
    incomplete: list[StateNode] = []
    for transition in transitions:
        if not transition.targets:
            continue
        domain = domains[transition]
        if domain is not None:
            if not domain.children:
                continue  # an internal transition of an atomic state to itself: nothing was left
            incomplete.append(domain)
        for target in effective_targets(transition.targets, history):
            if target is not domain:
                incomplete += add_with_ancestors(target, domain, entering)
    complete_by_default(entering, incomplete)
    return entering


def add_with_ancestors(node: StateNode, until: StateNode | None, entering: set[StateNode]) -> list[StateNode]:
    """Add a state and its ancestors below ``until``; the ones that were not there yet are returned.

    The walk of SCXML's ``addAncestorStatesToEnter``; what it adds beside the way is left to ``complete_by_default``.
    """
    added = []
    for state in (node, *node.ancestors()):
        if state is until:
            break
        if state not in entering:
            entering.add(state)
            added.append(state)
    return added


def complete_by_default(entering: set[StateNode], incomplete: list[StateNode]) -> None:
    """Give every compound state without an entered child its initial one, and every parallel state all its regions.

    SCXML's ``addDescendantStatesToEnter``, with a list of what is to be done in place of recursion.
    """
    has_entered_child = {node.parent for node in entering}
    while incomplete:
        node = incomplete.pop()
        if node.kind == "compound" and node not in has_entered_child:
            for target in node.initial:
                added = add_with_ancestors(target, node, entering)
                has_entered_child.update(child.parent for child in added)
                incomplete += added
        elif node.kind == "parallel":
            missing = [child for child in node.states if child not in entering]
            entering.update(missing)
            incomplete += missing


def history_after_exit(leaving: set[StateNode], configuration: ActiveStates) -> dict[StateNode, tuple[StateNode, ...]]:
    """What the history states of the states being left record: deep the active leaves, shallow the active children."""
    recorded = {}
    for node in leaving:
        for history in node.histories:
            below = active_below(node, configuration)
            if history.is_deep_history:
                recorded[history] = tuple(other for other in below if other.kind in ("atomic", "final"))
            else:
                recorded[history] = tuple(other for other in below if other.parent is node)
    return recorded


def is_in_final_state(node: StateNode, active: set[StateNode]) -> bool:
    """SCXML's ``isInFinalState``: a compound state with an active final child, a parallel one with all regions so."""
    pending = [node]
    while pending:
        state = pending.pop()
        if state.kind == "parallel":
            pending += state.states
        elif state.kind == "compound":
            if not any(child.kind == "final" and child in active for child in state.states):
                return False
        elif state.kind != "final" or state not in active:
            return False
    return True
