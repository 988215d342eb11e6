"""Guards: what a ``cond`` may be, and how it is asked.

A guard is pure. It is compiled, when the machine is built, into a test ``(context, event, step) -> bool`` where
``step`` knows the configuration; ``and_``, ``or_``, ``not_`` and ``in_state`` are built from others and short-circuit
in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from perdure.json_value import Json, JsonObject

__all__ = ["And", "GuardConfig", "InState", "Not", "Or", "Test", "and_", "in_state", "not_", "or_"]

GuardConfig: TypeAlias = "str | Callable[..., Any] | Mapping[str, Any] | And | Or | Not | InState"
"""A name, a callable, ``{"type": name, ...params}``, or a combination of guards."""

Test: TypeAlias = Callable[[Any, JsonObject, Any], bool]


class And(msgspec.Struct, frozen=True):
    guards: tuple[Any, ...]


class Or(msgspec.Struct, frozen=True):
    guards: tuple[Any, ...]


class Not(msgspec.Struct, frozen=True):
    guard: Any


class InState(msgspec.Struct, frozen=True):
    state: Json


def and_(*guards: GuardConfig) -> And:
    """True when every guard is; asks them in order and stops at the first that is not."""
    return And(guards)


def or_(*guards: GuardConfig) -> Or:
    """True when any guard is; asks them in order and stops at the first that is."""
    return Or(guards)


def not_(guard: GuardConfig) -> Not:
    """True when the guard is not."""
    return Not(guard)


def in_state(state: str | Mapping[str, Any]) -> InState:
    """True while a state is active: ``"#id"``, a dotted path from the root, or a state value."""
    return InState(dict(state) if isinstance(state, Mapping) else state)
