"""What a config says of the context: how it begins, and whether it is a dict or has a type.

The type is the one that ``create_machine`` is told, or else that of the config's ``context``: a class, a value of one,
or a callable that makes one. What a callable makes is read from its annotation; without one, it is called once when the
machine is built.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from perdure.errors import EventFailed
from perdure.json_value import Json, JsonObject, decode_json, encode_json
from perdure.statechart.binding import Binder
from perdure.statechart.callables import accepted_parameters
from perdure.statechart.defects import Defects, child_path, describe
from perdure.statechart.schema import EventSchema, Misfit, Schema, is_schema_type, plain

__all__ = ["FirstContext", "read_context", "read_events"]

FirstContext = Callable[[], JsonObject]
"""Gives each new actor a context of its own, as plain data; what its creator gives is merged over it."""

PLACE = "$.context"

UNCHANGEABLE = frozenset((type(None), bool, int, float, str))
"""What two contexts may share: a context of nothing else is copied in no time."""


def read_context(config: Any, declared: Any, binder: Binder) -> tuple[Schema[Any] | None, FirstContext]:
    """The schema of the context, if it has one, and what each new actor begins with; adds defects."""
    defects = binder.defects
    if config is None:
        config = dict if declared is None else declared
    if declared is None:
        declared = type_in(config)
    schema = None
    if declared is not dict:
        try:
            schema = Schema(declared)
        except TypeError as error:
            suggestion = "Give a dataclass, a msgspec Struct, a pydantic model or dict."
            defects.add("context_type", str(error), suggestion)
            return None, dict
    if is_schema_type(config) or config is dict:
        if config is not declared:
            defects.add(PLACE, f"the context is {config.__name__}, and context_type is another class")
        return schema, first_of_class(schema)
    if callable(config):
        return schema, computed(config, schema, binder)
    return schema, first_of_value(config, schema, defects)


def type_in(config: Any) -> type[Any]:
    """The type of a context that is declared by what is in the config; ``dict`` for everything that is no schema's."""
    if is_schema_type(config):
        found: type[Any] = config
        return found
    made = type(config)
    if callable(config):
        try:
            annotated = (
                inspect.signature(config, eval_str=True).return_annotation if inspect.isroutine(config) else None
            )
            made = type(config()) if annotated in (None, inspect.Signature.empty) else annotated
        except Exception:  # told when an actor is created: the reason may be gone by then
            return dict
    return made if is_schema_type(made) else dict


def first_of_class(schema: Schema[Any] | None) -> FirstContext:
    """The defaults of all fields; nothing when there is a field without, which each creator has to give."""
    if schema is None:
        return dict
    try:
        defaults = encode_json(schema.decoded({}))
    except Misfit:
        return dict
    return lambda: decoded_object(defaults)


def first_of_value(config: Any, schema: Schema[Any] | None, defects: Defects) -> FirstContext:
    if schema is not None and isinstance(config, (schema.type, Mapping)):
        try:
            first = encode_json(schema.decoded(config))
        except Misfit as misfit:
            defects.add(PLACE, f"the context does not fit: {misfit}")
            return dict
        return lambda: decoded_object(first)
    if not isinstance(config, Mapping):
        suggestion = "Give a dict or a callable." if schema is None else f"Give a {schema.type.__name__}."
        defects.add(PLACE, f"a context cannot be {describe(config)}", suggestion)
        return dict
    given = dict(config)
    try:
        copy.deepcopy(given)
    except Exception as error:
        defects.add(PLACE, f"the context cannot be copied: {error}", "Give a callable that makes it.")
    if all(type(value) in UNCHANGEABLE for value in given.values()):
        return given.copy
    return lambda: copy.deepcopy(given)


def decoded_object(data: bytes) -> JsonObject:
    found: JsonObject = decode_json(data)
    return found


def computed(function: Callable[..., Any], schema: Schema[Any] | None, binder: Binder) -> FirstContext:
    call = binder.function(function, PLACE, "the context")
    if call is None:
        return dict
    if accepted_parameters(function) > 0:
        binder.defects.add(PLACE, "a callable context takes no arguments: there is nothing to give it yet")

    def compute() -> JsonObject:
        context: Json = call({}, {}, None)
        if schema is not None and isinstance(context, (schema.type, Mapping)):
            context = plain(context)
        if not isinstance(context, Mapping):
            wanted = "mapping" if schema is None else schema.type.__name__
            raise EventFailed(f"the context at {PLACE} must be a {wanted}, not {describe(context)}")
        return dict(context)

    return compute


def read_events(declared: Any, defects: Defects) -> dict[str, EventSchema]:
    """The schemas of events by type; adds defects."""
    if declared is None:
        return {}
    if not isinstance(declared, Mapping):
        defects.add("events", f"the events cannot be {describe(declared)}", "Give a dict of classes by event type.")
        return {}
    found = {}
    for event_type, event_class in declared.items():
        try:
            found[event_type] = EventSchema(event_type, event_class)
        except TypeError as error:
            defects.add(child_path("events", str(event_type)), str(error))
    return found
