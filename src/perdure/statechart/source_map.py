"""Where each part of a machine stands in the config that it was made from.

A built machine has tests and programs where the author wrote names; who shows a machine to people (diagrams, warnings)
needs the names and the JSON paths back. They are found by walking the config beside the machine, in the order in which
the front end reads it. Only a machine that was built has a source map, so that nothing is checked again here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from perdure.statechart.defects import child_path, with_paths
from perdure.statechart.machine import Invoke, Machine, StateNode, Transition

__all__ = ["InvokeSource", "Slot", "StateSource", "TransitionSource", "config_path", "source_map"]

Slot: TypeAlias = Literal["on", "always", "after", "state done", "child done", "child error"]
"""What a transition answers to."""


class TransitionSource(NamedTuple):
    """A transition as it was written."""

    transition: Transition
    config: Mapping[str, Any]
    path: str
    slot: Slot
    subject: Any
    """What the slot is about: the event type, the delay, or the id of the child; ``None`` for the others."""


class InvokeSource(NamedTuple):
    """An invocation as it was written."""

    invoke: Invoke
    config: Mapping[str, Any]
    path: str


class StateSource(NamedTuple):
    """A state as it was written."""

    node: StateNode
    config: Mapping[str, Any]
    path: str
    transitions: tuple[TransitionSource, ...]
    invokes: tuple[InvokeSource, ...]


class Written(NamedTuple):
    """A transition in the config, before it is known which of the machine's it is."""

    config: Mapping[str, Any]
    path: str
    slot: Slot
    subject: Any


def source_map(machine: Machine) -> dict[StateNode, StateSource]:
    """Every state with its part of the config, in document order."""
    return {node: state_source(machine, node) for node in machine.nodes}


def state_source(machine: Machine, node: StateNode) -> StateSource:
    config: Mapping[str, Any] = machine.config
    for key in node.path:
        config = config["states"][key] or {}
    path = config_path(node)
    invokes = tuple(
        InvokeSource(invoke, item if isinstance(item, Mapping) else {"src": item}, item_path)
        for invoke, (item, item_path) in zip(
            node.invokes, with_paths(config.get("invoke"), child_path(path, "invoke")), strict=True
        )
    )
    written = [] if node.kind == "history" else list(written_transitions(config, path, invokes))
    eventless = [found for found in written if found.slot == "always"]
    others = [found for found in written if found.slot != "always"]
    pairs = (*zip(node.transitions, others, strict=True), *zip(node.always, eventless, strict=True))
    return StateSource(
        node, config, path, tuple(TransitionSource(transition, *found) for transition, found in pairs), invokes
    )


def config_path(node: StateNode) -> str:
    """The JSON path of a state's part of the config."""
    path = "$"
    for key in node.path:
        path = child_path(child_path(path, "states"), key)
    return path


def written_transitions(config: Mapping[str, Any], path: str, invokes: Sequence[InvokeSource]) -> Iterator[Written]:
    """All transitions of a state, in the order in which ``TransitionReader.read_state`` reads them."""
    yield from candidates(config.get("onDone"), child_path(path, "onDone"), "state done")
    for invoke, invoke_config, invoke_path in invokes:
        done, error = child_path(invoke_path, "onDone"), child_path(invoke_path, "onError")
        yield from candidates(invoke_config.get("onDone"), done, "child done", invoke.id)
        yield from candidates(invoke_config.get("onError"), error, "child error", invoke.id)
    for event, value, item_path in entries(config.get("on"), "event", child_path(path, "on")):
        if event == "":
            yield from candidates(value, item_path, "always")
        else:
            yield from candidates({} if value is None else value, item_path, "on", event)
    yield from candidates(config.get("always"), child_path(path, "always"), "always")
    for delay, value, item_path in entries(config.get("after"), "delay", child_path(path, "after")):
        yield from candidates(value, item_path, "after", delay)


def entries(config: Any, key: str, path: str) -> list[tuple[Any, Any, str]]:
    """What ``on`` and ``after`` hold, as a dict or as a list whose items name the event or the delay themselves.

    A delay that is a callable goes by its place, as its timer does.
    """
    if config is None:
        return []
    if isinstance(config, Mapping):
        return [
            (name, value, child_path(path, index if callable(name) else str(name)))
            for index, (name, value) in enumerate(config.items())
        ]
    return [
        (item[key], {name: part for name, part in item.items() if name != key}, child_path(path, index))
        for index, item in enumerate(config)
    ]


def candidates(config: Any, path: str, slot: Slot, subject: Any = None) -> Iterator[Written]:
    """One transition or several, each in its long form."""
    for item, item_path in with_paths(config, path):
        yield Written(item if isinstance(item, Mapping) else {"target": item}, item_path, slot, subject)
