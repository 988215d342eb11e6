"""Reading transitions, timers and invocations of a config: everything that has targets.

A target is a sibling's key (or the state's own), ``.child``, ``#id``, ``#id.child``, or a dotted path from the parent.
A transition is external unless ``internal`` is true or a target starts with the delimiter; ``internal`` wins when
given.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from perdure.statechart.action import Announce, CancelTimer, StartTimer, StopInvoked
from perdure.statechart.binding import Binder
from perdure.statechart.callables import UniformCall
from perdure.statechart.defects import Defects, child_path, describe, nearest, with_paths
from perdure.statechart.delay import as_milliseconds
from perdure.statechart.event import after_type, done_invoke_type, done_state_type, error_platform_type, snapshot_type
from perdure.statechart.guard import InState, Test, and_
from perdure.statechart.machine import After, Invoke, PersistentSource, StateNode, Transition, find_conflict
from perdure.statechart.retry_config import read_retry
from perdure.statechart.state_value import split_path, value_of_path
from perdure.statechart.xstate_objects import (
    INVOKE,
    check_repeated_parts,
    check_repeated_transitions,
    is_invocation,
)

__all__ = ["TransitionReader", "resolve_path"]

TRANSITION_KEYS = (
    "actions", "cond", "delay", "description", "event", "eventType", "in", "internal", "meta", "source", "target",
)  # fmt: skip
INVOKE_KEYS = (
    "autoForward",
    "data",
    "description",
    "id",
    "meta",
    "onDone",
    "onError",
    "onSnapshot",
    "retry",
    "src",
    "sync",
    "type",
)


def resolve_path(node: StateNode, path: str, delimiter: str) -> StateNode | None:
    """The state below ``node`` at a delimited path of keys. A key that contains the delimiter stands alone, or has a
    backslash before it.
    """
    if path in node.children:
        return node.children[path]
    found: StateNode | None = node
    for key in split_path(path, delimiter):
        found = found.children.get(key) if found is not None else None
    return found


class TransitionReader:
    """Reads the transitions of each state, in document order."""

    def __init__(
        self, binder: Binder, defects: Defects, by_id: Mapping[str, StateNode], root: StateNode, delimiter: str
    ) -> None:
        self.binder = binder
        self.defects = defects
        self.by_id = by_id
        self.root = root
        self.delimiter = delimiter
        self.count = 0

    def read_state(self, node: StateNode, config: Mapping[str, Any], path: str) -> None:
        """All of a state's transitions, and the actions that start and stop its timers and children."""
        event = done_state_type(node.id)
        node.transitions += self.transitions(node, event, config.get("onDone"), child_path(path, "onDone"))
        self.read_activities(node, config, child_path(path, "activities"))
        self.read_invoke(node, config.get("invoke"), child_path(path, "invoke"))
        self.read_on(node, config.get("on"), child_path(path, "on"))
        node.always += self.transitions(node, "", config.get("always"), child_path(path, "always"))
        self.read_after(node, config.get("after"), child_path(path, "after"))
        check_repeated_transitions(config, path, self.defects)
        children = (*node.activities, *node.invokes)
        # Children are announced before the entry actions, so that these may already send to them; they start after.
        announcements = tuple(Announce(invoke) for invoke in children)
        node.entry = (*announcements, *node.entry, *(StartTimer(after) for after in node.afters))
        node.exit += tuple(CancelTimer(after) for after in node.afters)
        node.exit += tuple(StopInvoked(invoke) for invoke in children)

    # -- transitions -------------------------------------------------------------------------------

    def read_on(self, node: StateNode, config: Any, path: str) -> None:
        if config is None:
            return
        if isinstance(config, Mapping):
            for event, value in config.items():
                if not isinstance(event, str):
                    self.defects.add(path, f"the event type {event!r} is not a string")
                    continue
                self.add_transitions(node, event, value, child_path(path, event))
            return
        if not isinstance(config, (list, tuple)):
            self.defects.add(path, f"on cannot be {describe(config)}", "Give a dict of event types, or a list.")
            return
        for index, item in enumerate(config):
            item_path = child_path(path, index)
            if not isinstance(item, Mapping) or not isinstance(item.get("event"), str):
                self.defects.add(item_path, f"{describe(item)} has no event", 'Give {"event": type, "target": …}.')
                continue
            value = {key: part for key, part in item.items() if key != "event"}
            self.add_transitions(node, item["event"], value, item_path)

    def add_transitions(self, node: StateNode, event: str, config: Any, path: str) -> None:
        if event == "":
            node.always += self.transitions(node, "", config, path)
        else:
            node.transitions += self.transitions(node, event, {} if config is None else config, path)

    def transitions(self, node: StateNode, event: str, config: Any, path: str) -> list[Transition]:
        """The candidates for one event type: from a target, a dict, or a list of these."""
        found = []
        for item, item_path in with_paths(config, path):
            transition = self.transition(node, event, item, item_path)
            if transition is not None:
                found.append(transition)
        return found

    def transition(self, node: StateNode, event: str, config: Any, path: str) -> Transition | None:
        if isinstance(config, str):
            config, target_path = {"target": config}, path
        else:
            target_path = child_path(path, "target")
        if not isinstance(config, Mapping):
            self.defects.add(
                path, f"a transition cannot be {describe(config)}", "Give a target, a dict, or a list of these."
            )
            return None
        self.defects.unknown_keys(path, config, TRANSITION_KEYS)
        place = (("event", event), ("eventType", event), ("source", f"#{node.id}"))
        check_repeated_parts(config, place, path, self.defects)
        if "delay" in config and event != after_type(delay_reference(config["delay"]), node.id):
            self.defects.add(child_path(path, "delay"), "only a transition in after has a delay")
        self.check_description(config, path)
        target, internal = config.get("target"), config.get("internal")
        if internal is not None and not isinstance(internal, bool):
            self.defects.add(
                child_path(path, "internal"), f"internal cannot be {describe(internal)}", "Give true or false."
            )
        names = target if isinstance(target, (list, tuple)) else (target,)
        if internal is None:
            internal = any(isinstance(name, str) and name.startswith(self.delimiter) for name in names)
        targets = () if target is None else self.targets(node, target, target_path)
        self.count += 1
        return Transition(
            source=node,
            event=event,
            guard=self.guard(node, config, path),
            actions=self.binder.action_list(config.get("actions"), child_path(path, "actions")),
            targets=targets,
            is_internal=bool(internal),
            order=self.count,
            histories=tuple(target.id for target in targets if target.kind == "history"),
        )

    def guard(self, node: StateNode, config: Mapping[str, Any], path: str) -> Test | None:
        """``cond``, and ``in`` before it, which v4 reads from the grandparent of its owner unless it is an ``#id``."""
        guard = config.get("cond")
        guard_path = child_path(path, "cond")
        if config.get("in") is None:
            return self.binder.guard(guard, guard_path)
        inside = config["in"]
        if not (isinstance(inside, str) and inside.startswith("#")):
            owner = node.parent.parent if node.parent is not None and node.parent.parent is not None else self.root
            prefix: Any = inside
            if isinstance(inside, str):
                prefix = value_of_path(split_path(inside, self.delimiter))
            for key in reversed(owner.path):
                prefix = {key: prefix}
            inside = prefix
        tests = InState(inside) if guard is None else and_(InState(inside), guard)
        return self.binder.guard(tests, child_path(path, "in") if guard is None else guard_path)

    def check_description(self, config: Mapping[str, Any], path: str) -> None:
        description = config.get("description")
        if description is not None and not isinstance(description, str):
            self.defects.add(
                child_path(path, "description"), f"a description cannot be {describe(description)}", "Give a string."
            )

    # -- targets -----------------------------------------------------------------------------------

    def targets(self, node: StateNode, config: Any, path: str) -> tuple[StateNode, ...]:
        """Resolve one target or several; several must be able to be active together."""
        found = []
        for name, name_path in with_paths(config, path):
            target = self.target(node, name) if isinstance(name, str) and name else None
            if target is None:
                self.defects.add(name_path, f"the target {describe(name)} does not resolve", self.suggest(node, name))
            else:
                found.append(target)
        conflict = find_conflict(found)
        if conflict is not None:
            one, other = conflict
            self.defects.add(path, f"the targets {one.id!r} and {other.id!r} cannot be active at the same time")
        return tuple(found)

    def target(self, node: StateNode, name: str) -> StateNode | None:
        if name.startswith("#"):
            return self.target_by_id(name[1:])
        if name.startswith(self.delimiter):
            return resolve_path(node, name[len(self.delimiter) :], self.delimiter)
        return resolve_path(node.parent or node, name, self.delimiter)

    def target_by_id(self, name: str) -> StateNode | None:
        """``#id`` or ``#id.path``: the whole string is tried as an id first, then ever shorter parts of it."""
        if name in self.by_id:
            return self.by_id[name]
        parts = name.split(self.delimiter)
        for cut in range(len(parts) - 1, 0, -1):
            node = self.by_id.get(self.delimiter.join(parts[:cut]))
            if node is not None:
                return resolve_path(node, self.delimiter.join(parts[cut:]), self.delimiter)
        return None

    def suggest(self, node: StateNode, name: Any) -> str:
        if not isinstance(name, str):
            return "A target is a string."
        if name.startswith("#"):
            return nearest(name, [f"#{other}" for other in self.by_id])
        if name.startswith(self.delimiter):
            return nearest(name, [f"{self.delimiter}{key}" for key in node.children])
        return nearest(name, (node.parent or node).children)

    # -- timers and children -----------------------------------------------------------------------

    def read_after(self, node: StateNode, config: Any, path: str) -> None:
        if config is None:
            return
        items: list[tuple[Any, Any, str]] = []
        if isinstance(config, Mapping):
            items = [(delay, value, child_path(path, str(delay))) for delay, value in config.items()]
        elif isinstance(config, (list, tuple)):
            for index, item in enumerate(config):
                if not isinstance(item, Mapping) or "delay" not in item:
                    self.defects.add(child_path(path, index), f"{describe(item)} has no delay")
                    continue
                value = {key: part for key, part in item.items() if key != "delay"}
                items.append((item["delay"], value, child_path(path, index)))
        else:
            self.defects.add(path, f"after cannot be {describe(config)}", "Give a dict of delays, or a list.")
        afters: dict[str, After] = {}
        for index, (delay, value, item_path) in enumerate(items):
            event, bound = self.after_event(node, delay, index, item_path)
            node.transitions += self.transitions(node, event, value, item_path)
            if bound is not None:
                afters.setdefault(event, After(event, bound))
        node.afters = tuple(afters.values())

    def after_event(self, node: StateNode, delay: Any, index: int, path: str) -> tuple[str, UniformCall | None]:
        """The event type of a timer, and its delay. A key that looks like a number is one, as in JavaScript."""
        if isinstance(delay, str) and delay not in self.binder.implementations.delays:
            with contextlib.suppress(ValueError):  # else a name that nothing implements: reported as such
                delay = float(delay)
        reference = f"{node.id}:delay[{index}]" if callable(delay) else delay_reference(delay)
        return after_type(reference, node.id), self.binder.delay(delay, path)

    def read_activities(self, node: StateNode, config: Mapping[str, Any], path: str) -> None:
        """Services that run while the state is active, and whose end nobody waits for."""
        invoked = [item for item, _ in with_paths(config.get("invoke"), "")]
        activities = []
        for index, (item, item_path) in enumerate(with_paths(config.get("activities"), path)):
            if is_invocation(item):
                if item not in invoked:
                    self.defects.add(item_path, "this invocation is not among those of invoke", "Write it there.")
                continue
            bound = self.binder.services.activity(item, item_path)
            if bound is not None:
                given_id, source, params = bound
                activities.append(
                    Invoke(
                        id=given_id or f"{node.id}:activity[{index}]",
                        state_id=node.id,
                        source=source,
                        data=None,
                        is_activity=True,
                        params=params,
                    )
                )
        node.activities = tuple(activities)

    def read_invoke(self, node: StateNode, config: Any, path: str) -> None:
        items = enumerate(with_paths(config, path))
        invokes = [self.invoke(node, item, index, item_path) for index, (item, item_path) in items]
        node.invokes = tuple(invoke for invoke in invokes if invoke is not None)

    def invoke(self, node: StateNode, config: Any, index: int, path: str) -> Invoke | None:
        source_path = child_path(path, "src")
        if not isinstance(config, Mapping):
            config, source_path = {"src": config}, path
        self.defects.unknown_keys(path, config, INVOKE_KEYS)
        check_repeated_parts(config, (("type", INVOKE),), path, self.defects)
        self.check_description(config, path)
        child_id = config.get("id", f"{node.id}:invocation[{index}]")
        if not isinstance(child_id, str) or not child_id:
            self.defects.add(child_path(path, "id"), f"a child id cannot be {describe(child_id)}")
            return None
        words = (
            ("onDone", done_invoke_type(child_id)),
            ("onError", error_platform_type(child_id)),
            ("onSnapshot", snapshot_type(child_id)),
        )
        for key, event in words:
            node.transitions += self.transitions(node, event, config.get(key), child_path(path, key))
        for key in ("autoForward", "sync"):
            if not isinstance(config.get(key, False), bool):
                self.defects.add(
                    child_path(path, key), f"{key} cannot be {describe(config[key])}", "Give true or false."
                )
        bound = self.binder.services.bind(config.get("src"), source_path)
        if bound is None:
            return None
        source, params = bound
        if isinstance(source, str):
            self.binder.services.invoked(source, "data" in config, source_path)
        name = None
        if isinstance(source, PersistentSource) and source.name is not None:
            name = self.binder.value(source.name, source_path, "the name of the persistent child")
        data = config.get("data")
        is_persistent = isinstance(source, PersistentSource)
        retry = read_retry(config.get("retry"), child_path(path, "retry"), self.defects, is_persistent=is_persistent)
        return Invoke(
            id=child_id,
            state_id=node.id,
            source=source,
            data=self.binder.data(data, child_path(path, "data")),
            instance_name=name,
            auto_forward=bool(config.get("autoForward", False)),
            sync=bool(config.get("sync", False)),
            snapshots="onSnapshot" in config,
            params=params,
            retry=retry,
        )


def delay_reference(delay: Any) -> str:
    """What the event of a timer calls its delay: the milliseconds, or the name."""
    milliseconds = as_milliseconds(delay)
    if milliseconds is None:
        return str(delay)
    return str(int(milliseconds) if milliseconds == int(milliseconds) else milliseconds)
