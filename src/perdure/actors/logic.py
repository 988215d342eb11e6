"""Actor logic: what a child may be besides a machine.

XState's kinds, in Python's terms. Two need no mark: a coroutine function is XState's promise, an async generator
function its observable. A plain function is a promise as well; it runs in a thread, so that it may block, and what it
returns may be awaitable, an async iterator, a machine or actor logic, which then runs in its place. The others are made
with ``from_callback``, ``from_reducer`` and ``from_observable``.

Logic is only a description. It holds nothing of the actors that run it, so that one may serve any number of them.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

from perdure.json_value import Json, JsonObject
from perdure.statechart.callables import call_with
from perdure.statechart.event import EventLike
from perdure.statechart.machine import ActorLogic

__all__ = [
    "CallbackLogic",
    "ObservableLogic",
    "ReducerLogic",
    "SendBack",
    "from_callback",
    "from_observable",
    "from_reducer",
]

SendBack: TypeAlias = Callable[[EventLike], None]
"""Sends an event to the parent."""
Receive: TypeAlias = Callable[[Callable[[JsonObject], object]], None]
"""Registers a listener for the events that the child is sent."""


class CallbackLogic(ActorLogic):
    """A function that sends events to the parent when it likes, and hears what the child is sent."""

    __slots__ = ("_parameters", "function")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self._parameters = parameters_up_to(function, 5, "(send_back, receive, context, event, meta)")

    def call(self, *arguments: Any) -> Any:
        """Call it with as many of ``(send_back, receive, context, event, meta)`` as it takes."""
        return self.function(*arguments[: self._parameters])


class ReducerLogic(ActorLogic):
    """A function of ``(state, event)`` to the next state, and the state it begins with."""

    __slots__ = ("_parameters", "function", "initial_state")

    def __init__(self, function: Callable[..., Any], initial_state: Any) -> None:
        self.function = function
        self.initial_state = initial_state
        self._parameters = parameters_up_to(function, 3, "(state, event, meta)")

    def transition(self, state: Any, event: JsonObject, meta: object) -> Any:
        return call_with(self.function, self._parameters, state, event, meta)


class ObservableLogic(ActorLogic):
    """A function of ``(context, event, meta)`` that returns an async iterator, or something that may be awaited for
    one.
    """

    __slots__ = ("_parameters", "function")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self._parameters = parameters_up_to(function, 3, "(context, event, meta)")

    def iterate(self, context: Json, event: JsonObject, meta: object) -> Any:
        return call_with(self.function, self._parameters, context, event, meta)


def from_callback(function: Callable[..., Any]) -> CallbackLogic:
    """A child that is a function of ``(send_back, receive)``, and if it takes them ``context``, ``event`` and ``meta``.

    ``send_back(event)`` sends to the parent, from any thread; ``receive(listener)`` registers who hears the events that
    the child is sent. What the function returns is called when the child is stopped. It may be a coroutine function:
    then the child is done when it returns, and is cancelled when it is stopped.
    """
    return CallbackLogic(function)


def from_reducer(function: Callable[..., Any], initial_state: Any) -> ReducerLogic:
    """A child with a state that ``function(state, event)`` replaces at every event: XState's behaviour.

    With a third parameter it is given ``meta``, which knows the child (``id``, ``reference``) and can ``respond`` to
    the sender and ``send_parent``.
    """
    return ReducerLogic(function, initial_state)


def from_observable(function: Callable[..., AsyncIterator[Any] | Any]) -> ObservableLogic:
    """A child that sends its parent every event that an async iterator yields, and is done when that ends.

    ``function`` takes zero to three of ``(context, event, meta)`` and returns the iterator; an async generator function
    is recognised for one without this mark. An invocation with ``onSnapshot`` gets the values, which may then be
    anything, as snapshots instead.
    """
    return ObservableLogic(function)


def parameters_up_to(function: Any, most: int, offered: str) -> int:
    """How many positional arguments a function takes of those offered. Raises ``TypeError`` when it cannot be called.

    A parameter with a default keeps it.
    """
    if not callable(function):
        raise TypeError(f"actor logic is made of a function of {offered}, not of {type(function).__name__}")
    try:
        signature = inspect.signature(function)
    except ValueError:
        return 2  # some builtins hide their signature
    required = 0
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            return most
        if parameter.default is not inspect.Parameter.empty or parameter.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            raise TypeError(f"{function!r} needs the keyword argument {parameter.name!r}; it is given {offered}")
        required += 1
    if required > most:
        raise TypeError(f"{function!r} needs {required} arguments; {offered} are all there are")
    return required
