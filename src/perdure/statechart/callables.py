"""User functions of zero to three parameters, made uniform.

Where XState takes a function of ``(context, event, meta)``, perdure takes a Python callable of as many of these as it
wants. How many is read once, when the machine is built. What a function raises is turned into ``EventFailed`` with the
function's place in the machine, so that the caller of the engine learns which guard or assigner it was.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Generic, TypeAlias

import msgspec

from perdure.errors import EventFailed, PerdureError, text_of
from perdure.json_value import Json, JsonObject
from perdure.statechart.snapshot import C, Snapshot

__all__ = ["Meta", "UniformCall", "accepted_parameters", "call_with", "can_take", "known_parameters", "uniform"]

UniformCall: TypeAlias = Callable[[Any, JsonObject, Any], Any]
"""Called as ``(context, event, meta)``."""


class Meta(msgspec.Struct, Generic[C], frozen=True, kw_only=True):
    """The third parameter of guards, assigners, actions and services."""

    snapshot: Snapshot[C] | None
    """Where the machine stood before the event; ``None`` while it is being created."""
    params: Json = None
    """The other keys of a guard, action or service given as ``{"type": name, ...}``."""
    reference: Json = None
    """The reference by which other actors send to this one; ``None`` where the machine runs outside any system."""
    idempotency_key: str | None = None
    """Of a service that may be tried again: the same at every attempt, to be handed to whatever it calls."""
    attempt: int = 1
    """Of a service: which attempt this is."""


def accepted_parameters(function: Callable[..., Any]) -> int:
    """How many of ``(context, event, meta)`` a function wants. Raises ``TypeError`` when it needs anything else."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return 2  # some builtins hide their signature; XState's (context, event) is the best guess
    required = 0
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            return 3
        if parameter.default is not inspect.Parameter.empty or parameter.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            raise TypeError(f"it needs the keyword argument {parameter.name!r}")
        required += 1
    if required > 3:
        raise TypeError(f"it needs {required} arguments; (context, event, meta) are all there are")
    return required


def can_take(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with so many arguments."""
    try:
        inspect.signature(function).bind(*range(count))
    except ValueError:
        return True  # some builtins hide their signature
    except TypeError:
        return False
    return True


def known_parameters(function: Callable[..., Any]) -> int:
    """As ``accepted_parameters``, remembered: for functions that are called again and again. Reading a signature takes
    longer than most turns.
    """
    try:
        hash(function)
    except TypeError:
        return accepted_parameters(function)
    return _remembered_parameters(function)


_remembered_parameters = lru_cache(maxsize=1024)(accepted_parameters)


def call_with(function: Callable[..., Any], parameters: int, context: Any, event: JsonObject, meta: Any) -> Any:
    """Call a function with as many of the three as it wants."""
    if parameters == 0:
        return function()
    if parameters == 1:
        return function(context)
    return function(context, event) if parameters == 2 else function(context, event, meta)


def uniform(function: Callable[..., Any], label: str, params: Json = None) -> UniformCall:
    """A function of exactly ``(context, event, step)`` that raises ``EventFailed``, naming ``label``, for any failure.

    ``step`` is anything with a ``meta(params)`` method; it is asked only when the function takes three parameters.
    """
    parameters = accepted_parameters(function)

    # One closure per arity instead of call_with: this is the innermost call of every guard and assigner.
    def call_0(context: Any, event: JsonObject, step: Any) -> Any:
        try:
            return function()
        except Exception as error:
            raise failure(label, error) from error

    def call_1(context: Any, event: JsonObject, step: Any) -> Any:
        try:
            return function(context)
        except Exception as error:
            raise failure(label, error) from error

    def call_2(context: Any, event: JsonObject, step: Any) -> Any:
        try:
            return function(context, event)
        except Exception as error:
            raise failure(label, error) from error

    def call_3(context: Any, event: JsonObject, step: Any) -> Any:
        try:
            return function(context, event, step.meta(params))
        except Exception as error:
            raise failure(label, error) from error

    return (call_0, call_1, call_2, call_3)[parameters]


def failure(label: str, error: Exception) -> PerdureError:
    if isinstance(error, PerdureError):
        return error
    return EventFailed(f"{label} raised {type(error).__name__}: {text_of(error)}")
