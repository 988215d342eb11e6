"""What type-checkers need to follow a machine: ``Types[Cart, AddItem | Pay]()``.

A config names its guards and actions, and no type-checker sees from a name what the function behind it is given. So the
functions are handed in through an object that knows the types of the context and of the events: a guard that takes
something else, reads a field that is not there, or an assigner that makes no context, is an error where it is written.

At run time these methods return what they are given; ``create_machine`` reads the same types and checks the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, Union, get_args, get_origin, overload

import msgspec

from perdure.json_value import JsonObject
from perdure.statechart.action import AssignConfig, assign
from perdure.statechart.callables import Meta
from perdure.statechart.config import create_machine
from perdure.statechart.machine import Machine, PersistentSource
from perdure.statechart.schema import event_type_of, is_schema_type
from perdure.statechart.snapshot import C

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault  # which type-checkers know without its package

    E = TypeVarWithDefault("E", default=JsonObject)
else:
    E = TypeVar("E")

__all__ = ["Functions", "Types"]

Context = TypeVar("Context")
Event = TypeVar("Event")
Value = TypeVar("Value")

Function: TypeAlias = (
    Callable[[], Value]
    | Callable[[Context], Value]
    | Callable[[Context, Event], Value]
    | Callable[[Context, Event, Meta[Context]], Value]
)
GuardPart: TypeAlias = str | Mapping[str, Any] | msgspec.Struct | Function[bool, Context, Event]
ActionPart: TypeAlias = str | Mapping[str, Any] | msgspec.Struct | Function[object, Context, Event]
ServicePart: TypeAlias = str | Mapping[str, Any] | PersistentSource | Machine[Any] | Function[object, Context, Event]
DelayPart: TypeAlias = float | timedelta | str | Function[float | timedelta | str, Context, Event]
Constant: TypeAlias = bool | int | float | str | list[Any] | tuple[Any, ...] | dict[str, Any] | None


class Functions(Generic[C, E]):
    """Functions of a context and an event, as a config takes them. Each method can also be used as a decorator."""

    @overload
    def guard(self, function: Callable[[], bool], /) -> Callable[..., bool]: ...
    @overload
    def guard(self, function: Callable[[C], bool], /) -> Callable[..., bool]: ...
    @overload
    def guard(self, function: Callable[[C, E], bool], /) -> Callable[..., bool]: ...
    @overload
    def guard(self, function: Callable[[C, E, Meta[C]], bool], /) -> Callable[..., bool]: ...
    def guard(self, function: Callable[..., bool], /) -> Callable[..., bool]:
        """A guard, for ``cond`` and ``guards``."""
        return function

    @overload
    def action(self, function: Callable[[], Value], /) -> Callable[..., Value]: ...
    @overload
    def action(self, function: Callable[[C], Value], /) -> Callable[..., Value]: ...
    @overload
    def action(self, function: Callable[[C, E], Value], /) -> Callable[..., Value]: ...
    @overload
    def action(self, function: Callable[[C, E, Meta[C]], Value], /) -> Callable[..., Value]: ...
    def action(self, function: Callable[..., Value], /) -> Callable[..., Value]:
        """A custom action, for ``entry``, ``exit`` and ``actions``; or a service, for ``src`` and ``services``."""
        return function

    service = action
    """A service, for ``src`` and ``services``, that is not given ``data``."""
    expression = action
    """Anything else that is computed: ``data``, a delay, what is sent, what is logged."""

    @overload
    def assign(self, function: Callable[[], C | Mapping[str, Any]], /) -> AssignConfig: ...
    @overload
    def assign(self, function: Callable[[C], C | Mapping[str, Any]], /) -> AssignConfig: ...
    @overload
    def assign(self, function: Callable[[C, E], C | Mapping[str, Any]], /) -> AssignConfig: ...
    @overload
    def assign(self, function: Callable[[C, E, Meta[C]], C | Mapping[str, Any]], /) -> AssignConfig: ...
    @overload
    def assign(self, **fields: Constant | Callable[[C], object]) -> AssignConfig: ...
    @overload
    def assign(self, **fields: Constant | Callable[[C, E], object]) -> AssignConfig: ...
    @overload
    def assign(self, **fields: Constant | Callable[[C, E, Meta[C]], object]) -> AssignConfig: ...
    def assign(self, *function: Any, **fields: Any) -> AssignConfig:
        """``perdure.assign``: by a function that returns a context or the fields to change, or field by field."""
        return assign(*function, **fields)


class Types(Functions[C, E], Generic[C, E]):
    """The types of one machine: ``types = Types[Cart, AddItem | Pay]()``.

    The context is a dataclass, a msgspec ``Struct``, a pydantic model, or ``dict[str, Any]``; the events are classes of
    these kinds, each of which says its type. Without events, or with dicts among them, events are dicts where no class
    says their type. Raises ``TypeError`` for anything else.
    """

    def __init__(self, context: Any = None, events: Mapping[str, type[Any]] | None = None) -> None:
        if context is None:
            raise TypeError("say which types: Types[Context, Event | OtherEvent]()")
        self.context: type[C] = context
        self.events = events or {}
        """The classes of events by type."""

    def __class_getitem__(cls, parameters: Any) -> Callable[[], Types[Any, Any]]:
        given, events = parameters if isinstance(parameters, tuple) else (parameters, dict)
        origin: Any = get_origin(given)
        context = given if origin is None else origin
        if context is not dict and not is_schema_type(context):
            raise TypeError(f"{context!r} is no dataclass, msgspec Struct, pydantic model or dict")
        return partial(cls, context, event_classes(events))

    def on(self, event: type[Event]) -> Functions[C, Event]:
        """Functions that are only used where an event of this class is handled.

        Raises ``TypeError`` when it is none of the machine's events.
        """
        if event not in self.events.values():
            raise TypeError(f"{event.__name__} is none of the events {sorted(self.events)}")
        return Functions()

    def create_machine(
        self,
        config: Mapping[str, Any],
        *,
        actions: Mapping[str, ActionPart[C, E]] | None = None,
        guards: Mapping[str, GuardPart[C, E]] | None = None,
        services: Mapping[str, ServicePart[C, E]] | None = None,
        delays: Mapping[str, DelayPart[C, E]] | None = None,
        strict_events: bool = False,
        max_microsteps: int = 1000,
    ) -> Machine[C]:
        """``perdure.create_machine`` with this context and these events."""
        return create_machine(
            config,
            actions=actions,
            guards=guards,
            services=services,
            delays=delays,
            context_type=self.context,
            events=self.events,
            strict_events=strict_events,
            max_microsteps=max_microsteps,
        )


def event_classes(union: Any) -> dict[str, type[Any]]:
    """The classes of a union of events, by the types they say."""
    found: dict[str, type[Any]] = {}
    union = getattr(union, "__value__", union)
    for event in get_args(union) if get_origin(union) in (Union, UnionType) else (union,):
        if event in (Any, NoneType) or (get_origin(event) or event) is dict:
            continue
        event_type = event_type_of(event)
        if event_type is None:
            raise TypeError(f'{event!r} does not say its event type: give it type: ClassVar[str] = "…"')
        if event_type in found:
            raise TypeError(f"{found[event_type].__name__} and {event.__name__} say the same event type {event_type!r}")
        found[event_type] = event
    return found
