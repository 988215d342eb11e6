"""Typed machines: user code sees values, the world sees JSON.

Nothing of this runs for a machine without schemas. One that has some differs in four places, each chosen when the
machine is built:

- its macrosteps are ``TypedMacrostep``s, which read the context and the external event before anything runs;
- its assigners and custom actions are ``TypedAssign`` and ``TypedCustom``;
- its guards and expressions are wrapped: they are shown the typed event, and what they compute for an effect is made
  plain;
- its actions and services, which are called with what an effect holds, are wrapped to read that again.

The engine itself goes on with plain events: ``step.event`` is always a dict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

import msgspec

from perdure.errors import EventFailed, InvalidParameter, SnapshotMismatch
from perdure.json_value import Json, JsonObject
from perdure.statechart.callables import UniformCall
from perdure.statechart.configuration import Configuration
from perdure.statechart.defects import nearest
from perdure.statechart.effect import RunAction
from perdure.statechart.event import INTERNAL_PREFIXES
from perdure.statechart.machine import Machine
from perdure.statechart.macrostep import Macrostep, Scope
from perdure.statechart.schema import EventSchema, Misfit, Schema, plain
from perdure.statechart.snapshot import Snapshot
from perdure.statechart.spawning import spawner

__all__ = ["Schemas", "TypedAssign", "TypedCustom", "TypedMacrostep"]


class Schemas:
    """What a machine has declared of its context and its events."""

    def __init__(self, context: Schema[Any] | None, events: Mapping[str, EventSchema], strict_events: bool) -> None:
        self.context = context
        self.events = events
        self.strict_events = strict_events
        """Whether external events of other types are refused."""

    def context_of(self, value: Any) -> Any:
        """The context as user code sees it. Raises ``Misfit``."""
        schema = self.context
        return value if schema is None or isinstance(value, schema.type) else schema.decoded(value)

    def event_of(self, event: Any) -> Any:
        """The event as user code sees it: a value, or the dict when no schema is declared for it. Raises ``Misfit``."""
        schema = self.events.get(event["type"])
        return event if schema is None else schema.decoded(event)

    def refuses(self, event_type: str) -> bool:
        """Whether external events of this type are not taken. The engine's own always are."""
        return self.strict_events and event_type not in self.events and not event_type.startswith(INTERNAL_PREFIXES)

    # -- wrapping user code ------------------------------------------------------------------------

    def seeing(self, call: UniformCall) -> UniformCall:
        """A guard or expression that is shown the typed event."""
        if not self.events:
            return call
        return lambda context, event, step: call(context, step.seen(event), step)

    def sending(self, call: UniformCall) -> UniformCall:
        """An event expression, which may hand on the event it was shown, or make one of a class declared here."""
        types = {schema.schema.type: event_type for event_type, schema in self.events.items()}

        def compute(context: Any, event: JsonObject, step: Any) -> Any:
            value = call(context, event, step)
            if value is step.seen(event):
                return event
            event_type = types.get(type(value))
            return value if event_type is None else {"type": event_type, **plain(value)}

        return compute

    def plained(self, call: UniformCall) -> UniformCall:
        """An expression whose value is made plain, since it goes into an effect or an event."""
        return lambda context, event, step: plain(call(context, event, step))

    def reading(self, function: Callable[..., Any], *, reads_context: bool = True) -> Callable[..., Any]:
        """An action or service that is called with plain data and sees values. It takes as many parameters as before.

        ``reads_context`` is false for a service that is given the ``data`` of its invocation instead of the context.
        """

        def values(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
            if arguments and reads_context:
                arguments = (self.context_of(arguments[0]), *arguments[1:])
            if len(arguments) > 1:
                arguments = (arguments[0], self.event_of(arguments[1]), *arguments[2:])
            return arguments

        if iscoroutinefunction(function):

            @wraps(function)
            async def call_async(*arguments: Any) -> Any:
                return await function(*values(arguments))

            return call_async

        @wraps(function)
        def call(*arguments: Any) -> Any:
            return function(*values(arguments))

        return call


class TypedMacrostep(Macrostep):
    """A macrostep whose context is a value, and whose user code sees events as values.

    Raises ``InvalidParameter`` for a creator's context or an external event that does not fit, ``SnapshotMismatch``
    for a snapshot whose context does not: in each case nothing has run.
    """

    def __init__(
        self,
        machine: Machine,
        before: Snapshot | None,
        configuration: Configuration,
        context: Any,
        event: JsonObject,
        scope: Scope,
    ) -> None:
        schemas = machine.schemas
        assert schemas is not None, "a machine without schemas has plain macrosteps"
        self.schemas = schemas
        try:
            context = schemas.context_of(context)
        except Misfit as misfit:
            if before is None:
                raise InvalidParameter(
                    f"the context does not fit machine {machine.id!r}: {misfit}", "context"
                ) from misfit
            raise SnapshotMismatch(f"the snapshot's context does not fit machine {machine.id!r}: {misfit}") from misfit
        if before is not None and before.context is not context:
            before = msgspec.structs.replace(before, context=context)
        super().__init__(machine, before, configuration, context, event, scope)
        self.seen_event: JsonObject = event
        self.seen_value = self.external_value(event)
        """The last event that user code was shown, and what it saw."""
        self.plained_context: object = None
        self.plain_context: Json = None
        """The last context that went into an effect, and its plain form."""

    def external_value(self, event: JsonObject) -> Any:
        event_type = event["type"]
        if self.schemas.refuses(event_type):
            known = nearest(event_type, self.schemas.events)
            raise InvalidParameter(f"machine {self.machine.id!r} takes no event {event_type!r}. {known}", "event")
        try:
            return self.schemas.event_of(event)
        except Misfit as misfit:
            raise InvalidParameter(f"the event {event_type!r} does not fit: {misfit}", "event") from misfit

    def seen(self, event: JsonObject) -> Any:
        """What user code sees of an event. Raises ``EventFailed`` for one that the machine itself has made wrong."""
        if event is not self.seen_event:
            try:
                self.seen_value = self.schemas.event_of(event)
            except Misfit as misfit:
                raise EventFailed(f"the internal event {event['type']!r} does not fit: {misfit}") from misfit
            self.seen_event = event
        return self.seen_value

    def start_child(self, child_id: str, *, context: Any, **options: Any) -> None:
        super().start_child(child_id, context=self.in_effect(context), **options)

    def in_effect(self, context: Any) -> Json:
        """The plain form of a context that goes into an effect."""
        if context is not self.plained_context:
            self.plained_context, self.plain_context = context, plain(context)
        return self.plain_context


class TypedAssign(msgspec.Struct, frozen=True):
    """Replace the context: by a copy with some fields changed, or by what the assigner made. Checked as a whole."""

    updates: UniformCall
    schema: Schema[Any]
    label: str

    def perform(self, step: Macrostep) -> None:
        token = spawner.set(step)
        try:
            changed = self.updates(step.context, step.event, step)
        finally:
            spawner.reset(token)
        try:
            if isinstance(changed, self.schema.type):
                step.context = self.schema.decoded(changed)
            elif isinstance(changed, Mapping):
                step.context = self.schema.replaced(step.context, changed)
            else:
                name = self.schema.type.__name__
                raise EventFailed(
                    f"{self.label} must return a {name} or a mapping of fields to change, not {type(changed).__name__}"
                )
        except Misfit as misfit:
            raise EventFailed(f"{self.label} made a context that does not fit: {misfit}") from misfit


class TypedCustom(msgspec.Struct, frozen=True):
    """Ask the world to call a custom action, with the context as plain data."""

    name: str
    params: Json

    def perform(self, step: Macrostep) -> None:
        assert isinstance(step, TypedMacrostep)
        step.effects.append(RunAction(self.name, step.in_effect(step.context), step.event, self.params))
