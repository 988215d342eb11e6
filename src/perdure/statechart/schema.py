"""Schemas: what a context or an event is made of, when it is more than a dict.

A machine may declare its context, and its events by type, as a dataclass, a msgspec ``Struct`` or a pydantic model.
JSON is read into such a value, and checked as a whole, wherever it comes in: what a snapshot holds, what a creator
gives, what a client sends, and what an assigner makes of the value before. What is read is always JSON, so that a value
in memory is exactly what will be read again from the one that is stored. Writing needs no schema: ``encode_json`` knows
all three kinds.

pydantic is not imported: a class is taken for a model of it by the methods that pydantic 2 gives its models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from perdure.errors import EventFailed, text_of
from perdure.json_value import Json, JsonObject, decode_json, encode_json
from perdure.statechart.defects import nearest

__all__ = ["EventSchema", "Misfit", "Schema", "event_type_of", "is_schema_type", "plain", "typed_event"]

T = TypeVar("T")

PLAIN_TYPES = (type(None), bool, int, float, str)


class Misfit(Exception):
    """A value does not fit its schema; the message says where. Every caller turns it into an error of its own."""


class Schema(Generic[T]):
    """How values of one type are read from JSON and replaced. Raises ``TypeError`` for a class that cannot be read."""

    def __init__(self, declared: type[T]) -> None:
        if not is_schema_type(declared):
            raise TypeError(f"{declared!r} is no dataclass, msgspec Struct or pydantic model")
        self.type = declared
        self.fields = field_defaults(declared)
        """The fields by their names in Python, with what each is when it is not given."""
        self.read: Callable[[bytes], T]
        if is_model_type(declared):
            self.read = declared.model_validate_json  # type: ignore[attr-defined]  # what makes it a model
        else:
            try:
                self.read = reader(declared)
            except Exception as error:  # NameError for an annotation that names nothing, TypeError for an odd union
                raise TypeError(f"{declared.__name__} cannot be read from JSON: {text_of(error)}") from error

    def decoded(self, value: Json) -> T:
        """The value that plain data stands for; also checks a value that is of the type already.

        Raises ``Misfit``.
        """
        try:
            return self.read(encode_json(value))
        except Exception as error:  # what a validator of the user's raises, too
            raise Misfit(f"it is no {self.type.__name__}: {reason(error)}") from error

    def replaced(self, value: T, changes: Mapping[str, Any]) -> T:
        """A copy with some fields changed, checked as a whole. Raises ``Misfit``."""
        for name in changes:
            if not self.has_field(name):
                raise Misfit(f"{self.type.__name__} has no field {name!r}. {nearest(name, self.fields)}")
        try:
            changed = copy_with(value, changes)
        except Exception as error:  # a __post_init__ may refuse it
            raise Misfit(f"it is no {self.type.__name__}: {reason(error)}") from error
        return self.decoded(changed)

    def has_field(self, name: str) -> bool:
        return name in self.fields or getattr(self.type, "model_config", {}).get("extra") == "allow"


class EventSchema:
    """How events of one type are read. The class need not say its type; where it does, the two must agree."""

    def __init__(self, event_type: str, declared: type[Any]) -> None:
        self.type = event_type
        self.schema = Schema(declared)
        said = event_type_of(declared)
        if said not in (None, event_type):
            raise TypeError(f"{declared.__name__} says that its type is {said!r}, not {event_type!r}")
        self.reads_type = "type" in self.schema.fields or is_tagged(declared)

    def decoded(self, event: JsonObject) -> Any:
        """The value that an event stands for. Raises ``Misfit``."""
        fields = event if self.reads_type else {key: value for key, value in event.items() if key != "type"}
        return self.schema.decoded(fields)


def reason(error: Exception) -> str:
    """What an error says, in one line; pydantic's as msgspec's."""
    errors = getattr(error, "errors", None)
    if not callable(errors):
        return text_of(error)
    found = [(".".join(map(str, ("$", *each["loc"]))), each["msg"]) for each in errors()]
    return "; ".join(f"{message} - at `{place}`" for place, message in found)


def reader(declared: type[T]) -> Callable[[bytes], T]:
    """How msgspec reads a class.

    It leaves plain defaults of dataclasses to the class, and then does not write them: where there can be any, they
    are put into the value.
    """
    read = msgspec.json.Decoder(declared, dec_hook=read_model).decode
    if not mentions_dataclass(msgspec.inspect.type_info(declared), set()):
        return read

    def read_whole(data: bytes) -> T:
        value = read(data)
        fill_in_defaults(value)
        return value

    return read_whole


def mentions_dataclass(part: object, seen: set[int]) -> bool:
    """Whether a type, as msgspec describes it, has to do with a dataclass whose values have a ``__dict__``."""
    if isinstance(part, tuple):
        return any(mentions_dataclass(item, seen) for item in part)
    if not isinstance(part, msgspec.Struct) or id(part) in seen:
        return False
    seen.add(id(part))
    if isinstance(part, msgspec.inspect.DataclassType) and part.cls.__dictoffset__:
        return True
    return any(mentions_dataclass(getattr(part, name), seen) for name in part.__struct_fields__)


def fill_in_defaults(value: Any) -> None:
    """Give every dataclass in a value that was just read the attributes that it only has by its class."""
    if isinstance(value, (list, tuple, set, frozenset)):
        parts: Any = value
    elif isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, msgspec.Struct):
        parts = [getattr(value, name) for name in value.__struct_fields__]
    elif dataclasses.is_dataclass(value):
        parts = []
        for field in dataclasses.fields(value):
            part = getattr(value, field.name)
            if hasattr(value, "__dict__") and field.name not in value.__dict__:
                object.__setattr__(value, field.name, part)
            parts.append(part)
    else:
        return
    for part in parts:
        fill_in_defaults(part)


# -- from values to plain data ---------------------------------------------------------------------


def plain(value: Any) -> Json:
    """What a value is in effects: JSON, as it will be when it is read again. Raises ``EventFailed`` when it is not."""
    if type(value) in PLAIN_TYPES:
        return value
    try:
        return decode_json(encode_json(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise EventFailed(f"{value!r:.60} is not JSON: {text_of(error)}") from error


def typed_event(value: object) -> JsonObject | None:
    """The plain form of an event given as a value of a class that says its type; ``None`` for anything else."""
    event_type = event_type_of(type(value))
    return None if event_type is None else {"type": event_type, **plain(value)}


# -- what a class says about itself ----------------------------------------------------------------


def is_schema_type(candidate: object) -> bool:
    """Whether it is a class that can be a schema: a dataclass, a msgspec ``Struct`` or a pydantic model."""
    if not isinstance(candidate, type):
        return False
    return dataclasses.is_dataclass(candidate) or issubclass(candidate, msgspec.Struct) or is_model_type(candidate)


def event_type_of(declared: type[Any]) -> str | None:
    """The event type that a class says it has; ``None`` when it says none, or is no class for events.

    It says so by ``type: ClassVar[str] = "add"``, by a field ``type: Literal["add"] = "add"``, or, a msgspec
    ``Struct``, by ``tag="add"``.
    """
    if not is_schema_type(declared):
        return None
    if is_tagged(declared):
        said: object = declared.__struct_config__.tag
    else:
        fields = field_defaults(declared)
        said = fields["type"] if "type" in fields else getattr(declared, "type", None)
    return said if isinstance(said, str) and said else None


def is_tagged(declared: type[Any]) -> bool:
    """Whether a msgspec ``Struct`` carries its type as a tag."""
    return issubclass(declared, msgspec.Struct) and declared.__struct_config__.tag_field == "type"


def is_model_type(candidate: type) -> bool:
    return hasattr(candidate, "model_validate_json") and hasattr(candidate, "model_fields")


def field_defaults(declared: type[Any]) -> dict[str, Any]:
    """The fields of a class by name, with their plain defaults."""
    if is_model_type(declared):
        return {name: field.default for name, field in declared.model_fields.items()}
    if issubclass(declared, msgspec.Struct):
        return {field.name: field.default for field in msgspec.structs.fields(declared)}
    return {field.name: field.default for field in dataclasses.fields(declared)}


def copy_with(value: Any, changes: Mapping[str, Any]) -> Any:
    """A copy with some fields changed, unchecked but for what the class itself checks when it is made."""
    if is_model_type(type(value)):
        return value.model_copy(update=dict(changes))
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **changes)
    return dataclasses.replace(value, **changes)


def read_model(declared: type[Any], value: Any) -> Any:
    """How msgspec reads a pydantic model within a dataclass or a ``Struct``."""
    if is_model_type(declared):
        return declared.model_validate_json(encode_json(value))
    raise NotImplementedError(f"objects of type {declared.__name__}")
