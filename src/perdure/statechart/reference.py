"""References: how actors are written down in contexts and events.

A reference is plain data, so that it survives JSON and may be handed on: whoever has one can send to the actor. There
are two kinds. An instance is named by its machine and its name, in the form State Backed gives it. An ephemeral actor
is named by its path, the ids from the root of its system down to it.
"""

from __future__ import annotations

import re
from typing import Any

from perdure.errors import EventFailed
from perdure.json_value import Json, JsonObject
from perdure.statechart.effect import ActorTarget, InstanceTarget, Target

__all__ = [
    "ACTOR_REFERENCE",
    "INSTANCE_REFERENCE",
    "actor_reference",
    "checked_instance_name",
    "instance_reference",
    "path_of",
    "reference_of",
]

NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
"""Of machines, their instances and groups of instances."""

ACTOR_REFERENCE = "perdure.actor"
INSTANCE_REFERENCE = "statebacked.instance"


def actor_reference(actor_id: str, path: str) -> JsonObject:
    """A reference to an ephemeral actor: ``send_to``, ``forward_to`` and, for a child, ``stop`` take it."""
    return {"type": ACTOR_REFERENCE, "id": actor_id, "path": path}


def instance_reference(machine: str, instance: str, *, child_id: str | None = None) -> JsonObject:
    """A reference to a persistent instance, running or not yet created: ``send_to`` and, for a child, ``stop`` take it.

    ``child_id`` is how the one who holds the reference addresses it, where that is its parent; by default its name.
    """
    return {
        "type": INSTANCE_REFERENCE,
        "id": instance if child_id is None else child_id,
        "machineName": machine,
        "machineInstanceName": instance,
    }


def checked_instance_name(name: Any, child_id: str | None = None) -> str:
    """The name of an instance to be created. Raises ``EventFailed`` for one that no instance can have."""
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        who = "a persistent child" if child_id is None else f"persistent child {child_id!r}"
        raise EventFailed(f"{who} cannot have the name {name!r}: 1 to 128 characters of a-z, A-Z, 0-9, _ and -")
    return name


def path_of(address: Target | None) -> str:
    """The path below which an actor's ephemeral children are; empty for one outside any system."""
    if isinstance(address, InstanceTarget):
        return f"{address.machine}/{address.instance}"
    return address.path if isinstance(address, ActorTarget) else ""


def reference_of(address: Target | None) -> Json:
    """The reference to the actor at an address; ``None`` for one outside any system."""
    if isinstance(address, InstanceTarget):
        return instance_reference(address.machine, address.instance)
    if isinstance(address, ActorTarget):
        return actor_reference(address.path.rpartition("/")[2], address.path)
    return None
