"""What part of an index a query means: a range of places, walked one way or the other.

A place is a value and the key of an instance under it. Every operator but ``ne`` is a range of places, and so is what
comes after a cursor; a store needs no more than to walk from one place to another, in both directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from perdure.durable.records import IndexedInstance, IndexQuery, Page
from perdure.stores.cursor import decode_place, encode_place

__all__ = ["KEY_MAX", "IndexRange", "Place", "index_page", "index_scope", "range_of"]

KEY_MAX = 2**63 - 1


class Place(NamedTuple):
    """A position in an index. Keys of instances are at least 1."""

    value: str
    key: int


class IndexRange(NamedTuple):
    """The places strictly between two."""

    low: Place
    high: Place | None
    """``None`` for the end of the index."""
    excluded: str | None
    """A value to leave out."""

    def contains(self, place: Place) -> bool:
        return self.low < place and (self.high is None or place < self.high) and place.value != self.excluded


def range_of(query: IndexQuery, scope: Sequence[str], cursor: str | None) -> IndexRange:
    """The places that a query means, from its cursor on. Raises ``InvalidParameter`` for a cursor of another query."""
    low, high, excluded = Place("", 0), None, None
    before, after = Place(query.value, 0), Place(query.value, KEY_MAX)
    match query.operator:
        case "eq":
            low, high = before, after
        case "gt":
            low = after
        case "gte":
            low = before
        case "lt":
            high = before
        case "lte":
            high = after
        case "ne":
            excluded = query.value
        case None:
            pass
    place = decode_place(scope, cursor)
    if place is not None and query.descending:
        high = Place(*place)
    elif place is not None:
        low = Place(*place)
    return IndexRange(low, high, excluded)


def index_scope(org: str, machine: str, index: str, query: IndexQuery) -> tuple[str, ...]:
    """What the cursors of a query are bound to."""
    direction = "desc" if query.descending else "asc"
    return ("index", org, machine, index, query.operator or "", query.value, direction)


def index_page(found: Sequence[tuple[Place, str]], limit: int, scope: Sequence[str]) -> Page[IndexedInstance]:
    """A page of places with the names of their instances. ``found`` has one more when the list goes on."""
    shown = found[:limit]
    cursor = encode_place(scope, shown[-1][0]) if len(found) > limit else None
    return Page([IndexedInstance(name=name, value=place.value) for place, name in shown], cursor)
