"""A machine version's code, loaded: the statechart and the two functions that guard it.

A machine version module exports ``machine``, ``allow_read(request) -> bool`` and ``allow_write(request) -> bool``. The
requests carry everything a decision may need; an authoriser that raises, or answers anything but a true value, refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import msgspec

from perdure.durable.http_api import HttpApi
from perdure.json_value import Json, JsonObject
from perdure.statechart.machine import Machine
from perdure.statechart.snapshot import StateValue

__all__ = ["AllowRead", "AllowWrite", "Definition", "ReadRequest", "Sender", "WriteRequest"]


class Sender(msgspec.Struct, frozen=True):
    """The instance that sends an event to another one, or creates it; verified by the runtime."""

    machine: str
    instance: str


class ReadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody wants to see an instance."""

    machine_instance_name: str
    state: StateValue
    context: Json
    auth_context: JsonObject
    """The ``act`` claims of the caller's token; of an instance: ``{"stateBackedSender": {...}}``."""


class WriteRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody wants to create an instance (``initialization``) or to send it an event."""

    type: Literal["initialization", "event"]
    machine_instance_name: str
    state: StateValue
    """``None`` for an initialization."""
    context: Json
    """For an initialization the context the caller gave, alone."""
    event: JsonObject | None
    """``None`` for an initialization."""
    auth_context: JsonObject
    sender: Sender | None
    """Set when another instance sends, and only then."""


AllowRead: TypeAlias = Callable[[ReadRequest], bool]
AllowWrite: TypeAlias = Callable[[WriteRequest], bool]


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """The code of one machine version, ready to run."""

    machine: Machine
    allow_read: AllowRead
    allow_write: AllowWrite
    http_api: Mapping[str, HttpApi] = {}
    """By slug: see ``perdure.durable.http_api``."""
    index_selectors: dict[str, str] = {}
    """What its instances are found by: for the name of each index the JSONPath into their context."""
