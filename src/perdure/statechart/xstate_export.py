"""Machines as configs that are JSON, for Stately's editor, for XState v4 and for ``create_machine`` itself.

The config is the one that the author wrote with every callable replaced by a name. Names stay; a callable goes by its
own name, an action that a creator returned by what it does, a lambda by its place. What the names stand for comes with
the export, so that ``create_machine(export.config, **export.implementations)`` is a machine that behaves the same, with
inline actions, services and delays now under their names.

What XState v4 cannot read stays as it is: an initial state that is not a child, a default target of a history state
that is not its sibling.

Four places of a config have no names: the ``data`` of a final state and of an invocation, ``meta`` and ``context``. A
callable ``context`` is called, once; of what else JSON cannot say there only a description is left, and its place is
listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import msgspec

from perdure.errors import InvalidParameter
from perdure.json_value import Json, JsonObject, json_copy
from perdure.statechart.defects import child_path, with_paths
from perdure.statechart.delay import as_milliseconds
from perdure.statechart.guard import InState
from perdure.statechart.labels import LAMBDA, action_label, delay_label, guard_label, service_label
from perdure.statechart.machine import Machine, PersistentSource, StateNode
from perdure.statechart.source_map import config_path
from perdure.statechart.transition_config import resolve_path

__all__ = ["NamedParts", "XStateExport", "export_xstate", "to_xstate_json"]

TYPE_HINTS = ("schema", "tsTypes")
"""What TypeScript reads and nothing runs."""


class NamedParts(TypedDict):
    """Keyword arguments of ``create_machine``."""

    actions: dict[str, Any]
    guards: dict[str, Any]
    services: dict[str, Any]
    delays: dict[str, Any]


class XStateExport(msgspec.Struct, frozen=True):
    """A config that is JSON, and what its names stand for."""

    config: JsonObject
    implementations: NamedParts
    lost: tuple[str, ...]
    """The JSON paths at which something is only described."""


def to_xstate_json(machine: Machine) -> JsonObject:
    """The machine's config as JSON. Raises ``InvalidParameter`` naming every place that JSON has no word for."""
    export = export_xstate(machine)
    if export.lost:
        raise InvalidParameter(
            f"machine {machine.id!r} holds at {', '.join(export.lost)} what JSON cannot say and a config cannot name: "
            "take export_xstate, which puts a description there, or move it into a named action or service",
            "machine",
        )
    return export.config


def export_xstate(machine: Machine) -> XStateExport:
    """The machine's config as JSON, the implementations of all names in it, and what is lost."""
    exporter = Exporter(machine)
    config = exporter.whole(machine.config)
    # XState's default is another order of actions, for which it warns itself.
    config["predictableActionArguments"] = True
    known = exporter.known
    parts = NamedParts(
        actions=known["actions"], guards=known["guards"], services=known["services"], delays=known["delays"]
    )
    return XStateExport(config, parts, tuple(exporter.lost))


class Exporter:
    """One config on its way to JSON."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        given = machine.implementations
        self.known = {kind: dict(getattr(given, kind)) for kind in NamedParts.__annotations__}
        """What each name stands for, by kind."""
        self.lost: list[str] = []
        self.pending: list[tuple[JsonObject, Mapping[str, Any], str]] = []
        """States still to be told, the next one last: where it goes, its config and its path."""
        self.readers: dict[str, Callable[[Any, str], Json]] = {
            "initial": self.initial,
            "states": self.states,
            "entry": self.actions,
            "exit": self.actions,
            "on": self.on,
            "always": self.transitions,
            "onDone": self.transitions,
            "onError": self.transitions,
            "after": self.after,
            "activities": self.activities,
            "invoke": self.invokes,
            "src": self.service,
            "context": self.context,
            "tags": self.tags,
        }

    def whole(self, config: Mapping[str, Any]) -> JsonObject:
        """The root and all below. A stack instead of recursion: charts may be nested to any depth."""
        found = self.state(config, "$")
        while self.pending:
            place, child, path = self.pending.pop()
            place.update(self.state(child, path))
        return found

    def state(self, config: Mapping[str, Any], path: str) -> JsonObject:
        """A state, or an invocation: each key by its own reader, any other as a value."""
        return {
            key: self.readers.get(key, self.value)(value, child_path(path, key))
            for key, value in config.items()
            if key not in TYPE_HINTS
        }

    def states(self, config: Any, path: str) -> Json:
        """A place for each child, in order; what goes there is told when its parent is done."""
        found: JsonObject = {key: {} for key in config or {}}
        children = [(found[key], child or {}, child_path(path, key)) for key, child in (config or {}).items()]
        self.pending += reversed(children)
        return found

    def initial(self, config: Any, path: str) -> Json:
        """XState knows initial states by their key only, and none that is further down."""
        target = self.machine.by_id.get(config[1:]) if isinstance(config, str) and config.startswith("#") else None
        if target is None or target.parent is None or child_path(config_path(target.parent), "initial") != path:
            return config
        # A key that begins like an id would be read as one.
        return config if target.key.startswith("#") else target.key

    def context(self, config: Any, path: str) -> Json:
        is_dict = config is None or isinstance(config, Mapping)
        return self.value(config if is_dict else self.machine.initial_context(), path)

    def tags(self, config: Any, path: str) -> Json:
        return sorted(config) if isinstance(config, (set, frozenset)) else self.value(config, path)

    # -- transitions -------------------------------------------------------------------------------

    def on(self, config: Any, path: str) -> Json:
        if not isinstance(config, Mapping):
            return self.transitions(config, path)
        return {
            event: self.transitions({} if value is None and event else value, child_path(path, event))
            for event, value in config.items()
        }

    def after(self, config: Any, path: str) -> Json:
        if not isinstance(config, Mapping):
            return self.transitions(config, path)
        found: JsonObject = {}
        for index, (delay, value) in enumerate(config.items()):
            place = child_path(path, index if callable(delay) else str(delay))
            name, read = str(self.delay(delay, place)), self.transitions(value, place)
            # 1000 and "1000" are two keys in Python and one in JSON; they are one timer anyway.
            found[name] = [*as_list(found[name]), *as_list(read)] if name in found else read
        return found

    def transitions(self, config: Any, path: str) -> Json:
        """One transition, a list of them, or nothing; an item of a list may name its own event or delay."""
        if isinstance(config, (list, tuple)):
            return [self.transitions(item, child_path(path, index)) for index, item in enumerate(config)]
        if not isinstance(config, Mapping):
            return config
        readers = {"actions": self.actions, "cond": self.guard, "delay": self.delay}
        found = {
            key: readers.get(key, self.value)(value, child_path(path, key))
            for key, value in config.items()
            if key != "cond" or self.inside(config) is None
        }
        inside = self.inside(config)
        return found if inside is None else {**found, "in": inside}

    def inside(self, config: Mapping[str, Any]) -> str | None:
        """The ``in`` of a transition whose only guard is ``in_state`` for one state, which XState can say by itself."""
        guard = config.get("cond")
        if not isinstance(guard, InState) or config.get("in") is not None:
            return None
        node = self.node_of(guard.state)
        return None if node is None else f"#{node.id}"

    def node_of(self, value: Json) -> StateNode | None:
        """The one state that a state value names; ``None`` when it names several."""
        if isinstance(value, str):
            if value.startswith("#"):
                return self.machine.by_id[value[1:]]
            return resolve_path(self.machine.root, value, self.machine.config.get("delimiter", "."))
        node = self.machine.root
        while value:
            if isinstance(value, str):
                return node.children[value]
            if len(value) > 1:
                return None
            ((key, value),) = value.items()
            node = node.children[key]
        return node

    # -- what can be named -------------------------------------------------------------------------

    def actions(self, config: Any, path: str) -> Json:
        if isinstance(config, (list, tuple)):
            return [self.actions(item, child_path(path, index)) for index, item in enumerate(config)]
        return None if config is None else self.reference("actions", config, action_label(config), path)

    def guard(self, config: Any, path: str) -> Json:
        return None if config is None else self.reference("guards", config, guard_label(config), path)

    def delay(self, config: Any, path: str) -> Json:
        if isinstance(config, str):
            return config
        milliseconds = as_milliseconds(config)
        if milliseconds is not None:
            return int(milliseconds) if milliseconds == int(milliseconds) else milliseconds
        return self.reference("delays", config, delay_label(config), path)

    def invokes(self, config: Any, path: str) -> Json:
        if isinstance(config, (list, tuple)):
            return [self.invokes(item, child_path(path, index)) for index, item in enumerate(config)]
        if isinstance(config, Mapping):
            return self.state(config, path)
        return None if config is None else self.state({"src": config}, path)

    def activities(self, config: Any, path: str) -> Json:
        return [self.service(item, item_path) for item, item_path in with_paths(config, path)]

    def service(self, config: Any, path: str) -> Json:
        return self.reference("services", config, service_label(config), path)

    def reference(self, kind: str, config: Any, label: str, path: str) -> Json:
        """What refers to a part by name: as it was written, where that is JSON, else a name that stands for it."""
        if isinstance(config, (str, Mapping)):
            is_json, copied = as_json(config)
            if is_json:
                return copied
        base = path.removeprefix("$.") if label == LAMBDA else label
        known, name, number = self.known[kind], base, 2
        while name in known and not is_same(known[name], config):
            name, number = f"{base} {number}", number + 1
        known[name] = config
        return name

    # -- what cannot -------------------------------------------------------------------------------

    def value(self, config: Any, path: str) -> Json:
        """A value as JSON; what is none is described, and its place noted."""
        is_json, copied = as_json(config)
        if is_json:
            return copied
        if isinstance(config, Mapping):
            return {str(key): self.value(value, child_path(path, str(key))) for key, value in config.items()}
        self.lost.append(path)
        return f"<{action_label(config)}>" if callable(config) else f"<{type(config).__name__}>"


def as_list(value: Json) -> list[Json]:
    """The items of a place that takes one thing, a list of them, or nothing."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def as_json(value: Any) -> tuple[bool, Json]:
    """Whether JSON can say the value, and what it says."""
    try:
        return True, json_copy(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False, None


def is_same(one: Any, other: Any) -> bool:
    """Whether two parts do the same: the same function, or built alike from the same functions and equal values."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, msgspec.Struct):
        return all(is_same(getattr(one, name), getattr(other, name)) for name in one.__struct_fields__)
    if isinstance(one, PersistentSource):
        names = ("machine", "name", "version", "detached")
        return all(is_same(getattr(one, name), getattr(other, name)) for name in names)
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(is_same(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(is_same, one, other))
    return isinstance(one, (str, int, float)) and one == other
