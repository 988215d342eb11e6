"""What the events of a typed machine look like, as JSON Schema: for documents, not for checking."""

from __future__ import annotations

from typing import Any

import msgspec

from perdure.json_value import JsonObject
from perdure.logs import get_logger
from perdure.statechart.machine import Machine

__all__ = ["event_schemas"]

logger = get_logger("perdure.machine")


def event_schemas(machine: Machine) -> dict[str, JsonObject]:
    """The schema of each declared event, by its type; none of a machine without types.

    A class that has no JSON Schema is described as an object of its type, which is true of every event.
    """
    if machine.schemas is None:
        return {}
    return {name: _schema(name, declared.schema.type) for name, declared in machine.schemas.events.items()}


def _schema(name: str, declared: type[Any]) -> JsonObject:
    try:
        schema = _json_schema(declared)
    except Exception as error:  # a type of the user's own, with hooks of the user's own
        logger.warning("event has no JSON Schema", event_type=name, reason=f"{type(error).__name__}: {error}")
        schema = {"type": "object"}
    schema = _inlined(schema)
    properties = {**schema.get("properties", {}), "type": {"const": name}}
    required = list(dict.fromkeys(["type", *schema.get("required", [])]))
    return {**schema, "title": name, "properties": properties, "required": required}


def _json_schema(declared: type[Any]) -> JsonObject:
    of_model = getattr(declared, "model_json_schema", None)
    schema: JsonObject = of_model() if of_model is not None else msgspec.json.schema(declared)
    return schema


def _inlined(schema: JsonObject) -> JsonObject:
    """The schema without references: they would point into a document of its own. A type within itself is anything."""
    definitions = schema.get("$defs", {})

    def without_references(part: Any, seen: frozenset[str]) -> Any:
        if isinstance(part, list):
            return [without_references(each, seen) for each in part]
        if not isinstance(part, dict):
            return part
        name = part.get("$ref", "").removeprefix("#/$defs/") if isinstance(part.get("$ref"), str) else ""
        if name in seen:
            return {}
        if name in definitions:
            return without_references(definitions[name], seen | {name})
        return {key: without_references(value, seen) for key, value in part.items() if key != "$defs"}

    whole: JsonObject = without_references(schema, frozenset())
    return whole
