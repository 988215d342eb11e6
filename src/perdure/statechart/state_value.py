"""State values: what a configuration is called, and what may be asked of such a name.

A state value is XState's nested form: a key where one atomic child is active, a dict where there is more to say. A path
is the short way to write one with a single branch: keys joined by a delimiter. Where a key contains the delimiter
itself, a backslash before it keeps it from splitting (``sizes.1\\.5``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from perdure.json_value import Json

__all__ = ["split_path", "value_matches", "value_of_path", "value_strings"]


def split_path(path: str, delimiter: str) -> list[str]:
    """The keys of a path."""
    if "\\" not in path:
        return path.split(delimiter)
    escaped = re.escape(delimiter)
    return [key.replace(f"\\{delimiter}", delimiter) for key in re.split(rf"(?<!\\){escaped}", path)]


def value_of_path(keys: Iterable[str]) -> Json:
    """The state value that says no more than this path: ``["a", "b", "c"]`` is ``{"a": {"b": "c"}}``."""
    value: Json = None
    for key in reversed(list(keys)):
        value = key if value is None else {key: value}
    return value


def value_matches(wanted: Any, value: Json) -> bool:
    """Whether everything that ``wanted`` says is so in ``value``. XState's ``matchesState``: a path, a list of keys, or
    a state value, each of which may say less than there is to say.
    """
    if isinstance(wanted, str):
        return says(wanted, value) or matches_nested(value_of_path(split_path(wanted, ".")), value)
    if isinstance(wanted, (list, tuple)):
        wanted = value_of_path(wanted)
    return matches_nested(wanted, value)


def matches_nested(wanted: Any, value: Json) -> bool:
    pending = [(wanted, value)]
    while pending:
        part, given = pending.pop()
        if not isinstance(part, Mapping):
            if not says(part, given):
                return False
        elif not isinstance(given, Mapping) or not part.keys() <= given.keys():
            return False
        else:
            pending += [(below, given[key]) for key, below in part.items()]
    return True


def says(key: Any, value: Json) -> bool:
    """Whether this one key is active."""
    return isinstance(key, str) and (key in value if isinstance(value, Mapping) else key == value)


def value_strings(value: Json, delimiter: str) -> tuple[str, ...]:
    """Every active state but the root as a path: a level's keys, then what is below each of them."""

    found: list[str] = []
    pending: list[tuple[str, Json]] = [("", value)]
    while pending:
        prefix, part = pending.pop()
        if not isinstance(part, Mapping):
            found.append(f"{prefix}{part}")
            continue
        found += [f"{prefix}{key}" for key in part]
        pending += [(f"{prefix}{key}{delimiter}", below) for key, below in reversed(list(part.items()))]
    return tuple(found)
