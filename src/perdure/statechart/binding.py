"""Binding: from the actions, guards, delays and services a config names or contains to things that can be called.

Every name is looked up when the machine is built, so that a misspelt one is a defect with a path and not a surprise in
production. Inline callables are given their place in the config as a name, since effects are data and can only say
names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import iscoroutinefunction
from typing import Any

from perdure.errors import EventFailed, MachineConfigError
from perdure.json_value import Json, JsonObject
from perdure.statechart import action as act
from perdure.statechart import guard as gua
from perdure.statechart.callables import UniformCall, accepted_parameters, uniform
from perdure.statechart.defects import Defects, child_path, describe, nearest
from perdure.statechart.delay import as_milliseconds, computed_delay
from perdure.statechart.instance_actions import INSTANCE_ACTIONS, instance_action
from perdure.statechart.machine import Implementations, StateNode
from perdure.statechart.reference import ACTOR_REFERENCE
from perdure.statechart.schema import typed_event
from perdure.statechart.service_binding import ServiceBinder, is_text, parameters
from perdure.statechart.typed_machine import Schemas, TypedAssign, TypedCustom
from perdure.statechart.xstate_objects import BUILT_IN_ACTIONS, GUARD, action_of_object

__all__ = ["Binder"]

CHANGEABLE = frozenset((dict, list, tuple, set))
"""What of a config is copied before it goes into a context or to a service: all instances share the config, and code
may change what it is given in place. Other objects are given as they are.
"""


class Binder:
    """Binds the parts of one config, collecting defects and the custom actions and services it meets."""

    def __init__(self, implementations: Implementations, defects: Defects) -> None:
        self.implementations = implementations
        self.defects = defects
        self.actions: dict[str, Callable[..., Any]] = {}
        self.services = ServiceBinder(self)
        self.following: list[str] = []
        """The names whose implementations are being bound right now, to tell when they go round in a circle."""
        self.schemas: Schemas | None = None
        """Set by the front end: what context and events are made of, when they are typed."""
        self.resolve_state: Callable[[Json, str], tuple[StateNode, ...]]
        """Set by the front end: the states that ``in_state`` names."""

    def check_implementations(self) -> None:
        """Check what implements the names, and take in every custom action and service: ``pure`` and ``spawn`` may name
        one at run time.
        """
        for kind in ("actions", "guards", "services", "delays"):
            known: object = getattr(self.implementations, kind)
            if not isinstance(known, Mapping):
                self.defects.add(kind, f"the {kind} cannot be {describe(known)}", "Give a dict of names.")
        self.defects.raise_if_any()
        for name, implementation in self.implementations.actions.items():
            if callable(implementation):
                self.custom_action(name, implementation, None, child_path("actions", str(name)))
        self.services.bind_names()

    @contextmanager
    def followed(self, kind: str, name: str, path: str) -> Iterator[bool]:
        """While a name's implementation is bound; yields false, with a defect, when that goes round in a circle."""
        reference = f"{kind} {name!r}"
        if reference in self.following:
            self.defects.add(path, f"the {reference} is implemented by itself in a circle")
            yield False
            return
        self.following.append(reference)
        yield True
        self.following.pop()

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

    def action(self, config: Any, path: str, params: Json = None) -> act.Action | None:
        """Bind one action; ``None``, with a defect, when it cannot be."""
        if isinstance(config, (*act.CREATED, *INSTANCE_ACTIONS)):
            return self.created_action(config, path, params)
        if isinstance(config, str):
            return self.named_action(config, path, params)
        if callable(config):
            return self.custom_action(path, config, params, path)
        if isinstance(config, Mapping) and isinstance(config.get("type"), str):
            if config["type"] in BUILT_IN_ACTIONS:
                built_in = action_of_object(config, path, self.defects)
                return None if built_in is None else self.created_action(*built_in, params)
            return self.named_action(config["type"], path, parameters(config, params))
        self.defects.add(
            path,
            f"an action cannot be {describe(config)}",
            'Give a name, a callable, {"type": name, …}, or what an action creator returns.',
        )
        return None

    def named_action(self, name: str, path: str, params: Json) -> act.Action | None:
        known = self.implementations.actions
        if name not in known:
            self.defects.add(path, f"the action {name!r} is not implemented", nearest(name, known))
            return None
        implementation = known[name]
        if callable(implementation):
            return self.run_action(name, params)
        with self.followed("action", name, path) as is_new:
            return self.action(implementation, path, params) if is_new else None

    def custom_action(self, name: str, function: Callable[..., Any], params: Json, path: str) -> act.Action | None:
        if not self.check_parameters(function, path):
            return None
        self.actions[name] = function
        return self.run_action(name, params)

    def run_action(self, name: str, params: Json) -> act.Action:
        return TypedCustom(name, params) if self.has_typed_context else act.Custom(name, params)

    @property
    def has_typed_context(self) -> bool:
        return self.schemas is not None and self.schemas.context is not None

    def assign_action(self, assignment: Any, path: str, params: Json) -> act.Action | None:
        if self.schemas is None and isinstance(assignment, Mapping):
            next_context = self.mapping(assignment, path, "the assigner", params, over_context=True)
            return None if next_context is None else act.Assign(next_context)
        updates = self.mapper(assignment, path, "the assigner", params)
        if updates is None:
            return None
        schema = None if self.schemas is None else self.schemas.context
        if schema is None:
            return act.Assign(act.merging(self.plained(updates)))
        if isinstance(assignment, Mapping):
            for name in assignment:
                if not schema.has_field(name):
                    message = f"the context, a {schema.type.__name__}, has no field {name!r}"
                    self.defects.add(path, message, nearest(str(name), schema.fields))
        return TypedAssign(updates, schema, f"the assigner at {path}")

    def created_action(self, config: Any, path: str, params: Json) -> act.Action | None:
        """Bind what an action creator returned; its callables see ``params`` in their meta."""
        if isinstance(config, act.AssignConfig):
            return self.assign_action(config.assignment, path, params)
        if isinstance(config, act.SendConfig):
            return self.send_action(config, path, params)
        if isinstance(config, act.ChooseConfig):
            return self.choose_action(config, path)
        if isinstance(config, act.CancelConfig):
            send_id = self.value_of(config.send_id, path, "the send id", params, is_text)
            return None if send_id is None else act.CancelEvent(send_id)
        if isinstance(config, act.EscalateConfig):
            return self.escalate_action(config, path, params)
        if isinstance(config, act.StartConfig):
            return self.start_action(config, path)
        if isinstance(config, act.StopConfig):
            child = self.value_of(config.child, path, "the child to stop", params, is_child)
            return None if child is None else act.Stop(child)
        if isinstance(config, act.LogConfig):
            return self.log_action(config, path, params)
        if isinstance(config, INSTANCE_ACTIONS):
            return instance_action(config, self, path, params)
        if not callable(config.get_actions):
            self.defects.add(path, f"pure takes a callable, not {describe(config.get_actions)}")
            return None
        get_actions = self.function(config.get_actions, path, "pure", params)
        return None if get_actions is None else act.Pure(get_actions, path)

    def log_action(self, config: act.LogConfig, path: str, params: Json) -> act.Action | None:
        label: object = config.label
        if label is not None and not isinstance(label, str):
            self.defects.add(path, f"the label of a log cannot be {describe(label)}", "Give a string.")
        if config.expression is None:
            everything = self.plained(lambda context, event, step: {"context": context, "event": event})
            return act.LogValue(everything, config.label)
        value = self.value(config.expression, path, "the log expression", params)
        return None if value is None else act.LogValue(self.plained(value), config.label)

    def start_action(self, config: act.StartConfig, path: str) -> act.Action | None:
        bound = self.services.activity(config.activity, path)
        if bound is None:
            return None
        child_id, source, params = bound
        return act.Start(child_id or source, source, params)

    def send_action(self, config: act.SendConfig, path: str, params: Json) -> act.Action | None:
        self.check_send_id(config.id, path)
        event = self.event_expression(config.event, path, params)
        delay = None if config.delay is None else self.delay(config.delay, path, params)
        target = self.value_of(config.target, path, "the target", params, is_address)
        if event is None or target is None or (config.delay is not None and delay is None):
            return None
        if config.is_internal:
            return act.Raise(event)
        return act.SendEvent(event, target, delay, config.id)

    def escalate_action(self, config: act.EscalateConfig, path: str, params: Json) -> act.Action | None:
        self.check_send_id(config.id, path)
        error = self.value(config.error, path, "the error", params)
        delay = None if config.delay is None else self.delay(config.delay, path, params)
        if error is None or (config.delay is not None and delay is None):
            return None
        return act.SendEvent(
            act.escalation(self.plained(error)), lambda context, event, step: act.PARENT, delay, config.id
        )

    def check_send_id(self, send_id: object, path: str) -> None:
        if send_id is not None and not is_text(send_id):
            self.defects.add(path, f"a send id cannot be {describe(send_id)}", "Give a non-empty string.")

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

    def event_expression(self, event: Any, path: str, params: Json) -> UniformCall | None:
        if callable(event):
            expression = self.function(event, path, "the event expression", params)
            if expression is None:
                return None
            if self.schemas is not None:
                expression = self.schemas.sending(expression)
            return self.plained(act.computed_event(expression, f"the event expression at {path}"))
        event = typed_event(event) or event
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
        binder.schemas = self.schemas
        action = binder.action(config, label)
        try:
            binder.defects.raise_if_any()
        except MachineConfigError as error:
            raise EventFailed(f"pure at {label} returned what is no action: {error}") from error
        if binder.actions:
            raise EventFailed(f"pure at {label} returned an action with an inline callable: {sorted(binder.actions)}")
        assert action is not None
        return action

    # -- guards ------------------------------------------------------------------------------------

    def guard(self, config: Any, path: str, params: Json = None) -> gua.Test | None:
        """Bind a guard; ``None`` means there is none, or a defect was added."""
        if config is None:
            return None
        if isinstance(config, (gua.And, gua.Or, gua.Not, gua.InState)):
            return self.combined_guard(config, path, params)
        if isinstance(config, str):
            return self.named_guard(config, path, params)
        if callable(config):
            return self.function(config, path, "the guard", params)
        if isinstance(config, Mapping) and config.get("type") == GUARD:
            self.defects.unknown_keys(path, config, ("name", "predicate", "type"))
            return self.guard(config.get("predicate") or config.get("name") or GUARD, path, params)
        if isinstance(config, Mapping) and isinstance(config.get("type"), str):
            return self.named_guard(config["type"], path, parameters(config, params))
        self.defects.add(
            path,
            f"a guard cannot be {describe(config)}",
            'Give a name, a callable, {"type": name, …}, or and_, or_, not_, in_state.',
        )
        return None

    def named_guard(self, name: str, path: str, params: Json) -> gua.Test | None:
        known = self.implementations.guards
        if name not in known:
            self.defects.add(path, f"the guard {name!r} is not implemented", nearest(name, known))
            return None
        implementation = known[name]
        if callable(implementation):
            return self.function(implementation, path, f"guard {name!r}", params)
        if implementation is None:
            self.defects.add(path, f"the guard {name!r} is implemented by nothing")
            return None
        with self.followed("guard", name, path) as is_new:
            return self.guard(implementation, path, params) if is_new else None

    def combined_guard(self, config: Any, path: str, params: Json) -> gua.Test | None:
        if isinstance(config, gua.InState):
            nodes = self.resolve_state(config.state, path)
            return lambda context, event, step: step.configuration.nodes.issuperset(nodes)
        parts = (config.guard,) if isinstance(config, gua.Not) else config.guards
        tests: list[gua.Test] = []
        for part in parts:
            test = self.guard(part, path, params)
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

    # -- delays --------------------------------------------------------------------------------------

    def delay(self, config: Any, path: str, params: Json = None) -> UniformCall | None:
        """Bind a delay: a callable that gives milliseconds, or the name that nobody knows when it was computed."""
        known = self.implementations.delays
        milliseconds = as_milliseconds(config)
        if milliseconds is not None:
            return lambda context, event, step: milliseconds
        if isinstance(config, str):
            if config not in known:
                self.defects.add(path, f"the delay {config!r} is not implemented", nearest(config, known))
                return None
            with self.followed("delay", config, path) as is_new:
                return self.delay(known[config], path, params) if is_new else None
        if not callable(config):
            self.defects.add(
                path,
                f"a delay cannot be {describe(config)}",
                "Give finite milliseconds, a timedelta, a name or a callable.",
            )
            return None
        function = self.function(config, path, "the delay", params)
        return None if function is None else computed_delay(function, known, path, self.uniform)

    # -- values ------------------------------------------------------------------------------------

    def data(self, config: Any, path: str) -> UniformCall | None:
        """What a final state or an invocation gives to others."""
        if config is None:
            return None
        mapper = self.mapper(config, path, "the data")
        return None if mapper is None else self.plained(mapper)

    def mapper(self, config: Any, path: str, label: str, params: Json = None) -> UniformCall | None:
        """A callable, a value, or a mapping whose values are callables or values."""
        if isinstance(config, Mapping):
            return self.mapping(config, path, label, params)
        if type(config) in CHANGEABLE:
            return lambda context, event, step: own_copy(config)
        return self.value(config, path, label, params)

    def mapping(
        self, config: Mapping[str, Any], path: str, label: str, params: Json = None, *, over_context: bool = False
    ) -> UniformCall | None:
        """A mapping whose values are callables or values; with ``over_context`` these go into a copy of the context."""
        constants = {key: value for key, value in config.items() if not callable(value)}
        are_changeable = any(type(value) in CHANGEABLE for value in constants.values())
        functions: list[tuple[str, UniformCall]] = []
        are_bound = True
        for key, value in config.items():
            if callable(value):
                function = self.function(value, child_path(path, str(key)), f"{label} of {key!r}", params)
                if function is None:
                    are_bound = False
                else:
                    functions.append((key, function))

        def compute(context: Any, event: JsonObject, step: Any) -> JsonObject:
            given = own_copy(constants) if are_changeable else constants
            computed = {**context, **given} if over_context else {**given}
            for key, function in functions:
                computed[key] = function(context, event, step)
            return computed

        return compute if are_bound else None

    def value_of(
        self, config: Any, path: str, label: str, params: Json, is_valid: Callable[[Any], bool]
    ) -> UniformCall | None:
        """A callable of the context, or a constant that has to be valid."""
        if not callable(config) and not is_valid(config):
            self.defects.add(path, f"{label} cannot be {describe(config)}")
            return None
        return self.value(config, path, label, params)

    def value(self, config: Any, path: str, label: str, params: Json = None) -> UniformCall | None:
        """A callable of the context, or a constant."""
        if callable(config):
            return self.function(config, path, label, params)
        return lambda context, event, step: config

    def function(self, function: Any, path: str, label: str, params: Json = None) -> UniformCall | None:
        if not self.check_parameters(function, path):
            return None
        if iscoroutinefunction(function):
            self.defects.add(path, f"{label} cannot be async", "Only actions and services may wait for anything.")
            return None
        return self.uniform(function, f"{label} at {path}", params)

    def uniform(self, function: Any, label: str, params: Json = None) -> UniformCall:
        """A function as the engine calls it; it sees typed events where these are declared."""
        call = uniform(function, label, params)
        if self.schemas is None or accepted_parameters(function) < 2:
            return call
        return self.schemas.seeing(call)

    def plained(self, call: UniformCall) -> UniformCall:
        """An expression whose value goes into an effect, where a typed machine has to have it plain."""
        return call if self.schemas is None else self.schemas.plained(call)

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


def own_copy(value: Any) -> Any:
    """A value whose containers nobody else has."""
    kind = type(value)
    if kind is dict:
        return {key: own_copy(inner) for key, inner in value.items()}
    if kind in CHANGEABLE:
        return kind(map(own_copy, value))
    return value


def is_address(value: Any) -> bool:
    """Whether a send can go there: an id, or a reference."""
    if isinstance(value, Mapping) and value.get("type") == ACTOR_REFERENCE:
        return is_text(value.get("path"))
    return is_text(value) or act.instance_at(value) is not None


def is_child(value: Any) -> bool:
    """Whether it names a child to stop: an id, or a reference."""
    return is_text(value.get("id") if isinstance(value, Mapping) else value)
