"""What every diagram of a machine shows, whatever it is written in: its arrows, and what is said about each state.

An arrow reads as in UML: what it answers to, ``[guard]``, ``/ actions``. What does not lead anywhere (entry and exit
actions, invocations, transitions without a target) is said beside the state, one line each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from perdure.statechart.defects import with_paths
from perdure.statechart.guard import InState
from perdure.statechart.labels import action_label, delay_label, guard_label, service_label
from perdure.statechart.machine import Machine, StateNode
from perdure.statechart.source_map import StateSource, TransitionSource, source_map
from perdure.statechart.xstate_objects import is_invocation

__all__ = ["Arrow", "Block", "Drawing", "Lines", "draw", "history_label", "laid_out", "title"]

INDENT = "    "


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


class Block(NamedTuple):
    """Lines that stand deeper than those around them."""

    lines: Lines


Lines: TypeAlias = "Iterator[str | Block | Lines]"
"""The lines of a text, with those of its parts and blocks in their places."""


def laid_out(lines: Lines) -> Iterator[str]:
    """The lines in order, indented. A stack instead of recursion: charts may be nested to any depth."""
    pending: list[tuple[Lines, str]] = [(lines, "")]
    while pending:
        part, indent = pending[-1]
        item = next(part, None)
        if item is None:
            pending.pop()
        elif isinstance(item, str):
            yield indent + item
        elif isinstance(item, Block):
            pending.append((item.lines, indent + INDENT))
        else:
            pending.append((item, indent))


def draw(machine: Machine) -> Drawing:
    """All arrows and notes, in document order."""
    arrows: list[Arrow] = []
    notes: dict[StateNode, tuple[str, ...]] = {}
    for node, source in source_map(machine).items():
        children = child_names(source)
        labelled = [(found.transition.targets, transition_label(found, children)) for found in source.transitions]
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
    for activity, _ in with_paths(source.config.get("activities"), ""):
        if not is_invocation(activity):
            notes.append(f"do / {service_label(activity)}")
    children = child_names(source)
    for invoke, config, _ in source.invokes:
        name, service = children[invoke.id], service_label(config["src"])
        notes.append(f"invoke {service}" if name == service else f"invoke {name}: {service}")
    return notes


def child_names(source: StateSource) -> dict[str, str]:
    """What the children of a state are called: their id where the author gave one, else by what they run."""
    return {invoke.id: config.get("id") or service_label(config["src"]) for invoke, config, _ in source.invokes}


def transition_label(source: TransitionSource, children: Mapping[str, str]) -> str:
    """What a transition answers to, its guard, its actions."""
    guards = guard_labels(source.config)
    guard = f" [{' and '.join(guards)}]" if guards else ""
    actions = action_labels(source.config.get("actions"))
    if not actions and not source.transition.targets:
        actions = ["nothing"]
    return trigger_label(source, children) + guard + (f" / {', '.join(actions)}" if actions else "")


def trigger_label(source: TransitionSource, children: Mapping[str, str]) -> str:
    match source.slot:
        case "on":
            return str(source.subject)
        case "after":
            return f"after {delay_label(source.subject)}"
        case "child done":
            return f"done {children[source.subject]}"
        case "child error":
            return f"error {children[source.subject]}"
    return "done" if source.slot == "state done" else "always"


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
