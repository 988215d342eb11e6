"""What a look at a machine can tell, without running it: parts that do nothing, and parts that do what nobody wants.

A machine that is reviewed is valid; a finding says that something in it is almost certainly a mistake. Guards may
answer anything and any event may come, so that a **warning** holds whatever they do: it is better to miss a mistake
than to raise a false alarm. A **hint** is a remark that a careful author may answer with "I know".

Not reported is a transition for an event that nothing sends: who sends it is outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias

import msgspec

from perdure.statechart.defects import child_path
from perdure.statechart.event import descriptor_matches, error_platform_type
from perdure.statechart.machine import Machine, StateNode, Transition
from perdure.statechart.reachability import always_loops, can_be_done, states_that_can_be_active
from perdure.statechart.source_map import StateSource, TransitionSource, source_map

__all__ = ["Finding", "Rule", "Severity", "review"]

Severity: TypeAlias = Literal["warning", "hint"]
Rule: TypeAlias = Literal[
    "unreachable-state",
    "transition-never-wins",
    "always-loop",
    "final-with-transitions",
    "never-done",
    "invoke-without-on-error",
]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to look at again: where (a JSON path into the config), what, and what to do about it."""

    rule: Rule
    severity: Severity
    path: str
    message: str
    suggestion: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}. {self.suggestion}"


def review(machine: Machine) -> list[Finding]:
    """Everything worth a second look, in document order."""
    sources = source_map(machine)
    reachable = states_that_can_be_active(machine)
    loops = always_loops(machine, reachable)
    findings: list[Finding] = []
    for node, source in sources.items():
        if node not in reachable:
            # Of a part that nothing leads into, its root is the mistake and the rest follows from it.
            if node.parent in reachable:
                findings.append(unreachable(source))
            continue
        if node.kind == "final":
            findings += final_with_transitions(source)
            continue
        findings += transitions_that_never_win(source, sources)
        findings += always_loop(source, sources, loops)
        findings += never_done(source, reachable)
        findings += invokes_without_on_error(source)
    return findings


def unreachable(source: StateSource) -> Finding:
    what = "history state" if source.node.kind == "history" else "state"
    return Finding(
        rule="unreachable-state",
        severity="warning",
        path=source.path,
        message=f"nothing leads to the {what} {source.node.key!r}",
        suggestion="Give a transition this target, or remove the state.",
    )


def final_with_transitions(source: StateSource) -> Iterator[Finding]:
    for found in source.transitions:
        yield Finding(
            rule="final-with-transitions",
            severity="warning",
            path=found.path,
            message=f"the state {source.node.key!r} is final and has a transition",
            suggestion="A final state ends its parent: put the transition there, or make the state a plain one.",
        )


# -- transitions that never win --------------------------------------------------------------------


def transitions_that_never_win(source: StateSource, sources: Mapping[StateNode, StateSource]) -> Iterator[Finding]:
    """Transitions before which another one without a guard always comes: earlier in this state, or in a descendant."""
    first_unguarded: dict[str, TransitionSource] = {}
    for found in source.transitions:
        descriptor = found.transition.event
        earlier = first_unguarded.get(descriptor)
        if earlier is not None:
            yield never_wins(found, [earlier])
            continue
        shadows = shadows_below(source.node, descriptor)
        if shadows:
            owners = [sources[shadow.source] for shadow in shadows]
            written = [
                other
                for owner, shadow in zip(owners, shadows, strict=True)
                for other in owner.transitions
                if other.transition is shadow
            ]
            yield never_wins(found, written)
        if found.transition.guard is None:
            first_unguarded[descriptor] = found


def never_wins(found: TransitionSource, shadows: list[TransitionSource]) -> Finding:
    places = ", ".join(shadow.path for shadow in shadows[:3]) + (", …" if len(shadows) > 3 else "")
    comes = "comes" if len(shadows) == 1 else "come"
    return Finding(
        rule="transition-never-wins",
        severity="warning",
        path=found.path,
        message=f"this transition is never taken: {places} always {comes} before it",
        suggestion="Give what comes first a guard, change the order, or remove this transition.",
    )


def shadows_below(node: StateNode, descriptor: str) -> list[Transition]:
    """Unguarded transitions of descendants that handle every such event in every configuration; empty if not all do.

    The end of the machine does not count: nothing happens there any more.
    """
    found: list[Transition] = []
    pending = [child for child in node.states if not ends_machine(child)]
    while pending:
        child = pending.pop(0)
        own = [transition for transition in all_transitions(child) if handles_all(transition, descriptor)]
        if own:
            found.append(own[0])
        elif child.children:
            pending[:0] = child.states
        else:
            return []
    return found


def ends_machine(node: StateNode) -> bool:
    parent = node.parent
    return node.kind == "final" and parent is not None and parent.parent is None and parent.kind == "compound"


def all_transitions(node: StateNode) -> Iterable[Transition]:
    return (*node.transitions, *node.always)


def handles_all(transition: Transition, descriptor: str) -> bool:
    """Whether a transition without a guard matches every event that the descriptor matches."""
    if transition.guard is not None:
        return False
    if transition.event == descriptor:
        return True
    if not descriptor or descriptor == "*":
        return False
    if descriptor.endswith(".*"):
        # A pattern that matches a prefix itself matches all that begins with it.
        is_pattern = transition.event == "*" or transition.event.endswith(".*")
        return is_pattern and descriptor_matches(transition.event, descriptor.removesuffix(".*"))
    return descriptor_matches(transition.event, descriptor)


# -- loops, ends, errors ---------------------------------------------------------------------------


def always_loop(
    source: StateSource, sources: Mapping[StateNode, StateSource], loops: Iterable[tuple[Transition, ...]]
) -> Iterator[Finding]:
    """Loops are reported once, at the transition that comes first in the document."""
    for loop in loops:
        first = min(loop, key=lambda transition: transition.order)
        for found in source.transitions:
            if found.transition is first:
                round_trip = " → ".join(move.source.key for move in (*loop, loop[0]))
                yield Finding(
                    rule="always-loop",
                    severity="warning",
                    path=found.path,
                    message=f"always transitions that no guard ends go round for ever: {round_trip}",
                    suggestion="Give one of them a guard that becomes false, or let an event lead on.",
                )


def never_done(source: StateSource, reachable: frozenset[StateNode]) -> Iterator[Finding]:
    node = source.node
    written = [found for found in source.transitions if found.slot == "state done"]
    if not written or (node.parent is not None and can_be_done(node, reachable)):
        return
    if node.parent is None:
        message, suggestion = (
            "the root's onDone is never taken: when the root is done the machine has ended",
            "Do the last work in the exit actions, or in the parent's onDone.",
        )
    else:
        message = f"the state {node.key!r} is never done, so its onDone is never taken"
        suggestion = (
            "Every region needs a final state that something leads to."
            if node.kind == "parallel"
            else "Give it a child of type final that something leads to, or listen to another event."
        )
    yield Finding(
        rule="never-done",
        severity="warning",
        path=child_path(source.path, "onDone"),
        message=message,
        suggestion=suggestion,
    )


def invokes_without_on_error(source: StateSource) -> Iterator[Finding]:
    for invoke, _, path in source.invokes:
        event = error_platform_type(invoke.id)
        handlers = [source.node, *source.node.ancestors()]
        if any(descriptor_matches(transition.event, event) for node in handlers for transition in node.transitions):
            continue
        yield Finding(
            rule="invoke-without-on-error",
            severity="hint",
            path=path,
            message=f"nothing handles an error of the child {invoke.id!r}, which would end the machine",
            suggestion="Give the invocation an onError.",
        )
