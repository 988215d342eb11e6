"""Index values: what the selectors of a machine version find in the context of an instance.

A selector is a JSONPath (RFC 9535) whose ``$`` is the whole context, private parts included. What it finds is indexed
when it is a string; of a list the strings in it are. Everything else is left out: numbers, objects, null, and strings
of more than ``INDEX_VALUE_CHARACTERS_MAX`` characters. Values are told apart and ordered as strings, by code points.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from perdure.errors import EventFailed, InvalidParameter
from perdure.json_value import Json

if TYPE_CHECKING:
    from jsonpath_rfc9535 import JSONPathQuery

__all__ = ["INDEX_VALUE_CHARACTERS_MAX", "IndexValue", "check_selectors", "compiled", "index_values"]

INDEX_VALUE_CHARACTERS_MAX = 1_000
"""Of a value; a longer one is not indexed, as if it was not a string."""

IndexValue: TypeAlias = tuple[str, str]
"""The name of an index and one value under it."""


def index_values(selectors: Mapping[str, str], context: Json) -> tuple[IndexValue, ...]:
    """Everything that an instance with this context is found by, each once, in order.

    Raises ``EventFailed`` when a selector gives up, on a context that is nested too deeply for it.
    """
    found: set[IndexValue] = set()
    for index, selector in selectors.items():
        try:
            found.update((index, value) for value in selected_strings(compiled(selector), context))
        except Exception as error:
            raise EventFailed(f"the selector {selector!r} of index {index!r} failed: {error}") from error
    return tuple(sorted(found))


def selected_strings(query: JSONPathQuery, context: Json) -> Iterator[str]:
    for node in query.find(context):
        for value in node.value if isinstance(node.value, list) else (node.value,):
            if isinstance(value, str) and len(value) <= INDEX_VALUE_CHARACTERS_MAX:
                yield value


@lru_cache(maxsize=1024)
def compiled(selector: str) -> JSONPathQuery:
    """A selector, read. Raises ``InvalidParameter``, parameter ``indexSelectors``, saying where it is wrong."""
    try:
        from jsonpath_rfc9535 import JSONPathError, compile  # most programs have no index
    except ImportError as error:
        raise InvalidParameter(
            "indexes need a library for JSONPath: pip install 'perdure[indexes]'", "indexSelectors"
        ) from error
    try:
        return compile(selector)
    except (JSONPathError, RecursionError) as error:
        raise InvalidParameter(f"the selector {selector!r} is not JSONPath: {error}", "indexSelectors") from error


def check_selectors(selectors: Mapping[str, str], indexes: tuple[str, ...], machine: str) -> None:
    """Refuse selectors of indexes that the machine does not have, and ones that are not JSONPath.

    Raises ``InvalidParameter`` for the parameter ``indexSelectors``.
    """
    for index, selector in selectors.items():
        if index not in indexes:
            known = ", ".join(indexes) or "none"
            raise InvalidParameter(
                f"machine {machine!r} has no index {index!r}; it has {known}. "
                f"`perdure indexes rebuild {machine} {index} --selector …` adds it",
                "indexSelectors",
            )
        compiled(selector)
