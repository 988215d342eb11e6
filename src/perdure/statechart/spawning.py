"""Persistent children: what a config or an assigner writes to get one.

``persistent(...)`` goes where an invocation has its ``src``; ``spawn_persistent(...)`` is called inside ``assign`` and
returns a reference to keep in the context. The reference is plain data, in the form State Backed gives it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING

from perdure.errors import EventFailed
from perdure.json_value import JsonObject
from perdure.statechart.machine import PersistentSource

if TYPE_CHECKING:
    from perdure.statechart.macrostep import Macrostep

__all__ = ["instance_reference", "persistent", "spawn_persistent", "spawner"]

spawner: ContextVar[Macrostep | None] = ContextVar("perdure_spawner", default=None)
"""The macrostep whose assigner runs now: ``spawn_persistent`` starts its children there."""


def persistent(
    machine: str,
    *,
    name: str | Callable[..., str] | None = None,
    version: str | None = None,
    detached: bool = False,
) -> PersistentSource:
    """An invocation's ``src`` that is a persistent instance of ``machine``, not a service of this machine.

    ``name`` is the instance's name, or a callable that computes it; by default a fresh one. ``version`` pins a machine
    version, by default the current one. The invocation's ``data`` becomes the child's initial context. Leaving the
    invoking state stops the child unless it is ``detached``.
    """
    return PersistentSource(machine, name, version, detached)


def spawn_persistent(
    machine: str,
    *,
    id: str | None = None,
    name: str | None = None,
    version: str | None = None,
    context: JsonObject | None = None,
    detached: bool = False,
    auto_forward: bool = False,
    sync: bool = False,
) -> JsonObject:
    """Start a persistent instance of ``machine`` as a child of this one and return the reference to it.

    The child's creation is part of this machine's commit: it happens exactly once, or not at all when the event fails.
    ``id`` is how this machine addresses it, by default the instance's name; ``name`` is by default a fresh one. Raises
    ``EventFailed`` outside ``assign``: anywhere else a child could be started by an event that is never committed.
    """
    step = spawner.get()
    if step is None:
        raise EventFailed("spawn_persistent must be called inside assign")
    instance = name if name is not None else step.fresh_name()
    child_id = id if id is not None else instance
    step.start_child(
        child_id,
        source=machine,
        instance=instance,
        version=version,
        context=context,
        detached=detached,
        auto_forward=auto_forward,
        sync=sync,
    )
    return instance_reference(child_id, machine, instance)


def instance_reference(child_id: str, machine: str, instance: str) -> JsonObject:
    """A reference to an instance, as it is kept in a context: ``send_to`` and ``stop`` take it."""
    return {
        "type": "statebacked.instance",
        "id": child_id,
        "machineName": machine,
        "machineInstanceName": instance,
    }
