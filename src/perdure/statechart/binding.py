"""Binding: from the actions, guards, delays and services a config names or contains to things that can be called.

Every name is looked up when the machine is built, so that a misspelt one is a defect with a path and not a surprise in
production. Inline callables are given their place in the config as a name, since effects are data and can only say
names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from perdure.errors import EventFailed, MachineConfigError
from perdure.json_value import Json, JsonObject
from perdure.statechart import action as act
from perdure.statechart import guard as gua
from perdure.statechart.callables import UniformCall, accepted_parameters, uniform
from perdure.statechart.defects import Defects, child_path, nearest
from perdure.statechart.machine import Implementations, StateNode

__all__ = ["Binder"]

REFERENCE_DEPTH = 20
"""How many names in a row an implementation may refer on to before it counts as going round in a circle."""


class Binder:
    """Binds the parts of one config, collecting defects and the custom actions and services it meets."""

    def __init__(self, implementations: Implementations, defects: Defects) -> None:
        self.implementations = implementations
        self.defects = defects
        self.actions: dict[str, Callable[..., Any]] = {}
        self.services: dict[str, Any] = {}
        self.resolve_state: Callable[[Json, str], tuple[StateNode, ...]]
        """Set by the front end: the states that ``in_state`` names."""

    # -- actions -----------------------------------------------------------------------------------

    def action_list(self, config: Any, path: str) -> tuple[act.Action, ...]:
        """One action, a list of them, or nothing."""
        if config is None:
            return ()
        if isinstance(config, (list, tuple)):
            bound = [self.action(item, child_path(path, index)) for index, item in enumerate(config)]
            return tuple(action for action in bound if action is not None)
        action = self.action(config, path)
        return () if action is None else (action,)

    def action(self, config: Any, path: str, depth: int = 0) -> act.Action | None:
        """Bind one action; ``None``, with a defect, when it cannot be."""
        if isinstance(config, act.CREATED):
            return self.created_action(config, path)
        if isinstance(config, str):
            return self.named_action(config, None, path, depth)
        if callable(config):
            return self.custom_action(path, config, None, path)
        if isinstance(config, Mapping) and isinstance(config.get("type"), str):
            params = {key: value for key, value in config.items() if key != "type"}
            return self.named_action(config["type"], params or None, path, depth)
        self.defects.add(
            path,
            f"an action cannot be {describe(config)}",
            'Give a name, a callable, {"type": name, …}, or what an action creator returns.',
        )
        return None

    def named_action(self, name: str, params: Json, path: str, depth: int) -> act.Action | None:
        known = self.implementations.actions
        if name not in known:
            self.defects.add(path, f"the action {name!r} is not implemented", nearest(name, known))
            return None
        implementation = known[name]
        if callable(implementation):
            return self.custom_action(name, implementation, params, path)
        if depth >= REFERENCE_DEPTH:
            self.defects.add(path, f"the action {name!r} is implemented by itself in a circle")
            return None
        return self.action(implementation, path, depth + 1)

    def custom_action(self, name: str, function: Callable[..., Any], params: Json, path: str) -> act.Action | None:
        if not self.check_parameters(function, path):
            return None
        self.actions[name] = function
        return act.Custom(name, params)

    def created_action(self, config: Any, path: str) -> act.Action | None:
        if isinstance(config, act.AssignConfig):
            updates = self.mapper(config.assignment, path, "the assigner")
            return None if updates is None else act.Assign(updates)
        if isinstance(config, act.SendConfig):
            return self.send_action(config, path)
        if isinstance(config, act.ChooseConfig):
            return self.choose_action(config, path)
        if isinstance(config, act.CancelConfig):
            send_id = self.value(config.send_id, path, "the send id")
            return None if send_id is None else act.CancelEvent(send_id)
        if isinstance(config, act.StopConfig):
            child = self.value(config.child, path, "the child to stop")
            return None if child is None else act.Stop(child)
        if isinstance(config, act.LogConfig):
            expression = config.expression
            if expression is None:
                return act.LogValue(lambda context, event, step: {"context": context, "event": event}, config.label)
            value = self.value(expression, path, "the log expression")
            return None if value is None else act.LogValue(value, config.label)
        if not callable(config.get_actions):
            self.defects.add(path, f"pure takes a callable, not {describe(config.get_actions)}")
            return None
        get_actions = self.function(config.get_actions, path, "pure")
        return None if get_actions is None else act.Pure(get_actions, path)

    def send_action(self, config: act.SendConfig, path: str) -> act.Action | None:
        event = self.event_expression(config.event, path)
        delay = None if config.delay is None else self.delay(config.delay, path)
        target = self.value(config.target, path, "the target")
        if event is None or target is None or (config.delay is not None and delay is None):
            return None
        if config.is_internal:
            return act.Raise(event)
        return act.SendEvent(event, target, delay, config.id)

    def choose_action(self, config: act.ChooseConfig, path: str) -> act.Action | None:
        if not isinstance(config.branches, (list, tuple)):
            self.defects.add(path, f"choose takes a list of branches, not {describe(config.branches)}")
            return None
        branches = []
        for index, branch in enumerate(config.branches):
            branch_path = child_path(path, index)
            if not isinstance(branch, Mapping):
                self.defects.add(branch_path, f"a branch of choose cannot be {describe(branch)}", "Give a dict.")
                continue
            self.defects.unknown_keys(branch_path, branch, ("cond", "actions"))
            guard = self.guard(branch.get("cond"), child_path(branch_path, "cond"))
            actions = self.action_list(branch.get("actions"), child_path(branch_path, "actions"))
            branches.append((guard, actions))
        return act.Choose(tuple(branches))

    def event_expression(self, event: Any, path: str) -> UniformCall | None:
        if callable(event):
            expression = self.function(event, path, "the event expression")
            return None if expression is None else act.computed_event(expression, f"the event expression at {path}")
        if isinstance(event, str) and event:
            return act.constant_event({"type": event})
        if isinstance(event, Mapping) and isinstance(event.get("type"), str) and event["type"]:
            return act.constant_event(dict(event))
        self.defects.add(
            path, f"an event cannot be {describe(event)}", 'Give a type, {"type": …}, or a callable that returns one.'
        )
        return None

    def run_time_action(self, config: Any, label: str) -> act.Action:
        """Bind what ``pure`` returned. Raises ``EventFailed``, since by now an event is being handled."""
        if callable(config):
            raise EventFailed(f"pure at {label} returned an inline callable; name it among the machine's actions")
        binder = Binder(self.implementations, Defects())
        binder.resolve_state = self.resolve_state
        action = binder.action(config, label)
        try:
            binder.defects.raise_if_any()
        except MachineConfigError as error:
            raise EventFailed(f"pure at {label} returned what is no action: {error}") from error
        inline = binder.actions.keys() - self.actions.keys()
        if inline:
            raise EventFailed(f"pure at {label} returned an action with an inline callable: {sorted(inline)}")
        assert action is not None
        return action

    # -- guards ------------------------------------------------------------------------------------

    def guard(self, config: Any, path: str, depth: int = 0) -> gua.Test | None:
        """Bind a guard; ``None`` means there is none, or a defect was added."""
        if config is None:
            return None
        if isinstance(config, (gua.And, gua.Or, gua.Not, gua.InState)):
            return self.combined_guard(config, path, depth)
        if isinstance(config, str):
            return self.named_guard(config, None, path, depth)
        if callable(config):
            return self.function(config, path, "the guard")
        if isinstance(config, Mapping) and isinstance(config.get("type"), str):
            params = {key: value for key, value in config.items() if key != "type"}
            return self.named_guard(config["type"], params or None, path, depth)
        self.defects.add(
            path,
            f"a guard cannot be {describe(config)}",
            'Give a name, a callable, {"type": name, …}, or and_, or_, not_, in_state.',
        )
        return None

    def named_guard(self, name: str, params: Json, path: str, depth: int) -> gua.Test | None:
        known = self.implementations.guards
        if name not in known:
            self.defects.add(path, f"the guard {name!r} is not implemented", nearest(name, known))
            return None
        implementation = known[name]
        if callable(implementation):
            return self.function(implementation, path, f"guard {name!r}", params)
        if depth >= REFERENCE_DEPTH:
            self.defects.add(path, f"the guard {name!r} is implemented by itself in a circle")
            return None
        return self.guard(implementation, path, depth + 1)

    def combined_guard(self, config: Any, path: str, depth: int) -> gua.Test | None:
        if isinstance(config, gua.InState):
            nodes = self.resolve_state(config.state, path)
            return lambda context, event, step: step.configuration.nodes.issuperset(nodes)
        parts = (config.guard,) if isinstance(config, gua.Not) else config.guards
        tests: list[gua.Test] = []
        for part in parts:
            test = self.guard(part, path, depth)
            if test is None:
                if part is None:
                    self.defects.add(path, "a combined guard cannot contain nothing")
                return None
            tests.append(test)
        if isinstance(config, gua.And):
            return lambda context, event, step: all(test(context, event, step) for test in tests)
        if isinstance(config, gua.Or):
            return lambda context, event, step: any(test(context, event, step) for test in tests)
        return lambda context, event, step: not tests[0](context, event, step)

    # -- delays, services, data --------------------------------------------------------------------

    def delay(self, config: Any, path: str, depth: int = 0) -> UniformCall | None:
        """Bind a delay: a callable that gives milliseconds, or the name that nobody knows when it was computed."""
        known = self.implementations.delays
        milliseconds = as_milliseconds(config)
        if milliseconds is not None:
            return lambda context, event, step: milliseconds
        if isinstance(config, str):
            if config not in known:
                self.defects.add(path, f"the delay {config!r} is not implemented", nearest(config, known))
                return None
            if depth >= REFERENCE_DEPTH:
                self.defects.add(path, f"the delay {config!r} is implemented by itself in a circle")
                return None
            return self.delay(known[config], path, depth + 1)
        if not callable(config):
            self.defects.add(
                path, f"a delay cannot be {describe(config)}", "Give milliseconds, a timedelta, a name or a callable."
            )
            return None
        function = self.function(config, path, "the delay")
        return None if function is None else computed_delay(function, known, path)

    def service(self, config: Any, path: str, depth: int = 0) -> tuple[str, Json] | None:
        """Bind an invocation's source to the name it is known by among the services, and its parameters."""
        params: Json = None
        if isinstance(config, Mapping) and isinstance(config.get("type"), str):
            params = {key: value for key, value in config.items() if key != "type"} or None
            config = config["type"]
        if isinstance(config, str):
            known = self.implementations.services
            if config not in known:
                self.defects.add(path, f"the service {config!r} is not implemented", nearest(config, known))
                return None
            name, config = config, known[config]
        else:
            name = path
        if not callable(config):
            self.defects.add(path, f"a service cannot be {describe(config)}", "Give a name or a callable.")
            return None
        if not self.check_parameters(config, path):
            return None
        self.services[name] = config
        return name, params

    def mapper(self, config: Any, path: str, label: str) -> UniformCall | None:
        """A callable, a value, or a mapping whose values are callables or values."""
        if not isinstance(config, Mapping):
            return self.value(config, path, label)
        constants = {key: value for key, value in config.items() if not callable(value)}
        functions = []
        for key, value in config.items():
            if callable(value):
                function = self.function(value, child_path(path, str(key)), f"{label} of {key!r}")
                if function is None:
                    return None
                functions.append((key, function))
        if not functions:
            return lambda context, event, step: dict(constants)

        def compute(context: Any, event: JsonObject, step: Any) -> JsonObject:
            return {**constants, **{key: function(context, event, step) for key, function in functions}}

        return compute

    def value(self, config: Any, path: str, label: str) -> UniformCall | None:
        """A callable of the context, or a constant."""
        if callable(config):
            return self.function(config, path, label)
        return lambda context, event, step: config

    def function(self, function: Any, path: str, label: str, params: Json = None) -> UniformCall | None:
        if not self.check_parameters(function, path):
            return None
        return uniform(function, f"{label} at {path}", params)

    def check_parameters(self, function: Any, path: str) -> bool:
        try:
            accepted_parameters(function)
        except TypeError as error:
            self.defects.add(
                path,
                f"this callable cannot be called: {error}",
                "It may take (context), (context, event) or both and meta.",
            )
            return False
        return True


def as_milliseconds(value: Any) -> float | None:
    """Milliseconds of a number or a ``timedelta``, never negative; ``None`` for anything else."""
    if isinstance(value, timedelta):
        value = value.total_seconds() * 1000
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return None
    return max(value, 0)


def computed_delay(function: UniformCall, known: Mapping[str, Any], path: str) -> UniformCall:
    def compute(context: Any, event: JsonObject, step: Any) -> float | str:
        value = function(context, event, step)
        if isinstance(value, str):
            if value not in known:
                return value
            value = known[value]
            if callable(value):
                value = uniform(value, f"the delay at {path}")(context, event, step)
        milliseconds = as_milliseconds(value)
        if milliseconds is None:
            raise EventFailed(f"the delay at {path} must be milliseconds or a timedelta, not {describe(value)}")
        return milliseconds

    return compute


def describe(value: Any) -> str:
    """A value in an error message: short, and with its type."""
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '…'} ({type(value).__name__})"
