"""Which states can be active at all, which can be done, and which ``always`` transitions go round for ever.

Told from the structure alone. Guards may answer anything and any event may come, so that "can" errs on the side of yes;
a loop is one only when nothing could end it.
"""

from __future__ import annotations

from collections.abc import Iterator

from perdure.statechart.machine import Machine, StateNode, Transition

__all__ = ["always_loops", "can_be_done", "states_that_can_be_active"]


def states_that_can_be_active(machine: Machine) -> frozenset[StateNode]:
    """Every state that some events could lead to, and every history state that some transition leads to."""
    found: set[StateNode] = set()
    by_default: set[StateNode] = set()
    pending: list[tuple[StateNode, bool]] = [(machine.root, True)]
    while pending:
        node, is_target = pending.pop()
        if is_target and node not in by_default:
            by_default.add(node)
            pending += entered_by_default(node)
        if node in found:
            continue
        found.add(node)
        if node.parent is not None:
            pending.append((node.parent, False))
            if node.parent.kind == "parallel":
                pending += ((region, True) for region in node.parent.states)
            if any(not history.is_deep_history for history in node.parent.histories):
                pending.append((node, True))  # what a shallow history restores is entered by default
        if node.kind != "history":
            pending += ((target, True) for move in (*node.transitions, *node.always) for target in move.targets)
    return frozenset(found)


def entered_by_default(node: StateNode) -> Iterator[tuple[StateNode, bool]]:
    """What is entered with a state that a transition leads to and that names none of its children."""
    if node.kind == "history":
        assert node.parent is not None
        targets = node.history_target or node.parent.initial or tuple(node.parent.states)
        yield from ((target, True) for target in targets)
    elif node.kind == "parallel":
        yield from ((region, True) for region in node.states)
    else:
        yield from ((target, True) for target in node.initial)


def can_be_done(node: StateNode, reachable: frozenset[StateNode]) -> bool:
    """Whether a state other than the root can raise its done event."""
    if node.kind == "compound":
        return any(child.kind == "final" and child in reachable for child in node.states)
    if node.kind == "parallel":
        return all(region.kind == "final" or can_be_done(region, reachable) for region in node.states)
    return False


def always_loops(machine: Machine, reachable: frozenset[StateNode]) -> list[tuple[Transition, ...]]:
    """Rounds of eventless transitions of which each is taken without being asked, whatever the context.

    Followed from leaf to leaf, as far as there is only one way to go on: a guard that is asked first, a history state,
    a parallel state that is entered, or an eventless transition of another region could each end it.
    """
    loops: list[tuple[Transition, ...]] = []
    followed: set[StateNode] = set()
    for leaf in machine.nodes:
        if leaf.kind != "atomic" or leaf not in reachable:
            continue
        way: dict[StateNode, Transition] = {}
        here: StateNode | None = leaf
        while here is not None and here not in followed:
            followed.add(here)
            move = certain_move(here)
            if move is None:
                break
            way[here] = move
            here = next_leaf(here, move)
        if here in way:
            leaves = list(way)
            loops.append(tuple(way[state] for state in leaves[leaves.index(here) :]))
    return loops


def certain_move(leaf: StateNode) -> Transition | None:
    """The eventless transition that is taken whenever this leaf is active; ``None`` when that is not certain."""
    owner = next((node for node in (leaf, *leaf.ancestors()) if node.always), None)
    if owner is None or owner.always[0].guard is not None or not is_alone(leaf, owner):
        return None
    return owner.always[0]


def is_alone(leaf: StateNode, owner: StateNode) -> bool:
    """Whether no other eventless transition could be taken together with the owner's: one that another region finds."""
    region = leaf
    for parent in leaf.ancestors():
        if parent.kind == "parallel":
            if any(has_always(other) for other in parent.states if other is not region):
                return False
            if owner.descends_from(parent) and any(node.always for node in (parent, *parent.ancestors())):
                return False
        region = parent
    return True


def has_always(node: StateNode) -> bool:
    pending = [node]
    while pending:
        state = pending.pop()
        if state.always:
            return True
        pending += state.children.values()
    return False


def next_leaf(leaf: StateNode, move: Transition) -> StateNode | None:
    """Where a transition leads from a leaf to; ``None`` when there are several leaves, or it depends on the past."""
    if not move.targets:
        return leaf
    target: StateNode = move.targets[0]
    common = next(node for node in (leaf, *leaf.ancestors()) if target is node or target.descends_from(node))
    entered = [target]
    while target.kind == "compound":
        target = target.initial[0]
        entered.append(target)
    if len(move.targets) > 1 or target.kind != "atomic":
        return None
    crossed = [node for node in (target, *target.ancestors()) if node.descends_from(common)]
    return None if any(node.kind == "parallel" for node in crossed) else target
