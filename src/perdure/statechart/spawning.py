"""Spawning: what an assigner calls, and what an invocation names, to start children.

``spawn(...)`` starts an ephemeral child and ``spawn_persistent(...)`` a persistent one; both are called inside
``assign`` and return a reference to keep in the context. ``persistent(...)`` goes where an invocation has its ``src``.

Nothing is started here. The macrostep whose assigner runs notes the child and asks for it with an effect, so that an
event that fails starts nothing, and an assigner may be run again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from perdure.errors import EventFailed
from perdure.json_value import JsonObject
from perdure.statechart.machine import ActorLogic, Machine, PersistentSource
from perdure.statechart.reference import actor_reference, checked_instance_name, instance_reference
from perdure.statechart.schema import plain

if TYPE_CHECKING:
    from perdure.statechart.macrostep import Macrostep

__all__ = ["persistent", "spawn", "spawn_persistent", "spawner"]

spawner: ContextVar[Macrostep | None] = ContextVar("perdure_spawner", default=None)
"""The macrostep whose assigner runs now: what is spawned starts its children there."""

last_refusal: object = None
"""A new object each time that a child was wanted where no macrostep is to be seen. An assigner that runs without one
(see ``quick_step``) is found out by it even where user code has caught the error.
"""


def spawn(
    source: str | Machine | ActorLogic | PersistentSource | Callable[..., Any],
    name: str | None = None,
    *,
    data: Mapping[str, Any] | None = None,
    auto_forward: bool = False,
    sync: bool = False,
) -> JsonObject:
    """Start a child of this actor that lives until it ends, is stopped, or the actor ends; return the reference to it.

    ``source`` is the name of one of the machine's services, or what such a name could stand for: a machine, a coroutine
    function, a plain function, other actor logic, a persistent source. ``name`` is the child's id, by default one made
    of the source's name and a number; a child that runs under this id is stopped. ``data`` replaces a machine's
    context, and for a service stands in for the parent's. With ``auto_forward`` the child gets every event before its
    parent does, with ``sync`` the parent gets an ``xstate.update`` event for each of its steps.

    Raises ``EventFailed`` outside ``assign``, and for what cannot be spawned.
    """
    refuse_coroutine(source)
    step = current("spawn")
    label, behavior, params = source, None, None
    if isinstance(source, str):
        label, params = step.machine.resolve_service(source)
    elif not isinstance(source, PersistentSource):
        label, behavior = name_of(source), source
    if name is not None and (not isinstance(name, str) or not name):
        raise EventFailed(f"the name of a spawned child is a non-empty string, not {name!r}")
    if isinstance(label, PersistentSource):
        if callable(label.name):
            raise EventFailed("a persistent child that is spawned has a name, not a callable that computes it")
        return spawn_persistent(
            label.machine,
            id=name,
            name=label.name,
            version=label.version,
            context=data,
            detached=label.detached,
            auto_forward=auto_forward,
            sync=sync,
        )
    assert isinstance(label, str)
    child_id = name or f"{label}-{step.children_started + 1}"
    step.start_child(
        child_id,
        source=label,
        context=step.context if data is None else plain(data),
        has_data=data is not None,
        auto_forward=auto_forward,
        sync=sync,
        params=params,
        behavior=behavior,
    )
    return actor_reference(child_id, step.path_of_child(child_id))


def refuse_coroutine(source: Any) -> None:
    """Raise ``EventFailed`` for a coroutine, which runs once; it is closed, since nobody is going to await it."""
    if inspect.iscoroutine(source):
        source.close()
        raise EventFailed("spawn was given a coroutine; give it the function, for instance with functools.partial")


def name_of(source: Any) -> str:
    """What to call a child that was spawned by value. Raises ``EventFailed`` for what cannot run as a child."""
    if isinstance(source, Machine):
        return source.id
    if not isinstance(source, ActorLogic) and not callable(source):
        raise EventFailed(f"spawn cannot start {source!r}: it is neither a service, a machine nor a callable")
    given = getattr(source, "name", None) or getattr(source, "__name__", None)
    return given if isinstance(given, str) and given.isidentifier() else type(source).__name__


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
    context: Mapping[str, Any] | None = None,
    detached: bool = False,
    auto_forward: bool = False,
    sync: bool = False,
) -> JsonObject:
    """Start a persistent instance of ``machine`` as a child of this one and return the reference to it.

    The child's creation is part of this machine's commit: it happens exactly once, or not at all when the event fails.
    ``id`` is how this machine addresses it, by default the instance's name; ``name`` is by default a fresh one. Raises
    ``EventFailed`` outside ``assign``: anywhere else a child could be started by an event that is never committed.
    """
    step = current("spawn_persistent")
    instance = checked_instance_name(name) if name is not None else step.fresh_name()
    child_id = id if id is not None else instance
    step.start_child(
        child_id,
        source=machine,
        instance=instance,
        version=version,
        context=None if context is None else plain(context),
        has_data=context is not None,
        detached=detached,
        auto_forward=auto_forward,
        sync=sync,
    )
    return instance_reference(machine, instance, child_id=child_id)


def current(function: str) -> Macrostep:
    """The macrostep whose assigner runs. Raises ``EventFailed`` when none does: anywhere else a child could be started
    by an event that is never committed.
    """
    global last_refusal
    step = spawner.get()
    if step is None:
        last_refusal = object()
        raise EventFailed(f"{function} must be called inside assign")
    return step
