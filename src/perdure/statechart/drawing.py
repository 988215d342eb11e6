"""What every diagram of a machine shows, whatever it is written in: its arrows, and what is said about each state.

An arrow reads as in UML: what it answers to, ``[guard]``, ``/ actions``. What does not lead anywhere (entry and exit
actions, invocations, transitions without a target) is said beside the state, one line each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from perdure.statechart.guard import InState
from perdure.statechart.labels import action_label, delay_label, guard_label, service_label
from perdure.statechart.machine import Machine, StateNode
from perdure.statechart.source_map import StateSource, TransitionSource, source_map, with_paths

__all__ = ["Arrow", "Drawing", "draw", "history_label", "title"]


class Arrow(NamedTuple):
    """A transition to one target; one with several targets is several arrows."""

    source: StateNode
    target: StateNode
    label: str


class Drawing(NamedTuple):
    """A machine, ready to be written down."""

    arrows: tuple[Arrow, ...]
    notes: Mapping[StateNode, tuple[str, ...]]
    """What is said beside a state; states with nothing to say are left out."""


def draw(machine: Machine) -> Drawing:
    """All arrows and notes, in document order."""
    arrows: list[Arrow] = []
    notes: dict[StateNode, tuple[str, ...]] = {}
    for node, source in source_map(machine).items():
        labelled = [(found.transition.targets, transition_label(found)) for found in source.transitions]
        arrows += [Arrow(node, target, label) for targets, label in labelled for target in targets]
        arrows += [Arrow(node, target, "default") for target in node.history_target]
        said = (*state_notes(source), *(label for targets, label in labelled if not targets))
        if said:
            notes[node] = said
    return Drawing(tuple(arrows), notes)


def state_notes(source: StateSource) -> list[str]:
    notes = []
    for key in ("entry", "exit"):
        actions = action_labels(source.config.get(key))
        if actions:
            notes.append(f"{key} / {', '.join(actions)}")
    for invoke, config, _ in source.invokes:
        service = service_label(config["src"])
        notes.append(f"invoke {invoke.id}: {service}" if config.get("id", service) != service else f"invoke {service}")
    return notes


def transition_label(source: TransitionSource) -> str:
    """What a transition answers to, its guard, its actions."""
    guard = "".join(f" [{' and '.join(guards)}]" for guards in [guard_labels(source.config)] if guards)
    actions = action_labels(source.config.get("actions"))
    if not actions and not source.transition.targets:
        actions = ["nothing"]
    return trigger_label(source) + guard + (f" / {', '.join(actions)}" if actions else "")


def trigger_label(source: TransitionSource) -> str:
    match source.slot:
        case "on":
            return str(source.subject)
        case "always":
            return "always"
        case "after":
            return f"after {delay_label(source.subject)}"
        case "state done":
            return "done"
        case "child done":
            return f"done {source.subject}"
        case "child error":
            return f"error {source.subject}"


def guard_labels(config: Mapping[str, Any]) -> Sequence[str]:
    inside = [] if config.get("in") is None else [guard_label(InState(config["in"]))]
    return inside if config.get("cond") is None else [*inside, guard_label(config["cond"])]


def action_labels(config: Any) -> list[str]:
    return [action_label(action) for action, _ in with_paths(config, "")]


def history_label(node: StateNode) -> str:
    return "H*" if node.is_deep_history else "H"


def title(node: StateNode) -> str:
    """A state's key; the root goes by its id."""
    return node.key if node.parent is not None else node.id
