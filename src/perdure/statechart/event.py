"""Events, the names the engine reserves, and which descriptor matches which event.

An event is a dict with a ``type``. A descriptor in a config is a whole type, a prefix ending in ``.*``, or ``*``. The
prefix form matches whole dot-separated tokens, as in SCXML 3.12.1: ``x.*`` matches ``x`` and ``x.y`` but not ``xy``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypeAlias

import msgspec

from perdure.errors import InvalidParameter
from perdure.json_value import JsonObject
from perdure.statechart.schema import typed_event

__all__ = [
    "ADOPT",
    "ERROR_COMMUNICATION",
    "ERROR_EXECUTION",
    "ESCALATED",
    "INIT",
    "INTERNAL_PREFIXES",
    "PROGRESS",
    "STOP",
    "UPDATE",
    "EventLike",
    "after_type",
    "descriptor_matches",
    "descriptor_rank",
    "done_invoke_type",
    "done_state_type",
    "error_platform_type",
    "is_reserved",
    "snapshot_type",
    "to_event",
]

INIT = "xstate.init"
"""The event that entry actions of the initial state see."""
STOP = "xstate.stop"
"""The event that exit actions see when an actor is stopped from outside."""
UPGRADE = "statebacked.upgrade"
"""What an actor sees that goes on in another version of its machine."""
ADOPT = "perdure.adopt"
"""What an instance's ``allow_write`` is asked about when another one wants to be its parent."""
ERROR_COMMUNICATION = "error.communication"
"""Raised when a message has no receiver."""
UPDATE = "xstate.update"
"""What tells the parent of a synchronised child (``id``) where that stands now: the event's ``state``."""
ERROR_EXECUTION = "error.execution"
"""Raised when something could not be carried out: an unknown dynamic delay, a custom action that raised."""
ESCALATED = "xstate.error"
"""What ``escalate`` sends to the parent, which gets it as ``error.platform.<id>``; nobody sees it by this name."""

PROGRESS = (UPDATE, "xstate.snapshot.")
"""What begins the types of the words by which children say where they stand."""

DONE_INVOKE = "done.invoke."
ERROR_PLATFORM = "error.platform."

INTERNAL_PREFIXES = ("done.", "error.", "xstate.", UPGRADE)
"""What begins types that only the engine and its surroundings send."""


RESERVED_TYPES = (ERROR_COMMUNICATION, ERROR_EXECUTION, UPGRADE)
RESERVED_PREFIXES = (DONE_INVOKE, ERROR_PLATFORM, "done.state.", "xstate.", "statebacked.", "perdure.")
"""What only the engine and the runtime say. Other types that begin with ``done.`` or ``error.`` are anybody's."""


class SaysItsType(Protocol):
    """A value of a class that says which type of event it is; a msgspec ``Struct`` may say so by its tag instead."""

    type: ClassVar[str]


class HasType(Protocol):
    """A value that has its type in a field."""

    @property
    def type(self) -> str: ...


EventLike: TypeAlias = str | Mapping[str, Any] | SaysItsType | HasType | msgspec.Struct
"""An event as users give it: its type, a dict, or a value."""


def after_type(delay: str, state_id: str) -> str:
    return f"xstate.after({delay})#{state_id}"


def done_state_type(state_id: str) -> str:
    return f"done.state.{state_id}"


def done_invoke_type(child_id: str) -> str:
    return f"{DONE_INVOKE}{child_id}"


def error_platform_type(child_id: str) -> str:
    return f"{ERROR_PLATFORM}{child_id}"


def snapshot_type(child_id: str) -> str:
    """What tells a parent that asked for it where its child stands now: the event's ``snapshot``."""
    return f"xstate.snapshot.{child_id}"


def to_event(value: Any) -> JsonObject:
    """The dict form of an event given as a type, as a dict, or as a value of a class that says its type.

    Raises ``InvalidParameter`` for anything else.
    """
    if type(value) is dict and type(value.get("type")) is str and value["type"]:
        return value.copy()  # nearly every event, with none of the questions below
    if type(value) is str and value:
        return {"type": value}
    if isinstance(value, str):
        value = {"type": value}
    if not isinstance(value, Mapping):
        event = typed_event(value)
        if event is not None:
            return event
        raise InvalidParameter(f"an event is a type or an object with a type, not {type(value).__name__}", "event")
    event_type = value.get("type")
    if not isinstance(event_type, str) or not event_type:
        raise InvalidParameter('an event needs a "type" that is a non-empty string', "event")
    return dict(value)


def is_reserved(event_type: str) -> bool:
    """Whether only the engine and the runtime say events of this type: who may forge them could end a child's work, or
    a timer's wait, in its name.
    """
    return event_type in RESERVED_TYPES or event_type.startswith(RESERVED_PREFIXES)


def descriptor_matches(descriptor: str, event_type: str) -> bool:
    """Whether a descriptor of a config stands for this event type. The empty one (``always``) matches nothing."""
    if descriptor == event_type:
        return descriptor != ""
    if descriptor == "*":
        return event_type != ""
    if not descriptor.endswith(".*"):
        return False
    prefix = descriptor[:-2]
    return event_type == prefix or event_type.startswith(f"{prefix}.")


def descriptor_rank(descriptor: str) -> int:
    """Sorts the descriptors of one state that match the same event: an exact one first, then longer prefixes, ``*``
    last.

    Smaller is tried first; equal ranks keep the order of the config.
    """
    if descriptor == "*":
        return 0
    if descriptor.endswith(".*"):
        return -2 * len(descriptor[:-2])
    return -2 * len(descriptor) - 1
